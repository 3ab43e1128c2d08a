import ConvergeCRDT
import ConvergeGossip
import ConvergeStorage
import ConvergeWire
import Testing

@testable import ConvergeNode

@Suite("Cores that are linked")
struct NodeCorePeerTests {
    private static func started(_ count: Int, systemEvents: SystemEvents = .off) -> CoreCluster {
        let cluster = CoreCluster(count, systemEvents: systemEvents)
        cluster.start()
        return cluster
    }

    @Test("they find each other by their seeds, and have one link a pair")
    func links() {
        let cluster = Self.started(3)
        #expect(cluster.nodes.allSatisfy { $0.core.links.peers.count == 2 })
    }

    @Test("what is said on one node is shown on the other, once, and after it is stored there")
    func crosses() {
        let cluster = Self.started(2)
        let ann = cluster.enter(0, "ann")
        _ = cluster.enter(1, "bob")
        cluster.holds = [1]
        cluster.send(0, ann, .say("hello"))
        #expect(cluster.bodies(0) == ["hello"])
        #expect(cluster.bodies(1).isEmpty)
        cluster.release(1)
        #expect(cluster.bodies(1) == ["hello"])
        cluster.run(20)
        #expect(cluster.bodies(1) == ["hello"])
        #expect(cluster.nodes.allSatisfy { $0.early.isEmpty })
    }

    @Test("users of a room are those of all nodes")
    func users() {
        let cluster = Self.started(2)
        let ann = cluster.enter(0, "ann")
        _ = cluster.enter(1, "bob")
        cluster.run(2)
        cluster.send(0, ann, .users(UsersCommand()))
        #expect(cluster.nodes[0].shown.last?.users?.sorted() == ["ann", "bob"])
    }

    @Test("joined is told once in history, whichever node hears of it")
    func joined() {
        let cluster = Self.started(2, systemEvents: .stored)
        _ = cluster.enter(0, "ann")
        cluster.run(30)
        let entries = cluster.nodes.map { (try? $0.reader.history(room: "lobby", before: nil, limit: 100))?.count }
        #expect(entries == [1, 1])
    }

    @Test("an ack that wants two copies comes when the second node has stored it, and says two")
    func copies() {
        let cluster = Self.started(2)
        let ann = cluster.enter(0, "ann")
        cluster.holds = [1]
        let command = MessageCommand(body: Array("x".utf8), copies: 2)
        cluster.send(0, ann, .message(command), ref: "r")
        #expect(!cluster.nodes[0].shown.contains { $0.type == "ack" })
        cluster.release(1)
        #expect(cluster.nodes[0].shown.count { $0.type == "ack" && $0.ref == "r" } == 1)
        #expect(cluster.nodes[0].core.copies.isEmpty)
    }

    @Test("a repeat that wants copies is told how many there are, on the node that has it and on another")
    func copiesOfRepeat() {
        let cluster = Self.started(2)
        let sessions = [cluster.enter(0, "ann"), cluster.enter(1, "ann")]
        let command = MessageCommand(body: [120], key: "k", copies: 2)
        cluster.send(0, sessions[0], .message(command), ref: "first")
        cluster.run(30)
        func copies(_ node: Int, _ ref: String) -> [Int?] {
            cluster.nodes[node].shown.filter { $0.type == "ack" && $0.ref == ref }.map(\.copies)
        }
        #expect(copies(0, "first") == [2])
        for (node, session) in sessions.enumerated() {
            cluster.send(node, session, .message(command), ref: "again")
            cluster.run(5)
            #expect(copies(node, "again") == [2])
        }
        // Nobody else has it: told when the time is over.
        cluster.separate(0, 1)
        let alone = MessageCommand(body: [121], key: "l", copies: 2)
        cluster.send(0, sessions[0], .message(alone), ref: "lonely")
        cluster.send(0, sessions[0], .message(alone), ref: "lonely again")
        cluster.run(40)
        #expect(copies(0, "lonely again").isEmpty)
        cluster.run(20)
        #expect(copies(0, "lonely") == [1] && copies(0, "lonely again") == [1])
        #expect(cluster.nodes[0].core.copies.isEmpty)
    }

