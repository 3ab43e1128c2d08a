import ConvergeCRDT
import ConvergeGossip
import ConvergeStorage
import ConvergeWire
import Testing

@testable import ConvergeNode

@Suite("A node and its clocks")
struct NodeCoreClockTests {
    private static let day: UInt64 = 86_400_000
    private static let year: UInt64 = 365 * day

    private static func started(_ count: Int, systemEvents: SystemEvents = .off) -> CoreCluster {
        let cluster = CoreCluster(count, systemEvents: systemEvents)
        cluster.start()
        return cluster
    }

    /// A stranger's message, as one node would have it from another.
    private static func push(
        _ timestamp: HybridTimestamp, _ seq: UInt64 = 1, from peer: Int, to node: Int, _ cluster: CoreCluster
    )
        -> Entry
    {
        let payload = MessagePayload(id: nil, user: "mallory", displayName: "M", body: Array("from far".utf8))
        var entry = Entry(
            dot: Dot(replica: ReplicaID(rawValue: 0xBAD), seq: seq), timestamp: timestamp, kind: .message,
            room: "lobby", payload: payload.encoded)
        entry.hash = EntryChain().hash(after: .zero, entry)
        guard let link = cluster.nodes[node].core.links.link(to: cluster.replica(peer)) else {
            Issue.record("not linked")
            return entry
        }
        cluster.turn(node, .link(link, .received(PeerFrame.entries([entry], wantsStored: false).encoded())))
        return entry
    }

    @Test(
        "one entry from the end of time, or a century off, changes no date and stops no writing",
        arguments: [true, false])
    func poison(_ isLast: Bool) {
        let cluster = Self.started(2)
        let (ann, bob) = (cluster.enter(0, "ann"), cluster.enter(1, "bob"))
        let wall = cluster.nodes[0].wall
        let poison = Self.push(
            isLast ? .last : HybridTimestamp(milliseconds: wall + 100 * Self.year), from: 0, to: 1, cluster)
        cluster.run(20)
        for round in 0..<5 {
            cluster.send(0, ann, .say("a\(round)"), ref: Text("\(round)"))
            cluster.send(1, bob, .say("b\(round)"), ref: Text("\(round)"))
            cluster.run(20)
        }
        for index in 0..<2 {
            #expect(cluster.bodies(index) == (0..<5).flatMap { ["a\($0)", "b\($0)"] })
            let dates = cluster.nodes[index].shown.compactMap(\.position).map(\.timestamp.milliseconds)
            #expect(dates.allSatisfy { $0 < wall + Self.day })
            #expect(cluster.nodes[index].core.clockStanding == .right)
        }
        #expect(cluster.count(1) { if case .heldAside = $0 { true } else { false } } == 1)
        #expect(cluster.nodes[1].core.status(at: wall).held.map(\.dot) == [poison.dot])
        #expect(cluster.nodes[0].vector == cluster.nodes[1].vector)
    }

    @Test("a clock that is set far off is noticed at once: nothing is written, and when it is right all that is due is")
    func jump() {
        let cluster = Self.started(3, systemEvents: .stored)
        let (ann, bob) = (cluster.enter(0, "ann"), cluster.enter(1, "bob"))
        cluster.run(20)
        let own = cluster.replica(0)
        let before = cluster.nodes[0].vector[own]
        cluster.nodes[0].wall += 2 * Self.year
        cluster.send(0, ann, .say("dated wrongly"), ref: "r")
        #expect(cluster.nodes[0].shown.last?.type == "error")
        #expect(cluster.nodes[0].shown.last?.body == "clock out of bounds")
        // Joined, left and redactions are no commands.
        let cid = cluster.enter(0, "cid")
        cluster.turn(0, .session(ann, .left))
        cluster.turn(0, .redact(Dot(replica: own, seq: 1), room: "lobby"))
        cluster.run(50)
        #expect(cluster.nodes[0].vector[own] == before)
        #expect(cluster.count(0) { if case .clockSkewed = $0 { true } else { false } } == 1)
        // The others go on meanwhile.
        cluster.send(1, bob, .say("right"), ref: "s")
        #expect(cluster.bodies(1).last == "right")

        cluster.nodes[0].wall -= 2 * Self.year
        cluster.run(50)
        #expect(cluster.count(0) { $0 == .clockMended } == 1)
        let events = cluster.nodes[1].shown.filter { $0.type == "system" }
        #expect(events.contains { $0.user == "cid" && $0.body.contains("joined") })
        #expect(events.contains { $0.user == "ann" && $0.body.contains("left") })
        cluster.send(0, cid, .say("right again"), ref: "t")
        cluster.run(20)
        #expect(cluster.bodies(1).last == "right again")
        let latest = cluster.nodes[1].shown.compactMap(\.position).map(\.timestamp.milliseconds).max()
        #expect(latest ?? .max < cluster.nodes[1].wall + Self.day)
    }

