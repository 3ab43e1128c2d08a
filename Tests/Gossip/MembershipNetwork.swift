import ConvergeTestSupport
import ConvergeCRDT
import ConvergeGossip
import ConvergeWire

// A network of memberships on virtual time: links that are dialled, closed and cut, frames that are late or lost, nodes
// that crash, hang, leave and come back. Everything from one seed.

struct MembershipNetwork {
    struct Change: Hashable {
        var time: UInt64
        var node: Int
        var replica: ReplicaID
        var state: MemberState
    }

    struct Node {
        let address: Text
        var membership: Membership
        var replica: ReplicaID
        var stored: [RememberedMember] = []
        /// Counts starts: what was on its way to an earlier process is not for this one.
        var life = 0
        var isRunning = false
        /// Runs no more and answers nothing, but its links stand.
        var isHung = false
        var tickAt = UInt64.max
    }

    struct Link: Hashable {
        var a: Int
        var b: Int
        var number: Int
    }

    private enum Happening {
        case tick(Int, life: Int)
        case arrive(Int, from: Int, link: Int, PeerFrame)
        case dialled(by: Int, life: Int, Text)
        case dialFailed(Int, life: Int, Text, reached: ReplicaID?)
        case closed(Int, life: Int, peer: ReplicaID)
    }

    var now: UInt64 = 1_000_000
    let wallOffset: UInt64 = 1_700_000_000_000
    var nodes: [Node] = []
    /// Pairs that can't reach each other.
    var cuts: [(Int, Int)] = []
    var links: [Link] = []
    var lossPercent = 0
    /// What is lost is sent again, as TCP does, and comes late, and so does all that follows it on its link.
    var resendsLost = false
    var delay: ClosedRange<UInt64> = 1...20
    /// Ticks come when they are due; otherwise every so many milliseconds.
    var tickInterval: UInt64?
    var options: MembershipOptions

    private(set) var changes: [Change] = []
    private(set) var dials: [(time: UInt64, node: Int, address: Text)] = []
    private(set) var forgotten: [(node: Int, replica: ReplicaID)] = []
    private(set) var replaced: [(node: Int, replica: ReplicaID, by: ReplicaID)] = []
    private(set) var framesSent = 0
    private(set) var trace: UInt64 = 0xCBF2_9CE4_8422_2325
    var traces = false
    private var random: SplitMix64
    private let seed: UInt64
    private var seeds: [Text]
    private var queue = EventQueue<Happening>()
    private var nextLink = 0
    /// When the last frame of a link and direction arrives.
    private var lastArrival: [Direction: UInt64] = [:]

    private struct Direction: Hashable {
        let link: Int
        let to: Int
    }

    init(
        nodes count: Int, seed: UInt64, options: MembershipOptions = MembershipOptions(), seeds: [Int]? = nil
    ) {
        random = SplitMix64(seed: seed)
        self.seed = seed
        self.options = options
        self.seeds = (seeds ?? [0]).map(MembershipNetwork.address)
        for number in 0..<count {
            let replica = ReplicaID(rawValue: random.next())
            nodes.append(
                Node(
                    address: MembershipNetwork.address(number),
                    membership: Membership(name: "", address: "", seeds: [], options: options, seed: 0),
                    replica: replica))
        }
    }

    static func address(_ number: Int) -> Text { Text("node\(number):7000") }

    // MARK: What happens to nodes

    mutating func startAll() {
        for node in nodes.indices { start(node) }
    }

    /// `renewed`: under another identity than before.
    mutating func start(_ node: Int, renewed: ReplicaID? = nil) {
        nodes[node].life += 1
        nodes[node].isRunning = true
        nodes[node].isHung = false
        if let renewed { nodes[node].replica = renewed }
        nodes[node].membership = Membership(
            name: Text("node\(node)"), address: nodes[node].address, seeds: seeds, options: options,
            seed: seed &* 1000 &+ UInt64(node) &* 100 &+ UInt64(nodes[node].life))
        nodes[node].tickAt = .max
        feed(node, .started(replica: nodes[node].replica, remembered: nodes[node].stored))
        feed(node, .tick)
    }

    mutating func crash(_ node: Int) {
        nodes[node].isRunning = false
        nodes[node].life += 1
        for link in links where link.a == node || link.b == node { close(link) }
    }

