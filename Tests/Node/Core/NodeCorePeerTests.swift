import ConvergeCRDT
import ConvergeGossip
import ConvergeStorage
import ConvergeWire
import Testing

@testable import ConvergeNode

/// Some cores that are wired by hand: each with a store in memory, links that carry bytes at once, and loops that show
/// frames. Batches wait while `holds` names their node.
final class CoreCluster {
    final class Node {
        var core: NodeCore
        let store = MemoryStore()
        var writer: (any StoreWriter)?
        var wall: UInt64 = 1_700_000_000_000
        var held: [CoreEvent] = []
        var shown: [ShownFrame] = []
        var reports: [CoreReport] = []
        var early: [Dot] = []
        var opens: UInt64 = 0
        var reader: any StoreReader {
            do throws(StoreError) { return try store.openReader() } catch { preconditionFailure("\(error)") }
        }
        var vector: VersionVector { core.position }

        init(_ core: consuming NodeCore) { self.core = core }
    }

    private(set) var nodes: [Node] = []
    var holds: Set<Int> = []
    var clock: UInt64 = 1_000
    private var queue: [(node: Int, event: CoreEvent)] = []
    private var ends: [[UInt64]: (node: Int, link: UInt64)] = [:]
    private var cut: Set<[Int]> = []
    private var lastLink: UInt64 = 0
    private var slots: UInt32 = 0

    init(_ count: Int, systemEvents: SystemEvents = .off) {
        for index in 0..<count {
            var options = CoreOptions(
                nodeName: Text("n\(index)"), loopCount: 1, saveBuffer: 64, historyLimit: 200,
                systemEvents: systemEvents, frameSeed: UInt64(index + 1))
            options.cluster = ClusterOptions(
                name: "c", address: Text("\(index)"), seeds: (0..<count).map { Text("\($0)") },
                process: UInt64(index + 1), seed: UInt64(index + 1))
            nodes.append(Node(NodeCore(options)))
        }
    }

    func start() {
        for index in nodes.indices {
            var effects: [CoreEffect] = []
            nodes[index].core.start(into: &effects)
            perform(effects, index)
        }
        run(10)
    }

    /// Carries out what is under way, with so many ticks of 100 ms.
    func run(_ ticks: Int) {
        settle()
        for _ in 0..<ticks {
            clock += 100
            for index in nodes.indices {
                nodes[index].wall += 100
                queue.append((index, .tick))
            }
            settle()
        }
    }

    func release(_ index: Int) {
        holds.remove(index)
        let events = nodes[index].held
        nodes[index].held = []
        for event in events { queue.append((index, event)) }
        settle()
    }

    private func settle() {
        var rounds = 0
        while !queue.isEmpty, rounds < 100_000 {
            let (index, event) = queue.removeFirst()
            turn(index, event)
            rounds += 1
        }
    }

    func turn(_ index: Int, _ event: CoreEvent) {
        let node = nodes[index]
        var effects: [CoreEffect] = []
        node.core.turn(monotonic: clock)
        node.core.handle(event, at: node.wall, into: &effects)
        node.core.endTurn(at: node.wall, into: &effects)
        perform(effects, index)
    }

    // MARK: Links

    func separate(_ a: Int, _ b: Int) {
        cut.insert([min(a, b), max(a, b)])
        for (key, other) in ends where key[0] == UInt64(a) && other.node == b {
            ends[key] = nil
            ends[[UInt64(b), other.link]] = nil
            queue.append((a, .link(LinkID(rawValue: key[1]), .closed)))
            queue.append((b, .link(LinkID(rawValue: other.link), .closed)))
        }
        settle()
    }

    func join(_ a: Int, _ b: Int) { cut.remove([min(a, b), max(a, b)]) }

    private func dial(_ index: Int, _ address: Text) {
        guard let to = Int(address.string), nodes.indices.contains(to), !cut.contains([min(index, to), max(index, to)])
        else {
            queue.append((index, .dialFailed(address)))
            return
        }
        lastLink += 2
        let (mine, theirs) = (lastLink, lastLink + 1)
        ends[[UInt64(index), mine]] = (to, theirs)
        ends[[UInt64(to), theirs]] = (index, mine)
        queue.append((index, .link(LinkID(rawValue: mine), .opened(dialled: address))))
        queue.append((to, .link(LinkID(rawValue: theirs), .opened(dialled: nil))))
    }