    @Test("an ack whose second copy doesn't come goes out when its time is over")
    func copiesMissing() {
        let cluster = Self.started(2)
        let ann = cluster.enter(0, "ann")
        cluster.separate(0, 1)
        cluster.send(0, ann, .message(MessageCommand(body: [120], copies: 2)), ref: "r")
        cluster.run(40)
        #expect(!cluster.nodes[0].shown.contains { $0.type == "ack" })
        cluster.run(20)
        #expect(cluster.nodes[0].shown.contains { $0.type == "ack" })
    }

    @Test("what was said on two sides of a cut is on both after it, in one order")
    func heals() {
        let cluster = Self.started(2)
        let (ann, bob) = (cluster.enter(0, "ann"), cluster.enter(1, "bob"))
        cluster.separate(0, 1)
        for number in 0..<5 {
            cluster.send(0, ann, .say("a\(number)"))
            cluster.send(1, bob, .say("b\(number)"))
            cluster.run(1)
        }
        cluster.join(0, 1)
        cluster.run(120)
        let orders = cluster.nodes.map {
            ((try? $0.reader.history(room: "lobby", before: nil, limit: 100)) ?? []).map(\.dot)
        }
        #expect(orders[0].count == 10 && orders[0] == orders[1])
        #expect(cluster.nodes.allSatisfy { $0.early.isEmpty })
    }

    @Test("a redaction crosses: the payload is gone on both nodes, the entry is not")
    func redaction() {
        let cluster = Self.started(2)
        let ann = cluster.enter(0, "ann")
        cluster.send(0, ann, .say("secret"))
        let target = Dot(replica: cluster.replica(0), seq: 1)
        cluster.turn(0, .redact(target, room: "lobby"))
        cluster.run(5)
        for node in cluster.nodes {
            let entry = (try? node.reader.entries(of: target.replica, from: 1, limit: 1))?.first
            #expect(entry?.flags.contains(.redacted) == true)
        }
    }

    @Test("an entry of a kind that this build doesn't know is stored, passed on and never shown")
    func unknownKind() {
        let cluster = Self.started(3)
        cluster.separate(0, 2)
        cluster.run(3)
        let stranger = ReplicaID(rawValue: 0xFFFF)
        var entry = Entry(
            dot: Dot(replica: stranger, seq: 1), timestamp: HybridTimestamp(milliseconds: cluster.nodes[0].wall),
            kind: EntryKind(rawValue: 77), room: "lobby", payload: [1, 2, 3])
        entry.hash = EntryChain().hash(after: .zero, entry)
        let frame = PeerFrame.entries([entry], wantsStored: false).encoded()
        // As if node 0 had it from somewhere, and told node 1.
        guard let link = cluster.nodes[1].core.links.link(to: cluster.replica(0)) else {
            Issue.record("not linked")
            return
        }
        cluster.turn(1, .link(link, .received(frame)))
        cluster.run(60)
        for node in cluster.nodes {
            let stored = (try? node.reader.entries(of: stranger, from: 1, limit: 1))?.first
            #expect(stored?.payload == [1, 2, 3])
            #expect(node.shown.isEmpty)
        }
    }

    @Test("a node whose peer knows more of its log goes on under a new identity, once, and is linked under it")
    func renewed() {
        let cluster = Self.started(2)
        let old = cluster.replica(0)
        guard let link = cluster.nodes[0].core.links.link(to: cluster.replica(1)) else {
            Issue.record("not linked")
            return
        }
        let digest = PeerDigest(
            heads: [HeadDigest(dot: Dot(replica: old, seq: 9), hash: 1)], floors: [], direct: [], presence: [],
            wall: cluster.nodes[0].wall)
        let frame = PeerFrame.digest(digest).encoded()
        cluster.turn(0, .link(link, .received(frame)))
        // While the store is being opened anew it hears so again.
        cluster.turn(0, .link(link, .received(frame)))
        cluster.run(80)
        #expect(cluster.replica(0) != old)
        #expect(cluster.nodes[0].core.counters.identitiesRenewed == 1)
        #expect(cluster.nodes[1].core.links.link(to: cluster.replica(0)) != nil)
        let ann = cluster.enter(0, "ann")
        cluster.send(0, ann, .say("again"))
        cluster.run(5)
        #expect(cluster.nodes[1].vector[cluster.replica(0)] == 1)
        #expect(cluster.count(0) { $0 == .identityRenewed(.foreign) } == 1)
    }

