// Tables of the earlier Go server in PostgreSQL, of each of its versions, become a log.

import ConvergeCRDT
import ConvergeStorage
import ConvergeWire
import Testing

@Suite("Go server's Postgres tables", .needsPostgres)
final class PostgresAdoptionTests {
    let database: PostgresTestDatabase

    init() throws { database = try PostgresTestDatabase(on: StoreUnderTest.postgresDSN ?? "") }

    deinit { database.remove() }

    private func open(_ node: String, _ fresh: ReplicaID) throws -> Recovered {
        let start = WriterStart(freshReplica: fresh, machine: "m", machineBoot: "b", nodeName: node)
        let (writer, recovered) = try PostgresStore(dsn: database.dsn, timeout: .seconds(5)).openWriter(start)
        writer.close()
        return recovered
    }

    private func make(_ columns: String, _ rows: [String]) throws {
        try database.execute(
            "CREATE TABLE messages (id TEXT PRIMARY KEY, type TEXT NOT NULL, room TEXT NOT NULL, \(columns), "
                + "body TEXT NOT NULL, ts TIMESTAMPTZ NOT NULL)")
        for row in rows { try database.execute("INSERT INTO messages VALUES (\(row))") }
    }

    private func words(_ entry: Entry) throws -> String {
        try entry.payload.withUnsafeBytes { bytes in
            if entry.kind == .system {
                let payload = try SystemPayload(decoding: bytes)
                return "\(payload.user) \(payload.displayName) \(payload.event)"
            }
            let payload = try MessagePayload(decoding: bytes)
            return "\(payload.user) \(payload.displayName): \(String(decoding: payload.body, as: UTF8.self))"
        }
    }

    @Test(
        "rows of each version enter in the order of their times, once, for all nodes",
        arguments: [
            ("user_id TEXT NOT NULL, display_name TEXT NOT NULL", true),
            ("user_name TEXT NOT NULL, display_name TEXT NOT NULL", true),
            ("\"user\" TEXT NOT NULL", false), ("user_name TEXT", false),
        ])
    func versions(columns: String, named: Bool) throws {
        func row(_ id: String, _ type: String, _ user: String, _ name: String, _ body: String, _ ts: String) -> String {
            "'\(id)', '\(type)', 'dev', '\(user)', \(named ? "'\(name)', " : "")'\(body)', '\(ts)'"
        }
        try make(
            columns,
            [
                row("3", "message", "u", "Ü", "third", "2024-05-01 12:00:01.5+02"),
                row("1", "system", "u", "Ü", "Ü joined", "2024-05-01 10:00:00Z"),
                row("2", "message", "u", "Ü", "second ''é''", "2024-05-01 10:00:00.123456Z"),
                row("4", "typing", "u", "Ü", "", "2024-05-01 10:00:03Z"),
                row("5", "message", "v", "V", "from the future", "2999-01-01 00:00:00Z"),
            ])
        let recovered = try open("one", .a)
        #expect(recovered.adopted == 4)
        #expect(recovered.head == 4)
        #expect(recovered.attendance.map(\.displayName) == ["Ü"])
        #expect(recovered.attendance.allSatisfy { $0.number == 1 && $0.room == "dev" && $0.user == "u" })
        let reader = try PostgresStore(dsn: database.dsn, timeout: .seconds(5)).openReader()
        let entries = try reader.history(room: "dev", before: nil, limit: 9)
        let (u, v) = named ? ("u Ü", "v V") : ("u u", "v v")
        #expect(
            try entries.map(words) == ["u Ü joined", "\(u): second 'é'", "\(u): third", "\(v): from the future"])
        #expect(
            entries.prefix(3).map(\.timestamp.milliseconds) == [
                1_714_557_600_000, 1_714_557_600_123, 1_714_557_601_500,
            ])
        #expect(recovered.clock == entries.last?.timestamp)
        #expect(recovered.clock.milliseconds < 4_000_000_000_000)
        #expect(EntryChain().verifies(entries, after: .zero))
        #expect(recovered.headHash == entries.last?.hash)
        let id = EntryChain().messageID(room: "dev", user: "u", key: "go/3")
        #expect(try reader.positions(of: [id]) == [id: entries[2].position])
        #expect(try open("one", .b).adopted == 0)
        #expect(try open("two", .b).adopted == 0)
        #expect(try reader.history(room: "dev", before: nil, limit: 9) == entries)
        #expect(try database.execute("SELECT count(*) FROM messages") == ["5"])
    }

    @Test("an id that is a UUID stays, on every page")
    func keptIdentifiers() throws {
        try make("user_id TEXT", [])
        try database.execute(
            """
            INSERT INTO messages SELECT '0188d7a4-3c5e-7f00-8abc-' || lpad(to_hex(n), 12, '0'), 'message', 'dev', 'u', 'b',
                timestamptz '2024-01-01' + n * interval '1 s'
            FROM generate_series(1, 1500) AS n
            """)
        #expect(try open("one", .a).adopted == 1_500)
        let ids = (1...1_500).map { MessageID(high: 0x0188_d7a4_3c5e_7f00, low: 0x8abc_0000_0000_0000 | UInt64($0)) }
        let reader = try PostgresStore(dsn: database.dsn, timeout: .seconds(5)).openReader()
        #expect(try reader.positions(of: ids).count == 1_500)
    }

    @Test("many rows come over page by page")
    func many() throws {
        try make("user_id TEXT", [])
        try database.execute(
            """
            INSERT INTO messages SELECT 'm' || n, 'message', 'dev', 'u', 'body ' || n, timestamptz '2024-01-01' + n * interval '1 s'
            FROM generate_series(1, 3500) AS n
            """)
        let recovered = try open("one", .a)
        #expect(recovered.adopted == 3_500)
        let reader = try PostgresStore(dsn: database.dsn, timeout: .seconds(5)).openReader()
        let entries = try reader.entries(of: .a, from: 1, limit: 9_999)
        #expect(EntryChain().verifies(entries, after: .zero))
        #expect(entries.count == 3_500)
    }

    @Test("another program's table of that name is left alone")
    func otherTable() throws {
        try database.execute("CREATE TABLE messages (id bigint PRIMARY KEY, room text, body text)")
        #expect(try open("one", .a).adopted == 0)
    }
}
