// One connection to an SQLite file, and its prepared statements.
//
// Invariant: a connection belongs to one thread at a time (it is opened without SQLite's mutexes), and every result code
// becomes a `StoreError` in one place. https://www.sqlite.org/c3ref/intro.html

import CSQLite
import ConvergeCRDT
import ConvergeWire
import Glibc

final class SQLiteConnection {
    let path: String
    private let handle: OpaquePointer
    private var files: SQLiteFiles
    private var logIndex: SQLiteLogIndex
    private var statements: [SQLiteStatement] = []
    /// Written by SQLite's hook within this connection's own calls.
    private let logLength: UnsafeMutablePointer<Int32>
    /// When the running read must end, on the monotonic clock in nanoseconds; 0 for never.
    private var deadline: UInt64 = 0

    enum Mode {
        case readWrite
        case readOnly
    }

    /// The file has to be there. Throws `unreachable` where it is not.
    init(path: String, mode: Mode, timeout: Duration) throws(StoreError) {
        self.path = path
        var opened: OpaquePointer?
        let access = mode == .readWrite ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY
        let code = sqlite3_open_v2(path, &opened, access | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nil)
        guard code == SQLITE_OK, let opened else {
            let error = SQLiteFailure.error(
                code, system: Self.systemError(code, opened),
                opened.map { String(cString: sqlite3_errmsg($0)) } ?? "", path)
            sqlite3_close_v2(opened)
            throw error
        }
        let name = sqlite3_db_filename(opened, "main").map { String(cString: $0) } ?? path
        guard let files = SQLiteFiles(of: path, resolved: name) else {
            sqlite3_close_v2(opened)
            throw .unreachable("\(path): the file can't be looked at")
        }
        handle = opened
        self.files = files
        logIndex = SQLiteLogIndex(opened)
        logLength = .allocate(capacity: 1)
        logLength.initialize(to: 0)
        sqlite3_busy_timeout(handle, Int32(clamping: timeout.inMilliseconds))
    }

    deinit {
        for statement in statements { statement.finalize() }
        sqlite3_close_v2(handle)
        logLength.deallocate()
    }

    var isReadOnly: Bool { sqlite3_db_readonly(handle, "main") == 1 }

    // MARK: The files

    /// The file that was opened.
    var file: FileIdentity { files.database }

    /// What has befallen the files, seen from a reader, which does not know how much of the log counts.
    func harm() -> SQLiteFiles.Harm? { files.harm { 0 } }

    /// What has befallen the files, seen from the writer.
    func harmToWriter() -> SQLiteFiles.Harm? {
        let harm = files.harm { logIndex.neededLogBytes }
        guard case .logCut? = harm else { return harm }
        // Between two looks another program may have written more than there was at the first.
        return files.harm { logIndex.neededLogBytes }
    }

    /// Within a write transaction that is about to be committed: makes room in the log's index, so that the commit does not
    /// find that there is none after it is on the disk.
    func reserveLogIndex() throws(StoreError) {
        let code = logIndex.reserve(cachePages: Self.cachePages)
        guard code == SQLITE_OK || code == SQLITE_NOTFOUND else { throw error(code) }
    }

    /// More than what `cache_size` makes.
    private static let cachePages = 4_096

    /// The log stays as it is when the connection closes.
    func leaveLog() { _ = csqlite_leave_log(handle) }

    // MARK: Statements

    /// Compiles `sql`; the statement lives as long as the connection.
    func prepare(_ sql: String) throws(StoreError) -> SQLiteStatement {
        var compiled: OpaquePointer?
        let code = sqlite3_prepare_v3(handle, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &compiled, nil)
        guard code == SQLITE_OK, let compiled else { throw error(code) }
        let statement = SQLiteStatement(compiled, of: self)
        statements.append(statement)
        return statement
    }

    /// Runs statements that give nothing back, separated by semicolons.
    func execute(_ sql: String) throws(StoreError) {
        let code = sqlite3_exec(handle, sql, nil, nil, nil)
        guard code == SQLITE_OK else { throw error(code) }
    }

    /// The first column of the first row as a number; nil where there is no row.
    func number(_ sql: String) throws(StoreError) -> Int64? {
        try once(sql) { (row) throws(StoreError) in row.int(0) }
    }

    /// The first column of the first row as text; nil where there is no row.
    func text(_ sql: String) throws(StoreError) -> String? {
        try once(sql) { (row) throws(StoreError) in row.text(0).string }
    }

    /// Runs `sql` once.
    func forEachRow(
        of sql: String, _ body: (SQLiteStatement) throws(StoreError) -> Void
    ) throws(StoreError) {
        var compiled: OpaquePointer?
        let code = sqlite3_prepare_v3(handle, sql, -1, 0, &compiled, nil)
        guard code == SQLITE_OK, let compiled else { throw error(code) }
        let statement = SQLiteStatement(compiled, of: self)
        defer { statement.finalize() }
        try statement.forEachRow(body)
    }