    @Test("a store that is dated ahead: alone the node goes on and tells, hourly; of several it refuses")
    func stored() {
        let node = CoreUnderTest()
        let ann = node.enter("ann")
        node.settle()
        node.core.clock.observe(HybridTimestamp(milliseconds: node.now + 2 * Self.year), wall: 0, limit: .max)
        node.turn(.tick)
        guard case .clockAhead(let lead, refuses: false)? = node.reports.last else {
            Issue.record("\(node.reports)")
            return
        }
        #expect(lead > 2 * Self.year - Self.day)
        node.say(ann, "goes on", ref: "r")
        node.settle()
        #expect(node.words(ann).last == "ack r")
        #expect(node.core.counters.clock == .ahead(node.core.counters.clockLead, refuses: false))
        for _ in 0..<130 {
            node.now += 60_000
            node.turn(.tick)
        }
        #expect(node.reports.count { if case .clockAhead = $0 { true } else { false } } == 3)

        let cluster = Self.started(2)
        cluster.nodes[0].core.clock.observe(
            HybridTimestamp(milliseconds: cluster.nodes[0].wall + Self.year), wall: 0, limit: .max)
        cluster.run(1)
        let bob = cluster.enter(0, "bob")
        cluster.send(0, bob, .say("no"), ref: "r")
        #expect(cluster.nodes[0].shown.last?.body == "clock out of bounds")
        #expect(cluster.count(0) { if case .clockAhead(_, refuses: true) = $0 { true } else { false } } == 1)
    }

    @Test("a store that has no dates left is not written, and nothing is placed that it could not take")
    func spent() {
        let node = CoreUnderTest(systemEvents: .off)
        let ann = node.enter("ann")
        node.core.clock.observe(.last, wall: HybridTimestamp.last.milliseconds, limit: .max)
        node.turn(.tick)
        for round in 0..<5 { node.say(ann, "x", ref: Text("\(round)")) }
        node.settle()
        #expect(node.words(ann).suffix(5) == (0..<5).map { "error clock out of bounds \($0)" })
        #expect(node.core.counters.batchesFailed == 0 && node.batches.isEmpty)
    }

    @Test("nothing is dropped for its age by a clock that is far off")
    func retention() {
        let cluster = CoreCluster(2, retention: 10 * Self.day)
        cluster.start()
        let ann = cluster.enter(0, "ann")
        cluster.send(0, ann, .say("kept"), ref: "r")
        cluster.run(20)
        cluster.nodes[0].wall += 2 * Self.year
        cluster.run(200)
        #expect((try? cluster.nodes[0].reader.history(room: "lobby", before: nil, limit: 9))?.count == 1)
        #expect(cluster.nodes[0].core.counters.pruned == 0)
    }

    @Test("an answer stands behind a question of a clock that is hours ahead; of one too far ahead the ack says so")
    func after() {
        let node = CoreUnderTest(systemEvents: .off)
        let ann = node.enter("ann")
        func question(_ milliseconds: UInt64) -> Position {
            Position(
                timestamp: HybridTimestamp(milliseconds: node.now + milliseconds),
                dot: Dot(replica: ReplicaID(rawValue: 9), seq: 1))
        }
        let near = question(3 * 3_600_000)
        node.send(ann, .say("a", after: near), ref: "r")
        node.settle()
        let acks = node.shown(ann).filter { $0.type == "ack" }
        #expect(acks.last.flatMap(\.position).map { near < $0 } == true)
        #expect(acks.last?.isAfter == nil)
        let far = question(25 * 3_600_000)
        node.send(ann, .say("b", after: far), ref: "s")
        node.settle()
        let ack = node.shown(ann).last { $0.type == "ack" }
        #expect(ack?.position.map { far < $0 } == false)
        #expect(ack?.isAfter == false)
    }
}
