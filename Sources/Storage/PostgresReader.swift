import ConvergeCRDT
import ConvergeWire

// A read connection to PostgreSQL. Each call is one round trip and one consistent view; a connection that was lost
// since the last call is made again by the next, once.

final class PostgresReader: StoreReader {
    private let address: PostgresAddress
    private let timeout: Duration
    private var connection: PostgresConnection

    init(address: PostgresAddress, timeout: Duration) throws(StoreError) {
        self.address = address
        self.timeout = timeout
        connection = try PostgresConnection(to: address, by: PostgresDeadline(after: timeout))
    }

    /// In the order that `entry` reads.
    private static let columns = "replica, seq, ts, kind, namespace, flags, deps, room, payload, hash"

    // MARK: The contract

    func history(room: Text, before: Position?, limit: Int) throws(StoreError) -> [Entry] {
        guard limit > 0 else { return [] }
        let last = Position(
            timestamp: HybridTimestamp(rawValue: .max), dot: Dot(replica: ReplicaID(rawValue: .max), seq: .max))
        let before = before ?? last
        let rows = try read([
            PostgresStatement(
                """
                SELECT \(Self.columns) FROM converge_entry
                WHERE room = $1 AND shelf = 1 AND (ts, replica, seq) < ($2, $3, $4)
                ORDER BY ts DESC, replica DESC, seq DESC LIMIT $5
                """
            ).binding(room).binding(before.timestamp.postgres).binding(before.dot.replica.postgres)
                .binding(before.dot.postgresSeq).binding(Int64(limit))
        ])[0]
        return try (0..<rows.count).reversed().map { (row) throws(StoreError) in try Self.entry(rows, row) }
    }

    func entries(room: Text, after cursor: VersionVector, limit: Int) throws(StoreError)
        -> (entries: [Entry], through: VersionVector)
    {
        // Along one replica's log timestamps grow, so the first of each log are enough to find the first of all.
        let results = try read([
            PostgresStatement("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"),
            PostgresStatement("SELECT replica, head FROM converge_replica WHERE head > 0"),
            PostgresStatement(
                """
                SELECT \(Self.columns.split(separator: ", ").map { "e." + $0 }.joined(separator: ", "))
                FROM converge_replica AS r
                LEFT JOIN unnest($2::bigint[], $3::bigint[]) AS c (replica, seq) ON c.replica = r.replica
                CROSS JOIN LATERAL (
                    SELECT \(Self.columns) FROM converge_entry
                    WHERE room = $1 AND replica = r.replica AND seq > coalesce(c.seq, 0) AND shelf <> 0
                    ORDER BY seq LIMIT $4
                ) AS e
                ORDER BY e.ts, e.replica, e.seq LIMIT $4
                """
            ).binding(room).binding(each: cursor.components, int8: \.replica.postgres)
                .binding(each: cursor.components, int8: \.postgresSeq).binding(Int64(max(limit, 0))),
            PostgresStatement("COMMIT"),
        ])
        var through = VersionVector()
        for row in 0..<results[1].count { through.advance(to: results[1].dot(row, 0)) }
        let rows = results[2]
        return (try (0..<rows.count).map { (row) throws(StoreError) in try Self.entry(rows, row) }, through)
    }

    func entries(of replica: ReplicaID, from seq: UInt64, limit: Int) throws(StoreError) -> [Entry] {
        guard limit > 0 else { return [] }
        let rows = try read([
            PostgresStatement(
                "SELECT \(Self.columns) FROM converge_entry WHERE replica = $1 AND seq >= $2 ORDER BY seq LIMIT $3"
            ).binding(replica.postgres).binding(Dot(replica: replica, seq: seq).postgresSeq).binding(Int64(limit))
        ])[0]
        var entries: [Entry] = []
        // Below its floor a log may be gone: what is handed out starts at `seq` and has no gap, or is nothing.
        for row in 0..<rows.count {
            let entry = try Self.entry(rows, row)
            guard entry.dot.seq == seq &+ UInt64(entries.count) else { break }
            entries.append(entry)
        }
        return entries
    }

    func positions(of ids: [MessageID]) throws(StoreError) -> [MessageID: Position] {
        guard !ids.isEmpty else { return [:] }
        let rows = try read([
            PostgresStatement("SELECT id, ts, replica, seq FROM converge_message_key WHERE id = ANY ($1)")
                .binding(each: ids, bytes: \.postgres)
        ])[0]
        var found: [MessageID: Position] = [:]
        for row in 0..<rows.count { found[MessageID(postgres: rows.array(row, 0))] = rows.position(row, 1) }
        return found
    }

    func prunedThrough() throws(StoreError) -> VersionVector {
        let rows = try read([PostgresStatement("SELECT replica, floor FROM converge_replica WHERE floor > 0")])[0]
        return VersionVector((0..<rows.count).map { rows.dot($0, 0) })
    }

    // MARK: Parts

    private func read(_ statements: [PostgresStatement]) throws(StoreError) -> [PostgresResult] {
        let deadline = PostgresDeadline(after: timeout)
        if connection.isAlive() {
            do {
                return try connection.run(statements, by: deadline)
            } catch {
                switch error {
                case .lost: break
                case .refused, .timeout:
                    // A refused transaction is ended by ending the connection.
                    connection.close()
                    guard error.isSerialization else { throw error.storeError(committing: false) }
                }
            }
        }
        connection = try PostgresConnection(to: address, by: deadline)
        do {
            return try connection.run(statements, by: deadline)
        } catch {
            connection.close()
            throw error.storeError(committing: false)
        }
    }

    private static func entry(_ rows: PostgresResult, _ row: Int) throws(StoreError) -> Entry {
        var entry = Entry(
            dot: rows.dot(row, 0), timestamp: rows.timestamp(row, 2),
            kind: EntryKind(rawValue: UInt8(clamping: rows.int(row, 3))),
            room: rows.text(row, 7), payload: rows.array(row, 8))
        entry.namespace = UInt8(clamping: rows.int(row, 4))
        entry.flags = Entry.Flags(rawValue: UInt8(clamping: rows.int(row, 5)))
        entry.hash = EntryHash(postgres: rows.array(row, 9))
        guard let dependencies = try? Entry.dependencies(decoding: rows.bytes(row, 6)) else {
            throw .corrupt("entry \(entry.dot.seq) of \(entry.dot.replica) has torn dependencies")
        }
        entry.dependencies = dependencies
        return entry
    }
}
