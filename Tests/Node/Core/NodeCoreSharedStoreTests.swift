// Nodes that write one database, with links between them and without.

import ConvergeCRDT
import ConvergeStorage
import ConvergeWire
import Testing

@testable import ConvergeNode

@Suite("Cores that share a database", .enabled(if: SharedTestDatabase.server != nil, "no server to test on"))
struct NodeCoreSharedStoreTests {
    /// Straight, and through PgBouncer where there is one.
    static let ways = SharedTestDatabase.pooler == nil ? [false] : [false, true]

    private func elements(_ cores: SharedCores, _ index: Int) -> [Text] {
        let set = DocumentID(room: "lobby", kind: .orSet, name: "set")
        guard case .list(let elements) = cores.nodes[index].core.documents.value(of: set) else { return [] }
        return elements
    }

    @Test("nodes without links converge through it: each shows what the others wrote, once", arguments: ways)
    func withoutLinks(pooled: Bool) throws {
        let cores = try SharedCores(["one", "two", "three"], isLinked: false, pooled: pooled)
        let sessions = (0..<3).map { cores.enter($0, Text("u\($0)")) }
        for round in 0..<4 {
            for index in 0..<3 {
                cores.send(index, sessions[index], .say("\(index)/\(round)"))
                cores.send(
                    index, sessions[index],
                    .write(DocumentWriteCommand(.orSet, doc: "set", .init(.add, key: Text("\(index)/\(round)")))))
                cores.send(
                    index, sessions[index],
                    .write(DocumentWriteCommand(.counter, doc: "n", .init(.increment, amount: 1))))
            }
            cores.run(1)
        }
        cores.send(0, sessions[0], .write(DocumentWriteCommand(.orSet, doc: "set", .init(.remove, key: "1/0"))))
        cores.run(6)
        let all = (0..<3).flatMap { index in (0..<4).map { "\(index)/\($0)" } }
        for index in 0..<3 {
            #expect(cores.bodies(index).sorted() == all)
            #expect(elements(cores, index).map(\.string) == all.filter { $0 != "1/0" })
            let counter = DocumentID(room: "lobby", kind: .counter, name: "n")
            #expect(cores.nodes[index].core.documents.value(of: counter) == .number(12))
            #expect(cores.nodes[index].dots.values.allSatisfy { $0 == 1 })
            #expect(cores.nodes[index].core.position == cores.nodes[0].core.position)
        }
        let history = cores.history()
        #expect(history.count == 12)
        #expect(zip(history, history.dropFirst()).allSatisfy { $0.position < $1.position })
    }

    @Test("what peers push is not read from it as well, nor written once more", arguments: ways)
    func withLinks(pooled: Bool) throws {
        let cores = try SharedCores(["one", "two"], isLinked: true, pooled: pooled)
        let sessions = (0..<2).map { cores.enter($0, Text("u\($0)")) }
        for number in 0..<20 {
            cores.send(number % 2, sessions[number % 2], .say("\(number)"))
            cores.run(number % 5 == 0 ? 1 : 0)
        }
        cores.run(8)
        for node in cores.nodes {
            #expect(node.core.position.components.map(\.seq) == [10, 10])
            #expect(node.sharedReads == 0)
            #expect(node.dots.count == 20 && node.dots.values.allSatisfy { $0 == 1 })
            #expect(node.core.links.peers.count == 1)
        }
    }

    @Test("users of nodes that are cut off have not left, until their node has gone", arguments: ways)
    func attendance(pooled: Bool) throws {
        let cores = try SharedCores(["one", "two"], isLinked: true, systemEvents: .stored, pooled: pooled)
        _ = cores.enter(0, "ann")
        let bob = cores.enter(1, "bob")
        cores.run(4)
        cores.separate()
        cores.run(160)
        #expect(cores.comings() == ["ann joined", "bob joined"])
        cores.leave(1, bob)
        cores.run(4)
        #expect(cores.comings() == ["ann joined", "bob joined", "bob left"])
        _ = cores.enter(1, "cid")
        cores.run(4)
        cores.nodes[1].isDead = true
        cores.run(40)
        #expect(cores.comings() == ["ann joined", "bob joined", "bob left", "cid joined", "cid left"])
        // And it is said once.
        cores.run(40)
        #expect(cores.comings().count == 5)
    }

