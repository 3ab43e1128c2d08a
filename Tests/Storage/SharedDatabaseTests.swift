// Several nodes that write one database: what one of them stores is there for all, once, whoever brings it.

import ConvergeCRDT
import ConvergeStorage
import ConvergeWire
import Foundation
import Testing

/// A database and the ways to it.
private final class SharedDatabase {
    private enum Kind {
        case memory(SharedMemoryDatabase)
        case server(PostgresTestDatabase, dsn: String)
    }

    private let kind: Kind
    private var processes: Int64 = 0
    private var standby: SharedMemoryDatabase.Standby?

    init(_ kind: StoreUnderTest) throws {
        guard kind != .sharedMemory else {
            self.kind = .memory(SharedMemoryDatabase())
            return
        }
        let database = try PostgresTestDatabase(on: StoreUnderTest.postgresDSN ?? "")
        let dsn = kind == .pooled ? try database.dsn(through: StoreUnderTest.poolerDSN ?? "") : database.dsn
        self.kind = .server(database, dsn: dsn)
    }

    deinit { if case .server(let database, _) = kind { database.remove() } }

    /// A process of its own.
    func store() -> any Store {
        processes += 1
        return switch kind {
        case .memory(let database): SharedMemoryStore(database, holder: processes)
        case .server(_, let dsn): PostgresStore(dsn: dsn, timeout: .seconds(5))
        }
    }

    /// What a standby has from here on.
    func mark() { if case .memory(let database) = kind { standby = database.standby() } }

