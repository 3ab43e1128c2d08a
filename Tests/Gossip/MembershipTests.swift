import ConvergeCRDT
import ConvergeGossip
import ConvergeWire
import Testing

/// Whole clusters in a virtual network.
@Suite struct MembershipTests {
    /// A cluster in which everybody has met.
    static func cluster(
        _ count: Int, seed: UInt64, options: MembershipOptions = MembershipOptions()
    ) -> MembershipNetwork {
        var network = MembershipNetwork(nodes: count, seed: seed, options: options)
        network.startAll()
        network.run(for: 5000)
        return network
    }

    @Test(arguments: [2, 3, 10]) func `nodes that know one of them find each other`(count: Int) {
        let network = Self.cluster(count, seed: UInt64(count))
        #expect(network.everybodyIsAlive)
        #expect(network.links.count == count * (count - 1) / 2)
        #expect(network.changes(to: .suspect).isEmpty)
        #expect(network.nodes.allSatisfy { $0.membership.live.count == count && $0.membership.voting.count == count })
    }

    @Test(arguments: [2, 3, 10]) func `a silent node is faulty everywhere within seconds`(count: Int) {
        for seed in 1...3 as ClosedRange<UInt64> {
            var network = Self.cluster(count, seed: seed)
            network.hang(count - 1)
            let time = network.run(upTo: 30_000) { $0.all(hold: count - 1, .faulty) }
            #expect(time != nil && time! < 12_000, "seed \(seed): \(String(describing: time))")
            #expect(network.changes(to: .faulty).allSatisfy { $0.replica == network.nodes[count - 1].replica })
        }
    }

    @Test(arguments: [(2, 4_500), (3, 1_500), (10, 1_500)] as [(Int, UInt64)])
    func `a crashed node is suspected at once, and faulty as soon as others confirm it`(count: Int, limit: UInt64) {
        for seed in 1...3 as ClosedRange<UInt64> {
            var network = Self.cluster(count, seed: seed)
            network.crash(count - 1)
            let suspected = network.run(upTo: 30_000) { $0.all(hold: count - 1, .suspect) }
            let time = network.run(upTo: 30_000) { $0.all(hold: count - 1, .faulty) }
            #expect(suspected != nil && suspected! <= 500, "seed \(seed): \(String(describing: suspected))")
            #expect(time != nil && time! < limit, "seed \(seed): \(String(describing: time))")
        }
    }

    @Test func `where one node alone has lost its link, the others do not confirm it`() {
        for seed in 1...5 as ClosedRange<UInt64> {
            var network = Self.cluster(4, seed: seed)
            network.cut(0, 3, closing: true)
            network.run(for: 30_000)
            #expect(network.changes(to: .faulty).isEmpty, "seed \(seed)")
            #expect(network.everybodyIsAlive, "seed \(seed)")
        }
    }

    @Test func `a node that hung comes back when it runs again`() {
        for seed in 1...3 as ClosedRange<UInt64> {
            var network = Self.cluster(4, seed: seed)
            network.hang(1)
            network.run(for: 20_000)
            #expect(network.all(hold: 1, .faulty), "seed \(seed)")
            network.resume(1)
            let time = network.run(upTo: 20_000) { $0.everybodyIsAlive }
            #expect(time != nil, "seed \(seed)")
            let others = network.changes(to: .faulty).filter { $0.replica != network.nodes[1].replica }
            #expect(others.isEmpty, "seed \(seed): it blamed the others")
        }
    }

    @Test func `a frame lost now and then makes nobody suspect`() {
        for seed in 1...3 as ClosedRange<UInt64> {
            var network = Self.cluster(5, seed: seed)
            network.lossPercent = 1
            network.run(for: 600_000)
            #expect(network.changes(to: .suspect).isEmpty, "seed \(seed)")
        }
    }

    @Test func `a fifth of all frames lost makes nobody faulty`() {
        for seed in 1...3 as ClosedRange<UInt64> {
            var network = Self.cluster(5, seed: seed)
            network.lossPercent = 20
            network.run(for: 600_000)
            #expect(network.changes(to: .faulty).isEmpty, "seed \(seed)")
            #expect(network.changes(to: .suspect).isEmpty, "seed \(seed)")
        }
    }

