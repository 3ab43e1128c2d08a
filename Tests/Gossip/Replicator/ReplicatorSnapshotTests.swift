import ConvergeCRDT
import ConvergeWire
import Testing

@testable import ConvergeGossip

@Suite("Replicator: below the floor")
struct ReplicatorSnapshotTests {
    private static func options() -> ReplicatorOptions {
        var options = ReplicatorOptions()
        // Five documents a piece.
        options.snapshotBytes = 5 * ReplicatorDisk.documentBytes
        return options
    }

    /// Nodes 0 and 1 (and 2) have forty documents and no entries below their ends; the last node has nothing, and no link.
    private static func folded(_ count: Int, seed: UInt64) -> ReplicatorNetwork {
        var network = ReplicatorNetwork(count, seed: seed, options: options())
        for a in 0..<count - 1 { for b in 0..<a { network.link(a, b) } }
        for number in 0..<200 {
            network.write(network.random.below(count - 1), room: Text("room \(number % 40)"))
            network.run(5)
        }
        network.run(3_000)
        for index in 0..<count - 1 { network.raiseFloors(index, to: network.nodes[0].disk.vector) }
        return network
    }

    private static func counters(_ network: ReplicatorNetwork, _ index: Int) -> ReplicatorCounters {
        network.nodes[index].replicator.counters
    }

    @Test(
        "who is below the floor gets the state in pieces, and then the logs go on",
        arguments: 1...3 as ClosedRange<UInt64>)
    func pieces(_ seed: UInt64) {
        var network = Self.folded(3, seed: seed)
        network.link(0, 2)
        let took = network.run(10_000) { $0.isEqual }
        network.checkStates()
        #expect(took ?? .max <= 3_000, "seed \(seed): \(took ?? .max)")
        #expect(network.violations.isEmpty, "seed \(seed): \(network.violations.prefix(3))")
        #expect(Self.counters(network, 2).snapshotsInstalled == 1)
        #expect(Self.counters(network, 2).snapshotPieces >= 8)
        network.write(2, room: "room 1")
        network.write(0, room: "room 2")
        #expect(network.run(3_000) { $0.isEqual } != nil)
        network.checkStates()
        #expect(network.violations.isEmpty)
    }

    @Test(
        "what is written while the pieces come is in it, too, or comes after it",
        arguments: 1...5 as ClosedRange<UInt64>)
    func meanwhile(_ seed: UInt64) {
        var network = Self.folded(3, seed: seed)
        network.write(2, room: "room 3")
        network.link(0, 2)
        for _ in 0..<40 {
            network.write(network.random.below(3), room: Text("room \(network.random.below(40))"))
            network.run(25)
        }
        #expect(network.run(10_000) { $0.isEqual } != nil, "seed \(seed)")
        network.checkStates()
        #expect(network.violations.isEmpty, "seed \(seed): \(network.violations.prefix(3))")
    }

    @Test("when the server is lost in mid-way another goes on where it was")
    func serverLost() {
        var network = Self.folded(4, seed: 4)
        network.link(0, 3)
        network.link(1, 3)
        _ = network.run(3_000) { Self.counters($0, 3).snapshotPieces >= 3 }
        let before = Self.counters(network, 3).snapshotPieces
        #expect((3..<9).contains(before))
        network.unlink(0, 3)
        let took = network.run(10_000) { $0.isEqual }
        network.checkStates()
        #expect(took ?? .max <= 2_000, "\(took ?? .max)")
        #expect(Self.counters(network, 3).snapshotPieces <= 10, "\(Self.counters(network, 3).snapshotPieces)")
        #expect(Self.counters(network, 3).snapshotsAbandoned == 0)
        #expect(network.violations.isEmpty)
    }

    @Test("when the only server is lost while a piece is staged, it is gone on with as soon as it is back")
    func onlyServerLost() {
        var network = Self.folded(3, seed: 5)
        network.storing = 50...60
        network.link(0, 2)
        network.tickInterval = 10
        _ = network.run(3_000) { $0.nodes[2].isStaging && Self.counters($0, 2).snapshotPieces >= 3 }
        network.unlink(0, 2)
        network.run(1_000)
        network.link(0, 2)
        let took = network.run(10_000) { $0.isEqual }
        network.checkStates()
        #expect(took ?? .max <= 3_000, "\(took ?? .max)")
        #expect(network.violations.isEmpty)
    }

    @Test("without a server for long it is given up, and begun anew when there is one")
    func abandoned() {
        var network = Self.folded(3, seed: 6)
        network.link(0, 2)
        _ = network.run(3_000) { Self.counters($0, 2).snapshotPieces >= 3 }
        network.unlink(0, 2)
        network.run(60_000)
        #expect(Self.counters(network, 2).snapshotsAbandoned == 1)
        network.link(0, 2)
        #expect(network.run(5_000) { $0.isEqual } != nil)
        network.checkStates()
        #expect(network.violations.isEmpty)
    }

