// The read connections of one store, so that all of them can be closed at once.
//
// The index of the write-ahead log lives as long as any connection of the process. After the log was deleted or cut under a
// node that index is of a log that is no more, and the next connection would believe it; only when all are closed is it
// made anew from what is there. Readers belong to other threads than the writer that notices: so each has a lock, which
// nobody contends for until then.

import ConvergeCRDT
import ConvergeWire
import Synchronization

final class SQLiteOpenReaders: Sendable {
    private struct Known {
        weak var reader: SQLiteSharedReader?
    }

    private let readers = Mutex<[Known]>([])
    private let suspected = Atomic<Bool>(false)

    /// The database was damaged while it was open, and has not been looked through since.
    var isSuspected: Bool {
        get { suspected.load(ordering: .relaxed) }
        set { suspected.store(newValue, ordering: .relaxed) }
    }

    func add(_ reader: SQLiteSharedReader) {
        readers.withLock { known in
            known.removeAll { $0.reader == nil }
            known.append(Known(reader: reader))
        }
    }

    /// Waits for what they are reading, which has a deadline.
    func closeAll() {
        let open = readers.withLock { known in
            defer { known = [] }
            return known.compactMap(\.reader)
        }
        for reader in open { reader.close() }
    }
}

/// A reader that may be closed under the thread that uses it. It throws then, and another one is to be opened.
final class SQLiteSharedReader: StoreReader, Sendable {
    private let path: String
    private let reader: Mutex<SQLiteReader?>

    init(path: String, timeout: Duration) throws(StoreError) {
        self.path = path
        reader = Mutex(try SQLiteReader(path: path, timeout: timeout))
    }

    func close() { reader.withLock { $0 = nil } }

    private func with<R: Sendable>(_ body: (SQLiteReader) throws(StoreError) -> R) throws(StoreError) -> R {
        try reader.withLock { reader throws(StoreError) in
            guard let reader else { throw .unreachable("\(path): the file was closed, since something befell it") }
            return try body(reader)
        }
    }

    func history(
        room: Text, before: Position?, limit: Int, within bound: VersionVector?
    ) throws(StoreError) -> [Entry] {
        try with { (reader) throws(StoreError) in
            try reader.history(room: room, before: before, limit: limit, within: bound)
        }
    }

    func entries(
        room: Text, after cursor: VersionVector, limit: Int, within bound: VersionVector?
    ) throws(StoreError) -> (entries: [Entry], through: VersionVector) {
        try with { (reader) throws(StoreError) in
            try reader.entries(room: room, after: cursor, limit: limit, within: bound)
        }
    }

    func entries(of replica: ReplicaID, from seq: UInt64, limit: Int) throws(StoreError) -> [Entry] {
        try with { (reader) throws(StoreError) in try reader.entries(of: replica, from: seq, limit: limit) }
    }

    func range(_ ranges: [LogRange], limit bytes: Int) throws(StoreError) -> RangeRead {
        try with { (reader) throws(StoreError) in try reader.range(ranges, limit: bytes) }
    }

    func snapshot(_ want: SnapshotWant) throws(StoreError) -> SnapshotChunk {
        try with { (reader) throws(StoreError) in try reader.snapshot(want) }
    }

    func positions(of ids: [MessageID]) throws(StoreError) -> [MessageID: Position] {
        try with { (reader) throws(StoreError) in try reader.positions(of: ids) }
    }

    func horizon() throws(StoreError) -> VersionVector {
        try with { (reader) throws(StoreError) in try reader.horizon() }
    }

    func documents(of room: Text, beyond cursor: VersionVector, limit: Int) throws(StoreError) -> [DocumentID] {
        try with { (reader) throws(StoreError) in try reader.documents(of: room, beyond: cursor, limit: limit) }
    }

    func attendance(of seats: [(room: Text, user: Text)]) throws(StoreError) -> [AttendanceRecord] {
        try with { (reader) throws(StoreError) in try reader.attendance(of: seats) }
    }

    func hash(of dot: Dot) throws(StoreError) -> EntryHash? {
        try with { (reader) throws(StoreError) in try reader.hash(of: dot) }
    }

    func heads() throws(StoreError) -> StoreHeads? {
        try with { (reader) throws(StoreError) in try reader.heads() }
    }
}
