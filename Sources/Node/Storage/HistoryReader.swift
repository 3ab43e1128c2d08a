import ConvergeCRDT
import ConvergeGossip
import ConvergeStorage
import ConvergeWire

/// Reads the page of a room's history that a client asked for, as the one frame that shows it.
///
/// It carries no cursor: what a client pages through says nothing of what it has been shown live.
struct HistoryReader: Sendable {
    let session: SessionID
    let ref: Text?
    let room: Text
    let before: Position?
    let limit: Int
    /// What had been handed out when it was asked.
    var position: VersionVector
    /// Nothing beyond `position` is read.
    var isBounded = false
    var planted: PlantedFaults = []

    /// The page, and the entries that are in it.
    func read(
        _ reader: any StoreReader, _ stamp: FrameStamp, _ encoder: inout ServerFrameEncoder
    ) throws(StoreError) -> (FrameBatch, needs: VersionVector) {
        let entries = try reader.history(
            room: room, before: before, limit: limit, within: isBounded ? position : nil)
        var resume: ResumePage?
        if planted.has(.cursorAdvancedByHistory) {
            let reached = try reader.entries(room: room, after: VersionVector(), limit: 1).through
            resume = ResumePage(cursor: reached, recovered: true, docs: [])
        }
        var frames = FrameBatchBuilder()
        frames.append(to: .session(session)) { frame in
            encoder.beginHistory(stamp, room: room, to: &frame)
            // An entry whose payload is erased, or of a kind this build does not know, is not shown.
            for entry in entries { try? encoder.appendHistoryEntry(entry, to: &frame) }
            encoder.endHistory(stamp, limit: limit, ref: ref, resume: resume, to: &frame)
        }
        return (frames.finish(), VersionVector(entries.lazy.map(\.dot)))
    }

    /// What is answered where the store can't be read.
    func failed(_ stamp: FrameStamp, _ encoder: inout ServerFrameEncoder) -> FrameBatch {
        var frames = FrameBatchBuilder()
        frames.append(to: .session(session)) { frame in
            encoder.error(stamp, .historyUnavailable, ref: ref, to: &frame)
        }
        return frames.finish()
    }
}
