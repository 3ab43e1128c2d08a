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
        /// A page with its frame's header.
        static let pageBytes = 4_096 + 24
        /// What the log's file keeps on disk when it starts over.
        static let kept = 8_000
    }

    private var connection: SQLiteConnection?
    private var lock: SQLiteLock?
    private let readers: SQLiteOpenReaders
    private let replica: ReplicaID
    private let sync: SyncMode
    private let attendanceLimit: Int
    private var vector: VersionVector
    private let log: SQLiteLog
    /// Where commits are synced.
    private let logFile: SQLiteLogFile?
    private let begin: SQLiteStatement
    private let commit: SQLiteStatement
    /// The log's length at which the next checkpoint is due.
    private var checkpointAt = LogLimit.eager
    /// Set once the writer must not go on.
    private var spent: StoreError?

    init(
        _ connection: SQLiteConnection, _ log: SQLiteLog, lock: SQLiteLock, readers: SQLiteOpenReaders,
        _ recovered: Recovered, sync: SyncMode, attendanceLimit: Int
    ) throws(StoreError) {
        self.connection = connection
        self.lock = lock
        self.readers = readers
        replica = recovered.replica
        vector = recovered.vector
        self.sync = sync
        self.attendanceLimit = attendanceLimit
        self.log = log
        logFile = sync == .full ? connection.logFile(limit: LogLimit.eager * LogLimit.pageBytes) : nil
        begin = try connection.prepare("BEGIN IMMEDIATE")
        commit = try connection.prepare("COMMIT")
    }

    func append(_ batch: Batch) throws(StoreError) {
        vector = try transaction { (_) throws(StoreError) in
            let next = try BatchRules.check(batch, after: vector)
            try log.store(batch)
            return next
        }
    }

    func prune(_ pruning: Pruning) throws(StoreError) -> Pruned {
        try transaction { (_) throws(StoreError) in try log.prune(pruning, vector) }
    }

    func stage(_ chunk: SnapshotChunk) throws(StoreError) {
        try transaction { (_) throws(StoreError) in try log.stage(chunk) }
    }

    func discardStage() throws(StoreError) {
        try transaction { (connection) throws(StoreError) in try SQLiteStage.clear(connection) }
    }

    func fork(in final: SnapshotChunk) throws(StoreError) -> Dot? {
        try transaction { (connection) throws(StoreError) in try SQLiteReload(connection, log).fork(in: final) }
    }

    func install(_ final: SnapshotChunk, have: VersionVector) throws(StoreError) -> Recovered {
        let recovered = try transaction { (connection) throws(StoreError) in
            let after = try log.install(final, have: have, vector)
            guard let identity = try SQLiteIdentity.load(connection) else {
                throw .corrupt("\(connection.path): the table meta does not name the replica")
            }
            return try SQLiteIdentity.recover(
                connection, under: identity, vector: after, attendanceLimit: attendanceLimit)
        }
        vector = recovered.vector
        return recovered
    }

    func reload(_ final: SnapshotChunk) throws(StoreError) -> Recovered {
        let recovered = try transaction { (connection) throws(StoreError) in
            guard let identity = try SQLiteIdentity.load(connection) else {
                throw .corrupt("\(connection.path): the table meta does not name the replica")
            }
            let after = try SQLiteReload(connection, log).run(final)
            return try SQLiteIdentity.recover(
                connection, under: identity, vector: after, attendanceLimit: attendanceLimit)
        }
        vector = recovered.vector
        return recovered
    }

    /// Does one thing whole, or nothing of it.
    private func transaction<R>(
        _ body: (SQLiteConnection) throws(StoreError) -> R
    ) throws(StoreError) -> R {
        if let spent { throw .failed("the writer ended with an error before: \(spent.message)") }
        guard let connection else { throw .failed("the writer is closed") }
        do throws(StoreError) {
            try begin.run()
            // Nobody else writes from here on, so the files and what the log's index says of them belong together.
            if let harm = connection.harmToWriter() { throw contain(harm, connection) }
            logFile?.reserve((connection.logPages + 64) * LogLimit.pageBytes)
            let result = try body(connection)
            try connection.reserveLogIndex()
            try commitTransaction(connection)
            try checkpointIfDue(connection)
            return result
        } catch {
            spent = error
            connection.rollBack()
            throw error
        }
    }

    /// Something befell the files. What was committed is saved as far as it can be, and all connections are closed with
    /// this one, so that the next opening sees what is on the disk.
    private func contain(_ harm: SQLiteFiles.Harm, _ connection: SQLiteConnection) -> StoreError {
        connection.rollBack()
        var losesNothing = harm.losesNothing
        if harm == .logGone || harm == .indexGone {
            // The log is still open, under no name: all of it goes into the database, which has one.
            losesNothing = (try? connection.checkpoint(waiting: true)) == 0
        }
        // A log that is not whole, or a file that has lost its name, is no matter for the copying that closing does.
        connection.leaveLog()
        if !losesNothing {
            lock?.keep(SQLiteMark(replica: replica, committed: vector[replica]))
            readers.isSuspected = true
        }
        readers.closeAll()
        return harm.error(connection.path)
    }

    func close() {
        guard let connection else { return }
        if spent == nil {
            // With sync normal the last commits are not on the disk yet; this one takes them along.
            try? connection.execute("PRAGMA synchronous = FULL")
            try? SQLiteIdentity.markClean(connection)
            // Whoever closes last empties the log, unless that is a reader: so that the file alone holds all, it is done
            // here. If it can't be, the log stays, and is read at the next opening.
            _ = try? connection.checkpoint(waiting: true)
            lock?.keep(SQLiteMark(replica: replica, committed: vector[replica]))
        }
        self.connection = nil
        lock = nil
    }

    // MARK: Committing

    private func commitTransaction(_ connection: SQLiteConnection) throws(StoreError) {
        let code = commit.runForCode()
        do throws(StoreError) {
            try commit.check(code)
        } catch {
            // Whether the commit's last page got into the log only the log can tell.
            throw connection.leavesCommitOpen(code) ? .unknownOutcome(error.message) : error
        }
        // It is in the files that are open. Whether those are the ones that the next process finds, too, is seen now.
        if let harm = connection.harmToWriter() { throw .unknownOutcome(contain(harm, connection).message) }
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
