/// How eagerly a node looks after the others. Times are in milliseconds.
public struct MembershipOptions: Hashable, Sendable {
    /// One member is probed in each such time (SWIM's protocol period).
    public var probeInterval: UInt64 = 1000
    /// Without an answer for this long, others are asked to probe too.
    public var probeTimeout: UInt64 = 300
    /// How long a member is silent beyond one look at it before it is faulty, once enough members suspect it on their own.
    /// While they don't, up to three times as long (Lifeguard, section IV-B). The second look at it is a part of that.
    public var suspectTimeout: UInt64 = 4000
    /// How many members are asked to probe one that doesn't answer.
    public var indirectProbes = 3
    /// So long faulty or left, and a member has no vote any more.
    public var forgetAfter: UInt64 = 86_400_000
    /// An address that did not answer is dialled again after this long; each time it is doubled …
    public var firstDialWait: UInt64 = 100
    /// … up to this, of which a random half is taken off.
    public var mostDialWait: UInt64 = 5000
    /// How many addresses are dialled at one time.
    public var dialsAtOnce = 32
    /// How many members are stored, to be dialled after a restart.
    public var rememberedLimit = 256
    /// How many members are known at one time. Past it the longest forgotten one goes; where none is, a new one is refused.
    public var memberLimit = 1024
    /// The most updates in one frame.
    public var updatesPerFrame = 32
    /// How many members hear news at once, ahead of the probes that carry it.
    public var pushFanout = 3
    /// All that is known of the members goes to a random one in each such time, in case news was lost.
    public var exchangeInterval: UInt64 = 30_000
    public var planted: PlantedFaults = []

    public init() {}

    /// What of `suspectTimeout` is over when a suspicion is told. At most a quarter: what is left is the time to refute it.
    var secondLook: UInt64 { min(probeInterval, suspectTimeout / 4) }
}