    @Test("a server that is behind what the pieces were read at is not taken; it can be, later")
    func behind() {
        var network = Self.folded(4, seed: 7)
        // Node 1 misses what 0 and 2 write now.
        network.unlink(0, 1)
        network.unlink(1, 2)
        network.write(0, room: "room 0")
        network.run(200)
        network.link(0, 3)
        _ = network.run(3_000) { Self.counters($0, 3).snapshotPieces >= 3 }
        network.unlink(0, 3)
        network.link(1, 3)
        network.run(3_000)
        #expect(Self.counters(network, 3).snapshotsInstalled == 0)
        network.link(0, 1)
        let took = network.run(12_000) { $0.isEqual }
        network.checkStates()
        #expect(took != nil)
        #expect(network.violations.isEmpty)
    }

    @Test("two that have each folded what the other lacks take each other's state")
    func mutual() {
        var network = ReplicatorNetwork(2, seed: 10, options: Self.options())
        for number in 0..<60 {
            network.write(number % 2, room: Text("room \(number % 20)"))
            network.run(20)
        }
        for index in 0..<2 { network.raiseFloors(index, to: network.nodes[index].disk.vector) }
        for index in 0..<2 { network.write(index) }
        network.run(100)
        network.link(0, 1)
        let took = network.run(10_000) { $0.isEqual }
        network.checkStates()
        #expect(took ?? .max <= 3_000, "\(took ?? .max)")
        #expect(network.violations.isEmpty)
    }

    @Test("a server that can't be read, or doesn't answer, is left for another", arguments: [true, false])
    func noAnswer(_ isMute: Bool) {
        var network = Self.folded(4, seed: 8)
        network.link(0, 3)
        network.link(1, 3)
        _ = network.run(3_000) { Self.counters($0, 3).snapshotPieces >= 2 }
        if isMute { network.mute = [0] } else { network.unreadable = [0] }
        let took = network.run(20_000) { $0.isEqual }
        network.checkStates()
        #expect(took ?? .max <= (isMute ? 7_000 : 2_500), "\(took ?? .max)")
        #expect(network.violations.isEmpty)
    }

    @Test("a store that fails while pieces come loses what is staged, and it is begun anew")
    func storeFails() {
        var network = Self.folded(3, seed: 9)
        network.link(0, 2)
        _ = network.run(3_000) { Self.counters($0, 2).snapshotPieces >= 3 }
        network.failPercent = 100
        network.write(2, room: "room 9")
        network.run(150)
        network.failPercent = 0
        #expect(network.run(10_000) { $0.isEqual } != nil)
        network.checkStates()
        #expect(Self.counters(network, 2).snapshotsAbandoned <= 1)
        #expect(network.violations.isEmpty, "\(network.violations.prefix(3))")
    }

    @Test("who is asked knows whether the asker has as entries what it has alone")
    func newsAsEntries() {
        let (own, log, peer) = (ReplicaID(rawValue: 1), ReplicaID(rawValue: 2), ReplicaID(rawValue: 3))
        func vector(_ end: UInt64) -> VersionVector { VersionVector([Dot(replica: log, seq: end)]) }
        /// What is read for a peer whose log ends there, begins there, where the log here ends with 5.
        func mayReload(end: UInt64, floor: UInt64, hasTold: Bool = true, planted: PlantedFaults = []) -> Bool? {
            var options = ReplicatorOptions()
            options.planted = planted
            var replicator = Replicator(options: options) { _, _ in .zero }
            var effects: [ReplicatorEffect] = []
            let ends = [LogEnd(dot: Dot(replica: log, seq: 5), hash: .zero)]
            let happened: [ReplicatorEvent] = [
                .started(replica: own, vector: vector(5), ends: ends, floors: VersionVector()), .linked(peer),
            ]
            for event in happened { replicator.handle(event, at: 0, wall: 0, into: &effects) }
            if hasTold {
                let digest = PeerDigest(
                    heads: [HeadDigest(dot: Dot(replica: log, seq: end), hash: 7)],
                    floors: floor == 0 ? [] : [Dot(replica: log, seq: floor)], direct: [], presence: [], wall: 0)
                replicator.handle(.frame(from: peer, .digest(digest)), at: 0, wall: 0, into: &effects)
            }
            let want = SnapshotWant(
                number: 1, have: vector(end), since: vector(end), reached: VersionVector(), after: nil, limit: 99)
            replicator.handle(.frame(from: peer, .snapshotWant(want)), at: 0, wall: 0, into: &effects)
            return effects.reduce(nil) { found, effect in
                if case .readSnapshot(_, let want) = effect { want.mayReload } else { found }
            }
        }
        #expect(mayReload(end: 4, floor: 4) == true)
        #expect(mayReload(end: 9, floor: 0) == true && mayReload(end: 9, floor: 4) == true)
        #expect(mayReload(end: 9, floor: 5) == false && mayReload(end: 9, floor: 8) == false)
        #expect(mayReload(end: 4, floor: 0, hasTold: false) == false)
        #expect(mayReload(end: 4, floor: 4, planted: .uncomparedJoined) == false)
    }
}
