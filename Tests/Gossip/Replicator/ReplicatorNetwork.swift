import ConvergeTestSupport
import ConvergeCRDT
import ConvergeWire

@testable import ConvergeGossip

// A network of replicators on virtual time, from one seed: links that are late, cut, stalled and reset, stores that take
// their time, fail, or don't say what became of a batch, nodes that crash.
//
// At every entry that is applied it is checked, against what the network knows and the replicator doesn't, that the entry
// is the next of its log, unchanged, and that everything its writer had applied is applied.

struct ReplicatorNetwork {
    enum Outcome { case stored, failed, inDoubt(stored: Bool) }

    struct Node {
        var replicator: Replicator
        var replica: ReplicaID
        var disk = ReplicatorDisk()
        var isUp = true
        /// Counts starts: what was on its way to an earlier process is not for this one.
        var life = 0

        var clock = HybridClock()
        var open: [Entry] = []
        var inFlight: [Entry]?
        /// What became of a batch whose writer did not hear; the next opening tells.
        var doubt: (entries: [Entry], stored: Bool)?
        var isOpen = true
        /// What the snapshot wants of the writer.
        var staging: [(chunk: SnapshotChunk, isLast: Bool, discards: Bool)] = []
        var discards = false
        var isStaging = false

        /// What is applied, as the effects said.
        var applied = VersionVector()
        /// How far its own log's dependencies have been written.
        var lastDependencies = VersionVector()
        var nextSeq: UInt64 = 1
        var headHash = EntryHash.zero
    }

    enum Happening {
        case arrive(Int, from: Int, link: Int, PeerFrame)
        case stored(Int, life: Int, Outcome)
        case opened(Int, life: Int)
        case read(Int, life: Int, ticket: UInt64, RangeAnswer?)
        case snapshot(Int, life: Int, ticket: UInt64, SnapshotChunk?)
        case staged(Int, life: Int, SnapshotChunk, isLast: Bool)
    }

    /// One direction of a link.
    struct Way {
        var entries = 0
        var ranged = 0
        var bytes = 0
        var frames = 0
    }

    var now: UInt64 = 1_000
    var nodes: [Node] = []
    var random: SplitMix64
    /// What each kind takes, in milliseconds.
    var delay: ClosedRange<UInt64> = 1...20
    var storing: ClosedRange<UInt64> = 1...15
    var reading: ClosedRange<UInt64> = 1...10
    var tickInterval: UInt64 = 100
    var failPercent = 0
    /// Nodes whose readers answer nothing.
    var mute: Set<Int> = []
    /// Nodes whose readers fail.
    var unreadable: Set<Int> = []
    var countsBytes = false

    /// Each entry ever placed, with all that its writer had applied; what was never stored is taken out again.
    var written: [Dot: (entry: Entry, context: VersionVector)] = [:]
    var violations: [String] = []
    /// Snapshots are refused as stores do it, to whoever may have another log. A reload keeps nothing here of what only the
    /// loser had, so this is for tests of forks alone.
    var comparesEnds = false
    var reloads: [Int] = []
    var mendsForks = true
    var forks: [(node: Int, replica: ReplicaID)] = []
    var foreign: [(node: Int, seq: UInt64)] = []
    var peerStored: [(node: Int, peer: ReplicaID, seq: UInt64)] = []
    var ways: [[Int]: Way] = [:]
    /// How often each entry reached each node.
    var arrivals: [Int: [Dot: Int]] = [:]
    /// The links that are up: lower node, higher node, number.
    var links: [[Int]: Int] = [:]
    var stalled: Set<[Int]> = []
    var held: [[Int]: [PeerFrame]] = [:]
    var arriveBy: [[Int]: UInt64] = [:]
    var lastLink = 0
    var queue: [(time: UInt64, order: UInt64, Happening)] = []
    var order: UInt64 = 0
    var nextTick: UInt64 = 0
    let options: ReplicatorOptions

    init(_ count: Int, seed: UInt64, options: ReplicatorOptions = ReplicatorOptions()) {
        random = SplitMix64(seed: seed)
        self.options = options
        for index in 0..<count {
            nodes.append(
                Node(
                    replicator: Replicator(options: options, chain: Self.chain),
                    replica: ReplicaID(rawValue: UInt64(index + 1) * 0x10)))
            start(index)
        }
    }

