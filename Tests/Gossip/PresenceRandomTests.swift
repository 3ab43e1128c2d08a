import ConvergeTestSupport
import ConvergeCRDT
import ConvergeGossip
import ConvergeWire
import Testing

/// Random lives of small clusters: sessions, loss, repeats, broken links, restarts, renewed identities, wrong suspicions.
@Suite struct PresenceRandomTests {
    private static let rooms: [Text] = ["dev", "ops"]
    private static let users: [Text] = ["ada", "bob", "eve"]
    private static let places = rooms.flatMap { room in users.map { PresencePlace(room: room, user: $0) } }

    private struct Life {
        var random: SplitMix64
        var network: PresenceNetwork
        var formers: [ReplicaID] = []
        /// How often in a hundred a message is lost, and how often it comes twice.
        let loss: Int
        let repeats: Int

        init(seed: UInt64, planted: PlantedFaults) {
            random = SplitMix64(seed: seed)
            var options = PresenceOptions(planted: planted)
            if random.chance(70) { options.chunkBytes = 60 }  // a few seats a chunk
            if random.chance(50) { options.historyLength = 3 }
            if random.chance(30) { options.waitingChanges = 2 }
            network = PresenceNetwork(2 + random.below(4), options: options)
            loss = random.chance(50) ? random.below(20) : 0
            repeats = random.below(10)
        }

        mutating func run(steps: Int) {
            for number in 0..<steps where network.failure == nil {
                step()
                guard number % 8 == 0 else { continue }
                for node in network.nodes.indices where network.nodes[node].isUp {
                    network.compareViews(node, PresenceRandomTests.places)
                }
            }
        }

        private mutating func step() {
            let count = network.nodes.count
            let node = random.below(count)
            let other = random.below(count)
            let place = places[random.below(places.count)]
            network.now += UInt64(random.below(200))
            switch random.below(1_000) {
            case ..<600: deliver()
            case ..<720 where network.nodes[node].isUp: network.enter(node, place.room, place.user)
            case ..<800: network.leave(node, place.room, place.user)
            case ..<870 where network.nodes[node].isUp: network.flush(node)
            case ..<920 where network.isLinked(node, other): network.digest(node, other)
            case ..<940 where network.nodes[node].isUp: network.handle(.tick, at: node)
            case ..<965: network.link(node, other)
            case ..<972: network.unlink(node, other)
            case ..<978: network.restart(node)
            case ..<981 where network.nodes.filter(\.isUp).count > 1: network.stop(node)
            case ..<984 where network.nodes[node].isUp: renew(node)
            case ..<994 where network.nodes[node].isUp: hear(node, of: other)
            default: break
            }
        }

        private mutating func deliver() {
            let busy = network.busyLinks
            guard !busy.isEmpty else { return }
            let link = busy[random.below(busy.count)]
            network.deliver(link, times: random.chance(loss) ? 0 : random.chance(repeats) ? 2 : 1)
        }

        /// News of a member, often true.
        private mutating func hear(_ node: Int, of other: Int) {
            let member = network.nodes[other].replica
            guard other != node else { return }
            if !network.nodes[other].isUp, random.chance(20) {
                network.handle(.memberChanged(member, .faulty), at: node)
                network.handle(.forgotten(member), at: node)
                return
            }
            let states: [MemberState] =
                network.nodes[other].isUp ? [.alive, .alive, .suspect, .faulty] : [.suspect, .faulty, .faulty, .left]
            network.handle(.memberChanged(member, states[random.below(4)]), at: node)
        }

        private mutating func renew(_ node: Int) {
            for other in network.nodes.indices { network.unlink(node, other) }
            formers.append(network.nodes[node].replica)
            network.nodes[node].replica = ReplicaID(rawValue: random.next())
            network.nodes[node].boot += 1
            network.handle(
                .started(replica: network.nodes[node].replica, boot: network.nodes[node].boot), at: node)
        }

        /// Mends the network, so that there is a way from each to each, and tells all of them the truth about members.
        mutating func heal() {
            let up = network.nodes.indices.filter { network.nodes[$0].isUp }
            for (a, b) in zip(up, up.dropFirst()) { network.link(a, b) }
            for a in up {
                for b in network.nodes.indices where a != b {
                    let state: MemberState = network.nodes[b].isUp ? .alive : .faulty
                    network.handle(.memberChanged(network.nodes[b].replica, state), at: a)
                }
                for former in formers { network.handle(.memberChanged(former, .left), at: a) }
            }
            for _ in 0..<30 { network.round() }
            let truth = network.truth()
            for node in up {
                network.compareViews(node, PresenceRandomTests.places)
                let said = network.said(by: node)
                if said != truth { network.fail("node \(node) says \(said), true is \(truth)") }
            }
        }
    }

    /// What is wrong in that life, or nil.
    private func failure(seed: UInt64, planted: PlantedFaults = [], steps: Int = 600) -> String? {
        var life = Life(seed: seed, planted: planted)
        life.run(steps: steps)
        if life.network.failure == nil { life.heal() }
        return life.network.failure
    }

    @Test("after the faults everybody sees the sessions that live", arguments: UInt64(1)...40)
    func converges(seed: UInt64) {
        let failure = failure(seed: seed)
        #expect(failure == nil, "seed \(seed)")
    }

    @Test(
        "a planted fault is found",
        arguments: [PlantedFaults.presenceNotCleared, .presenceDeltaAnywhere, .faultyStillPresent])
    func finds(fault: PlantedFaults) {
        let seed = (1...UInt64(100)).first { failure(seed: $0, planted: fault) != nil }
        #expect(seed != nil)
    }
}