    private func once<R>(_ sql: String, _ body: (SQLiteStatement) throws(StoreError) -> R) throws(StoreError) -> R? {
        var compiled: OpaquePointer?
        let code = sqlite3_prepare_v3(handle, sql, -1, 0, &compiled, nil)
        guard code == SQLITE_OK, let compiled else { throw error(code) }
        let statement = SQLiteStatement(compiled, of: self)
        defer { statement.finalize() }
        return try statement.step() ? body(statement) : nil
    }

    /// How many rows the last statement changed.
    var changes: Int { Int(sqlite3_changes(handle)) }

    var isInTransaction: Bool { sqlite3_get_autocommit(handle) == 0 }

    /// Undoes the transaction where one is open; an error here changes nothing, as SQLite has then rolled back itself.
    func rollBack() {
        if isInTransaction { sqlite3_exec(handle, "ROLLBACK", nil, nil, nil) }
    }

    /// Copies the whole database over the one that `other` has open. In a transaction it copies what that sees.
    func copy(to other: SQLiteConnection) throws(StoreError) {
        guard let backup = sqlite3_backup_init(other.handle, "main", handle, "main") else {
            throw other.error(sqlite3_errcode(other.handle))
        }
        let stepped = sqlite3_backup_step(backup, -1)
        let finished = sqlite3_backup_finish(backup)
        guard stepped == SQLITE_DONE else { throw other.error(finished == SQLITE_OK ? stepped : finished) }
    }

    // MARK: The write-ahead log

    /// Copies the write-ahead log into the database and syncs it. `waiting` for readers, it also cuts the log to nothing;
    /// otherwise it copies what no reader stands in the way of. Returns how many pages the log still has to hand over.
    func checkpoint(waiting: Bool) throws(StoreError) -> Int {
        var inLog: Int32 = 0
        var copied: Int32 = 0
        let mode = waiting ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE
        let code = sqlite3_wal_checkpoint_v2(handle, nil, mode, &inLog, &copied)
        if code & 0xFF == SQLITE_BUSY { return Int(inLog) }
        guard code == SQLITE_OK else { throw error(code) }
        files.forgetSize()
        return Int(inLog - copied)
    }

    /// Turns SQLite's own checkpoints off, which swallow errors; `logPages` then says when one is due.
    func takeOverCheckpoints() {
        sqlite3_wal_hook(
            handle,
            { counter, _, _, pages in
                counter?.assumingMemoryBound(to: Int32.self).pointee = pages
                return SQLITE_OK
            }, logLength)
    }

    /// The write-ahead log as a file; nil where there is none yet.
    func logFile(limit: Int) -> SQLiteLogFile? {
        guard let database = sqlite3_db_filename(handle, "main"), let name = sqlite3_filename_wal(database) else {
            return nil
        }
        return SQLiteLogFile(path: String(cString: name), limit: limit)
    }

    /// How many pages the write-ahead log had after this connection's last commit.
    var logPages: Int { Int(logLength.pointee) }

    // MARK: Deadlines

    /// Makes statements that run past `limit` from now throw `timeout`.
    func limitTime(to limit: Duration) {
        if deadline == 0 {
            let context = Unmanaged.passUnretained(self).toOpaque()
            // The connection outlives its handler: `deinit` closes the handle. 10,000 steps take well under 1 ms.
            sqlite3_progress_handler(
                handle, 10_000,
                { context in
                    guard let context else { return 0 }
                    let connection = Unmanaged<SQLiteConnection>.fromOpaque(context).takeUnretainedValue()
                    return MonotonicClock.nanoseconds() > connection.deadline ? 1 : 0
                }, context)
        }
        deadline = MonotonicClock.nanoseconds() + UInt64(clamping: limit.inMilliseconds) * 1_000_000
    }

    // MARK: Errors

    func error(_ code: Int32) -> StoreError {
        SQLiteFailure.error(
            code, system: Self.systemError(code, handle), String(cString: sqlite3_errmsg(handle)), path)
    }

    /// Whether a COMMIT that ended with `code` may have happened.
    func leavesCommitOpen(_ code: Int32) -> Bool {
        SQLiteCode.of(code).leavesCommitOpen(after: Self.systemError(code, handle))
    }

    /// What the system said, where SQLite notes it; 0 otherwise.
    private static func systemError(_ code: Int32, _ handle: OpaquePointer?) -> Int32 {
        let kind = code & 0xFF
        guard let handle, kind == SQLITE_IOERR || kind == SQLITE_CANTOPEN else { return 0 }
        return sqlite3_system_errno(handle)
    }
}

extension Duration {
    var inMilliseconds: Int64 {
        let (seconds, attoseconds) = components
        return seconds.multipliedReportingOverflow(by: 1_000).overflow
            ? .max : seconds * 1_000 + attoseconds / 1_000_000_000_000_000
    }
}

enum MonotonicClock {
    static func nanoseconds() -> UInt64 {
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        return UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec)
    }
}