    @Test("the answer to a commit is lost while another node reads the entry", arguments: [true, false])
    func lostReply(isStored: Bool) throws {
        let cores = try SharedCores(["one", "two"], isLinked: true)
        let ann = cores.enter(0, "ann")
        _ = cores.enter(1, "bob")
        cores.send(0, ann, .say("before"), ref: "0")
        let replica = cores.replica(0)
        cores.nodes[0].failing = isStored ? .losesReply : .losesRequest
        cores.send(0, ann, .say("doubtful"), ref: "1")
        cores.run(12)
        #expect(cores.bodies(1).last == (isStored ? "doubtful" : "before"))
        cores.comeBack(0)
        cores.send(0, ann, .say("after"), ref: "2")
        cores.run(6)
        #expect(cores.replica(0) == replica && cores.renewals(0).isEmpty)
        let wanted = isStored ? ["before", "doubtful", "after"] : ["before", "after"]
        #expect(cores.bodies(0) == wanted && cores.bodies(1) == wanted)
        #expect(cores.history().count == wanted.count)
        let answers = cores.nodes[0].shown.filter { $0.ref == "1" }.map(\.type)
        #expect(answers == [isStored ? "ack" : "error"])
    }

    @Test("a node that the database was away from has what the others wrote, and its rooms are told")
    func away() throws {
        let cores = try SharedCores(["one", "two"], isLinked: true)
        let ann = cores.enter(0, "ann")
        let bob = cores.enter(1, "bob")
        cores.nodes[1].failing = .away
        cores.send(1, bob, .say("lost"), ref: "1")
        #expect(cores.nodes[1].shown.last?.type == "error")
        for number in 0..<5 { cores.send(0, ann, .say("\(number)")) }
        cores.run(20)
        #expect(cores.bodies(1).isEmpty)
        cores.comeBack(1)
        cores.run(4)
        #expect(cores.nodes[1].core.position == cores.nodes[0].core.position)
        #expect(cores.nodes[1].catchUps == 1)
        cores.send(1, bob, .say("here again"))
        #expect(cores.bodies(0).last == "here again")
        #expect(cores.renewals(1).isEmpty)
    }

    @Test("an answer stands behind all that its writer has read by history, though another node's clock is ahead")
    func answers() throws {
        let cores = try SharedCores(["one", "two"], isLinked: false)
        cores.nodes[0].ahead = 3_000
        let ann = cores.enter(0, "ann")
        let bob = cores.enter(1, "bob")
        for number in 0..<5 {
            cores.send(0, ann, .say("question \(number)"))
            cores.send(1, bob, .history(room: nil, limit: 10, before: nil), ref: "h")
            let read = try #require(cores.nodes[1].shown.last { $0.type == "history" }).history.compactMap(\.position)
            // Whatever is not applied there is not shown.
            #expect(read.allSatisfy { cores.nodes[1].core.position.covers($0.dot) })
            cores.send(1, bob, .say("answer \(number)"), ref: "a")
            let answer = try #require(cores.nodes[1].shown.last { $0.ref == "a" }?.position)
            #expect(read.allSatisfy { $0 < answer })
            cores.run(2)
        }
        cores.send(1, bob, .history(room: nil, limit: 10, before: nil), ref: "h")
        #expect(cores.nodes[1].shown.last { $0.type == "history" }?.history.count == 10)
    }

    @Test("the repeat of what another node has stored is answered when it is applied here, and not before")
    func repeats() throws {
        let cores = try SharedCores(["one", "two"], isLinked: false)
        cores.nodes[0].ahead = 3_000
        let ann = cores.enter(0, "ann")
        cores.send(0, ann, .say("once", key: "k"), ref: "1")
        let first = try #require(cores.nodes[0].shown.last { $0.ref == "1" }?.position)
        let again = cores.enter(1, "ann")
        cores.nodes[1].failing = .hidesNews
        cores.send(1, again, .say("once", key: "k"), ref: "2")
        cores.send(1, again, .say("next"), ref: "3")
        cores.run(8)
        #expect(!cores.nodes[1].shown.contains { $0.ref == "2" || $0.ref == "3" })
        cores.nodes[1].failing = nil
        cores.run(2)
        #expect(cores.nodes[1].shown.last { $0.ref == "2" }?.position == first)
        let next = try #require(cores.nodes[1].shown.last { $0.ref == "3" }?.position)
        #expect(first < next)
        #expect(cores.nodes[1].core.position.covers(first.dot) && cores.history().count == 2)

        // Not for ever.
        cores.nodes[1].failing = .hidesNews
        cores.send(0, ann, .say("other", key: "l"))
        cores.send(1, again, .say("other", key: "l"), ref: "4")
        cores.run(19)
        #expect(!cores.nodes[1].shown.contains { $0.ref == "4" })
        cores.run(2)
        #expect(cores.nodes[1].shown.last { $0.ref == "4" }?.body == "storage unavailable")
    }