    static func chain(_ before: EntryHash, _ entry: Entry) -> EntryHash {
        var mix = SplitMix64(seed: before.high ^ before.low &* 31 ^ entry.dot.seq ^ entry.timestamp.rawValue)
        for byte in entry.payload { mix = SplitMix64(seed: mix.next() ^ UInt64(byte)) }
        return EntryHash(high: mix.next(), low: mix.next())
    }

    // MARK: Links

    func isLinked(_ a: Int, _ b: Int) -> Bool { links[pair(a, b)] != nil }

    mutating func link(_ a: Int, _ b: Int) {
        guard a != b, !isLinked(a, b), nodes[a].isUp, nodes[b].isUp else { return }
        lastLink += 1
        links[pair(a, b)] = lastLink
        for way in [[a, b], [b, a]] {
            held[way] = nil
            stalled.remove(way)
            arriveBy[way] = now
        }
        handle(.linked(nodes[b].replica), at: a)
        handle(.linked(nodes[a].replica), at: b)
    }

    mutating func unlink(_ a: Int, _ b: Int) {
        guard links.removeValue(forKey: pair(a, b)) != nil else { return }
        if nodes[a].isUp { handle(.unlinked(nodes[b].replica), at: a) }
        if nodes[b].isUp { handle(.unlinked(nodes[a].replica), at: b) }
    }

    mutating func linkAll() {
        for a in nodes.indices { for b in nodes.indices where a < b { link(a, b) } }
    }

    mutating func unlinkAll() {
        for a in nodes.indices { for b in nodes.indices where a < b { unlink(a, b) } }
    }

    /// From now on nothing arrives at `to` from `from`; the link stands.
    mutating func stall(_ from: Int, _ to: Int) { stalled.insert([from, to]) }

    mutating func flow(_ from: Int, _ to: Int) {
        guard stalled.remove([from, to]) != nil else { return }
        let frames = held.removeValue(forKey: [from, to]) ?? []
        for frame in frames { send(frame, from, to) }
    }

    func pair(_ a: Int, _ b: Int) -> [Int] { a < b ? [a, b] : [b, a] }

    // MARK: Writing and crashing

    /// Writes an entry on a node, if its store is open.
    @discardableResult
    mutating func write(_ index: Int, room: Text = "r", bytes: Int = 8, wantsStored: Bool = false) -> Entry? {
        guard nodes[index].isUp, nodes[index].isOpen else { return nil }
        let dot = Dot(replica: nodes[index].replica, seq: nodes[index].nextSeq)
        var entry = Entry(
            dot: dot, timestamp: nodes[index].clock.tick(wall: now), kind: .message, room: room,
            payload: (0..<bytes).map { _ in UInt8(truncatingIfNeeded: random.next()) })
        let context = nodes[index].applied
        entry.dependencies = context.components.filter {
            $0.replica != dot.replica && $0.seq > nodes[index].lastDependencies[$0.replica]
        }
        entry.hash = Self.chain(nodes[index].headHash, entry)
        nodes[index].lastDependencies = context
        nodes[index].nextSeq += 1
        nodes[index].headHash = entry.hash
        nodes[index].applied.advance(to: dot)
        nodes[index].open.append(entry)
        nodes[index].replicator.place(entry)
        written[dot] = (entry, context)
        wants[index] = wants[index] || wantsStored
        giveWriterWork(index)
        return entry
    }

    var wants = [Bool](repeating: false, count: 64)

    /// The process ends; what is stored stays. With `disk` it goes on with that one.
    mutating func crash(_ index: Int, disk: ReplicatorDisk? = nil) {
        guard nodes[index].isUp else { return }
        for other in nodes.indices where isLinked(index, other) {
            links[pair(index, other)] = nil
            if nodes[other].isUp { handle(.unlinked(nodes[index].replica), at: other) }
        }
        // A batch on its way is stored or not.
        if let batch = nodes[index].inFlight, random.chance(50) { batch.forEach { nodes[index].disk.append($0) } }
        if let disk { nodes[index].disk = disk }
        nodes[index].disk.discardStage()
        nodes[index].isUp = false
        nodes[index].life += 1
    }

    mutating func restart(_ index: Int, as replica: ReplicaID? = nil) {
        guard !nodes[index].isUp else { return }
        var node = Node(
            replicator: Replicator(options: options, chain: Self.chain), replica: replica ?? nodes[index].replica)
        node.disk = nodes[index].disk
        node.life = nodes[index].life
        node.clock = HybridClock(last: nodes[index].clock.last)
        nodes[index] = node
        start(index)
    }

