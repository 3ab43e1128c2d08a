// What a store tells of the other nodes that write into it.
//
// To a node the database is one more peer: it learns what is new there by asking now and then, and reads it like a peer's
// answer.

import ConvergeCRDT
import ConvergeWire

/// How far each log in a shared store is.
public struct StoreHeads: Hashable, Sendable {
    /// What a replica's writer has done so far, in a number that only grows: it grows while the writer lives.
    public struct Beat: Hashable, Sendable {
        public var replica: ReplicaID
        public var count: Int64

        public init(replica: ReplicaID, count: Int64) {
            self.replica = replica
            self.count = count
        }
    }

    /// The last entry of each log, sorted by replica.
    public var ends: [LogEnd]
    public var floors: VersionVector
    /// Of each replica that has ever written here, sorted by replica.
    public var beats: [Beat]
    /// The database's own wall clock, in milliseconds since 1970; nil where it has none.
    public var wall: UInt64?

    public init(ends: [LogEnd], floors: VersionVector, beats: [Beat]) {
        self.ends = ends
        self.floors = floors
        self.beats = beats
    }

    public var vector: VersionVector { VersionVector(ends.map(\.dot)) }
}

extension StoreReader {
    public func heads() throws(StoreError) -> StoreHeads? { nil }
}