    /// Somebody says to node 0 on a link of their own that they are this process of this replica.
    private static func greet(_ cluster: CoreCluster, link: UInt64, as replica: ReplicaID, boot: UInt64) {
        let hello = PeerHello(
            lowestVersion: 1, highestVersion: 1, cluster: "c", replica: replica, boot: boot, process: 99,
            name: "x", address: "x:1", wall: cluster.nodes[0].wall, incarnation: 0)
        cluster.turn(0, .link(LinkID(rawValue: link), .opened(dialled: nil)))
        cluster.turn(0, .link(LinkID(rawValue: link), .received(PeerFrame.hello(hello).encoded())))
    }

    /// And that it is node 0's own replica, of which they were started first.
    private static func claim(_ cluster: CoreCluster, link: UInt64) {
        greet(cluster, link: link, as: cluster.replica(0), boot: 0)
        cluster.run(5)
    }

    @Test("whoever claims a node's replica again and again gets it to renew once in five minutes, and not more")
    func claimed() {
        let cluster = Self.started(2)
        for number in 0..<20 { Self.claim(cluster, link: UInt64(1_001 + number)) }
        #expect(cluster.nodes[0].core.counters.identitiesRenewed == 1)
        #expect(cluster.count(0) { $0 == .identityRenewed(.twin) } == 1)
        #expect(cluster.count(0) { $0 == .renewalDoubted } == 19)
        cluster.clock += 300_000
        Self.claim(cluster, link: 2_001)
        #expect(cluster.nodes[0].core.counters.identitiesRenewed == 2)
    }

    @Test("of two links to one process, as when both have dialled, the log has one, which side ever ends the other")
    func linkedOnce() {
        let cluster = Self.started(1)
        let peer = ReplicaID(rawValue: 1)
        func linked() -> Int { cluster.count(0) { if case .peerLinked = $0 { true } else { false } } }
        func lost() -> Int { cluster.count(0) { if case .peerUnlinked = $0 { true } else { false } } }
        for link in [1_001, 1_002, 1_003] as [UInt64] { Self.greet(cluster, link: link, as: peer, boot: 1) }
        #expect(linked() == 1 && lost() == 0)
        let replaced = PeerFrame.refused(.duplicate).encoded()
        cluster.turn(0, .link(LinkID(rawValue: 1_003), .received(replaced)))
        Self.greet(cluster, link: 1_004, as: peer, boot: 1)
        cluster.run(60)
        #expect(linked() == 1 && lost() == 0)
        cluster.turn(0, .link(LinkID(rawValue: 1_004), .received(replaced)))
        cluster.run(60)
        #expect(linked() == 1 && lost() == 1)
    }

    @Test("endless frames of unknown kinds before a hello close the link at the first")
    func unknownFrames() {
        let cluster = Self.started(2)
        let link = LinkID(rawValue: 1_001)
        cluster.turn(0, .link(link, .opened(dialled: nil)))
        for _ in 0..<10 {
            cluster.turn(0, .link(link, .received((0..<1_000).flatMap { _ in [1, 0x7F] as [UInt8] })))
        }
        #expect(cluster.nodes[0].core.counters.unknownPeerFrames == 1)
        #expect(cluster.nodes[0].core.counters.peerViolations == 1)
    }