    mutating func hang(_ node: Int) { nodes[node].isHung = true }

    mutating func resume(_ node: Int) {
        nodes[node].isHung = false
        feed(node, .tick)
    }

    mutating func leave(_ node: Int) {
        feed(node, .leave)
        run(for: 100)
        crash(node)
    }

    /// Frames between the two are lost; with `closing` the links between them end too.
    mutating func cut(_ a: Int, _ b: Int, closing: Bool) {
        cuts.append((a, b))
        guard closing else { return }
        for link in links where isBetween(link, a, b) { close(link) }
    }

    mutating func healAll() { cuts = [] }

    mutating func close(_ link: Link) {
        links.removeAll { $0 == link }
        for (node, peer) in [(link.a, link.b), (link.b, link.a)] where nodes[node].isRunning {
            schedule(
                .closed(node, life: nodes[node].life, peer: nodes[peer].replica), after: random.in(delay))
        }
    }

    // MARK: Time

    mutating func run(for time: UInt64) {
        let end = now + time
        while let next = queue.first, next <= end {
            let (at, happening) = queue.removeFirst()
            now = at
            happen(happening)
        }
        now = end
    }

    /// Runs until the condition holds; says after how long, or nil where it doesn't within `limit`.
    mutating func run(upTo limit: UInt64, until condition: (MembershipNetwork) -> Bool) -> UInt64? {
        let begin = now
        while !condition(self) {
            guard now - begin < limit else { return nil }
            run(for: 50)
        }
        return now - begin
    }

    private mutating func happen(_ happening: Happening) {
        switch happening {
        case .tick(let node, let life):
            guard nodes[node].life == life, nodes[node].isRunning, !nodes[node].isHung else { return }
            guard tickInterval != nil || nodes[node].tickAt <= now else { return }
            nodes[node].tickAt = .max
            feed(node, .tick)
        case .arrive(let node, let peer, let link, let frame):
            guard links.contains(where: { $0.number == link }), nodes[node].isRunning, !nodes[node].isHung else {
                return
            }
            feed(node, .frame(from: nodes[peer].replica, frame))
        case .dialled(let node, let life, let address): connect(node, life, address)
        case .dialFailed(let node, let life, let address, let reached):
            guard nodes[node].life == life, nodes[node].isRunning else { return }
            feed(node, .dialFailed(address, reached: reached))
        case .closed(let node, let life, let peer):
            guard nodes[node].life == life, nodes[node].isRunning else { return }
            feed(node, .linkClosed(peer))
        }
    }

    private mutating func connect(_ node: Int, _ life: Int, _ address: Text) {
        guard nodes[node].life == life, nodes[node].isRunning, !nodes[node].isHung else { return }
        let found = nodes.firstIndex { $0.address == address }
        guard let peer = found, nodes[peer].isRunning else {
            return schedule(.dialFailed(node, life: life, address, reached: nil), after: 1)
        }
        guard !isCut(node, peer), !nodes[peer].isHung else {
            return schedule(.dialFailed(node, life: life, address, reached: nil), after: 3000)
        }
        let isDuplicate = links.contains { isBetween($0, node, peer) }
        guard peer != node, !isDuplicate else {
            return schedule(
                .dialFailed(node, life: life, address, reached: nodes[peer].replica), after: random.in(delay))
        }
        nextLink += 1
        links.append(Link(a: node, b: peer, number: nextLink))
        for (one, other) in [(node, peer), (peer, node)] {
            feed(
                one,
                .linkOpened(
                    nodes[other].replica, address: nodes[other].address, name: Text("node\(other)"),
                    incarnation: nodes[other].membership.incarnation, dialled: one == node ? address : nil))
        }
    }

    mutating func feed(_ node: Int, _ event: MembershipEvent) {
        var effects: [MembershipEffect] = []
        nodes[node].membership.handle(event, at: now, wall: wallOffset + now, into: &effects)
        for effect in effects { carryOut(effect, of: node) }
        let life = nodes[node].life
        if let tickInterval {
            if case .tick = event { schedule(.tick(node, life: life), after: tickInterval) }
        } else {
            let due = max(nodes[node].membership.deadline, now + 1)
            if due < nodes[node].tickAt, due != .max {
                nodes[node].tickAt = due
                schedule(.tick(node, life: life), after: due - now)
            }
        }
    }