    @Test(
        "documents are read, and rooms changed, while the word that this node lives has no answer and nobody knows its outcome"
    )
    func beats() throws {
        let cores = try SharedCores(["one"], isLinked: false)
        let ann = cores.enter(0, "ann")
        cores.send(0, ann, .write(DocumentWriteCommand(.orSet, doc: "set", .init(.add, key: "x"))))
        cores.nodes[0].failing = .keepsReply
        cores.run(10)
        #expect(cores.nodes[0].isWaiting)
        func read(_ ref: Text) -> [String]? {
            cores.send(0, ann, .read(.init(.orSet, doc: "set")), ref: ref)
            return cores.nodes[0].shown.last { $0.ref == ref.string }?.items
        }
        #expect(read("on its way") == ["x"])
        cores.send(0, ann, .join(room: "other"), ref: "j")
        cores.send(0, ann, .join(room: "lobby"), ref: "k")
        #expect(cores.nodes[0].shown.last?.ref == "k")
        cores.loseReply(0)
        #expect(read("in doubt") == ["x"])
        cores.run(40)
        #expect(read("away") == ["x"])
        cores.comeBack(0)
        cores.send(0, ann, .write(DocumentWriteCommand(.orSet, doc: "set", .init(.add, key: "y"))), ref: "w")
        #expect(cores.nodes[0].shown.last { $0.ref == "w" }?.type == "ack")
        #expect(read("back") == ["x", "y"] && cores.renewals(0).isEmpty)
    }

    @Test(
        "of two processes with one name the older goes on under another identity, though nobody writes", arguments: ways
    )
    func fenced(pooled: Bool) throws {
        let cores = try SharedCores(["same", "same"], isLinked: false, pooled: pooled)
        cores.run(12)
        #expect(cores.renewals(0) == [.fenced] && cores.renewals(1).isEmpty)
        #expect(cores.replica(0) != cores.replica(1))
        let sessions = (0..<2).map { cores.enter($0, Text("u\($0)")) }
        for index in 0..<2 { cores.send(index, sessions[index], .say("\(index)")) }
        cores.run(6)
        for index in 0..<2 { #expect(cores.bodies(index).sorted() == ["0", "1"]) }
    }

    @Test("when the database goes back in time all go on under new identities, with what it has")
    func failover() throws {
        let cores = try SharedCores(["one", "two"], isLinked: true)
        let ann = cores.enter(0, "ann")
        let bob = cores.enter(1, "bob")
        cores.send(1, bob, .say("kept too"))
        cores.send(0, ann, .say("kept"))
        cores.send(0, ann, .say("lost"))
        cores.run(2)
        let replicas = [cores.replica(0), cores.replica(1)]
        try cores.database.execute("DELETE FROM converge_entry WHERE seq = 2")
        try cores.database.execute(
            """
            UPDATE converge_replica AS r SET head = 1, hash = e.hash FROM converge_entry AS e
            WHERE r.head = 2 AND e.replica = r.replica AND e.seq = 1
            """)
        cores.run(40)
        #expect(cores.renewals(0) == [.behind] && cores.renewals(1) == [.behind])
        #expect(cores.replica(0) != replicas[0] && cores.replica(1) != replicas[1])
        let left = VersionVector(replicas.map { Dot(replica: $0, seq: 1) })
        #expect(cores.nodes.allSatisfy { $0.setBacks == [left] })
        cores.send(0, ann, .say("again"))
        cores.run(12)
        #expect(cores.bodies(1).last == "again")
        #expect(cores.nodes[0].core.position == cores.nodes[1].core.position)
        #expect(cores.history().count == 3)
    }

    @Test("a node behind the database's floor reads it whole, and its rooms are told")
    func belowFloor() throws {
        let cores = try SharedCores(["one", "two"], isLinked: false)
        let ann = cores.enter(0, "ann")
        let bob = cores.enter(1, "bob")
        cores.nodes[1].isDead = true
        for number in 0..<5 {
            cores.send(0, ann, .write(DocumentWriteCommand(.orSet, doc: "set", .init(.add, key: Text("\(number)")))))
        }
        let fold = Pruning(
            entriesBefore: .zero, keysBefore: .zero, foldThrough: cores.nodes[0].core.position, limit: 100)
        #expect(try cores.nodes[0].writer?.prune(fold).dropped == 5)
        cores.nodes[1].isDead = false
        cores.run(8)
        #expect(cores.nodes[1].core.position == cores.nodes[0].core.position)
        #expect(elements(cores, 1).count == 5)
        #expect(cores.nodes[1].catchUps == 1)
        #expect(cores.renewals(1).isEmpty)
        cores.send(1, bob, .say("here"))
        cores.run(3)
        #expect(cores.bodies(0) == ["here"])
    }
}

@Suite("What a node knows of others that write its store")
struct SharedStoreTests {
    private let a = ReplicaID(rawValue: 1)
    private let b = ReplicaID(rawValue: 2)