    @Test(
        "who calls itself by a number that is no replica's is refused, and believed in nothing",
        arguments: [0, UInt64.max])
    func nobody(_ number: UInt64) {
        let cluster = Self.started(2)
        let own = cluster.replica(0)
        for round in 0..<5 as Range<UInt64> {
            let link = LinkID(rawValue: 2_000 + round)
            let hello = PeerHello(
                lowestVersion: 1, highestVersion: 1, cluster: cluster.nodes[0].core.options.cluster!.name,
                replica: ReplicaID(rawValue: number), boot: round, process: 77 + round, name: "x", address: "",
                wall: cluster.nodes[0].wall, incarnation: 1)
            let digest = PeerDigest(
                heads: [HeadDigest(dot: Dot(replica: own, seq: 1_000_000), hash: 1)], floors: [], direct: [],
                presence: [], wall: cluster.nodes[0].wall)
            cluster.turn(0, .link(link, .opened(dialled: nil)))
            cluster.turn(0, .link(link, .received(PeerFrame.hello(hello).encoded())))
            cluster.turn(0, .link(link, .received(PeerFrame.digest(digest).encoded())))
            cluster.run(5)
        }
        #expect(cluster.replica(0) == own)
        #expect(cluster.nodes[0].core.counters.identitiesRenewed == 0)
        #expect(cluster.nodes[0].core.counters.peerViolations == 5)
        #expect(cluster.nodes[0].core.links.peers.map(\.replica) == [cluster.replica(1)])
    }

    @Test("a clock a day off refuses writes; mended, it takes them again")
    func skew() {
        let cluster = CoreCluster(2)
        cluster.nodes[0].wall += 3 * 86_400_000
        cluster.start()
        let ann = cluster.enter(0, "ann")
        cluster.send(0, ann, .say("x"), ref: "r")
        #expect(cluster.nodes[0].shown.last?.type == "error")
        #expect(cluster.count(0) { if case .clockSkewed = $0 { true } else { false } } == 1)
        cluster.nodes[0].wall = cluster.nodes[1].wall
        // Something has to differ, or nobody tells the time.
        _ = cluster.enter(1, "bob")
        cluster.run(40)
        cluster.send(0, ann, .say("y"), ref: "s")
        #expect(cluster.count(0) { $0 == .clockMended } == 1)
        #expect(cluster.bodies(0) == ["y"])
    }

    @Test("bytes that are no frame close the link, and it comes again")
    func garbage() {
        let cluster = Self.started(2)
        guard let link = cluster.nodes[0].core.links.link(to: cluster.replica(1)) else {
            Issue.record("not linked")
            return
        }
        cluster.turn(0, .link(link, .received([UInt8](repeating: 0xFF, count: 64))))
        #expect(cluster.nodes[0].core.links.link(to: cluster.replica(1)) == nil)
        #expect(cluster.nodes[0].core.counters.peerViolations == 1)
        cluster.run(100)
        #expect(cluster.nodes[0].core.links.link(to: cluster.replica(1)) != nil)
    }

    @Test("what is pushed to several is encoded once")
    func pushedOnce() throws {
        let cluster = Self.started(3)
        let ann = cluster.enter(0, "ann")
        cluster.run(5)
        var pushes: [(link: LinkID, bytes: [UInt8])] = []
        cluster.onTurn = { index, effects in
            for case .send(let link, let bytes, _) in effects where index == 0 && bytes.count > 100 {
                pushes.append((link, bytes))
            }
        }
        cluster.send(0, ann, .say(String(repeating: "x", count: 200)))
        try #require(pushes.count == 2)
        #expect(pushes[0].link != pushes[1].link && pushes[0].bytes == pushes[1].bytes)
        let places = pushes.map { push in push.bytes.withUnsafeBytes { UInt(bitPattern: $0.baseAddress) } }
        #expect(places[0] == places[1])
        cluster.onTurn = nil
        cluster.run(1)
        let ends = cluster.nodes.map { $0.vector[cluster.replica(0)] }
        #expect(ends[1] == ends[0] && ends[2] == ends[0])
    }
}