    private mutating func carryOut(_ effect: MembershipEffect, of node: Int) {
        if traces {
            for byte in "\(now) \(node) \(effect)".utf8 { trace = (trace ^ UInt64(byte)) &* 0x100_0000_01B3 }
        }
        switch effect {
        case .send(let replica, let frame):
            framesSent += 1
            guard let peer = nodes.firstIndex(where: { $0.replica == replica }),
                let link = links.first(where: { isBetween($0, node, peer) }), !isCut(node, peer),
                resendsLost || !random.chance(lossPercent)
            else { return }
            var arrival = now + random.in(delay)
            if resendsLost {
                let direction = Direction(link: link.number, to: peer)
                arrival = max(arrival + resending(), lastArrival[direction] ?? 0)
                lastArrival[direction] = arrival
            }
            schedule(.arrive(peer, from: node, link: link.number, frame), after: arrival - now)
        case .dial(let address):
            dials.append((now, node, address))
            schedule(.dialled(by: node, life: nodes[node].life, address), after: random.in(delay))
        case .changed(let replica, let state):
            changes.append(Change(time: now, node: node, replica: replica, state: state))
        case .replaced(let replica, let successor): replaced.append((node, replica, successor))
        case .forgotten(let replica): forgotten.append((node, replica))
        case .remember(let member):
            nodes[node].stored.removeAll { $0.address == member.address }
            nodes[node].stored.append(member)
        case .drop(let address): nodes[node].stored.removeAll { $0.address == address }
        }
    }

    /// How long a segment takes beyond its way: the timeout doubles each time that it is lost (RFC 6298).
    private mutating func resending() -> UInt64 {
        var wait: UInt64 = 0
        var timeout: UInt64 = 200
        while wait < 10_000, random.chance(lossPercent) {
            wait += timeout
            timeout *= 2
        }
        return wait
    }

    private mutating func schedule(_ happening: Happening, after time: UInt64) {
        queue.add(happening, at: now + time)
    }

    // MARK: Looking

    func isCut(_ a: Int, _ b: Int) -> Bool { cuts.contains { ($0 == a && $1 == b) || ($0 == b && $1 == a) } }
    private func isBetween(_ link: Link, _ a: Int, _ b: Int) -> Bool {
        (link.a == a && link.b == b) || (link.a == b && link.b == a)
    }

    func state(of member: Int, at node: Int) -> MemberState? {
        nodes[node].membership.state(of: nodes[member].replica)
    }

    /// Whether all running nodes, or these, hold that member for this.
    func all(hold member: Int, _ state: MemberState) -> Bool {
        nodes.indices.allSatisfy { node in
            node == member || !nodes[node].isRunning || nodes[node].isHung || self.state(of: member, at: node) == state
        }
    }

    var everybodyIsAlive: Bool { nodes.indices.allSatisfy { all(hold: $0, .alive) } }

    func changes(to state: MemberState, since time: UInt64 = 0) -> [Change] {
        changes.filter { $0.state == state && $0.time >= time }
    }
}

extension SplitMix64 {
    fileprivate mutating func `in`(_ range: ClosedRange<UInt64>) -> UInt64 { UInt64.random(in: range, using: &self) }
}

/// What is to happen, by time, and of one time in the order in which it was added.
private struct EventQueue<Element> {
    private var heap: [(time: UInt64, order: UInt64, element: Element)] = []
    private var order: UInt64 = 0

    var first: UInt64? { heap.first?.time }

    mutating func add(_ element: Element, at time: UInt64) {
        order += 1
        heap.append((time, order, element))
        var at = heap.count - 1
        while at > 0, isBefore(at, (at - 1) / 2) {
            heap.swapAt(at, (at - 1) / 2)
            at = (at - 1) / 2
        }
    }

    mutating func removeFirst() -> (time: UInt64, element: Element) {
        heap.swapAt(0, heap.count - 1)
        let removed = heap.removeLast()
        var at = 0
        while true {
            var least = at
            for child in [2 * at + 1, 2 * at + 2] where child < heap.count && isBefore(child, least) { least = child }
            guard least != at else { return (removed.time, removed.element) }
            heap.swapAt(at, least)
            at = least
        }
    }

    private func isBefore(_ a: Int, _ b: Int) -> Bool {
        (heap[a].time, heap[a].order) < (heap[b].time, heap[b].order)
    }
}
