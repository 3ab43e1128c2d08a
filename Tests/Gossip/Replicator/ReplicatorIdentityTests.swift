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

    @Test("a snapshot that tells of another copy of a log is not joined, and is asked for ever more seldom")
    func notJoined() {
        let (own, far, near) = (ReplicaID(rawValue: 1), ReplicaID(rawValue: 2), ReplicaID(rawValue: 3))
        var replicator = Replicator { _, entry in EntryHash(high: entry.dot.replica.rawValue, low: entry.dot.seq) }
        var now: UInt64 = 1_000
        func handle(_ event: ReplicatorEvent) -> [ReplicatorEffect] {
            var effects: [ReplicatorEffect] = []
            replicator.handle(event, at: now, wall: 1_000_000, into: &effects)
            return effects
        }
        _ = handle(.started(replica: own, vector: VersionVector(), ends: [], floors: VersionVector()))
        _ = handle(.linked(near))
        let head = Dot(replica: far, seq: 9)
        var effects = handle(
            .frame(
                from: near,
                .digest(
                    PeerDigest(
                        heads: [HeadDigest(dot: head, hash: 2)], floors: [head], direct: [], presence: [],
                        wall: 1_000_000))))
        var times: [UInt64] = []
        var told = 0
        for _ in 0..<1_300 {
            for case .send(_, .snapshotWant(let want), _) in effects {
                times.append(now)
                var chunk = SnapshotChunk(number: want.number, status: .final, at: VersionVector([head]))
                chunk.end = SnapshotEnd(
                    heads: [LogEnd(dot: head, hash: EntryHash(high: 2, low: 9))], floors: VersionVector([head]),
                    clock: .zero)
                let installs = handle(.frame(from: near, .snapshotChunk(chunk)))
                #expect(installs.contains { if case .install = $0 { true } else { false } })
                let after = handle(.snapshotParted(head))
                #expect(after.contains { if case .discardStage = $0 { true } else { false } })
                told += after.count { if case .forked(far, seq: 9, by: .node(near)) = $0 { true } else { false } }
            }
            now += 100
            effects = handle(.tick)
        }
        #expect(zip(times, times.dropFirst()).map { ($1 - $0) / 1_000 } == [5, 10, 20, 40, 40], "\(times)")
        #expect(told == 1, "not with each of them")
        // What is pushed meanwhile is taken.
        var entry = Entry(
            dot: Dot(replica: near, seq: 1), timestamp: HybridTimestamp(milliseconds: 1), kind: .message, room: "r",
            payload: [1])
        entry.hash = EntryHash(high: 3, low: 1)
        let taken = handle(.frame(from: near, .entries([entry], wantsStored: false)))
        #expect(taken.contains { if case .apply = $0 { true } else { false } })
    }

    @Test("who has taken over a peer's state serves nothing more of a snapshot that may have begun before")
    func begunBefore() {
        let (own, far, near) = (ReplicaID(rawValue: 1), ReplicaID(rawValue: 2), ReplicaID(rawValue: 3))
        var replicator = Replicator { _, entry in EntryHash(high: entry.dot.replica.rawValue, low: entry.dot.seq) }
        func handle(_ event: ReplicatorEvent) -> [ReplicatorEffect] {
            var effects: [ReplicatorEffect] = []
            replicator.handle(event, at: 1_000, wall: 1_000_000, into: &effects)
            return effects
        }
        func start(at vector: VersionVector) {
            let ends = vector.components.map { LogEnd(dot: $0, hash: EntryHash(high: 7, low: $0.seq)) }
            _ = handle(.started(replica: own, vector: vector, ends: ends, floors: VersionVector()))
        }
        /// The ticket of what is to be read, if anything is, and the answer that is there at once.
        func ask(_ number: UInt64, reached: VersionVector) -> (ticket: UInt64?, refusal: SnapshotChunk.Status?) {
            let want = SnapshotWant(
                number: number, have: VersionVector(), since: VersionVector(), reached: reached, after: nil,
                limit: 1_000)
            var answer: (ticket: UInt64?, refusal: SnapshotChunk.Status?)
            for effect in handle(.frame(from: near, .snapshotWant(want))) {
                if case .readSnapshot(let ticket, _) = effect { answer.ticket = ticket }
                if case .send(_, .snapshotChunk(let chunk), _) = effect { answer.refusal = chunk.status }
            }
            return answer
        }
        func told(_ ticket: UInt64, at vector: VersionVector) -> SnapshotChunk.Status? {
            let chunk = SnapshotChunk(number: 0, status: .more, at: vector)
            for case .send(_, .snapshotChunk(let chunk), _) in handle(.snapshotRead(ticket: ticket, chunk)) {
                return chunk.status
            }
            return nil
        }
        let before = VersionVector([Dot(replica: far, seq: 5)])
        let after = VersionVector([Dot(replica: far, seq: 7), Dot(replica: ReplicaID(rawValue: 9), seq: 1)])
        start(at: before)
        _ = handle(.linked(near))
        #expect(ask(1, reached: VersionVector()).ticket.flatMap { told($0, at: before) } == .more)
        let early = ask(2, reached: before)
        _ = handle(.reloaded)
        #expect(early.ticket.flatMap { told($0, at: after) } == .unavailable, "it was asked before, and read after")
        start(at: after)
        let late = ask(3, reached: before)
        #expect(late.ticket == nil && late.refusal == .unavailable)
        #expect(ask(4, reached: VersionVector()).ticket.flatMap { told($0, at: after) } == .more)
        #expect(ask(5, reached: after).ticket.flatMap { told($0, at: after) } == .more)
        // An opening that follows on nothing of the kind changes nothing.
        start(at: after)
        #expect(ask(6, reached: after).ticket != nil)
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
