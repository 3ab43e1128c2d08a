import ConvergeCRDT
import ConvergeStorage
import ConvergeWire

/// Reads one page of what a session has not been shown of a room, as the frames that show it.
///
/// A slow client gets the frames that the others got live; one that resumes gets one `history` frame with messages and
/// system events, and at the end the names of the documents that changed. A page ends at so many entries or bytes, whichever is first.
struct FeedReader {
    /// Past this many bytes a page takes no further entry.
    static let pageBytes = 256 << 10

    let question: Feed.Question
    let session: SessionID
    let room: Text
    /// The most entries that are read, and shown.
    let limit: Int

    func read(
        _ reader: any StoreReader, _ stamp: FrameStamp, _ encoder: inout ServerFrameEncoder
    ) throws(StoreError) -> (FrameBatch, Feed.Page) {
        let (entries, through) = try reader.entries(
            room: room, after: question.cursor, limit: limit, within: question.isBounded ? question.position : nil)
        var page = Feed.Page(reached: question.cursor, isLevel: entries.count < limit)
        // A database that others write, too, may have gone back without the node's having noticed. What it lacks was handed
        // out, and whether this session had that no page can tell: it is asked again when the node has opened it anew.
        if !through.covers(question.position), try reader.heads() != nil {
            throw .failed("the database has less than was handed out: pages wait until the node has opened it anew")
        }
        // It replaces what is within the bound as well: of two entries with one id the earlier may be beyond it.
        page.isCut = question.isBounded && !question.position.covers(through)
        // After the entries: what is dropped between the two is then known to be dropped.
        page.horizon = try reader.horizon()
        var frames = FrameBatchBuilder()
        let taken =
            switch question.purpose {
            case .catchUp: appendFrames(of: entries, &page, to: &frames, &encoder)
            case .resume: appendHistory(of: entries, &page, to: &frames, stamp, &encoder)
            }
        if taken < entries.count { page.isLevel = false }
        page.needs = VersionVector(entries.prefix(taken).lazy.map(\.dot))
        if page.isLevel {
            let reached = question.isBounded ? through.limited(to: question.position) : through
            page.reached.merge(reached)
            if question.purpose == .resume { try nameDocuments(reader, &page) }
            // Whoever reads those must get what they are named for, of which the store may have no entry any more.
            if !page.documents.isEmpty { page.needs.merge(reached) }
        }
        return (frames.finish(), page)
    }

    /// After the entries: what was changed up to where those go is then among the changed, though its own entry be gone.
    private func nameDocuments(_ reader: any StoreReader, _ page: inout Feed.Page) throws(StoreError) {
        let most = Feed.documentLimit
        let changed = try reader.documents(of: room, beyond: question.origin, limit: most + 1)
        // Documents of several kinds may have one name.
        page.documents = Set(changed.prefix(most).map(\.name)).sorted()
        page.hasMoreDocuments = changed.count > most
    }

    /// Returns how many entries were taken.
    private func appendFrames(
        of entries: [Entry], _ page: inout Feed.Page, to frames: inout FrameBatchBuilder,
        _ encoder: inout ServerFrameEncoder
    ) -> Int {
        var taken = 0
        for entry in entries {
            if frames.byteCount > Self.pageBytes { break }
            taken += 1
            page.reached.advance(to: entry.dot)
            guard question.wants(entry.dot) else { continue }
            frames.append(to: .session(session), dot: entry.dot) {
                try? encoder.appendFrame(of: entry, to: &$0)
            }
        }
        return taken
    }

    private func appendHistory(
        of entries: [Entry], _ page: inout Feed.Page, to frames: inout FrameBatchBuilder, _ stamp: FrameStamp,
        _ encoder: inout ServerFrameEncoder
    ) -> Int {
        var taken = 0
        var documents: Set<Text> = []
        frames.append(to: .session(session)) { frame in
            let start = frame.count
            encoder.beginHistory(stamp, room: room, to: &frame)
            let empty = frame.count
            for entry in entries {
                if frame.count - empty > Self.pageBytes { break }
                taken += 1
                page.reached.advance(to: entry.dot)
                guard question.wants(entry.dot, isSystem: entry.kind == .system) else { continue }
                if entry.kind == .document {
                    if case .document(let payload) = entry.meaning { documents.insert(payload.name) }
                } else {
                    // An entry whose payload is erased, or of a kind this build does not know, is not shown.
                    try? encoder.appendHistoryEntry(entry, to: &frame)
                }
            }
            if frame.count == empty, documents.isEmpty {
                frame.truncate(to: start)
            } else {
                let resume = ResumePage(
                    cursor: page.reached,
                    recovered: question.recovered && !page.isCut && question.cursor.covers(page.horizon),
                    docs: documents.sorted())
                encoder.endHistory(stamp, limit: limit, ref: nil, resume: resume, to: &frame)
            }
        }
        return taken
    }
}
