// What a pass of a snapshot reads from the file. The caller holds the transaction.

import CSQLite
import ConvergeCRDT
import ConvergeWire

struct SQLiteSnapshot: SnapshotSource {
    private(set) var vector = VersionVector()
    private(set) var horizon = VersionVector()
    private var found = SnapshotEnd(heads: [], floors: VersionVector(), clock: .zero)
    private let logs: SQLiteStatement
    private let touched: SQLiteStatement
    private let cells: SQLiteDocumentCells
    private let allAttendance: SQLiteStatement
    private let attendance: SQLiteStatement
    private let keys: SQLiteStatement
    private let log: SQLiteStatement
    private let path: String

    init(_ connection: SQLiteConnection) throws(StoreError) {
        path = connection.path
        logs = try connection.prepare(
            "SELECT replica, head, floor, clock, hash, horizon FROM replica WHERE head > 0 ORDER BY 1")
        touched = try connection.prepare(
            """
            SELECT room, kind, name, replica, seq FROM touched WHERE (room, kind, name) > (?1, ?2, ?3)
            ORDER BY room, kind, name, replica
            """)
        cells = try SQLiteDocumentCells(connection, table: "cell")
        let records = "SELECT room, user, display_name, turn, ts, replica, seq FROM attendance"
        allAttendance = try connection.prepare(records + " ORDER BY room, user")
        attendance = try connection.prepare(records + " WHERE (room, user) > (?1, ?2) ORDER BY room, user")
        keys = try connection.prepare("SELECT id, ts, replica, seq FROM message_key WHERE id > ?1 ORDER BY id")
        log = try connection.prepare(
            "SELECT \(SQLiteStatement.entryColumns) FROM entry WHERE replica = ?1 AND seq > ?2 ORDER BY seq")
    }

    /// As of the transaction that has begun.
    func begun() throws(StoreError) -> SQLiteSnapshot {
        var begun = self
        begun.vector = VersionVector()
        begun.horizon = VersionVector()
        begun.found = SnapshotEnd(heads: [], floors: VersionVector(), clock: .zero)
        try logs.forEachRow { (row) throws(StoreError) in
            let head = Dot(replica: row.replica(0), seq: row.unsigned(1))
            begun.vector.advance(to: head)
            begun.found.heads.append(LogEnd(dot: head, hash: row.hash(4)))
            begun.found.floors[head.replica] = row.unsigned(2)
            begun.horizon[head.replica] = row.unsigned(5)
            begun.found.clock = max(begun.found.clock, HybridTimestamp(rawValue: row.unsigned(3)))
        }
        return begun
    }

    func end() -> SnapshotEnd { found }

    func documents(
        after: DocumentID?, since: VersionVector, _ body: (SnapshotDocument) throws(StoreError) -> Bool
    ) throws(StoreError) -> Bool {
        touched.bind(1, copying: after?.room ?? "")
        touched.bind(2, Int64(after?.kind.rawValue ?? 0))
        touched.bind(3, copying: after?.name ?? "")
        return try SQLiteDocumentCells.forEachDocument(in: touched) { (id, touched) throws(StoreError) in
            if since.covers(touched) { return true }
            return try body(SnapshotDocument(id: id, touched: touched, cells: try cells.read(id)))
        }
    }

    func attendance(
        after: (room: Text, user: Text)?, since: VersionVector, _ body: (AttendanceRecord) throws(StoreError) -> Bool
    ) throws(StoreError) -> Bool {
        // No text is less than the empty one, which may be the first room's and user's.
        let records = after == nil ? allAttendance : attendance
        defer { records.reset() }
        if let after {
            records.bind(1, copying: after.room)
            records.bind(2, copying: after.user)
        }
        while try records.step() {
            let record = records.attendanceRecord()
            if !since.covers(record.position.dot), try !body(record) { return false }
        }
        return true
    }

    func keys(
        after: MessageID?, since: VersionVector, _ body: (KeyPosition) throws(StoreError) -> Bool
    ) throws(StoreError) -> Bool {
        defer { keys.reset() }
        if let after { after.withBytes { keys.bind(1, copying: Array($0)) } } else { keys.bind(1, copying: []) }
        while try keys.step() {
            let key = keys.keyPosition()
            if !since.covers(key.position.dot), try !body(key) { return false }
        }
        return true
    }

    func entries(
        of replica: ReplicaID, after seq: UInt64, _ body: (Entry) throws(StoreError) -> Bool
    ) throws(StoreError) -> Bool {
        defer { log.reset() }
        log.bind(1, replica)
        log.bind(2, clamping: seq)
        while try log.step() {
            if try !body(try log.entry(path)) { return false }
        }
        return true
    }
}

extension SQLiteStatement {
    /// In the order that `entry` reads.
    static let entryColumns = "replica, seq, ts, kind, namespace, flags, deps, room, payload, hash"

    /// - Parameter path: of the file, for an error.
    func entry(_ path: String) throws(StoreError) -> Entry {
        var entry = Entry(
            dot: Dot(replica: replica(0), seq: unsigned(1)), timestamp: HybridTimestamp(rawValue: unsigned(2)),
            kind: EntryKind(rawValue: UInt8(clamping: int(3))), room: text(7), payload: blob(8))
        entry.namespace = UInt8(clamping: int(4))
        entry.flags = Entry.Flags(rawValue: UInt8(clamping: int(5)))
        entry.hash = hash(9)
        guard let dependencies = withBlob(6, { try? Entry.dependencies(decoding: $0) }) else {
            throw .corrupt("\(path): entry \(entry.dot.seq) of \(entry.dot.replica) has torn dependencies")
        }
        entry.dependencies = dependencies
        return entry
    }

    /// The columns `room, user, display_name, turn, ts, replica, seq`.
    func attendanceRecord() -> AttendanceRecord {
        AttendanceRecord(room: text(0), user: text(1), displayName: text(2), number: unsigned(3), position: position(4))
    }

    /// The columns `id, ts, replica, seq`.
    func keyPosition() -> KeyPosition {
        let id = withBlob(0) { EntryHash(bytes: $0) } ?? .zero
        return KeyPosition(id: MessageID(high: id.high, low: id.low), position: position(1))
    }
}
