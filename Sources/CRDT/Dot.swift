/// One event in the system: the `seq`-th entry of one replica's log. `seq` starts at 1 and has no gaps.
///
/// Almeida, Shoker, Baquero: "Delta State Replicated Data Types" (2018), section 7.
public struct Dot: Hashable, Comparable, Sendable {
    public var replica: ReplicaID
    public var seq: UInt64

    public init(replica: ReplicaID, seq: UInt64) {
        self.replica = replica
        self.seq = seq
    }

    /// By replica, then by seq: the same order in every process. It says nothing about which event was first.
    public static func < (a: Dot, b: Dot) -> Bool {
        a.replica == b.replica ? a.seq < b.seq : a.replica < b.replica
    }
}

extension Dot: CustomStringConvertible {
    public var description: String { "\(replica):\(seq)" }
}