    // MARK: Sessions

    func enter(_ index: Int, _ user: Text) -> SessionID {
        slots += 1
        let id = SessionID(loop: 0, slot: slots, generation: 1)
        turn(index, .session(id, .entered(user: user, displayName: user, room: "lobby")))
        settle()
        return id
    }

    func send(_ index: Int, _ session: SessionID, _ command: ClientCommand, ref: Text? = nil) {
        turn(index, .session(session, .command(ref: ref, command)))
        settle()
    }

    // MARK: Effects

    private func perform(_ effects: [CoreEffect], _ index: Int) {
        let node = nodes[index]
        for effect in effects {
            switch effect {
            case .openStore(_, let held, let renew):
                node.opens += 1
                let start = WriterStart(
                    freshReplica: ReplicaID(rawValue: UInt64(index + 1) << 8 | node.opens), machine: "m",
                    machineBoot: "b", nodeName: "n", held: held, renew: renew)
                work(index) { () throws(StoreError) in
                    let (writer, recovered) = try node.store.openWriter(start)
                    node.writer = writer
                    return .opened(recovered)
                }
            case .commit(let batch):
                let writer = node.writer
                work(index) { () throws(StoreError) in
                    try writer?.append(batch)
                    return .committed
                }
            case .prune(let old):
                let writer = node.writer
                work(index) { () throws(StoreError) in
                    guard let writer else { throw .failed("closed") }
                    return .pruned(try writer.prune(old))
                }
            case .read(.range(let ticket, let ranges, let bytes)):
                let reader = node.reader
                do throws(StoreError) {
                    queue.append((index, .rangeRead(ticket: ticket, .success(try reader.range(ranges, limit: bytes)))))
                } catch {
                    queue.append((index, .rangeRead(ticket: ticket, .failure(error))))
                }
            case .read(.attendance(let keys)): queue.append((index, .attendanceRead(keys, .success([]))))
            case .read(.keys(let ids)):
                queue.append((index, .keysFound(ids, .success((try? node.reader.positions(of: ids)) ?? [:]))))
            case .read, .stage, .install, .reload, .closeSessions, .finished: break
            case .dial(let address): dial(index, address)
            case .send(let link, let bytes, bulk: _):
                if let end = ends[[UInt64(index), link.rawValue]] {
                    queue.append((end.node, .link(LinkID(rawValue: end.link), .received(bytes))))
                }
            case .closeLink(let link):
                if let end = ends.removeValue(forKey: [UInt64(index), link.rawValue]) {
                    ends[[UInt64(end.node), end.link]] = nil
                    queue.append((end.node, .link(LinkID(rawValue: end.link), .closed)))
                }
            case .deliver(let batch, _):
                for record in batch.records {
                    let bytes = batch.bytes(of: record)
                    if let frame = bytes.isEmpty ? nil : ShownFrame(bytes) { node.shown.append(frame) }
                    if let dot = record.dot,
                        (try? node.reader.entries(of: dot.replica, from: dot.seq, limit: 1).first)??.dot != dot
                    {
                        node.early.append(dot)
                    }
                }
            case .report(let report): node.reports.append(report)
            }
        }
    }

    /// The writer's work is done when the node is not held, and then told.
    private func work(_ index: Int, _ body: () throws(StoreError) -> StoreEvent) {
        var event: StoreEvent
        do throws(StoreError) { event = try body() } catch { event = .failed(error) }
        if case .committed = event, holds.contains(index) {
            nodes[index].held.append(.store(event))
        } else {
            queue.append((index, .store(event)))
        }
    }

    // MARK: Looking

    func bodies(_ index: Int) -> [String] { nodes[index].shown.filter { $0.type == "message" }.map(\.body) }
    func count(_ index: Int, _ matches: (CoreReport) -> Bool) -> Int { nodes[index].reports.count(where: matches) }
    func replica(_ index: Int) -> ReplicaID { nodes[index].core.replicas[0] }
}

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
        cluster.send(0, ann, .users(room: nil, detail: false, limit: nil))
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
}
