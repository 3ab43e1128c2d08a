import ConvergeCRDT
import ConvergeWire

/// Who is in the cluster, who of them lives, and whom to dial.
public struct Membership: Sendable {
    /// What is known of another node.
    public struct Member: Hashable, Sendable {
        public let replica: ReplicaID
        public let name: Text
        public let address: Text
        public let state: MemberState
        public let incarnation: UInt64
        /// Whether there is a link to it.
        public let linked: Bool
        /// Whether it is so long faulty or left that it has no vote.
        public let forgotten: Bool
    }

    public let name: Text
    public let address: Text
    public let options: MembershipOptions

    /// Nil until `started`.
    public private(set) var replica: ReplicaID?
    /// Goes into the hello.
    public private(set) var incarnation: UInt64 = 0
    public private(set) var counters = MembershipCounters()

    public init(name: Text, address: Text, seeds: [Text], options: MembershipOptions, seed: UInt64) {
        self.name = name
        self.address = address
        self.options = options
    }

    /// Takes one event. `now` is monotonic, `wall` the time of day, both in milliseconds.
    public mutating func handle(
        _ event: MembershipEvent, at now: UInt64, wall: UInt64, into effects: inout [MembershipEffect]
    ) {
    }

    public func state(of replica: ReplicaID) -> MemberState? { nil }

    /// This node's replica and those of the alive and suspect members, sorted.
    public var live: [ReplicaID] { [] }

    /// This node's replica and those of all members that neither left nor are forgotten, sorted.
    public var voting: [ReplicaID] { [] }

    /// All others, sorted by replica.
    public var members: [Member] { [] }

    /// When the next `tick` has something to do, in monotonic milliseconds. Ticks may come at any other times too.
    public var deadline: UInt64 { 0 }
}