    /// What TCP loses comes, but late, and so does all behind it: later than one look at a member takes. With one look
    /// alone, each of these seeds accuses somebody within 45 seconds.
    @Test func `a fifth of all segments lost, and sent again, makes nobody suspect`() {
        for seed in [75, 83, 117, 125, 140, 144] as [UInt64] {
            var network = Self.cluster(5, seed: seed)
            network.delay = 1...3
            network.lossPercent = 20
            network.resendsLost = true
            network.run(for: 120_000)
            #expect(network.changes(to: .suspect).isEmpty, "seed \(seed)")
        }
    }

    /// What the second look takes is a part of the suspicion's time.
    @Test(arguments: [3, 5, 10]) func `a silent node is faulty after the two looks and the time to refute`(count: Int) {
        var times: [UInt64] = []
        for seed in 1...9 as ClosedRange<UInt64> {
            var network = Self.cluster(count, seed: seed)
            network.hang(count - 1)
            let begin = network.now
            times.append(network.run(upTo: 30_000) { $0.all(hold: count - 1, .faulty) } ?? .max)
            let suspected = network.changes(to: .suspect, since: begin).map(\.time)
            #expect(suspected.allSatisfy { $0 >= begin + 2000 }, "seed \(seed): two looks take two seconds")
        }
        #expect(times.sorted()[4] <= 6500, "\(times)")
    }

    @Test func `two without a link between them live for each other through a third`() {
        for seed in 1...3 as ClosedRange<UInt64> {
            var network = Self.cluster(3, seed: seed)
            network.cut(0, 2, closing: true)
            network.run(for: 300_000)
            #expect(network.changes(to: .suspect).isEmpty, "seed \(seed)")
            #expect(network.everybodyIsAlive, "seed \(seed)")
            #expect(network.links.count == 2)
        }
    }

    @Test func `nodes in a row live for each other`() {
        for seed in 1...2 as ClosedRange<UInt64> {
            var network = Self.cluster(4, seed: seed)
            for (a, b) in [(0, 2), (0, 3), (1, 3)] { network.cut(a, b, closing: true) }
            network.run(for: 300_000)
            #expect(network.changes(to: .suspect, since: 1_065_000).isEmpty, "seed \(seed)")
            #expect(network.changes(to: .faulty).isEmpty, "seed \(seed)")
            #expect(network.everybodyIsAlive, "seed \(seed)")
            // And the far end's death is noticed at this one.
            network.crash(3)
            let time = network.run(upTo: 30_000) { $0.all(hold: 3, .faulty) }
            #expect(time != nil, "seed \(seed)")
        }
    }

    @Test func `a node that leaves is left everywhere at once`() {
        var network = Self.cluster(5, seed: 1)
        network.leave(2)
        #expect(network.all(hold: 2, .left))
        #expect(network.changes(to: .suspect).isEmpty)
        let left = network.nodes[2].replica
        let dials = network.dials.count
        network.run(for: 120_000)
        #expect(network.all(hold: 2, .left))
        #expect(network.dials.count == dials, "it is not dialled")
        for node in [0, 1, 3, 4] {
            #expect(!network.nodes[node].membership.voting.contains(left))
            #expect(!network.nodes[node].membership.live.contains(left))
            #expect(!network.nodes[node].stored.contains { $0.replica == left })
        }
        network.start(2)
        let time = network.run(upTo: 5000) { $0.everybodyIsAlive }
        #expect(time != nil, "a hello revives it")
        network.run(for: 60_000)
        #expect(network.everybodyIsAlive)
        #expect(network.nodes[2].membership.incarnation > 0, "it had to say something newer than that it left")
    }

    @Test(arguments: [true, false]) func `a partition heals`(closing: Bool) {
        for seed in 1...3 as ClosedRange<UInt64> {
            var network = Self.cluster(6, seed: seed)
            for a in 0..<3 { for b in 3..<6 { network.cut(a, b, closing: closing) } }
            network.run(for: 60_000)
            #expect(network.state(of: 0, at: 3) == .faulty && network.state(of: 5, at: 2) == .faulty, "seed \(seed)")
            #expect(network.state(of: 0, at: 2) == .alive && network.state(of: 5, at: 3) == .alive, "seed \(seed)")
            network.healAll()
            let time = network.run(upTo: 60_000) { $0.links.count == 15 && $0.everybodyIsAlive }
            #expect(time != nil, "seed \(seed)")
            network.run(for: 60_000)
            #expect(network.everybodyIsAlive, "seed \(seed)")
        }
    }

