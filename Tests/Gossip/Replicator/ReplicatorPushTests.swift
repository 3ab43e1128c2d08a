import ConvergeCRDT
import ConvergeWire
import Testing

@testable import ConvergeGossip

@Suite("Replicator: pushing")
struct ReplicatorPushTests {
    private static func mesh(_ count: Int, seed: UInt64 = 1, _ options: ReplicatorOptions = .init())
        -> ReplicatorNetwork
    {
        var network = ReplicatorNetwork(count, seed: seed, options: options)
        network.linkAll()
        network.run(3_000)
        network.forgetCounts()
        return network
    }

    @Test("on healthy links every entry reaches every node exactly once", arguments: 1...5 as ClosedRange<UInt64>)
    func once(_ seed: UInt64) {
        var network = Self.mesh(4, seed: seed)
        for _ in 0..<300 {
            network.write(network.random.below(4))
            network.run(UInt64(network.random.below(30)))
        }
        let took = network.run(2_000) { $0.isEqual }
        #expect(took != nil && network.violations.isEmpty, "seed \(seed): \(network.violations.prefix(3))")
        #expect(network.repeats == 0 && network.sent.ranged == 0, "seed \(seed)")
        #expect(network.sent.entries == 900)
    }

    @Test("an entry is shown to others within one store and one link, without waiting for a tick")
    func latency() {
        var network = Self.mesh(3)
        network.tickInterval = 60_000
        network.write(0)
        network.run(60)
        #expect(network.isEqual)
    }

    @Test("a neighbour passes on what its peer's origin has no link for, once")
    func relays() {
        var network = ReplicatorNetwork(3, seed: 7)
        network.link(0, 1)
        network.link(1, 2)
        network.run(3_000)
        network.forgetCounts()
        for _ in 0..<50 {
            network.write(0)
            network.write(2)
            network.run(20)
        }
        network.run(200)
        #expect(network.isEqual && network.violations.isEmpty)
        #expect(network.repeats == 0)
        #expect(network.nodes[1].replicator.counters.relayed == 100)
        #expect(network.sent.ranged == 0)
    }

    @Test("on a ring of six an entry comes over each link at most once each way")
    func ring() {
        var network = ReplicatorNetwork(6, seed: 8)
        for index in 0..<6 { network.link(index, (index + 1) % 6) }
        network.run(3_000)
        network.forgetCounts()
        network.write(0)
        network.run(400)
        #expect(network.isEqual)
        #expect(network.ways.values.allSatisfy { $0.entries + $0.ranged <= 1 })
        #expect(network.repeats <= 2)
    }

    @Test("who asked is told how far its log is stored, and nobody else is told")
    func copies() {
        var network = Self.mesh(3)
        let entry = network.write(0, wantsStored: true)
        network.run(100)
        #expect(
            network.peerStored.map(\.peer) == [network.nodes[1].replica, network.nodes[2].replica].sorted()
                || network.peerStored.map(\.peer) == [network.nodes[2].replica, network.nodes[1].replica])
        #expect(network.peerStored.allSatisfy { $0.node == 0 && $0.seq == entry?.dot.seq })
        network.write(1)
        network.run(100)
        #expect(network.peerStored.count == 2)
    }

    @Test("a peer that takes nothing is pushed no more than its window, and repaired when it takes again")
    func paused() {
        var options = ReplicatorOptions()
        options.pushWindow = 20_000
        options.creditStep = 2_000
        var network = Self.mesh(2, options)
        network.stall(0, 1)
        for _ in 0..<300 {
            network.write(0, bytes: 100)
            network.run(10)
        }
        let pushed = network.nodes[0].replicator.counters.pushed
        #expect(pushed < 110, "\(pushed)")
        #expect(network.nodes[0].replicator.counters.pushesSkipped >= 190)
        network.flow(0, 1)
        let took = network.run(3_000) { $0.isEqual }
        #expect(took ?? .max < 2_000 && network.violations.isEmpty, "\(took ?? .max)")
        // Then it is pushed to as before.
        network.tickInterval = 60_000
        network.write(0)
        network.run(100)
        #expect(network.isEqual)
    }

    @Test("who keeps up with far more than a window is never paused")
    func credit() {
        var options = ReplicatorOptions()
        options.pushWindow = 20_000
        options.creditStep = 2_000
        var network = Self.mesh(2, options)
        for _ in 0..<1_000 {
            network.write(0, bytes: 100)
            network.run(5)
        }
        network.run(500)
        #expect(network.isEqual)
        #expect(network.nodes[0].replicator.counters.pushesSkipped == 0)
        #expect(network.repeats == 0)
    }

    @Test("in quiet times a link costs less than 100 bytes a second each way")
    func quiet() {
        var network = Self.mesh(5)
        for _ in 0..<20 {
            network.write(network.random.below(5))
            network.run(20)
        }
        network.run(10_000)
        network.countsBytes = true
        network.forgetCounts()
        network.run(60_000)
        let perLink = network.sent.bytes / 60 / (5 * 4)
        #expect(perLink < 10, "\(perLink) bytes a second")
        #expect(network.sent.frames <= 5 * 4 * 13)
    }

    @Test("while all is written and stored, telling what one has costs a digest a second and link")
    func busy() {
        var network = Self.mesh(4)
        for _ in 0..<500 {
            network.write(network.random.below(4))
            network.run(20)
        }
        // 10 s, 12 directed links.
        let digests = network.nodes.map(\.replicator.counters.digests).reduce(0, +)
        #expect(digests <= 12 * 16, "\(digests)")
    }
}
