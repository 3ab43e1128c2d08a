import ConvergeCRDT
import ConvergeWire
import Testing

@testable import ConvergeGossip

@Suite("Replicator: repair")
struct ReplicatorRepairTests {
    /// Milliseconds after which everything has to be everywhere, once all links stand.
    private static let bound: UInt64 = 6_000

    /// Two halves of a cluster write apart from each other, each seeing its own side's entries.
    private static func split(
        _ count: Int, entries: Int, seed: UInt64, _ options: ReplicatorOptions = .init(), bytes: Int = 8
    ) -> ReplicatorNetwork {
        var network = ReplicatorNetwork(count, seed: seed, options: options)
        let half = count / 2
        for a in 0..<count { for b in 0..<count where a < b && (a < half) == (b < half) { network.link(a, b) } }
        for _ in 0..<entries {
            network.write(network.random.below(count), bytes: bytes)
            network.run(UInt64(network.random.below(20)))
        }
        network.run(2_000)
        network.forgetCounts()
        return network
    }

    @Test("a healed partition converges, and no entry comes to a node twice", arguments: 1...6 as ClosedRange<UInt64>)
    func heals(_ seed: UInt64) {
        var network = Self.split(6, entries: 300, seed: seed)
        #expect(!network.isEqual)
        network.linkAll()
        let took = network.run(Self.bound) { $0.isEqual }
        network.checkStates()
        #expect(took ?? .max <= 1_500, "seed \(seed): \(took ?? .max) ms")
        #expect(network.violations.isEmpty, "seed \(seed): \(network.violations.prefix(3))")
        #expect(network.repeats <= 30, "seed \(seed): \(network.repeats) of \(network.sent.ranged)")
    }

    @Test("a dead node's log comes from a third that has it, not once from everybody who has got it")
    func third() {
        var network = ReplicatorNetwork(6, seed: 3)
        network.link(0, 1)
        for a in 2..<6 { for b in 2..<6 where a < b { network.link(a, b) } }
        network.run(2_000)
        for _ in 0..<400 { network.write(0) }
        network.run(1_000)
        network.crash(0)
        network.forgetCounts()
        network.linkAll()
        let took = network.run(Self.bound) { $0.isEqual }
        #expect(took ?? .max <= 3_000, "\(took ?? .max) ms")
        #expect(network.violations.isEmpty)
        // Four nodes lack 400 entries.
        #expect(network.sent.entries + network.sent.ranged <= 4 * 400 + 400, "\(network.sent)")
    }

    @Test("a log that only its origin repairs is not repaired when the origin is dead")
    func thirdPlanted() {
        var options = ReplicatorOptions()
        options.planted = .noThirdNodeRepair
        var network = ReplicatorNetwork(3, seed: 3, options: options)
        network.link(0, 1)
        for _ in 0..<20 { network.write(0) }
        network.run(500)
        network.crash(0)
        network.link(1, 2)
        #expect(network.run(30_000) { $0.isEqual } == nil)
    }

    @Test("entries that answer each other over three logs come in few rounds, whatever the waiting room holds")
    func interleaved() {
        #expect(Self.chainOfAnswers([]) ?? .max <= 3_000)
        #expect(Self.chainOfAnswers(.logByLogRepair) == nil)
    }

    /// Three nodes answer each other 300 times; then a fourth, which has room for 20 waiting entries, gets it all from one.
    private static func chainOfAnswers(_ planted: PlantedFaults) -> UInt64? {
        var options = ReplicatorOptions()
        options.waitingEntries = 20
        options.rangeBytes = 3_000
        options.planted = planted
        var network = ReplicatorNetwork(4, seed: 11, options: options)
        for a in 0..<3 { for b in 0..<a { network.link(a, b) } }
        for turn in 0..<300 {
            network.write(turn % 3)
            network.run(60)
        }
        network.run(2_000)
        network.link(2, 3)
        let took = network.run(20_000) { $0.isEqual }
        let overflowed = network.nodes[3].replicator.counters.overflowed
        #expect(network.violations.isEmpty && (planted != [] || overflowed == 0), "\(overflowed)")
        return took
    }

    @Test("applying without dependencies is noticed")
    func dependencies() {
        #expect(Self.overtaking([]).isEmpty)
        #expect(!Self.overtaking(.deliveryWithoutDependencies).isEmpty)
    }

    /// An answer comes over a fast link while its question waits in a stalled one.
    private static func overtaking(_ planted: PlantedFaults) -> [String] {
        var options = ReplicatorOptions()
        options.planted = planted
        var network = ReplicatorNetwork(3, seed: 5, options: options)
        network.linkAll()
        network.run(2_000)
        network.stall(0, 2)
        network.write(0)
        network.run(60)
        network.write(1)
        network.run(200)
        let waiting = network.nodes[2].replicator.waiting.count
        network.flow(0, 2)
        let took = network.run(3_000) { $0.isEqual }
        #expect(took != nil && (planted != [] || waiting == 1))
        return network.violations
    }

