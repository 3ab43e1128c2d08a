// Nodes that share one PostgreSQL database.

import ConvergeTestSupport
import ConvergeCRDT
import ConvergeStorage
import ConvergeWire
import Foundation
import Testing

extension Trait where Self == ConditionTrait {
    /// Skipped where there is no server to test on.
    static var needsPostgres: Self {
        .enabled(if: StoreUnderTest.postgresDSN != nil, "CONVERGE_TEST_POSTGRES names no throw-away server")
    }
}

@Suite("Postgres store", .needsPostgres)
final class PostgresStoreTests {
    let database: PostgresTestDatabase

    init() throws { database = try PostgresTestDatabase(on: StoreUnderTest.postgresDSN ?? "") }

    deinit { database.remove() }

    private func store() -> PostgresStore { PostgresStore(dsn: database.dsn, timeout: .seconds(5)) }

    private func start(
        _ node: String, fresh: ReplicaID, held: WriterStart.Held? = nil
    ) -> WriterStart {
        WriterStart(freshReplica: fresh, machine: "machine", machineBoot: "boot", nodeName: node, held: held)
    }

    @Test("a second process of the same name takes the replica over, and the first goes on under a new one")
    func fencing() throws {
        let (first, second) = (store(), store())
        let old = try first.openWriter(start("n", fresh: .a)).writer
        var own = TestLog(.a)
        try old.append(Batch(entries: own.entries(2, from: 10)))
        let (new, recovered) = try second.openWriter(start("n", fresh: .b))
        #expect(recovered.replica == .a)
        #expect(recovered.boot == 2)
        #expect(recovered.head == 2)
        // A fenced batch leaves nothing behind, whatever is in it.
        var lost = own
        let id = MessageID(high: 1, low: 1)
        let entry = lost.entry(at: 20)
        let thrown = error { () throws(StoreError) in
            try old.append(Batch(entries: [entry], effects: [.key(id, position: entry.position)]))
        }
        #expect(thrown?.name == "fenced")
        #expect(try second.openReader().positions(of: [id]).isEmpty)
        try new.append(Batch(entries: [own.entry(at: 30)]))

        let (again, renewed) = try first.openWriter(start("n", fresh: .c, held: .init(replica: .a, committed: 2)))
        #expect(renewed.replica == .c)
        #expect(renewed.renewal == .fenced)
        #expect(renewed.vector == VersionVector(own.head))
        var other = TestLog(.c)
        try again.append(Batch(entries: [other.entry(at: 40)]))
        try new.append(Batch(entries: [own.entry(at: 50)]))
        // It keeps the new one while it lives; the name stays with the process that took it.
        let kept = try first.openWriter(start("n", fresh: .low, held: .init(replica: .c, committed: 1))).recovered
        #expect(kept.replica == .c)
        #expect(kept.renewal == nil)
        #expect(try store().openWriter(start("n", fresh: .low)).recovered.replica == .a)
    }

    @Test("an effect alone is fenced too")
    func fencedEffect() throws {
        let old = try store().openWriter(start("n", fresh: .a)).writer
        _ = try store().openWriter(start("n", fresh: .b))
        let thrown = error { () throws(StoreError) in
            try old.append(
                Batch(effects: [.touch(.init(room: "r", kind: .orSet, name: "d"), Dot(replica: .a, seq: 1))]))
        }
        #expect(thrown?.name == "fenced")
        #expect(try database.execute("SELECT count(*) FROM converge_touched") == ["0"])
    }

    @Test("many nodes may start on an empty database at once")
    func startTogether() async throws {
        let dsn = database.dsn
        let replicas = try await withThrowingTaskGroup(of: ReplicaID.self) { group in
            for index in UInt64(1)...8 {
                group.addTask {
                    let store = PostgresStore(dsn: dsn, timeout: .seconds(10))
                    let start = WriterStart(
                        freshReplica: ReplicaID(rawValue: index), machine: "m", machineBoot: "b",
                        nodeName: "node \(index % 4)")
                    return try store.openWriter(start).recovered.replica
                }
            }
            return try await group.reduce(into: Set<ReplicaID>()) { $0.insert($1) }
        }
        #expect(replicas.count == 4)
        #expect(try database.execute("SELECT count(*) FROM converge_replica") == ["4"])
        #expect(try database.execute("SELECT sum(boot) FROM converge_replica") == ["8"])
    }

    @Test("entries that another node has stored already are left out, and what was removed since stays removed")
    func alreadyThere() throws {
        let first = try store().openWriter(start("one", fresh: .a)).writer
        let (second, _) = try store().openWriter(start("two", fresh: .b))
        let document = DocumentID(room: "room", kind: .orSet, name: "doc")
        var one = TestLog(.a)
        let add = one.entry(at: 10, kind: .document)
        let insert = StoreEffect.insert(
            document, element: "x", dot: add.dot, timestamp: add.timestamp, replacing: [])
        try first.append(Batch(entries: [add], effects: [insert]))
        let remove = one.entry(at: 11, kind: .document)
        try first.append(Batch(entries: [remove], effects: [.delete(document, element: "x", dots: [add.dot])]))

        // The other node gets them by push, one by one, with an own entry between and a new one after.
        var two = TestLog(.b)
        let own = two.entry(at: 20)
        try second.append(Batch(entries: [add, own], effects: [insert]))
        let late = one.entry(at: 30)
        try second.append(Batch(entries: [remove, late], effects: [.hide(remove.dot)]))
        let recovered = try store().openWriter(start("three", fresh: .c)).recovered
        #expect(recovered.rows.isEmpty)
        #expect(recovered.vector == VersionVector(one.head, two.head))
        #expect(recovered.clock == late.timestamp)
        let reader = try store().openReader()
        // What an entry shows is for the node to say that stored it.
        let shown = try reader.entries(room: "room", after: VersionVector(), limit: 9).entries
        #expect(shown == [add, remove, own, late])
        // The first node's head was moved by the second: it does not go on from a head that it doesn't know.
        let thrown = error { () throws(StoreError) in try first.append(Batch(entries: [late])) }
        #expect(thrown?.name == "failed")
    }

