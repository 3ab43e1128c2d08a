// What installing a snapshot comes to, beside the documents (SnapshotJoin.swift): the same rules for every store.
//
// Invariant: above its floor a log has no gap. A snapshot's entries may have gaps below the floors that its final piece
// tells, and, where a server with other floors went on with it, also above them: then the floor is where they end.
// Messages and system events that are missing are at or below the horizon, which is never above the floor.

import ConvergeCRDT
import ConvergeWire

struct SnapshotInstall {
    /// What was here, and what the snapshot tells of.
    let mine: VersionVector
    let theirs: VersionVector
    let end: SnapshotEnd

    /// Throws `failed` where the piece is not the last of its snapshot, or doesn't fit to what is here.
    init(_ final: SnapshotChunk, have: VersionVector, mine: VersionVector) throws(StoreError) {
        guard final.status == .final, let end = final.end else {
            throw .failed("a snapshot can't be installed without its final piece")
        }
        guard mine.covers(have) else {
            throw .failed("a snapshot was made for a state that is no longer here")
        }
        self.mine = mine
        self.theirs = final.at
        self.end = end
        for dot in final.at.components where dot.seq > mine[dot.replica] {
            guard let log = end.heads.first(where: { $0.dot.replica == dot.replica }), log.dot == dot,
                dot.seq <= UInt64(Int64.max)
            else { throw .failed("a snapshot does not tell how the log of \(dot.replica) ends") }
        }
    }

    /// The ends of the logs that are longer there than here.
    var news: [LogEnd] {
        end.heads.filter { theirs.covers($0.dot) && $0.dot.seq > mine[$0.dot.replica] }
    }

    /// Whether the entry is to be put into its log.
    func takes(_ dot: Dot) -> Bool { dot.seq > mine[dot.replica] && theirs.covers(dot) }

    /// The floor of a log that is longer there than here.
    ///
    /// - Parameter unbroken: the first seq of the run without gaps that the log now ends with.
    func floor(of replica: ReplicaID, own: UInt64, unbroken: UInt64) -> UInt64 {
        let told = end.floors[replica]
        return max(told > mine[replica] ? min(told, theirs[replica]) : own, unbroken - 1)
    }

    /// The horizon of a log that is longer there than here: of what was here before, nothing more has gone.
    ///
    /// - Parameters:
    ///   - told: the highest that any piece said of this log; another server may have had what that one lacked.
    ///   - floor: the log's new one.
    func horizon(of replica: ReplicaID, own: UInt64, told: UInt64, floor: UInt64) -> UInt64 {
        told > mine[replica] ? min(told, floor) : own
    }

    /// The runs without gaps that the taken entries, which come by (replica, seq), end with.
    struct Runs {
        private var last: [ReplicaID: (first: UInt64, last: UInt64)] = [:]

        mutating func take(_ dot: Dot) {
            let before = last[dot.replica]
            let follows = before.map { $0.last + 1 == dot.seq } ?? false
            last[dot.replica] = (follows ? before?.first ?? dot.seq : dot.seq, dot.seq)
        }

        /// The first seq of the run that ends with `head`, where what was here before is taken for whole.
        func unbroken(upTo head: Dot, after mine: VersionVector) -> UInt64 {
            guard let run = last[head.replica], run.last == head.seq else { return head.seq + 1 }
            return run.first == mine[head.replica] + 1 ? 1 : run.first
        }
    }

    /// What an entry that came with a snapshot does to the tables beside the log. All that is told of documents and
    /// attendance comes as rows, so these are the rules that hold between two entries: twins, and what is erased.
    static func followUp(of entry: Entry) -> [StoreEffect] { followUp(of: entry, entry.meaning) }

    static func followUp(of entry: Entry, _ meaning: EntryMeaning) -> [StoreEffect] {
        if let id = meaning.keyID { return [.key(id, position: entry.position)] }
        if case .redaction(let redaction) = meaning { return [.redact(redaction.target)] }
        return []
    }
}

/// What has come of a snapshot so far, as a value. Of what came twice the later counts.
struct SnapshotStage: Sendable {
    private(set) var documents: [DocumentID: SnapshotDocument] = [:]
    private(set) var attendance: [AttendanceRecord] = []
    private(set) var keys: [KeyPosition] = []
    private(set) var entries: [Dot: Entry] = [:]
    private(set) var horizon = VersionVector()
    private(set) var byteCount = 0
    /// A piece was dropped on purpose.
    private(set) var hasLost = false

    mutating func lose() { hasLost = true }

    mutating func take(_ chunk: SnapshotChunk) {
        horizon.merge(chunk.horizon)
        for document in chunk.documents {
            documents[document.id] = document
            byteCount += document.approximateBytes
        }
        attendance += chunk.attendance
        keys += chunk.keys
        for entry in chunk.entries {
            entries[entry.dot] = entry
            byteCount += entry.approximateBytes
        }
        byteCount += chunk.attendance.reduce(0) { $0 + $1.approximateBytes }
        byteCount += chunk.keys.count * KeyPosition.approximateBytes
    }

    /// In the order in which stores change documents.
    var sortedDocuments: [SnapshotDocument] { documents.values.sorted { DocumentID.inStoreOrder($0.id, $1.id) } }

    /// By (replica, seq).
    var sortedEntries: [Entry] { entries.values.sorted { $0.dot < $1.dot } }
}
