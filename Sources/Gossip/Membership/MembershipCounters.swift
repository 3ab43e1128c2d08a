/// What happened so far, for metrics.
public struct MembershipCounters: Hashable, Sendable {
    /// Rounds in which a member was probed.
    public var probes: UInt64 = 0
    /// Probes that ended without a sign of life.
    public var probesFailed: UInt64 = 0
    /// Requests to others to probe.
    public var indirectProbes: UInt64 = 0
    /// Members that this node began to suspect on its own.
    public var suspicions: UInt64 = 0
    /// Of these, the ones that turned out to live.
    public var falseSuspicions: UInt64 = 0
    /// Members that this node declared faulty on its own.
    public var failures: UInt64 = 0
    /// Of these, the ones that turned out to live.
    public var falseFailures: UInt64 = 0
    /// Times that this node had to say that it lives.
    public var refutations: UInt64 = 0
    public var dials: UInt64 = 0
    public var dialsFailed: UInt64 = 0
    /// New members that had no place.
    public var refusedMembers: UInt64 = 0
    /// Addresses that had no place in the store.
    public var refusedAddresses: UInt64 = 0
    /// Updates that no member can have sent: absurd incarnations, overlong names.
    public var refusedUpdates: UInt64 = 0
    /// Times that this node found that it had not run for a while.
    public var stalls: UInt64 = 0

    public init() {}
}
