// The write connection: one transaction a batch.
//
// Invariant: after an append that returned, the batch is in the file (and on the disk, with sync full); after one that
// threw, nothing of it is, except where the error says that this is unknown. A replica's row moves from the head that
// this writer knows to the next or not at all, so a second writer would be noticed.

import CSQLite
import ConvergeCRDT
import ConvergeWire

final class SQLiteWriter: StoreWriter {
    /// In pages of 4 KiB.
    enum LogLimit {
        /// From here on the write-ahead log is copied into the database after a commit, past readers.
        static let eager = 4_000
        /// From here on it waits for readers, whose time is limited.
        static let patient = 16_000
        /// Where no copying helps any more, writing ends.
        static let hard = 64_000
        /// What the log's file keeps on disk when it starts over.
        static let kept = 8_000
    }

    private var connection: SQLiteConnection?
    private var lock: SQLiteLock?
    private let sync: SyncMode
    private var vector: VersionVector
    private let effects: SQLiteEffects
    private let insertEntry: SQLiteStatement
    private let insertReplica: SQLiteStatement
    private let updateReplica: SQLiteStatement
    private let begin: SQLiteStatement
    private let commit: SQLiteStatement
    /// The log's length at which the next checkpoint is due.
    private var checkpointAt = LogLimit.eager
    /// Set once the writer must not go on.
    private var spent: StoreError?

    init(_ connection: SQLiteConnection, lock: SQLiteLock, vector: VersionVector, sync: SyncMode) throws(StoreError) {
        self.connection = connection
        self.lock = lock
        self.vector = vector
        self.sync = sync
        effects = try SQLiteEffects(connection)
        insertEntry = try connection.prepare(
            """
            INSERT INTO entry(replica, seq, ts, shown, kind, namespace, flags, room, hash, deps, payload)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
            """)
        insertReplica = try connection.prepare(
            """
            INSERT INTO replica(replica, head, clock, hash) VALUES (?1, ?2, ?3, ?4)
            ON CONFLICT DO UPDATE SET head = excluded.head, clock = excluded.clock, hash = excluded.hash WHERE head = 0
            """)
        updateReplica = try connection.prepare(
            "UPDATE replica SET head = ?2, clock = max(clock, ?3), hash = ?4 WHERE replica = ?1 AND head = ?5")
        begin = try connection.prepare("BEGIN IMMEDIATE")
        commit = try connection.prepare("COMMIT")
    }

    func append(_ batch: Batch) throws(StoreError) {
        if let spent { throw .failed("the writer ended with an error before: \(spent.message)") }
        guard let connection else { throw .failed("the writer is closed") }
        do throws(StoreError) {
            try connection.checkFile()
            let next = try BatchRules.check(batch, after: vector)
            try begin.run()
            try store(batch, connection)
            try commitTransaction()
            vector = next
            try checkpointIfDue(connection)
        } catch {
            spent = error
            connection.rollBack()
            throw error
        }
    }

    func close() {
        guard let connection else { return }
        if spent == nil {
            // With sync normal the last commits are not on the disk yet; this one takes them along.
            try? connection.execute("PRAGMA synchronous = FULL")
            try? SQLiteIdentity.markClean(connection)
        }
        self.connection = nil
        lock = nil
    }

    // MARK: One batch

    private func store(_ batch: Batch, _ connection: SQLiteConnection) throws(StoreError) {
        var hiding: Set<Dot> = []
        for case .hide(let dot) in batch.effects { hiding.insert(dot) }
        var heads: [Head] = []
        for entry in batch.entries {
            let hidden = !hiding.isEmpty && hiding.contains(entry.dot)
            try insert(entry, shelf: hidden ? .hidden : BatchRules.shelf(of: entry))
            if let last = heads.indices.last, heads[last].replica == entry.dot.replica {
                heads[last].take(entry)
            } else if let known = heads.firstIndex(where: { $0.replica == entry.dot.replica }) {
                heads[known].take(entry)
            } else {
                heads.append(Head(entry))
            }
        }
        for head in heads { try move(head, connection) }
        for effect in batch.effects { try effects.apply(effect) }
    }

    private func insert(_ entry: Entry, shelf: BatchRules.Shelf) throws(StoreError) {
        let statement = insertEntry
        statement.bind(1, entry.dot.replica)
        statement.bind(2, clamping: entry.dot.seq)
        statement.bind(3, clamping: entry.timestamp.rawValue)
        statement.bind(4, shelf.rawValue)
        statement.bind(5, Int64(entry.kind.rawValue))
        statement.bind(6, Int64(entry.namespace))
        statement.bind(7, Int64(entry.flags.rawValue))
        if entry.dependencies.isEmpty {
            statement.bindNull(10)
        } else {
            statement.bind(10, copying: DotBlob.encode(entry.dependencies))
        }
        let code = entry.room.withUTF8 { room in
            entry.hash.withBytes { hash in
                entry.payload.withUnsafeBytes { payload in
                    statement.bind(8, text: room)
                    statement.bind(9, blob: hash)
                    statement.bind(11, blob: payload)
                    return statement.runForCode()
                }
            }
        }
        if code & 0xFF == SQLITE_CONSTRAINT {
            throw .fenced("entry \(entry.dot.seq) of \(entry.dot.replica) is in the database already")
        }
        try statement.check(code)
    }

    /// What a batch makes of one replica's row.
    private struct Head {
        let replica: ReplicaID
        let before: UInt64
        var seq: UInt64
        var clock: HybridTimestamp
        var hash: EntryHash

        init(_ entry: Entry) {
            replica = entry.dot.replica
            before = entry.dot.seq - 1
            seq = entry.dot.seq
            clock = entry.timestamp
            hash = entry.hash
        }

        mutating func take(_ entry: Entry) {
            seq = entry.dot.seq
            clock = max(clock, entry.timestamp)
            hash = entry.hash
        }
    }

    private func move(_ head: Head, _ connection: SQLiteConnection) throws(StoreError) {
        let statement = head.before == 0 ? insertReplica : updateReplica
        statement.bind(1, head.replica)
        statement.bind(2, clamping: head.seq)
        statement.bind(3, clamping: head.clock.rawValue)
        if head.before != 0 { statement.bind(5, clamping: head.before) }
        let code = head.hash.withBytes { hash in
            statement.bind(4, blob: hash)
            return statement.runForCode()
        }
        try statement.check(code)
        guard connection.changes == 1 else { throw .fenced("the log of \(head.replica) was written by somebody else") }
    }

    private func commitTransaction() throws(StoreError) {
        do throws(StoreError) {
            try commit.run()
        } catch .failed(let what) {
            // An error while the log was written: whether the commit's last page got there only the log can tell.
            throw .unknownOutcome(what)
        }
    }

    // MARK: The write-ahead log

    /// An error other than a failed sync is no reason to doubt what was committed: it is tried again later, and ends the
    /// writing only where the log has grown beyond all measure.
    private func checkpointIfDue(_ connection: SQLiteConnection) throws(StoreError) {
        let pages = connection.logPages
        if pages < LogLimit.eager { checkpointAt = LogLimit.eager }
        guard pages >= checkpointAt else { return }
        do throws(StoreError) {
            let left = try connection.checkpoint(waiting: pages >= LogLimit.patient)
            // All copied: the next commit starts the log over. Otherwise a reader stands in the way.
            checkpointAt = left == 0 ? LogLimit.eager : pages + LogLimit.eager / 4
        } catch .syncFailed(let what) {
            throw .syncFailed(what)
        } catch {
            checkpointAt = pages + LogLimit.eager / 4
            if pages >= LogLimit.hard { spent = error }
        }
    }
}