    @Test("a missing dependency whose origin is cut off is asked of who sent the answer")
    func askedOfSender() {
        var network = ReplicatorNetwork(3, seed: 6)
        network.linkAll()
        network.run(2_000)
        network.stall(0, 2)
        network.write(0)
        network.run(60)
        network.write(1)
        let took = network.run(4_000) { $0.isEqual }
        #expect(took ?? .max <= 2_500, "\(took ?? .max)")
        #expect(network.violations.isEmpty)
    }

    @Test("an answer that is cut off by a reset goes on where it was")
    func interrupted() {
        var options = ReplicatorOptions()
        options.rangeBytes = 4_000
        var network = Self.split(2, entries: 400, seed: 9, options)
        network.link(0, 1)
        for _ in 0..<6 {
            network.run(60)
            network.unlink(0, 1)
            network.run(50)
            network.link(0, 1)
        }
        let took = network.run(Self.bound) { $0.isEqual }
        #expect(took ?? .max <= 3_000, "\(took ?? .max)")
        #expect(network.violations.isEmpty)
        #expect(network.repeats <= 6 * 40 * 2, "\(network.repeats)")
    }

    @Test("who never answers is given up after its time, and another is asked")
    func mute() {
        var network = Self.split(4, entries: 100, seed: 10)
        network.mute = [0]
        network.link(0, 2)
        network.link(1, 2)
        network.link(0, 3)
        network.link(1, 3)
        let took = network.run(30_000) { $0.isEqual }
        #expect(took ?? .max <= 8_000, "\(took ?? .max)")
        let timeouts = network.nodes.map(\.replicator.counters.wantsTimedOut).reduce(0, +)
        #expect(timeouts <= 2, "\(timeouts)")
        #expect(network.violations.isEmpty)
    }

    @Test("who can't read its store says so, and another is asked within a second or two")
    func unreadable() {
        var network = Self.split(4, entries: 100, seed: 10)
        network.unreadable = [0]
        network.link(0, 2)
        network.link(1, 2)
        network.link(0, 3)
        network.link(1, 3)
        let took = network.run(30_000) { $0.isEqual }
        #expect(took ?? .max <= 3_000, "\(took ?? .max)")
    }

    @Test("much to repair comes at the pace of the store, not of the ticks")
    func bulk() {
        var options = ReplicatorOptions()
        options.rangeBytes = 16_000
        options.unstoredBytes = 64_000
        var network = Self.split(2, entries: 0, seed: 12, options)
        network.tickInterval = 1_000
        for _ in 0..<3_000 { network.write(0, bytes: 100) }
        network.run(100)
        network.link(0, 1)
        let took = network.run(60_000) { $0.isEqual }
        // 600 KB in pieces of 16: about 40 rounds of 60 ms.
        #expect(took ?? .max <= 6_000, "\(took ?? .max)")
        #expect(network.violations.isEmpty)
    }

    @Test("after a link is lost a neighbour passes on at once, when it has been told")
    func topology() {
        var network = ReplicatorNetwork(3, seed: 13)
        network.linkAll()
        network.run(8_000)
        network.unlink(0, 2)
        network.run(1_500)
        network.tickInterval = 60_000
        network.run(60_000)
        network.write(0)
        network.run(100)
        #expect(network.isEqual)
    }

    @Test("what expires while it waits, or had no place, is asked for again when it can be had")
    func expired() {
        var options = ReplicatorOptions()
        options.waitingTime = 2_000
        options.waitingEntries = 5
        var network = ReplicatorNetwork(3, seed: 14, options: options)
        network.link(0, 1)
        network.link(1, 2)
        network.run(2_000)
        // Node 1 can't be read: node 2 gets the answers by push, and the question, of before its link, not at all.
        network.unlink(1, 2)
        network.write(0)
        network.run(100)
        network.unreadable = [1]
        network.link(1, 2)
        network.run(100)
        for _ in 0..<20 { network.write(1) }
        network.run(500)
        #expect(network.nodes[2].replicator.waiting.count == 5)
        network.run(4_000)
        let counters = network.nodes[2].replicator.counters
        #expect(counters.waiting == 0 && counters.expired == 5 && counters.overflowed == 15, "\(counters)")
        network.unreadable = []
        #expect(network.run(4_000) { $0.isEqual } != nil)
        #expect(network.violations.isEmpty)
    }
}