    @Test func `a node that restarts is alive again before it was faulty`() {
        var network = Self.cluster(5, seed: 3)
        network.crash(4)
        network.run(for: 500)
        network.start(4)
        let time = network.run(upTo: 2000) { $0.everybodyIsAlive }
        #expect(time != nil)
        network.run(for: 30_000)
        #expect(network.changes(to: .faulty).isEmpty)
    }

    @Test func `under a renewed identity the old one is soon faulty, and its address is the new one's`() {
        var network = Self.cluster(4, seed: 4)
        let old = network.nodes[3].replica
        network.crash(3)
        network.start(3, renewed: ReplicaID(rawValue: 77))
        network.run(for: 8000)
        for node in 0..<3 {
            #expect(network.nodes[node].membership.state(of: old) == .faulty)
            #expect(network.state(of: 3, at: node) == .alive)
            let stored = network.nodes[node].stored.filter { $0.address == network.nodes[3].address }
            #expect(stored.map(\.replica) == [ReplicaID(rawValue: 77)])
        }
        let dials = network.dials.count
        network.run(for: 60_000)
        #expect(network.dials.count == dials, "nobody dials for the old one")
    }

    @Test
    func `who comes back as another replica replaces the one that is faulty, everywhere, and that keeps its vote`() {
        var network = Self.cluster(4, seed: 8)
        let old = network.nodes[3].replica
        let renewed = ReplicaID(rawValue: 77)
        network.crash(3)
        network.run(for: 20_000)
        func successors() -> [ReplicaID?] {
            (0..<4).map { node in network.nodes[node].membership.members.first { $0.replica == old }?.successor }
        }
        #expect(successors() == [nil, nil, nil, nil] && network.replaced.isEmpty, "nobody is there yet")
        network.start(3, renewed: renewed)
        network.run(for: 5_000)
        // To itself, too: it hears of what it was.
        #expect(successors() == [renewed, renewed, renewed, renewed])
        for node in 0..<4 {
            let told = network.replaced.filter { $0.node == node }
            #expect(told.map(\.replica) == [old] && told.map(\.by) == [renewed], "node \(node)")
            #expect(network.nodes[node].membership.voting.contains(old))
        }
    }

    @Test func `an identity that is renewed while running has left`() {
        var network = Self.cluster(4, seed: 5)
        let old = network.nodes[3].replica
        network.feed(3, .renewed(ReplicaID(rawValue: 78)))
        #expect(network.nodes[3].membership.replica == ReplicaID(rawValue: 78))
        network.run(for: 100)
        #expect((0..<4).allSatisfy { network.nodes[$0].membership.state(of: old) == .left })
    }

    @Test func `one that an operator removed comes back if it lives`() {
        var network = Self.cluster(4, seed: 6)
        network.feed(0, .remove(network.nodes[3].replica))
        #expect(network.state(of: 3, at: 0) == .left)
        let time = network.run(upTo: 5000) { $0.everybodyIsAlive }
        #expect(time != nil)
        network.crash(3)
        network.run(for: 20_000)
        network.feed(0, .remove(network.nodes[3].replica))
        network.run(for: 2000)
        #expect(network.all(hold: 3, .left))
        let dials = network.dials.count
        network.run(for: 60_000)
        #expect(network.dials.count == dials, "nobody dials it any more")
    }

    @Test func `one seed, one run`() {
        func run() -> UInt64 {
            var network = MembershipNetwork(nodes: 6, seed: 9)
            network.traces = true
            network.lossPercent = 10
            network.startAll()
            network.run(for: 20_000)
            network.crash(2)
            network.cut(0, 1, closing: false)
            network.run(for: 20_000)
            network.start(2)
            network.healAll()
            network.run(for: 20_000)
            return network.trace
        }
        let first = run()
        #expect(first == run())
    }

    @Test func `ticks may come at fixed times too`() {
        var network = MembershipNetwork(nodes: 4, seed: 10)
        network.tickInterval = 50
        network.startAll()
        network.run(for: 20_000)
        #expect(network.everybodyIsAlive)
        network.hang(3)
        let time = network.run(upTo: 12_000) { $0.all(hold: 3, .faulty) }
        #expect(time != nil)
        #expect(network.nodes.allSatisfy { $0.membership.counters.stalls == 0 })
    }
}
