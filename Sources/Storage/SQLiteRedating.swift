// Dates the entries of an SQLite file anew that are dated far ahead: see `Redated`.
//
// Invariant: all of it is one transaction, by the file's only writer (`SQLiteLock`).

import CSQLite
import ConvergeCRDT
import ConvergeWire

public enum SQLiteRedating {
    /// - Parameters:
    ///   - bound: what is dated later is dated anew.
    ///   - isTrial: nothing is changed.
    /// Throws `locked` where a node has the database open for longer than `timeout`.
    public static func run(
        _ path: String, laterThan bound: HybridTimestamp, isTrial: Bool, timeout: Duration = .seconds(2)
    ) throws(StoreError) -> Redated {
        guard !SQLiteBeginning.isEmpty(path) else { throw .unreachable("\(path): there is no such file") }
        let lock = try SQLiteLock(besideDatabaseAt: path, timeout: timeout)
        defer { withExtendedLifetime(lock) {} }
        let connection = try SQLiteConnection(path: path, mode: .readWrite, timeout: timeout)
        guard try SQLiteSchema.inspect(connection) == .current else {
            throw .failed("\(path) is not a database of this build: start a node with it once, and stop it")
        }
        try connection.execute("PRAGMA synchronous = FULL; PRAGMA journal_mode = WAL; BEGIN IMMEDIATE")
        do throws(StoreError) {
            let redated = try redate(connection, bound)
            try connection.execute(isTrial || redated.logs.isEmpty && redated.before <= bound ? "ROLLBACK" : "COMMIT")
            return redated
        } catch {
            connection.rollBack()
            throw error
        }
    }

    /// Every table with a moment in it.
    private static let dated = ["entry", "message_key", "cell", "attendance"]

    private static func redate(
        _ connection: SQLiteConnection, _ bound: HybridTimestamp
    ) throws(StoreError) -> Redated {
        let limit = Int64(clamping: bound.rawValue)
        var redated = Redated()
        let clocks = try connection.number("SELECT max(clock) FROM replica") ?? 0
        redated.before = HybridTimestamp(rawValue: UInt64(clamping: clocks))
        redated.after = redated.before
        guard clocks > limit else { return redated }

        let all = dated.map { "SELECT ts FROM \($0)" }.joined(separator: " UNION ")
        let base = try connection.number(
            "SELECT max(coalesce((SELECT max(ts) FROM (\(all)) WHERE ts <= \(limit)), 0), "
                + "coalesce((SELECT max(clock) FROM replica WHERE clock <= \(limit)), 0))")
        // Where nothing is dated rightly, what is there has been written no later than now, which the bound is ahead of.
        let start = base ?? 0 > 0 ? base ?? 0 : limit - Int64(HybridClock.tolerance << 16)
        try connection.execute(
            """
            CREATE TEMP TABLE redated(old INTEGER PRIMARY KEY, new INTEGER NOT NULL);
            INSERT INTO redated SELECT ts, \(start) + row_number() OVER (ORDER BY ts)
                FROM (SELECT ts FROM (\(all)) WHERE ts > \(limit));
            """)
        redated.logs = try logs(connection, limit)
        for table in dated {
            try connection.execute(
                "UPDATE \(table) SET ts = (SELECT new FROM redated WHERE old = ts) WHERE ts > \(limit)")
        }
        try connection.execute(
            """
            UPDATE replica SET clock = coalesce((SELECT max(new) FROM redated WHERE old <= clock), \(start))
                WHERE clock > \(limit);
            DROP TABLE redated;
            """)
        for log in redated.logs { try rechain(log, connection) }
        let after = try connection.number("SELECT max(clock) FROM replica") ?? 0
        redated.after = HybridTimestamp(rawValue: UInt64(clamping: after))
        return redated
    }

    private static func logs(_ connection: SQLiteConnection, _ limit: Int64) throws(StoreError) -> [Redated.Log] {
        var logs: [Redated.Log] = []
        try connection.forEachRow(
            of: """
                SELECT e.replica, f.seq, count(*) FROM entry AS e
                JOIN (SELECT replica, min(seq) AS seq FROM entry WHERE ts > \(limit) GROUP BY replica) AS f
                    ON e.replica = f.replica AND e.seq >= f.seq
                GROUP BY e.replica ORDER BY e.replica
                """
        ) { (row) throws(StoreError) in
            logs.append(Redated.Log(replica: row.replica(0), from: row.unsigned(1), entries: Int(row.int(2))))
        }
        return logs
    }

    /// Gives a log's entries from the first that was dated anew on the hashes that follow from their dates.
    private static func rechain(_ log: Redated.Log, _ connection: SQLiteConnection) throws(StoreError) {
        let chain = EntryChain()
        let before = try connection.prepare("SELECT hash FROM entry WHERE replica = ?1 AND seq = ?2")
        let read = try connection.prepare(
            "SELECT \(SQLiteStatement.entryColumns) FROM entry WHERE replica = ?1 AND seq > ?2 ORDER BY seq LIMIT 1")
        let write = try connection.prepare("UPDATE entry SET hash = ?3 WHERE replica = ?1 AND seq = ?2")
        var hash = log.from == 1 ? EntryHash.zero : nil
        if hash == nil {
            before.bind(1, log.replica)
            before.bind(2, clamping: log.from - 1)
            try before.forEachRow { (row) throws(StoreError) in hash = row.hash(0) }
        }
        let isChained = hash != nil
        var last = hash ?? .zero
        var seq = log.from - 1
        var isWhole = isChained
        while true {
            var found: Entry?
            read.bind(1, log.replica)
            read.bind(2, clamping: seq)
            try read.forEachRow { (row) throws(StoreError) in found = try row.entry(connection.path) }
            guard let entry = found else { break }
            // Folding leaves gaps.
            if entry.dot.seq != seq + 1 { isWhole = false }
            seq = entry.dot.seq
            last = chain.hash(after: last, entry)
            write.bind(1, log.replica)
            write.bind(2, clamping: seq)
            last.withBytes { write.bind(3, copying: Array($0)) }
            try write.run()
        }
        let move = try connection.prepare(
            "UPDATE replica SET hash = ?2, floor = CASE WHEN ?3 THEN head ELSE floor END WHERE replica = ?1")
        move.bind(1, log.replica)
        last.withBytes { move.bind(2, copying: Array($0)) }
        move.bind(3, isWhole ? 0 : 1)
        try move.run()
    }
}