    /// The standby takes over: all third entries are gone.
    func failOver() throws {
        switch kind {
        case .memory(let database):
            database.failOver(to: try #require(standby), unnoticed: true)
        case .server(let database, _):
            try database.execute("DELETE FROM converge_entry WHERE seq = 3")
            try database.execute("UPDATE converge_replica SET head = 2 WHERE head = 3")
        }
    }

    var server: PostgresTestDatabase? { if case .server(let database, _) = kind { database } else { nil } }
    var dsn: String? { if case .server(_, let dsn) = kind { dsn } else { nil } }

    func heads() throws -> StoreHeads { try #require(try store().openReader().heads()) }

    /// How often anybody has written.
    func beats() throws -> Int64 { try heads().beats.reduce(0) { $0 + $1.count } }

    func open(
        _ node: String, _ fresh: ReplicaID, held: WriterStart.Held? = nil
    ) throws(StoreError) -> (writer: any StoreWriter, recovered: Recovered) {
        try store().openWriter(Self.start(node, fresh, held: held))
    }

    static func start(_ node: String, _ fresh: ReplicaID, held: WriterStart.Held? = nil) -> WriterStart {
        WriterStart(freshReplica: fresh, machine: "m", machineBoot: "b", nodeName: node, held: held)
    }
}

@Suite("Shared database")
struct SharedDatabaseTests {
    @Test(
        "what another node has stored is left as it is, and nothing is written for it", arguments: StoreUnderTest.shared
    )
    func alreadyThere(_ kind: StoreUnderTest) throws {
        let shared = try SharedDatabase(kind)
        let one = try shared.open("one", .a).writer
        let two = try shared.open("two", .b).writer
        let set = DocumentID(room: "room", kind: .orSet, name: "set")
        var log = TestLog(.a)
        let add = log.entry(at: 10, kind: .document)
        let insert = StoreEffect.insert(set, element: "x", dot: add.dot, timestamp: add.timestamp, replacing: [])
        try one.append(Batch(entries: [add], effects: [insert, .touch(set, add.dot)]))
        let remove = log.entry(at: 11, kind: .document)
        let delete = StoreEffect.delete(set, element: "x", dots: [add.dot])
        try one.append(Batch(entries: [remove], effects: [delete, .touch(set, remove.dot)]))

        let before = try shared.beats()
        try two.append(Batch(entries: [add], effects: [insert, .touch(set, add.dot)]))
        try two.append(Batch(entries: [remove], effects: [delete, .touch(set, remove.dot), .hide(remove.dot)]))
        #expect(try shared.beats() == before)

        // Its own stands on them, with some of another's between, of which the database has a part.
        let late = log.entry(at: 20)
        try one.append(Batch(entries: [late]))
        var foreign = TestLog(.c)
        let third = foreign.entry(at: 21)
        var own = TestLog(.b)
        var answer = own.entry(at: 30)
        answer.dependencies = [late.dot, third.dot]
        try two.append(Batch(entries: [late, third, answer]))
        let recovered = try shared.open("three", .low).recovered
        #expect(recovered.isShared && recovered.rows.isEmpty)
        #expect(recovered.vector == VersionVector(log.head, foreign.head, own.head))
        let reader = try shared.store().openReader()
        #expect(try reader.history(room: "room", before: nil, limit: 9) == [late, third, answer])
        // Its own log goes on, whoever looked at it.
        try one.append(Batch(entries: [log.entry(at: 40)]))
    }

    @Test("an entry is refused where the database lacks what it depends on", arguments: StoreUnderTest.shared)
    func dependencies(_ kind: StoreUnderTest) throws {
        let shared = try SharedDatabase(kind)
        let one = try shared.open("one", .a).writer
        var log = TestLog(.a)
        try one.append(Batch(entries: log.entries(2, from: 10)))
        for (seq, isThere) in [(UInt64(2), true), (3, false)] {
            let two = try shared.open("two", .b)
            var own = TestLog(.b, after: two.recovered.head)
            var entry = own.entry(at: 20)
            entry.dependencies = [Dot(replica: .a, seq: seq)]
            let thrown = error { () throws(StoreError) in try two.writer.append(Batch(entries: [entry])) }
            #expect((thrown == nil) == isThere, "\(String(describing: thrown))")
            two.writer.close()
        }
        #expect(try shared.heads().ends.map(\.dot.seq) == [2, 1])
    }

    @Test("another entry under a number that is taken is refused as a fork", arguments: StoreUnderTest.shared)
    func fork(_ kind: StoreUnderTest) throws {
        // At the head, below it, and where more follows that isn't there.
        for (count, extra) in [(3, 0), (2, 0), (3, 1)] {
            let shared = try SharedDatabase(kind)
            // The writer does not know them: they come while it is open.
            let two = try shared.open("two", .b).writer
            var log = TestLog(.a)
            let entries = log.entries(3, from: 10)
            try shared.open("one", .a).writer.append(Batch(entries: entries))
            var taken = Array(entries[..<count])
            taken[count - 1].hash = EntryHash(high: 1, low: 2)
            var more = TestLog(.a, after: 3)
            taken += more.entries(extra, from: 20)
            let thrown = error { () throws(StoreError) in try two.append(Batch(entries: taken)) }
            #expect(thrown?.message.contains("another one in the database") == true, "\(String(describing: thrown))")
            #expect(try shared.store().openReader().entries(of: .a, from: 1, limit: 9) == entries)
            two.close()
        }
    }

    @Test("heads tell how far the logs are, and who has written since", arguments: StoreUnderTest.shared)
    func heads(_ kind: StoreUnderTest) throws {
        let shared = try SharedDatabase(kind)
        let one = try shared.open("one", .a).writer
        let two = try shared.open("two", .b).writer
        let reader = try shared.store().openReader()
        var log = TestLog(.a)
        let entries = log.entries(3, from: 10)
        try one.append(Batch(entries: entries))
        try two.append(Batch())
        let first = try #require(try reader.heads())
        #expect(first.ends == [LogEnd(dot: log.head, hash: entries[2].hash)])
        #expect(first.vector == VersionVector(log.head) && first.floors == VersionVector())
        #expect(first.beats.map(\.replica) == [.a, .b])
        try two.append(Batch())
        _ = try one.prune(Pruning(entriesBefore: HybridTimestamp(rawValue: 12), keysBefore: .zero, limit: 9))
        let second = try #require(try reader.heads())
        #expect(zip(first.beats, second.beats).allSatisfy { $0.count < $1.count })
        #expect(second.floors == VersionVector(Dot(replica: .a, seq: 2)))
    }

    @Test(
        "a database that went back in time gives everybody who knows more a new identity",
        arguments: StoreUnderTest.shared)
    func failover(_ kind: StoreUnderTest) throws {
        let shared = try SharedDatabase(kind)
        let stores = [shared.store(), shared.store()]
        let one = try stores[0].openWriter(SharedDatabase.start("one", .a)).writer
        let two = try stores[1].openWriter(SharedDatabase.start("two", .b)).writer
        var log = TestLog(.a)
        let entries = log.entries(3, from: 10)
        try one.append(Batch(entries: Array(entries[..<2])))
        var own = TestLog(.b)
        try two.append(Batch(entries: [own.entry(at: 11)]))
        shared.mark()
        try one.append(Batch(entries: [entries[2]]))
        try two.append(Batch(entries: entries))
        try shared.failOver()

        // Nothing is stored that stands on what is gone.
        var answer = own.entry(at: 20)
        answer.dependencies = [log.head]
        #expect(error { () throws(StoreError) in try two.append(Batch(entries: [answer])) }?.name == "failed")
        let known = VersionVector(log.head, Dot(replica: .b, seq: 1))
        let seconds = try stores[1].openWriter(
            SharedDatabase.start("two", .low, held: .init(replica: .b, committed: 1, vector: known)))
        #expect(seconds.recovered.renewal == .behind && seconds.recovered.replica == .low)
        #expect(seconds.recovered.vector == VersionVector(Dot(replica: .a, seq: 2), Dot(replica: .b, seq: 1)))
        let firsts = try stores[0].openWriter(
            SharedDatabase.start("one", .c, held: .init(replica: .a, committed: 3, vector: known)))
        #expect(firsts.recovered.renewal == .behind && firsts.recovered.replica == .c)
    }

    @Test("a commit that comes after its writer has opened anew is refused, and one that comes before is there")
    func lateCommit() throws {
        let database = SharedMemoryDatabase()
        let store = SharedMemoryStore(database, holder: 1)
        var log = TestLog(.a)
        for (opensFirst, head) in [(true, UInt64(0)), (false, 1)] {
            let writer = try store.openWriter(SharedDatabase.start("one", .a, held: nil)).writer
            store.inject(.unknownOutcome(.later))
            var next = log
            let entry = next.entry(at: 10)
            #expect(
                error { () throws(StoreError) in try writer.append(Batch(entries: [entry])) }?.name == "unknownOutcome")
            let held = WriterStart.Held(replica: .a, committed: log.seq)
            if opensFirst { _ = try store.openWriter(SharedDatabase.start("one", .b, held: held)) }
            #expect(database.lateCommitsArrive() == (opensFirst ? [] : [entry]))
            if !opensFirst { log = next }
            let recovered = try store.openWriter(SharedDatabase.start("one", .b, held: held)).recovered
            #expect(recovered.head == head && recovered.replica == .a)
        }
    }

    @Test("whose row another process has taken is fenced, and goes on under a fresh replica")
    func takenOver() throws {
        let database = SharedMemoryDatabase()
        let (one, other) = (SharedMemoryStore(database, holder: 1), SharedMemoryStore(database, holder: 2))
        let writer = try one.openWriter(SharedDatabase.start("one", .a)).writer
        var log = TestLog(.a)
        try writer.append(Batch(entries: [log.entry(at: 10)]))
        #expect(try other.openWriter(SharedDatabase.start("one", .b)).recovered.replica == .a)
        #expect(error { () throws(StoreError) in try writer.append(Batch()) }?.name == "fenced")
        let again = try one.openWriter(SharedDatabase.start("one", .c, held: .init(replica: .a, committed: 1)))
        #expect(again.recovered.replica == .c && again.recovered.renewal == .fenced)
    }
}

@Suite("Shared database on a server", .needsPostgres)
struct SharedDatabaseOnServerTests {
    @Test("the answer to a commit is lost, another node has read the entry meanwhile, and it is stored once")
    func lostReply() throws {
        let shared = try SharedDatabase(.postgres)
        let database = try #require(shared.server)
        let proxy = try PostgresProxy(to: database.port)
        defer { proxy.stop() }
        let store = PostgresStore(dsn: try database.dsn(port: proxy.port), timeout: .seconds(5))
        let one = try store.openWriter(SharedDatabase.start("one", .a)).writer
        let two = try shared.open("two", .b).writer
        var log = TestLog(.a)
        let entry = log.entry(at: 10)
        proxy.become(.loseCommitReply)
        #expect(error { () throws(StoreError) in try one.append(Batch(entries: [entry])) }?.name == "unknownOutcome")
        let reader = try shared.store().openReader()
        let read = try reader.range([LogRange(replica: .a, after: 0, through: 9)], limit: .max)
        #expect(read.entries == [entry])
        var own = TestLog(.b)
        var answer = own.entry(at: 20)
        answer.dependencies = [entry.dot]
        try two.append(Batch(entries: read.entries + [answer]))
        proxy.become(.forward)
        let (again, recovered) = try store.openWriter(
            SharedDatabase.start("one", .c, held: .init(replica: .a, committed: 0)))
        #expect(recovered.replica == .a && recovered.renewal == nil)
        #expect(recovered.vector == VersionVector(entry.dot, answer.dot))
        try again.append(Batch(entries: [log.entry(at: 30)]))
        #expect(try reader.history(room: "room", before: nil, limit: 9).map(\.dot.seq) == [1, 1, 2])
    }

