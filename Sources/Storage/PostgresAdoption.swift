import ConvergeCRDT
import ConvergeWire
import Glibc

// Takes over the table of the earlier Go server, `messages(id, type, room, user_id, display_name, body, ts)`, as
// GoDatabase.swift says for SQLite: the same rules, the same ids.
//
// Invariant: once, in one transaction, by the first node that opens the database, before any node has written to it: all
// wait for the row `adopted`, whose lock that node holds. The table stays as it is.

enum PostgresAdoption {
    /// A table's first fetch sorts it, which may take longer than an operation of every day.
    private static let patience = Duration.seconds(60)
    private static let page = 1_000

    /// Returns how many rows have entered the log. O(rows · log rows) on the server.
    static func adopt(
        under taken: PostgresIdentity.Taken, _ connection: PostgresConnection, within timeout: Duration
    ) throws(StoreError) -> Int {
        func run(_ statements: [PostgresStatement], patiently: Bool = false) throws(StoreError) -> [PostgresResult] {
            let limit = patiently ? max(timeout, patience) : timeout
            return try connection.query(statements, by: PostgresDeadline(after: limit))
        }
        let mark = "SELECT value FROM converge_meta WHERE name = 'adopted'"
        if try run([PostgresStatement(mark)])[0].int(0, 0) != 0 { return 0 }
        let begun = try run([
            PostgresStatement("BEGIN ISOLATION LEVEL READ COMMITTED"), PostgresStatement(mark + " FOR UPDATE"),
            PostgresStatement(columns),
            PostgresStatement("SELECT head FROM converge_replica WHERE replica = $1").binding(taken.replica.postgres),
        ])
        guard begun[1].int(0, 0) == 0 else {
            _ = try run([PostgresStatement("ROLLBACK")])
            return 0
        }
        var adoption = GoAdoption(replica: taken.replica)
        if begun[3].int(0, 0) == 0, let select = select(begun[2]) {
            _ = try run([PostgresStatement("DECLARE converge_go NO SCROLL CURSOR FOR " + select)])
            let now = Int64(time(nil)) * 1_000
            while true {
                let rows = try run([PostgresStatement("FETCH \(page) FROM converge_go")], patiently: true)[0]
                if rows.count == 0 { break }
                let log = PostgresBatch(
                    replica: taken.replica, epoch: taken.epoch, head: adoption.seq, hash: adoption.hash)
                for row in 0..<rows.count {
                    adoption.take(
                        GoRow(
                            // A time in the future is now, as the clock must not stand in the future for ever.
                            milliseconds: UInt64(clamping: min(rows.int(row, 0), now)), id: rows.text(row, 1),
                            type: rows.text(row, 2), room: rows.text(row, 3), user: rows.text(row, 4),
                            displayName: rows.text(row, 5), body: rows.text(row, 6)))
                }
                _ = try run(log.statements(for: adoption.takeBatch()), patiently: true)
            }
        }
        _ = try run([
            PostgresStatement("UPDATE converge_meta SET value = 1 WHERE name = 'adopted'"), PostgresStatement("COMMIT"),
        ])
        return Int(adoption.seq)
    }

    private static let columns = """
        SELECT attname::text, atttypid::bigint FROM pg_catalog.pg_attribute
        WHERE attrelid = to_regclass('messages') AND attnum > 0 AND NOT attisdropped
        """

    /// How to read the table, nil where it is none that the Go server made, of any of its versions.
    private static func select(_ columns: PostgresResult) -> String? {
        var types: [String: Int64] = [:]
        for row in 0..<columns.count { types[columns.text(row, 0).string] = columns.int(row, 1) }
        // timestamp with and without time zone
        guard Set(types.keys).isSuperset(of: ["id", "type", "room", "body", "ts"]),
            types["ts"] == 1184 || types["ts"] == 1114,
            let user = ["user_id", "user_name", "user"].first(where: { types[$0] != nil })
        else { return nil }
        func bytes(_ expression: String) -> String { "convert_to(coalesce(\(expression)::text, ''), 'UTF8')" }
        let name = types["display_name"] == nil ? "''" : "display_name"
        return """
            SELECT CASE WHEN isfinite(ts) THEN floor(extract(epoch FROM ts) * 1000)::bigint
                    WHEN ts > now() THEN 9223372036854775807 ELSE 0 END,
                \(bytes("id")), \(bytes("type")), \(bytes("room")), \(bytes("\"\(user)\"")), \(bytes(name)),
                \(bytes("body"))
            FROM messages ORDER BY ts NULLS FIRST, id
            """
    }
}