    mutating func start(_ index: Int) {
        resetHead(index)
        nodes[index].isOpen = true
        let disk = nodes[index].disk
        nodes[index].replicator.mendsForks = mendsForks
        handle(
            .started(replica: nodes[index].replica, vector: disk.vector, ends: disk.ends, floors: disk.floors),
            at: index)
    }

    mutating func resetHead(_ index: Int) {
        let disk = nodes[index].disk
        let own = nodes[index].replica
        for dot in written.keys where dot.replica == own && dot.seq > disk.vector[own] { written[dot] = nil }
        nodes[index].applied = disk.vector
        nodes[index].nextSeq = disk.vector[own] + 1
        nodes[index].headHash = disk.hashes[own] ?? .zero
        nodes[index].lastDependencies = VersionVector()
        if let last = disk.logs[own]?.last, let context = written[last.dot]?.context {
            nodes[index].lastDependencies = context
        }
    }

    /// Drops on this node what of the logs is at or below `through`.
    mutating func raiseFloors(_ index: Int, to through: VersionVector) {
        nodes[index].disk.raiseFloors(to: through)
        handle(.floorsRose(nodes[index].disk.floors), at: index)
    }

    /// Remembers what these nodes have of a log that two wrote. What they should not take of it is no more known.
    mutating func noteFork(of index: Int, at holders: [Int]) {
        let replica = nodes[index].replica
        fork = holders.map { (nodes[$0].replica, (nodes[$0].disk.logs[replica] ?? []).map(\.payload)) }
    }

    var fork: [(holder: ReplicaID, payloads: [[UInt8]])] = []

    // MARK: Time

    mutating func run(_ milliseconds: UInt64) { _ = run(milliseconds) { _ in false } }

    /// Goes on until `until` holds after a tick; how long that took, or nil where it didn't come so far.
    mutating func run(_ milliseconds: UInt64, until: (ReplicatorNetwork) -> Bool) -> UInt64? {
        let begun = now
        while now < begun + milliseconds {
            if nextTick <= now { nextTick = now + tickInterval }
            let stop = min(nextTick, begun + milliseconds)
            while let next = queue.first, next.time <= stop {
                queue.removeFirst()
                now = max(now, next.time)
                perform(next.2)
            }
            now = stop
            guard now == nextTick else { continue }
            for index in nodes.indices where nodes[index].isUp { handle(.tick, at: index) }
            if until(self) { return now - begun }
        }
        return nil
    }

    /// Whether all that are up have the same, and nothing is unstored.
    var isEqual: Bool {
        let up = nodes.filter(\.isUp)
        guard let first = up.first else { return true }
        return up.allSatisfy {
            $0.disk.vector == first.disk.vector && $0.open.isEmpty && $0.inFlight == nil && $0.isOpen
        }
    }

    /// What must hold once all are equal: everything stored is here, and the state is what the entries say.
    mutating func checkStates() {
        for (index, node) in nodes.enumerated() where node.isUp {
            var expected: [Text: VersionVector] = [:]
            for (dot, item) in written where node.disk.vector.covers(dot) {
                expected[item.entry.room, default: VersionVector()].advance(to: dot)
            }
            if node.disk.documents != expected { violations.append("the state of \(index) is not what its logs say") }
            for (replica, log) in node.disk.logs {
                var hash: EntryHash?
                for entry in log {
                    if let hash, Self.chain(hash, entry) != entry.hash { violations.append("\(index): \(replica)") }
                    hash = entry.hash
                }
            }
        }
    }

    mutating func schedule(_ time: UInt64, _ happening: Happening) {
        order += 1
        let at = queue.firstIndex { $0.time > time } ?? queue.count
        queue.insert((time, order, happening), at: at)
    }

    mutating func some(_ range: ClosedRange<UInt64>) -> UInt64 { UInt64.random(in: range, using: &random) }

    // MARK: Counting

    mutating func forgetCounts() {
        ways = [:]
        arrivals = [:]
    }

    /// Entries that reached a node that had got them before.
    var repeats: Int { arrivals.values.reduce(0) { $0 + $1.values.reduce(0) { $0 + $1 - 1 } } }
    var sent: Way {
        ways.values.reduce(into: Way()) {
            $0.entries += $1.entries
            $0.ranged += $1.ranged
            $0.bytes += $1.bytes
            $0.frames += $1.frames
        }
    }
}
