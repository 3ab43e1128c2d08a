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
    private let floors: SQLiteStatement

    /// In the order that `entry(_:)` reads.
    private static let columns = "replica, seq, ts, kind, namespace, flags, deps, room, payload, hash"

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
        floors = try connection.prepare("SELECT replica, floor FROM replica WHERE floor > 0 ORDER BY replica")
        firstAfter = try connection.prepare(
            "SELECT ts FROM entry WHERE replica = ?1 AND seq > ?2 ORDER BY seq LIMIT 1")
        room = try connection.prepare(Self.roomSQL)
        entry = try connection.prepare("SELECT \(Self.columns) FROM entry WHERE ordinal = ?1")
        key = try connection.prepare("SELECT ts, replica, seq FROM message_key WHERE id = ?1")
    }

    package static let historySQL = """
        SELECT \(columns) FROM entry
        WHERE room = ?1 AND shown = 1 AND (ts, replica, seq) < (?2, ?3, ?4)
        ORDER BY ts DESC, replica DESC, seq DESC LIMIT ?5
        """

    /// Of the indexes alone, so that entries which the cursor covers cost little.
    package static let roomSQL = """
        SELECT ts, replica, seq, ordinal FROM entry WHERE room = ?1 AND shown = 1 AND ts >= ?2
        UNION ALL
        SELECT ts, replica, seq, ordinal FROM entry WHERE room = ?1 AND shown = 2 AND ts >= ?2
        ORDER BY 1, 2, 3
        """

    // MARK: The contract

    package func history(room: Text, before: Position?, limit: Int) throws(StoreError) -> [Entry] {
        guard limit > 0 else { return [] }
        try start()
        let last = Position(
            timestamp: HybridTimestamp(rawValue: .max), dot: Dot(replica: ReplicaID(rawValue: .max), seq: .max))
        var entries: [Entry] = []
        history.bind(1, copying: room)
        history.bind(2, before ?? last)
        history.bind(5, Int64(limit))
        try history.forEachRow { (row) throws(StoreError) in entries.append(try read(row)) }
        entries.reverse()
        return entries
    }

    package func entries(room: Text, after cursor: VersionVector, limit: Int) throws(StoreError)
        -> (entries: [Entry], through: VersionVector)
    {
        try start()
        return try inOneView { () throws(StoreError) in
            let through = try vector()
            guard limit > 0, let earliest = try firstMissed(cursor, through) else { return ([], through) }
            var entries: [Entry] = []
            self.room.bind(1, copying: room)
            self.room.bind(2, clamping: earliest.rawValue)
            defer { self.room.reset() }
            while entries.count < limit, try self.room.step() {
                if cursor.covers(self.room.position(0).dot) { continue }
                entry.bind(1, self.room.int(3))
                try entry.forEachRow { (row) throws(StoreError) in entries.append(try read(row)) }
            }
            return (entries, through)
        }
    }

    package func entries(of replica: ReplicaID, from seq: UInt64, limit: Int) throws(StoreError) -> [Entry] {
        guard limit > 0 else { return [] }
        try start()
        var entries: [Entry] = []
        log.bind(1, replica)
        log.bind(2, clamping: seq)
        log.bind(3, Int64(limit))
        defer { log.reset() }
        // Below its floor a log may be gone: what is handed out starts at `seq` and has no gap, or is nothing.
        while try log.step(), log.unsigned(1) == seq &+ UInt64(entries.count) { entries.append(try read(log)) }
        return entries
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

    package func prunedThrough() throws(StoreError) -> VersionVector {
        try start()
        var through = VersionVector()
        try floors.forEachRow { (row) throws(StoreError) in through[row.replica(0)] = row.unsigned(1) }
        return through
    }

    // MARK: Parts

    private func start() throws(StoreError) {
        try connection.checkFile()
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

    private func read(_ row: SQLiteStatement) throws(StoreError) -> Entry {
        var entry = Entry(
            dot: Dot(replica: row.replica(0), seq: row.unsigned(1)),
            timestamp: HybridTimestamp(rawValue: row.unsigned(2)),
            kind: EntryKind(rawValue: UInt8(clamping: row.int(3))), room: row.text(7), payload: row.blob(8))
        entry.namespace = UInt8(clamping: row.int(4))
        entry.flags = Entry.Flags(rawValue: UInt8(clamping: row.int(5)))
        entry.hash = row.hash(9)
        guard let dependencies = row.withBlob(6, { try? Entry.dependencies(decoding: $0) }) else {
            throw .corrupt("\(connection.path): entry \(entry.dot.seq) of \(entry.dot.replica) has torn dependencies")
        }
        entry.dependencies = dependencies
        return entry
    }
}
