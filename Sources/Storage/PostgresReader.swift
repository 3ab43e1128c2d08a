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

    /// The server's wall clock, in milliseconds since 1970.
    static let wall = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"

    /// In the order that `entry` reads.
    static let columns = "replica, seq, ts, kind, namespace, flags, deps, room, payload, hash"

    // MARK: The contract

    func history(
        room: Text, before: Position?, limit: Int, within bound: VersionVector?
    ) throws(StoreError) -> [Entry] {
        guard limit > 0 else { return [] }
        let before = before ?? .end
        // A value for each row, no join: the rows go on coming in the index's order, and only as many as are wanted.
        let isWithin = """
            AND seq <= (SELECT b.seq FROM unnest($6::bigint[], $7::bigint[]) AS b (replica, seq)
                WHERE b.replica = converge_entry.replica)
            """
        var statement = PostgresStatement(
            """
            SELECT \(Self.columns) FROM converge_entry
            WHERE room = $1 AND shelf = 1 AND (ts, replica, seq) < ($2, $3, $4) \(bound == nil ? "" : isWithin)
            ORDER BY ts DESC, replica DESC, seq DESC LIMIT $5
            """
        ).binding(room).binding(before.timestamp.postgres).binding(before.dot.replica.postgres)
            .binding(before.dot.postgresSeq).binding(Int64(limit))
        if let bound { statement = statement.binding(dots: bound.components) }
        let rows = try read([statement])[0]
        return try (0..<rows.count).reversed().map { (row) throws(StoreError) in try rows.entry(row) }
    }

    func entries(
        room: Text, after cursor: VersionVector, limit: Int, within bound: VersionVector?
    ) throws(StoreError) -> (entries: [Entry], through: VersionVector) {
        // Along one replica's log timestamps grow, so the first of each log are enough to find the first of all.
        var missed = PostgresStatement(
            """
            SELECT \(Self.columns.split(separator: ", ").map { "e." + $0 }.joined(separator: ", "))
            FROM converge_replica AS r
            LEFT JOIN unnest($2::bigint[], $3::bigint[]) AS c (replica, seq) ON c.replica = r.replica
            \(bound == nil ? "" : "JOIN unnest($5::bigint[], $6::bigint[]) AS b (replica, seq) ON b.replica = r.replica")
            CROSS JOIN LATERAL (
                SELECT \(Self.columns) FROM converge_entry
                WHERE room = $1 AND replica = r.replica AND seq > coalesce(c.seq, 0) AND shelf <> 0
                    \(bound == nil ? "" : "AND seq <= b.seq")
                ORDER BY seq LIMIT $4
            ) AS e
            ORDER BY e.ts, e.replica, e.seq LIMIT $4
            """
        ).binding(room).binding(dots: cursor.components).binding(Int64(max(limit, 0)))
        if let bound { missed = missed.binding(dots: bound.components) }
        let results = try read([
            PostgresStatement("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"),
            PostgresStatement("SELECT replica, head FROM converge_replica WHERE head > 0"),
            missed,
            PostgresStatement("COMMIT"),
        ])
        var through = VersionVector()
        for row in 0..<results[1].count { through.advance(to: results[1].dot(row, 0)) }
        let rows = results[2]
        return (try (0..<rows.count).map { (row) throws(StoreError) in try rows.entry(row) }, through)
    }

    func entries(of replica: ReplicaID, from seq: UInt64, limit: Int) throws(StoreError) -> [Entry] {
        guard limit > 0 else { return [] }
        let rows = try read([Self.run(of: replica, from: seq, limit: limit)])[0]
        return try Self.withoutGaps(rows, from: seq)
    }

    /// Above the floor.
    private static func run(of replica: ReplicaID, from seq: UInt64, limit: Int) -> PostgresStatement {
        PostgresStatement(
            """
            SELECT \(columns) FROM converge_entry WHERE replica = $1 AND seq >= $2
                AND $2 > (SELECT floor FROM converge_replica WHERE replica = $1) ORDER BY seq LIMIT $3
            """
        ).binding(replica.postgres).binding(Dot(replica: replica, seq: seq).postgresSeq).binding(Int64(limit))
    }

    private static func withoutGaps(_ rows: PostgresResult, from seq: UInt64) throws(StoreError) -> [Entry] {
        var entries: [Entry] = []
        for row in 0..<rows.count {
            let entry = try rows.entry(row)
            guard entry.dot.seq == seq &+ UInt64(entries.count) else { break }
            entries.append(entry)
        }
        return entries
    }

    func range(_ ranges: [LogRange], limit bytes: Int) throws(StoreError) -> RangeRead {
        try inOneView { (run) throws(StoreError) in
            let rows = try run([
                PostgresStatement("SELECT replica, floor FROM converge_replica WHERE replica = ANY ($1)")
                    .binding(each: ranges, int8: \.replica.postgres)
            ])[0]
            var floors = VersionVector()
            for row in 0..<rows.count { floors.advance(to: rows.dot(row, 0)) }
            return try LogMerge.read(
                ranges, limit: bytes, floor: { (replica) throws(StoreError) in floors[replica] },
                entries: { (replica, seq, limit) throws(StoreError) in
                    try Self.withoutGaps(try run([Self.run(of: replica, from: seq, limit: limit)])[0], from: seq)
                })
        }
    }

    func snapshot(_ want: SnapshotWant) throws(StoreError) -> SnapshotChunk {
        try inOneView { (run) throws(StoreError) in
            try SnapshotPass.read(want, from: try PostgresSnapshot(since: want.since, run: run))
        }
    }

    func attendance(of seats: [(room: Text, user: Text)]) throws(StoreError) -> [AttendanceRecord] {
        guard !seats.isEmpty else { return [] }
        let rows = try read([
            PostgresStatement(
                """
                SELECT a.room, a.user_id, display_name, turn, ts, replica, seq
                FROM converge_attendance AS a
                JOIN unnest($1::bytea[], $2::bytea[]) WITH ORDINALITY AS s (room, user_id, number)
                    ON a.room = s.room AND a.user_id = s.user_id
                ORDER BY s.number
                """
            ).binding(each: seats, text: \.room).binding(each: seats, text: \.user)
        ])[0]
        return (0..<rows.count).map { rows.attendanceRecord($0) }
    }

    func hash(of dot: Dot) throws(StoreError) -> EntryHash? {
        guard dot.seq > 0 else { return nil }
        let rows = try read([
            PostgresStatement(
                """
                SELECT hash FROM converge_entry WHERE replica = $1 AND seq = $2
                UNION SELECT hash FROM converge_replica WHERE replica = $1 AND head = $2
                """
            ).binding(dot.replica.postgres).binding(dot.postgresSeq)
        ])[0]
        return rows.count > 0 ? EntryHash(postgres: rows.array(0, 0)) : nil
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

    func horizon() throws(StoreError) -> VersionVector {
        let rows = try read([PostgresStatement("SELECT replica, horizon FROM converge_replica WHERE horizon > 0")])[0]
        return VersionVector((0..<rows.count).map { rows.dot($0, 0) })
    }

    func documents(of room: Text, beyond cursor: VersionVector, limit: Int) throws(StoreError) -> [DocumentID] {
        guard limit > 0 else { return [] }
        let rows = try read([
            PostgresStatement(
                """
                SELECT DISTINCT t.kind, t.name FROM converge_replica AS r
                LEFT JOIN unnest($2::bigint[], $3::bigint[]) AS c (replica, seq) ON c.replica = r.replica
                CROSS JOIN LATERAL (
                    SELECT kind, name FROM converge_touched
                    WHERE room = $1 AND replica = r.replica AND seq > coalesce(c.seq, 0)
                ) AS t
                ORDER BY t.kind, t.name LIMIT $4
                """
            ).binding(room).binding(dots: cursor.components).binding(Int64(limit))
        ])[0]
        return (0..<rows.count).compactMap { row in
            DocumentKind(rawValue: UInt8(clamping: rows.int(row, 0))).map {
                DocumentID(room: room, kind: $0, name: rows.text(row, 1))
            }
        }
    }

    func heads() throws(StoreError) -> StoreHeads? {
        let rows = try read([
            PostgresStatement(
                "SELECT replica, head, hash, floor, beat, \(Self.wall) FROM converge_replica ORDER BY replica")
        ])[0]
        var heads = StoreHeads(ends: [], floors: VersionVector(), beats: [])
        if rows.count > 0 { heads.wall = UInt64(clamping: rows.int(0, 5)) }
        for row in 0..<rows.count {
            let dot = rows.dot(row, 0)
            heads.floors[dot.replica] = UInt64(clamping: rows.int(row, 3))
            if dot.seq > 0 { heads.ends.append(LogEnd(dot: dot, hash: EntryHash(postgres: rows.array(row, 2)))) }
            let beat = rows.int(row, 4)
            if beat > 0 { heads.beats.append(StoreHeads.Beat(replica: dot.replica, count: beat)) }
        }
        return heads
    }

    // MARK: Parts

    /// Several round trips that see one state. A connection that was lost before is made again.
    private func inOneView<R>(
        _ body: (_ run: @escaping PostgresSnapshot.Run) throws(StoreError) -> R
    ) throws(StoreError) -> R {
        _ = try read([PostgresStatement("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")])
        do throws(StoreError) {
            let deadline = PostgresDeadline(after: timeout)
            let result = try body { [connection] (statements) throws(StoreError) in
                try connection.query(statements, by: deadline)
            }
            _ = try connection.query([PostgresStatement("COMMIT")], by: deadline)
            return result
        } catch {
            connection.close()
            throw error
        }
    }

    private func read(_ statements: [PostgresStatement]) throws(StoreError) -> [PostgresResult] {
        let deadline = PostgresDeadline(after: timeout)
        if connection.isAlive(by: deadline) {
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
}
