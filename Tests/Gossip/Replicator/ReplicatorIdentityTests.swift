import ConvergeCRDT
import ConvergeWire
import Testing

@testable import ConvergeGossip

@Suite("Replicator: forks and foreign logs")
struct ReplicatorIdentityTests {
    @Test("a node whose peers know more of its log than it does is told")
    func restored() {
        var network = ReplicatorNetwork(2, seed: 1)
        network.linkAll()
        network.run(1_000)
        network.write(0)
        network.run(200)
        let backup = network.nodes[0].disk
        for _ in 0..<5 { network.write(0) }
        network.run(200)
        network.crash(0, disk: backup)
        network.restart(0)
        #expect(network.foreign.isEmpty)
        network.link(0, 1)
        network.run(500)
        #expect(network.foreign.first?.node == 0 && network.foreign.first?.seq == 6)
    }

    @Test("of two logs under one replica the longer stays: who has the other takes over a peer's state")
    func mended() {
        var network = Self.fork(4)
        let replica = network.nodes[0].replica
        network.link(1, 2)
        network.run(5_000)
        #expect(network.reloads == [2])
        #expect(network.nodes[2].disk.hashes[replica] == network.nodes[1].disk.hashes[replica])
        #expect(network.nodes[2].disk.vector == network.nodes[1].disk.vector)
        let entry = network.write(2)
        network.run(3_000)
        #expect(entry.map { network.nodes[1].disk.vector.covers($0.dot) } == true)
    }

    @Test("of two logs as long one stays, and both sides agree which")
    func asLong() {
        var network = Self.fork(3)
        let replica = network.nodes[0].replica
        let hashes = (1...2).map { network.nodes[$0].disk.hashes[replica]! }
        network.link(1, 2)
        network.run(5_000)
        #expect(network.reloads == [hashes[0].high > hashes[1].high ? 2 : 1])
        #expect(network.nodes[2].disk.hashes[replica] == network.nodes[1].disk.hashes[replica])
    }

    @Test("a fork is mended through a third node, which has the losing side, too")
    func thirdNode() {
        var network = Self.fork(9)
        network.comparesEnds = true
        let replica = network.nodes[0].replica
        network.restart(0, as: ReplicaID(rawValue: 77))
        network.link(0, 1)
        network.link(0, 2)
        network.run(8_000)
        #expect(Set(network.reloads) == [0, 2])
        #expect(network.nodes.allSatisfy { $0.disk.hashes[replica] == network.nodes[1].disk.hashes[replica] })
    }

    @Test("a log that two have written is not mixed: what doesn't chain is refused, and told")
    func forked() {
        var network = Self.fork()
        network.mendsForks = false
        for index in 1...2 {
            network.crash(index)
            network.restart(index)
        }
        network.countsBytes = true
        network.link(1, 2)
        network.run(10_000)
        #expect(!network.forks.isEmpty)
        let replica = network.nodes[0].replica
        for node in network.nodes[1...] {
            let payloads = network.fork.first { $0.holder == node.replica }?.payloads
            #expect(node.disk.logs[replica]?.map(\.payload) == payloads)
        }
        // Logs that do not depend on what is refused go on as if nothing were.
        let entry = network.write(2)
        network.run(3_000)
        #expect(entry.map { network.nodes[1].disk.vector.covers($0.dot) } == true)
        #expect(network.violations.isEmpty, "\(network.violations.prefix(3))")
    }

    @Test("a fork, which stays, does not keep a link busy")
    func forkCost() {
        var network = Self.fork(200)
        network.mendsForks = false
        for index in 1...2 {
            network.crash(index)
            network.restart(index)
        }
        network.link(1, 2)
        network.run(5_000)
        network.countsBytes = true
        network.forgetCounts()
        network.run(20_000)
        #expect(network.sent.bytes / 20 < 600, "\(network.sent.bytes / 20) bytes a second, \(network.sent)")
    }

    /// Node 1 has `entries` and two entries of node 0, node 2 five of its twin, of which two are the same. The two aren't
    /// linked.
    private static func fork(_ entries: Int = 5) -> ReplicatorNetwork {
        var network = ReplicatorNetwork(3, seed: 2)
        network.linkAll()
        network.run(1_000)
        for _ in 0..<2 { network.write(0) }
        network.run(200)
        network.unlinkAll()
        let shared = network.nodes[0].disk
        network.link(0, 1)
        for _ in 0..<entries { network.write(0, bytes: 40) }
        network.run(200)
        network.crash(0, disk: shared)
        network.restart(0)
        network.link(0, 2)
        for _ in 0..<3 { network.write(0, bytes: 40) }
        network.run(200)
        network.crash(0)
        network.noteFork(of: 0, at: [1, 2])
        return network
    }
}