    @Test("nodes that store one another's entries at once don't wait for each other for ever")
    func crossing() async throws {
        let dsn = database.dsn
        let pairs: [(ReplicaID, ReplicaID)] = [(.a, .b), (.b, .a)]
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (own, other) in pairs {
                group.addTask {
                    let start = WriterStart(freshReplica: own, machine: "m", machineBoot: "b", nodeName: "\(own)")
                    let (writer, recovered) = try PostgresStore(dsn: dsn, timeout: .seconds(10)).openWriter(start)
                    // One log of each, one that both push, and one that the other does not know.
                    var logs = [.c, own, other == .a ? .low : ReplicaID(rawValue: 2)].map { replica in
                        TestLog(replica, after: recovered.vector[replica])
                    }
                    while logs.contains(where: { $0.seq < 40 }) {
                        var batch = Batch()
                        for index in logs.indices where logs[index].seq < 40 {
                            batch.entries.append(logs[index].entry(at: 10 + logs[index].seq))
                        }
                        try writer.append(batch)
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(try database.execute("SELECT count(*) FROM converge_entry") == ["200"])
        #expect(try database.execute("SELECT count(*) FROM converge_replica WHERE head = 40") == ["5"])
    }

    @Test("a database of version 1 becomes one of this version, with all that is in it")
    func migration() throws {
        let (writer, _) = try store().openWriter(start("n", fresh: .a))
        var own = TestLog(.a)
        let entries = own.entries(3, from: 10)
        let records = (1...2).map { number in
            AttendanceRecord(
                room: "room", user: Text("u\(number)"), displayName: "U", number: UInt64(number),
                position: entries[number].position)
        }
        try writer.append(Batch(entries: entries, effects: records.map { .attendance($0) }))
        writer.close()
        for sql in [
            OldSchema.postgresThree, "DROP INDEX converge_attendance_newest",
            "ALTER TABLE converge_attendance ADD COLUMN joined boolean NOT NULL DEFAULT false",
            "UPDATE converge_attendance SET joined = (turn & 1 = 1)",
            "ALTER TABLE converge_attendance DROP COLUMN turn", "DROP TABLE converge_counter",
            "DROP TABLE converge_member", "ALTER TABLE converge_replica DROP COLUMN horizon",
            "ALTER TABLE converge_replica DROP COLUMN beat",
            "UPDATE converge_replica SET floor = 2", "UPDATE converge_meta SET value = 1 WHERE name = 'schema'",
        ] { try database.execute(sql) }
        let (again, recovered) = try store().openWriter(start("n", fresh: .b))
        again.close()
        #expect(recovered.attendance == records)
        #expect(recovered.replica == .a && recovered.head == 3)
        #expect(try database.execute("SELECT value FROM converge_meta WHERE name = 'schema'") == ["4"])
        // Of what earlier versions dropped only the floor is known.
        #expect(try store().openReader().horizon() == VersionVector(Dot(replica: .a, seq: 2)))
    }

    @Test("a database of a newer version is refused by name")
    func newer() throws {
        _ = try store().openWriter(start("n", fresh: .a))
        try database.execute("UPDATE converge_meta SET value = 99 WHERE name = 'schema'")
        let thrown = error { () throws(StoreError) in _ = try store().openWriter(start("n", fresh: .b)) }
        #expect(thrown == .newer(found: 99, known: 4))
    }

    @Test("a database that may not be written is told apart")
    func readOnly() throws {
        _ = try store().openWriter(start("n", fresh: .a))
        try database.execute("ALTER DATABASE \(database.name) SET default_transaction_read_only = on")
        let thrown = error { () throws(StoreError) in _ = try store().openWriter(start("n", fresh: .b)) }
        #expect(thrown?.name == "readOnly")
    }

    @Test("a wrong password or database is an error without the password")
    func refused() throws {
        let wrong = database.dsn.replacingOccurrences(of: database.password, with: "geheimnis")
        let missing = database.dsn.replacingOccurrences(of: database.name, with: "nowhere")
        for (dsn, secret) in [(wrong, "geheimnis"), (missing, database.password)] {
            let store = PostgresStore(dsn: dsn)
            let thrown = error { () throws(StoreError) in _ = try store.openReader() }
            #expect(thrown?.name == "unreachable")
            #expect(thrown?.message.contains(secret) == false)
        }
    }

    @Test("elements longer than an index takes are stored")
    func longElements() throws {
        let (writer, _) = try store().openWriter(start("n", fresh: .a))
        let document = DocumentID(room: "room", kind: .orSet, name: "doc")
        var random = SplitMix64(seed: 3)
        let texts = (0..<3).map { _ in
            Text(
                String((0..<20_000).map { _ in Character(Unicode.Scalar(UInt8.random(in: 33...126, using: &random))) }))
        }
        let dots = (1...3).map { Dot(replica: .a, seq: $0) }
        try writer.append(
            Batch(
                effects: zip(texts, dots).map { text, dot in
                    .insert(document, element: text, dot: dot, timestamp: .zero, replacing: [])
                }))
        try writer.append(Batch(effects: [.delete(document, element: texts[1], dots: [dots[1], dots[0]])]))
        let recovered = try store().openWriter(start("n", fresh: .b)).recovered
        #expect(Set(recovered.rows.compactMap(\.value)) == [texts[0], texts[2]])
    }
}