    @Test("nodes that open a Go server's table together have its rows once", arguments: StoreUnderTest.onServer)
    func goTable(_ kind: StoreUnderTest) async throws {
        let shared = try SharedDatabase(kind)
        let database = try #require(shared.server)
        try database.execute(
            """
            CREATE TABLE messages (id text PRIMARY KEY, type text, room text, user_id text, display_name text,
                body text, ts timestamptz)
            """)
        try database.execute(
            """
            INSERT INTO messages SELECT n::text, 'message', 'general', 'u', 'U', 'm' || n,
                '2024-01-01'::timestamptz + n * interval '1 s' FROM generate_series(1, 50) AS n
            """)
        let dsn = try #require(shared.dsn)
        let opened = try await withThrowingTaskGroup(of: Recovered.self) { group in
            for index in UInt64(1)...3 {
                group.addTask {
                    try PostgresStore(dsn: dsn, timeout: .seconds(20))
                        .openWriter(SharedDatabase.start("n\(index)", ReplicaID(rawValue: index))).recovered
                }
            }
            return try await group.reduce(into: [Recovered]()) { $0.append($1) }
        }
        #expect(opened.map(\.adopted).sorted() == [0, 0, 50])
        let last = try shared.open("n4", .c).recovered
        #expect(last.vector.components.map(\.seq) == [50])
        #expect(try shared.store().openReader().history(room: "general", before: nil, limit: 99).count == 50)
    }
}