    private func heads(_ counts: (ReplicaID, Int64)...) -> StoreHeads {
        StoreHeads(
            ends: [], floors: VersionVector(), beats: counts.map { StoreHeads.Beat(replica: $0.0, count: $0.1) })
    }

    @Test("a writer whose count stands still is gone after so many answers, and back when it moves")
    func lives() {
        var shared = SharedStore()
        shared.opened(
            Recovered(
                replica: a, boot: 1, vector: VersionVector([Dot(replica: a, seq: 1), Dot(replica: b, seq: 1)]),
                isShared: true), at: 0)
        #expect(shared.live == [a, b])
        var lost: [Bool] = []
        for answer in 0..<Int64(SharedStore.patience + 2) {
            let told = shared.answered(heads((a, answer), (b, 7)), applied: VersionVector(), at: 0)
            lost.append(told.lost)
        }
        #expect(lost == Array(repeating: false, count: SharedStore.patience) + [true, false])
        #expect(shared.live == [a])
        // The store being away finds nobody gone.
        for _ in 0..<99 { _ = shared.answered(nil, applied: VersionVector(), at: 0) }
        #expect(shared.live == [a])
        #expect(!shared.answered(heads((a, 99), (b, 8)), applied: VersionVector(), at: 0).lost)
        #expect(shared.live == [a, b])
    }

    @Test("it is asked one question at a time, and sooner while it brings news")
    func pace() {
        var shared = SharedStore()
        let nobody = shared.look(at: 0, position: VersionVector())
        #expect(!nobody)
        shared.opened(Recovered(replica: a, boot: 1, isShared: true), at: 1_000)
        let times = [1_000, 1_100].map { shared.look(at: $0, position: VersionVector()) }
        #expect(times == [true, false])
        var news = heads((a, 1))
        news.ends = [LogEnd(dot: Dot(replica: b, seq: 4), hash: .zero)]
        _ = shared.answered(news, applied: VersionVector(), at: 2_000)
        #expect([2_249, 2_250].map { shared.look(at: $0, position: VersionVector()) } == [false, true])
        _ = shared.answered(news, applied: VersionVector([Dot(replica: b, seq: 4)]), at: 3_000)
        #expect([3_499, 3_500].map { shared.look(at: $0, position: VersionVector()) } == [false, true])
        let older = shared.answered(heads((a, 1)), applied: VersionVector(), at: 4_000).older
        #expect(!older)
        // Somebody waits for what is there; also where a look is under way that may have been too early.
        shared.hurry()
        #expect([4_001, 4_021].map { shared.look(at: $0, position: VersionVector()) } == [true, false])
        shared.hurry()
        _ = shared.answered(heads((a, 1)), applied: VersionVector(), at: 4_022)
        #expect([4_020, 4_021, 4_022].map { shared.look(at: $0, position: VersionVector()) } == [false, true, false])
        _ = shared.answered(heads((a, 1)), applied: VersionVector(), at: 4_030)
        #expect([4_529, 4_530].map { shared.look(at: $0, position: VersionVector()) } == [false, true])
        _ = shared.answered(heads((a, 1)), applied: VersionVector(), at: 5_000)
        _ = shared.look(at: 9_000, position: VersionVector([Dot(replica: b, seq: 4)]))
        #expect(shared.answered(heads((a, 1)), applied: VersionVector(), at: 9_000).older)
    }
}
