import ConvergeCRDT
import ConvergeWire

// Reading what a store in memory holds: each call sees what is committed when it is made.

/// Something that has contents to be read, when it can be reached.
protocol MemorySource: AnyObject, Sendable {
    func read<R: Sendable>(
        _ body: (borrowing MemoryContents) throws(StoreError) -> sending R
    ) throws(StoreError) -> R

    /// See `StoreReader.heads`.
    func heads() throws(StoreError) -> StoreHeads?
}

extension MemorySource {
    func heads() throws(StoreError) -> StoreHeads? { nil }
}

final class MemoryReader<Source: MemorySource>: StoreReader {
    private let store: Source

    init(_ store: Source) { self.store = store }

    func history(
        room: Text, before: Position?, limit: Int, within bound: VersionVector?
    ) throws(StoreError) -> [Entry] {
        try store.read { $0.history(room: room, before: before, limit: limit, within: bound ?? $0.vector) }
    }

    func entries(
        room: Text, after cursor: VersionVector, limit: Int, within bound: VersionVector?
    ) throws(StoreError) -> (entries: [Entry], through: VersionVector) {
        try store.read { contents in
            let bound = bound ?? contents.vector
            return (contents.entries(room: room, after: cursor, limit: limit, within: bound), contents.vector)
        }
    }

    func entries(of replica: ReplicaID, from seq: UInt64, limit: Int) throws(StoreError) -> [Entry] {
        try store.read { $0.entries(of: replica, from: seq, limit: limit) }
    }

    func range(_ ranges: [LogRange], limit bytes: Int) throws(StoreError) -> RangeRead {
        try store.read { (contents) throws(StoreError) in try contents.range(ranges, limit: bytes) }
    }

    func snapshot(_ want: SnapshotWant) throws(StoreError) -> SnapshotChunk {
        try store.read { (contents) throws(StoreError) in try SnapshotPass.read(want, from: copy contents) }
    }

    func positions(of ids: [MessageID]) throws(StoreError) -> [MessageID: Position] {
        try store.read { $0.positions(of: ids) }
    }

    func horizon() throws(StoreError) -> VersionVector { try store.read { $0.horizon } }

    func documents(of room: Text, beyond cursor: VersionVector, limit: Int) throws(StoreError) -> [DocumentID] {
        try store.read { $0.documents(of: room, beyond: cursor, limit: limit) }
    }

    func attendance(of seats: [(room: Text, user: Text)]) throws(StoreError) -> [AttendanceRecord] {
        try store.read { $0.attendance(of: seats) }
    }

    func hash(of dot: Dot) throws(StoreError) -> EntryHash? { try store.read { $0.hash(of: dot) } }

    func heads() throws(StoreError) -> StoreHeads? { try store.heads() }
}
