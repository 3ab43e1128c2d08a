import ConvergeCRDT
import ConvergeWire

// What a pass of a snapshot reads from PostgreSQL, page by page. The caller holds the transaction, which sees one state.

struct PostgresSnapshot: SnapshotSource {
    typealias Run = ([PostgresStatement]) throws(StoreError) -> [PostgresResult]

    private(set) var vector = VersionVector()
    private(set) var horizon = VersionVector()
    private var found = SnapshotEnd(heads: [], floors: VersionVector(), clock: .zero)
    private let since: VersionVector
    private let run: Run

    private enum Page {
        static let documents = 16
        static let small = 512
        static let entries = 64
    }

    init(since: VersionVector, run: @escaping Run) throws(StoreError) {
        self.since = since
        self.run = run
        let rows = try run([
            PostgresStatement(
                """
                SELECT replica, head, floor, clock, hash, horizon FROM converge_replica
                WHERE head > 0 ORDER BY replica
                """)
        ])[0]
        for row in 0..<rows.count {
            let head = rows.dot(row, 0)
            vector.advance(to: head)
            found.heads.append(LogEnd(dot: head, hash: EntryHash(postgres: rows.array(row, 4))))
            found.floors[head.replica] = UInt64(clamping: rows.int(row, 2))
            found.clock = max(found.clock, rows.timestamp(row, 3))
            horizon[head.replica] = UInt64(clamping: rows.int(row, 5))
        }
    }

    func end() -> SnapshotEnd { found }

    /// `$1` and `$2` are the vector; rows of `t` that it does not cover stay.
    private static let uncovered = """
        LEFT JOIN unnest($1::bigint[], $2::bigint[]) AS c (replica, seq) ON c.replica = t.replica
        WHERE t.seq > coalesce(c.seq, 0)
        """

    private func statement(_ sql: String) -> PostgresStatement {
        PostgresStatement(sql).binding(dots: since.components)
    }

    func documents(
        after: DocumentID?, since: VersionVector, _ body: (SnapshotDocument) throws(StoreError) -> Bool
    ) throws(StoreError) -> Bool {
        var last = after
        while true {
            let rows = try run([
                statement(
                    """
                    SELECT DISTINCT t.room, t.kind, t.name FROM converge_touched AS t \(Self.uncovered)
                        AND (t.room, t.kind, t.name) > ($3, $4::smallint, $5)
                    ORDER BY t.room, t.kind, t.name LIMIT \(Page.documents)
                    """
                ).binding(last?.room ?? "").binding(Int64(last?.kind.rawValue ?? 0)).binding(last?.name ?? "")
            ])[0]
            var ids: [DocumentID] = []
            for row in 0..<rows.count {
                if let id = rows.document(row) { ids.append(id) }
            }
            let whole = try Self.read(ids, run)
            for id in ids {
                let document = whole[id] ?? SnapshotDocument(id: id, touched: VersionVector(), cells: [])
                if try !body(document) { return false }
            }
            guard rows.count == Page.documents, let end = ids.last else { return true }
            last = end
        }
    }

    /// The whole of these documents, cells by key and slot.
    static func read(_ ids: [DocumentID], _ run: Run) throws(StoreError) -> [DocumentID: SnapshotDocument] {
        guard !ids.isEmpty else { return [:] }
        func statement(_ table: String, _ columns: String, _ order: String) -> PostgresStatement {
            PostgresStatement(
                """
                SELECT t.room, t.kind, t.name, \(columns) FROM converge_\(table) AS t
                JOIN unnest($1::bytea[], $2::smallint[], $3::bytea[]) AS d (room, kind, name)
                    ON t.room = d.room AND t.kind = d.kind AND t.name = d.name
                ORDER BY t.room, t.kind, t.name, \(order)
                """
            ).binding(documents: ids)
        }
        let results = try run([
            statement("touched", "replica, seq", "replica"),
            statement("cell", "t.key, ts, replica, seq, value", "t.key, t.slot"),
        ])
        var found: [DocumentID: SnapshotDocument] = [:]
        for id in ids { found[id] = SnapshotDocument(id: id, touched: VersionVector(), cells: []) }
        let touched = results[0]
        for row in 0..<touched.count {
            if let id = touched.document(row) { found[id]?.touched.advance(to: touched.dot(row, 3)) }
        }
        let cells = results[1]
        for row in 0..<cells.count {
            if let id = cells.document(row) { found[id]?.cells.append(cells.cell(row, of: id.kind)) }
        }
        return found
    }

    func attendance(
        after: (room: Text, user: Text)?, since: VersionVector, _ body: (AttendanceRecord) throws(StoreError) -> Bool
    ) throws(StoreError) -> Bool {
        var last = after
        while true {
            var select = statement(
                """
                SELECT t.room, t.user_id, t.display_name, t.turn, t.ts, t.replica, t.seq
                FROM converge_attendance AS t \(Self.uncovered)
                \(last == nil ? "" : "AND (t.room, t.user_id) > ($3, $4)")
                ORDER BY t.room, t.user_id LIMIT \(Page.small)
                """)
            if let last { select = select.binding(last.room).binding(last.user) }
            let rows = try run([select])[0]
            for row in 0..<rows.count {
                let record = rows.attendanceRecord(row)
                if try !body(record) { return false }
                last = (record.room, record.user)
            }
            if rows.count < Page.small { return true }
        }
    }

    func keys(
        after: MessageID?, since: VersionVector, _ body: (KeyPosition) throws(StoreError) -> Bool
    ) throws(StoreError) -> Bool {
        var last = after
        while true {
            let rows = try run([
                statement(
                    """
                    SELECT t.id, t.ts, t.replica, t.seq FROM converge_message_key AS t \(Self.uncovered) AND t.id > $3
                    ORDER BY t.id LIMIT \(Page.small)
                    """
                ).binding(last?.postgres ?? [])
            ])[0]
            for row in 0..<rows.count {
                let key = KeyPosition(id: MessageID(postgres: rows.array(row, 0)), position: rows.position(row, 1))
                if try !body(key) { return false }
                last = key.id
            }
            if rows.count < Page.small { return true }
        }
    }

    func entries(
        of replica: ReplicaID, after seq: UInt64, _ body: (Entry) throws(StoreError) -> Bool
    ) throws(StoreError) -> Bool {
        var last = seq
        while true {
            let rows = try run([
                PostgresStatement(
                    """
                    SELECT \(PostgresReader.columns) FROM converge_entry WHERE replica = $1 AND seq > $2
                    ORDER BY seq LIMIT \(Page.entries)
                    """
                ).binding(replica.postgres).binding(Int64(clamping: last))
            ])[0]
            for row in 0..<rows.count {
                let entry = try rows.entry(row)
                if try !body(entry) { return false }
                last = entry.dot.seq
            }
            if rows.count < Page.entries { return true }
        }
    }
}
