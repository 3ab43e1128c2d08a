// Dates the entries of a PostgreSQL database anew that are dated far ahead: see `Redated`.
//
// Invariant: all of it is one transaction, while no node writes: the replicas' table is locked against their batches, and
// their counts have stood still for longer than a writer may be silent.

import ConvergeCRDT
import ConvergeWire
import Glibc

extension PostgresStore {
    /// - Parameters:
    ///   - bound: what is dated later is dated anew.
    ///   - isTrial: nothing is changed.
    /// Throws `locked` where a node writes into the database.
    public func redate(laterThan bound: HybridTimestamp, isTrial: Bool) throws(StoreError) -> Redated {
        let connection = try connect()
        try PostgresRedating.awaitSilence(connection, within: timeout)
        return try PostgresRedating(connection: connection, limit: bound.postgres).run(isTrial)
    }
}

struct PostgresRedating {
    let connection: PostgresConnection
    let limit: Int64

    /// Every table with a moment in it.
    private static let dated = ["entry", "message_key", "cell", "attendance"].map {
        "converge_" + $0
    }
    /// How many entries are chained anew in one step.
    private static let step = 1_000

    /// Writers commit something every 2 s, be it nothing.
    static func awaitSilence(_ connection: PostgresConnection, within timeout: Duration) throws(StoreError) {
        let count = PostgresStatement("SELECT coalesce(sum(beat), 0)::bigint FROM converge_replica")
        let before = try connection.query([count], by: PostgresDeadline(after: timeout))[0].int(0, 0)
        usleep(2_500_000)
        let after = try connection.query([count], by: PostgresDeadline(after: timeout))[0].int(0, 0)
        guard before == after else { throw .locked("a node writes into the database: stop all that do") }
    }

    private func query(_ statements: [PostgresStatement]) throws(StoreError) -> [PostgresResult] {
        // Whole tables are written: there is no bound on how long that takes, and an operator is looking on.
        try connection.query(statements, by: PostgresDeadline(after: .seconds(3_600)))
    }

    private func query(_ sql: String...) throws(StoreError) -> PostgresResult {
        let results = try query(sql.map { PostgresStatement($0) })
        return results[results.count - 1]
    }

    func run(_ isTrial: Bool) throws(StoreError) -> Redated {
        _ = try query("BEGIN", "LOCK TABLE converge_replica IN EXCLUSIVE MODE")
        do throws(StoreError) {
            let redated = try redate()
            _ = try query(isTrial ? "ROLLBACK" : "COMMIT")
            return redated
        } catch {
            _ = try? query("ROLLBACK")
            throw error
        }
    }

    private func redate() throws(StoreError) -> Redated {
        var redated = Redated()
        let latest = "SELECT coalesce(max(clock), 0)::bigint FROM converge_replica"
        redated.before = try query(latest).timestamp(0, 0)
        redated.after = redated.before
        guard redated.before.postgres > limit else { return redated }

        let all = Self.dated.map { "SELECT ts FROM \($0)" }.joined(separator: " UNION ")
        let base = try query(
            """
            SELECT greatest(
                (SELECT coalesce(max(ts), 0) FROM (\(all)) AS a WHERE ts <= \(limit)),
                (SELECT coalesce(max(clock), 0) FROM converge_replica WHERE clock <= \(limit)))::bigint
            """
        ).int(0, 0)
        // Where nothing is dated rightly, what is there has been written no later than now, which the bound is ahead of.
        let start = base > 0 ? base : limit - Int64(HybridClock.tolerance << 16)
        _ = try query(
            "CREATE TEMP TABLE redated (old bigint PRIMARY KEY, new bigint NOT NULL) ON COMMIT DROP",
            """
            INSERT INTO redated SELECT ts, \(start) + row_number() OVER (ORDER BY ts)
                FROM (SELECT ts FROM (\(all)) AS a WHERE ts > \(limit)) AS b
            """)
        redated.logs = try logs()
        for table in Self.dated {
            _ = try query(
                "UPDATE \(table) AS t SET ts = r.new FROM redated AS r WHERE t.ts > \(limit) AND r.old = t.ts")
        }
        _ = try query(
            """
            UPDATE converge_replica AS t
            SET clock = coalesce((SELECT max(new) FROM redated WHERE old <= t.clock), \(start)) WHERE clock > \(limit)
            """)
        for log in redated.logs { try rechain(log) }
        redated.after = try query(latest).timestamp(0, 0)
        return redated
    }

    private func logs() throws(StoreError) -> [Redated.Log] {
        let rows = try query(
            """
            SELECT e.replica, f.seq, count(*)::bigint FROM converge_entry AS e
            JOIN (SELECT replica, min(seq) AS seq FROM converge_entry WHERE ts > \(limit) GROUP BY replica) AS f
                ON e.replica = f.replica AND e.seq >= f.seq
            GROUP BY e.replica, f.seq ORDER BY e.replica
            """)
        return (0..<rows.count).map {
            let from = rows.dot($0, 0)
            return Redated.Log(replica: from.replica, from: from.seq, entries: Int(rows.int($0, 2)))
        }
    }

    /// Gives a log's entries from the first that was dated anew on the hashes that follow from their dates.
    private func rechain(_ log: Redated.Log) throws(StoreError) {
        let chain = EntryChain()
        var last = EntryHash.zero
        var isWhole = log.from == 1
        if !isWhole {
            let before = try query([
                PostgresStatement("SELECT hash FROM converge_entry WHERE replica = $1 AND seq = $2")
                    .binding(log.replica.postgres).binding(Int64(clamping: log.from - 1))
            ])[0]
            if before.count == 1, let hash = EntryHash(bytes: before.bytes(0, 0)) {
                last = hash
                isWhole = true
            }
        }
        var seq = log.from - 1
        while true {
            let rows = try query([
                PostgresStatement(
                    "SELECT \(PostgresReader.columns) FROM converge_entry WHERE replica = $1 AND seq > $2 "
                        + "ORDER BY seq LIMIT \(Self.step)"
                ).binding(log.replica.postgres).binding(Int64(clamping: seq))
            ])[0]
            if rows.count == 0 { break }
            var chained: [(seq: UInt64, hash: EntryHash)] = []
            for row in 0..<rows.count {
                let entry = try rows.entry(row)
                // Folding leaves gaps.
                if entry.dot.seq != seq + 1 { isWhole = false }
                seq = entry.dot.seq
                last = chain.hash(after: last, entry)
                chained.append((seq, last))
            }
            _ = try query([
                PostgresStatement(
                    """
                    UPDATE converge_entry AS e SET hash = n.hash
                    FROM unnest($2::bigint[], $3::bytea[]) AS n (seq, hash) WHERE e.replica = $1 AND e.seq = n.seq
                    """
                ).binding(log.replica.postgres).binding(each: chained, int8: { Int64(clamping: $0.seq) })
                    .binding(each: chained, bytes: \.hash.postgres)
            ])
        }
        _ = try query([
            PostgresStatement(
                """
                UPDATE converge_replica SET hash = $2, floor = CASE WHEN $3 THEN floor ELSE head END WHERE replica = $1
                """
            ).binding(log.replica.postgres).binding(last.postgres).binding(isWhole)
        ])
    }
}
