// A read connection: sees one committed state of the file at a time, and never waits for the writer.

import CSQLite
import ConvergeCRDT
import ConvergeWire

package final class SQLiteReader: StoreReader {
    private let connection: SQLiteConnection
    private let timeout: Duration
    private let begin: SQLiteStatement
    private let end: SQLiteStatement
    private let history: SQLiteStatement
    private let log: SQLiteStatement
    private let heads: SQLiteStatement
    private let firstAfter: SQLiteStatement
    private let room: SQLiteStatement
    private let entry: SQLiteStatement
    private let key: SQLiteStatement
    private let horizons: SQLiteStatement
    private let touched: SQLiteStatement
    private let floor: SQLiteStatement
    private let attendance: SQLiteStatement
    private let hash: SQLiteStatement
    private let state: SQLiteSnapshot

    private static let columns = SQLiteStatement.entryColumns

    init(path: String, timeout: Duration) throws(StoreError) {
        connection = try SQLiteConnection(path: path, mode: .readOnly, timeout: timeout)
        self.timeout = timeout
        guard try SQLiteSchema.inspect(connection) == .current else {
            throw .unreachable("\(path): no node has opened this database for writing yet")
        }
        try connection.execute("PRAGMA query_only = ON; PRAGMA cache_size = -1024; PRAGMA mmap_size = 0")
        begin = try connection.prepare("BEGIN")
        end = try connection.prepare("COMMIT")
        history = try connection.prepare(Self.historySQL)
        log = try connection.prepare(
            "SELECT \(Self.columns) FROM entry WHERE replica = ?1 AND seq >= ?2 ORDER BY seq LIMIT ?3")
        heads = try connection.prepare("SELECT replica, head FROM replica WHERE head > 0 ORDER BY replica")
        horizons = try connection.prepare("SELECT replica, horizon FROM replica WHERE horizon > 0 ORDER BY replica")
        touched = try connection.prepare(Self.touchedSQL)
        firstAfter = try connection.prepare(
            "SELECT ts FROM entry WHERE replica = ?1 AND seq > ?2 ORDER BY seq LIMIT 1")
        room = try connection.prepare(Self.roomSQL)
        entry = try connection.prepare("SELECT \(Self.columns) FROM entry WHERE ordinal = ?1")
        key = try connection.prepare("SELECT ts, replica, seq FROM message_key WHERE id = ?1")
        floor = try connection.prepare("SELECT floor FROM replica WHERE replica = ?1")
        attendance = try connection.prepare(
            "SELECT room, user, display_name, turn, ts, replica, seq FROM attendance WHERE room = ?1 AND user = ?2")
        hash = try connection.prepare(
            """
            SELECT hash FROM entry WHERE replica = ?1 AND seq = ?2
            UNION SELECT hash FROM replica WHERE replica = ?1 AND head = ?2 AND head > 0
            """)
        state = try SQLiteSnapshot(connection)
    }

    package static let historySQL = """
        SELECT \(columns) FROM entry
        WHERE room = ?1 AND shown = 1 AND (ts, replica, seq) < (?2, ?3, ?4)
        ORDER BY ts DESC, replica DESC, seq DESC
        """

    /// Of the indexes alone, so that entries which the cursor covers cost little.
    package static let roomSQL = """
        SELECT ts, replica, seq, ordinal FROM entry WHERE room = ?1 AND shown = 1 AND ts >= ?2
        UNION ALL
        SELECT ts, replica, seq, ordinal FROM entry WHERE room = ?1 AND shown = 2 AND ts >= ?2
        ORDER BY 1, 2, 3
        """

    /// Of one log only what is beyond a cursor, by the index: a document stands in it under the last entry that affected it.
    package static let touchedSQL = """
        SELECT room, kind, name FROM touched WHERE room = ?1 AND replica = ?2 AND seq > ?3
        """

    // MARK: The contract

    package func history(
        room: Text, before: Position?, limit: Int, within bound: VersionVector?
    ) throws(StoreError) -> [Entry] {
        guard limit > 0 else { return [] }
        try start()
        var entries: [Entry] = []
        history.bind(1, copying: room)
        history.bind(2, before ?? .end)
        defer { history.reset() }
        // From the newest on: what is not within the bound is at the end of the room, and little.
        while entries.count < limit, try history.step() {
            if let bound, !bound.covers(Dot(replica: history.replica(0), seq: history.unsigned(1))) { continue }
            entries.append(try history.entry(connection.path))
        }
        entries.reverse()
        return entries
    }

    package func entries(
        room: Text, after cursor: VersionVector, limit: Int, within bound: VersionVector?
    ) throws(StoreError) -> (entries: [Entry], through: VersionVector) {
        try start()
        return try inOneView { () throws(StoreError) in
            let through = try vector()
            guard limit > 0, let earliest = try firstMissed(cursor, through) else { return ([], through) }
            var entries: [Entry] = []
            self.room.bind(1, copying: room)
            self.room.bind(2, clamping: earliest.rawValue)
            defer { self.room.reset() }
            while entries.count < limit, try self.room.step() {
                let dot = self.room.position(0).dot
                if cursor.covers(dot) { continue }
                if let bound, !bound.covers(dot) { continue }
                entry.bind(1, self.room.int(3))
                try entry.forEachRow { (row) throws(StoreError) in entries.append(try row.entry(connection.path)) }
            }
            return (entries, through)
        }
    }

    package func entries(of replica: ReplicaID, from seq: UInt64, limit: Int) throws(StoreError) -> [Entry] {
        guard limit > 0 else { return [] }
        try start()
        return try inOneView { () throws(StoreError) in
            seq > (try floor(of: replica)) ? try run(of: replica, from: seq, limit: limit) : []
        }
    }

    package func range(_ ranges: [LogRange], limit bytes: Int) throws(StoreError) -> RangeRead {
        try start()
        return try inOneView { () throws(StoreError) in
            try LogMerge.read(
                ranges, limit: bytes, floor: { (replica) throws(StoreError) in try floor(of: replica) },
                entries: { (replica, seq, limit) throws(StoreError) in
                    try run(of: replica, from: seq, limit: limit)
                })
        }
    }

    package func snapshot(_ want: SnapshotWant) throws(StoreError) -> SnapshotChunk {
        try start()
        return try inOneView { () throws(StoreError) in try SnapshotPass.read(want, from: try state.begun()) }
    }

    package func attendance(of seats: [(room: Text, user: Text)]) throws(StoreError) -> [AttendanceRecord] {
        try start()
        return try inOneView { () throws(StoreError) in
            var found: [AttendanceRecord] = []
            for seat in seats {
                attendance.bind(1, copying: seat.room)
                attendance.bind(2, copying: seat.user)
                try attendance.forEachRow { (row) throws(StoreError) in found.append(row.attendanceRecord()) }
            }
            return found
        }
    }

    package func hash(of dot: Dot) throws(StoreError) -> EntryHash? {
        try start()
        var found: EntryHash?
        hash.bind(1, dot.replica)
        hash.bind(2, clamping: dot.seq)
        try hash.forEachRow { (row) throws(StoreError) in found = row.hash(0) }
        return found
    }

    package func positions(of ids: [MessageID]) throws(StoreError) -> [MessageID: Position] {
        try start()
        return try inOneView { () throws(StoreError) in
            var found: [MessageID: Position] = [:]
            for id in ids {
                id.withBytes { key.bind(1, copying: Array($0)) }
                try key.forEachRow { (row) throws(StoreError) in found[id] = row.position(0) }
            }
            return found
        }
    }

    package func horizon() throws(StoreError) -> VersionVector {
        try start()
        var horizon = VersionVector()
        try horizons.forEachRow { (row) throws(StoreError) in horizon[row.replica(0)] = row.unsigned(1) }
        return horizon
    }

    package func documents(
        of room: Text, beyond cursor: VersionVector, limit: Int
    ) throws(StoreError) -> [DocumentID] {
        guard limit > 0 else { return [] }
        try start()
        var changed: Set<DocumentID> = []
        try inOneView { () throws(StoreError) in
            for head in try vector().components where !cursor.covers(head) {
                touched.bind(1, copying: room)
                touched.bind(2, head.replica)
                touched.bind(3, clamping: cursor[head.replica])
                try touched.forEachRow { (row) throws(StoreError) in
                    if let document = row.document() { changed.insert(document) }
                }
            }
        }
        return Array(changed.sorted(by: DocumentID.inStoreOrder).prefix(limit))
    }

    // MARK: Parts

    private func start() throws(StoreError) {
        if let harm = connection.harm() { throw harm.error(connection.path) }
        connection.limitTime(to: timeout)
    }

    private func inOneView<R>(_ body: () throws(StoreError) -> R) throws(StoreError) -> R {
        try begin.run()
        do throws(StoreError) {
            let result = try body()
            try end.run()
            return result
        } catch {
            connection.rollBack()
            throw error
        }
    }

    private func floor(of replica: ReplicaID) throws(StoreError) -> UInt64 {
        var found: UInt64 = 0
        floor.bind(1, replica)
        try floor.forEachRow { (row) throws(StoreError) in found = row.unsigned(0) }
        return found
    }

    private func run(of replica: ReplicaID, from seq: UInt64, limit: Int) throws(StoreError) -> [Entry] {
        var entries: [Entry] = []
        log.bind(1, replica)
        log.bind(2, clamping: seq)
        log.bind(3, Int64(limit))
        defer { log.reset() }
        while try log.step(), log.unsigned(1) == seq &+ UInt64(entries.count) {
            entries.append(try log.entry(connection.path))
        }
        return entries
    }

    private func vector() throws(StoreError) -> VersionVector {
        var vector = VersionVector()
        try heads.forEachRow { (row) throws(StoreError) in vector[row.replica(0)] = row.unsigned(1) }
        return vector
    }

    /// No entry that `cursor` lacks stands before this. A replica's timestamps grow with its seq.
    private func firstMissed(_ cursor: VersionVector, _ through: VersionVector) throws(StoreError) -> HybridTimestamp? {
        var earliest: HybridTimestamp?
        for head in through.components where !cursor.covers(head) {
            firstAfter.bind(1, head.replica)
            firstAfter.bind(2, clamping: cursor[head.replica])
            try firstAfter.forEachRow { (row) throws(StoreError) in
                let timestamp = HybridTimestamp(rawValue: row.unsigned(0))
                earliest = min(earliest ?? timestamp, timestamp)
            }
        }
        return earliest
    }
}
