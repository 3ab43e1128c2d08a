import ConvergeTestSupport
import ConvergeCRDT
import ConvergeWire
import Testing

@testable import ConvergeGossip

@Suite("Replicator: random lives of small clusters")
struct ReplicatorRandomTests {
    @Test("whatever fails, once it is over all have the same in bounded time", arguments: 1...24 as ClosedRange<UInt64>)
    func converges(_ seed: UInt64) {
        var network = Self.live(seed: seed, steps: 400, [])
        let took = Self.heal(&network)
        network.checkStates()
        #expect(took ?? .max <= 12_000, "seed \(seed): \(took ?? .max) ms")
        #expect(network.violations.isEmpty, "seed \(seed): \(network.violations.prefix(3))")
        #expect(network.forks.isEmpty && network.foreign.isEmpty, "seed \(seed)")
        // And what is written then goes through without repair.
        network.failPercent = 0
        network.run(3_000)
        network.forgetCounts()
        for index in network.nodes.indices { network.write(index) }
        network.run(300)
        #expect(network.isEqual && network.repeats == 0 && network.sent.ranged == 0, "seed \(seed)")
    }

    @Test("a run that applies without dependencies is found")
    func planted() {
        let found = (1...6 as ClosedRange<UInt64>).contains {
            var network = Self.live(seed: $0, steps: 300, .deliveryWithoutDependencies)
            _ = Self.heal(&network)
            return !network.violations.isEmpty
        }
        #expect(found)
    }

    static func live(seed: UInt64, steps: Int, _ planted: PlantedFaults) -> ReplicatorNetwork {
        var random = SplitMix64(seed: seed &* 7919)
        var options = ReplicatorOptions()
        options.planted = planted
        options.rangeBytes = [2_000, 20_000, 256 << 10][random.below(3)]
        options.waitingEntries = [8, 64, 4_096][random.below(3)]
        options.pushWindow = [5_000, 1 << 20][random.below(2)]
        options.creditStep = options.pushWindow / 8
        options.unstoredBytes = [4_000, 4 << 20][random.below(2)]
        options.snapshotBytes = 400
        var network = ReplicatorNetwork(3 + random.below(4), seed: seed, options: options)
        let count = network.nodes.count
        network.linkAll()
        for _ in 0..<steps {
            let a = random.below(count)
            let b = random.below(count)
            switch random.below(100) {
            case ..<60:
                for _ in 0...random.below(4) { network.write(a, room: Text("room \(random.below(12))")) }
            case ..<70: network.link(a, b)
            case ..<78: network.unlink(a, b)
            case ..<82: if network.isLinked(a, b) { network.stall(a, b) }
            case ..<87: network.flow(a, b)
            case ..<90: network.failPercent = random.chance(30) ? 20 : 0
            case ..<92: if network.nodes.filter(\.isUp).count > 1 { network.crash(a) }
            case ..<96: network.restart(a)
            case ..<97:
                // What all have stored may be folded.
                var least = network.nodes[a].disk.vector
                for node in network.nodes {
                    for dot in least.components { least[dot.replica] = min(dot.seq, node.disk.vector[dot.replica]) }
                }
                if network.nodes[a].isUp { network.raiseFloors(a, to: least) }
            case ..<98:
                // Or what is too old, whoever has it.
                if network.nodes[a].isUp, random.chance(30) { network.raiseFloors(a, to: network.nodes[a].disk.vector) }
            default: network.mute = random.chance(30) ? [a] : []
            }
            network.run(UInt64(random.below(60)))
        }
        return network
    }

    static func heal(_ network: inout ReplicatorNetwork) -> UInt64? {
        network.mute = []
        network.failPercent = 0
        for index in network.nodes.indices { network.restart(index) }
        for a in network.nodes.indices { for b in network.nodes.indices where a != b { network.flow(a, b) } }
        network.linkAll()
        return network.run(60_000) { $0.isEqual }
    }
}
