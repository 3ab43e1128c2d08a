import ConvergeCRDT
import ConvergeWire

/// Who is in the cluster, who of them lives, and whom to dial.
///
/// SWIM (Das, Gupta, Motivala 2002) with Lifeguard (Dadgar, Phillips, Currey 2017) over links between nodes: each node
/// probes the others in a random order; who does not answer is probed through others, then suspected, and is faulty if it
/// does not refute that in time. All news travels on the probes. What is added here, since there are links:
///
/// - A closed link is a hint: the peer is probed through others at once.
/// - A link that is opened proves that a process runs. What others hold against it is told to it, so that it refutes.
/// - A member without a link lives as long as anybody reaches it: it is only ever probed through others. The two lowest
///   bits of a probe's number say how many more nodes may pass a request on.
/// - Addresses are dialled for ever (`Dialler`).
///
/// A value: events and times in, effects out. The same events and seed give the same effects in every process.
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
        /// Where it is faulty: who lives under its name and at its address, this node or another.
        public let successor: ReplicaID?
    }

    public let name: Text
    public let address: Text
    public let options: MembershipOptions

    /// Nil until `started`.
    public internal(set) var replica: ReplicaID?
    /// Goes into the hello.
    public internal(set) var incarnation: UInt64 = 0
    public internal(set) var counters = MembershipCounters()

    var table = MemberTable()
    var news = NewsQueue()
    var dialler: Dialler
    var health = LocalHealth()
    var random: MembershipGenerator
    var now: UInt64 = 0
    var wall: UInt64 = 0
    var hasLeft = false

    // Probes.
    var probes: [Probe] = []
    var relayed: [RelayedProbe] = []
    var lastNumber: UInt64 = 0
    /// Who is probed next, from the end.
    var round: [ReplicaID] = []
    var nextRound: UInt64 = 0

    // News.
    var nextPush: UInt64 = 0
    var nextExchange: UInt64 = 0
    var nextRefresh: UInt64 = 0

    /// When a tick is due at the latest: one that is much later shows that this node did not run.
    var tickDue: UInt64?

    /// `address` is where this node is dialled, empty where it can't be. `seeds` are dialled for ever.
    public init(name: Text, address: Text, seeds: [Text], options: MembershipOptions, seed: UInt64) {
        self.name = name
        self.address = address
        self.options = options
        random = MembershipGenerator(seed: seed)
        dialler = Dialler(options)
        for seed in seeds where seed != address && !seed.isEmpty {
            dialler.add(seed, isSeed: true, at: 0, delay: 0)
        }
    }

    // MARK: Events

    /// Takes one event. `now` is monotonic, `wall` the time of day, both in milliseconds. Only ticks let time pass.
    public mutating func handle(
        _ event: MembershipEvent, at now: UInt64, wall: UInt64, into effects: inout [MembershipEffect]
    ) {
        self.now = max(self.now, now)
        self.wall = wall
        if case .started(let replica, let remembered) = event, self.replica == nil {
            start(replica, remembered, into: &effects)
        }
        guard let replica, !hasLeft else { return }
        switch event {
        case .started: break
        case .renewed(let renewed): if renewed != replica { renew(renewed, into: &effects) }
        case .linkOpened(let peer, let address, let name, let incarnation, let dialled):
            opened(peer, address: address, name: name, incarnation: incarnation, dialled: dialled, into: &effects)
        case .linkClosed(let peer): closed(peer, into: &effects)
        case .dialFailed(let address, let reached): dialFailed(address, reached: reached)
        case .frame(let peer, let frame): receive(frame, from: peer, into: &effects)
        case .remove(let member): remove(member, into: &effects)
        case .leave: leave(into: &effects)
        case .tick: tick(into: &effects)
        }
        pushNews(into: &effects)
    }

    private mutating func tick(into effects: inout [MembershipEffect]) {
        noticeStall()
        endSuspicions(into: &effects)
        continueProbes(into: &effects)
        continueRelayed(into: &effects)
        if now >= nextRound { probeNext(into: &effects) }
        if now >= nextExchange { exchangeWithOne(into: &effects) }
        if now >= nextRefresh { refresh(into: &effects) }
        forget(into: &effects)
        dial(into: &effects)
        tickDue = deadline
    }

    /// A node that was stopped or starved for a while must not blame the others for it: what runs out is given as much
    /// more time.
    private mutating func noticeStall() {
        guard let tickDue, now > tickDue, now - tickDue > 2 * options.probeInterval else { return }
        let stall = now - tickDue
        counters.stalls += 1
        health.worsen()
        for at in probes.indices { probes[at].postpone(by: stall) }
        relayed.removeAll()
        for at in table.records.indices { table.records[at].suspicion?.extend(by: stall) }
    }

    // MARK: Reading

    /// Also of a member that is forgotten or left; nil of one that is not known. This node is alive until it leaves.
    public func state(of replica: ReplicaID) -> MemberState? {
        if replica == self.replica { return hasLeft ? .left : .alive }
        return table[replica]?.state
    }

    /// This node's replica and those of the alive and suspect members, sorted.
    public var live: [ReplicaID] {
        withOneself(table.records.lazy.filter { $0.state == .alive || $0.state == .suspect }.map(\.replica))
    }

    /// This node's replica and those of all members that neither left nor are forgotten, sorted.
    public var voting: [ReplicaID] {
        withOneself(table.records.lazy.filter { $0.state != .left && !$0.forgotten }.map(\.replica))
    }

    private func withOneself(_ sorted: some Sequence<ReplicaID>) -> [ReplicaID] {
        var all = Array(sorted)
        if let replica { all.insert(replica, at: all.firstIndex { $0 > replica } ?? all.count) }
        return all
    }

    /// All others, sorted by replica.
    public var members: [Member] {
        let successors = successors
        return table.records.map {
            Member(
                replica: $0.replica, name: $0.name, address: $0.address, state: $0.state,
                incarnation: $0.claim.incarnation, linked: $0.linked, forgotten: $0.forgotten,
                successor: $0.state == .faulty ? successors[$0.place] : nil)
        }
    }

    /// How far this node's waiting times are stretched by what it thinks of its own health, from 1 to 9.
    public var healthMultiplier: UInt64 { health.multiplier }

    /// When the next `tick` has something to do, in monotonic milliseconds. Ticks may come at any other times too; the
    /// later they come, the later is everything. O(members).
    public var deadline: UInt64 {
        guard replica != nil, !hasLeft else { return .max }
        var deadline = min(nextRound, nextExchange, nextRefresh, dialler.deadline(limit: options.dialsAtOnce))
        if news.hasUnsent, hasLinks { deadline = min(deadline, nextPush) }
        for probe in probes { deadline = min(deadline, probe.deadline) }
        for probe in relayed { deadline = min(deadline, probe.deadline) }
        let alive = aliveCount
        for record in table.records {
            if let suspicion = record.suspicion {
                let end = suspicionEnd(suspicion, of: record, alive: alive)
                deadline = min(deadline, suspicion.checked ? end : lastLook(before: end))
            }
            if let forgetAt = record.forgetAt, !record.forgotten, record.state == .faulty || record.state == .left {
                deadline = min(deadline, forgetAt)
            }
        }
        return max(deadline, now)
    }

    /// All that are not known to be gone, this node included.
    var size: Int { 1 + table.records.reduce(0) { $0 + ($1.state == .alive || $1.state == .suspect ? 1 : 0) } }
    var aliveCount: Int { table.records.reduce(0) { $0 + ($1.state == .alive ? 1 : 0) } }
    var hasLinks: Bool { table.records.contains { $0.linked && $0.state != .left } }
}
