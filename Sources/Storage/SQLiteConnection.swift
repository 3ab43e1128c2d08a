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
    /// The file that was opened, to notice when another one takes its place.
    let file: FileIdentity
    private var statements: [SQLiteStatement] = []
    /// Written by SQLite's hook within this connection's own calls.
    private let logLength: UnsafeMutablePointer<Int32>
    /// When the running read must end, on the monotonic clock in nanoseconds; 0 for never.
    private var deadline: UInt64 = 0

    enum Mode {
        case readWrite
        case readOnly
    }

    /// Throws `unreachable` where there is no such folder, or, for reading, no such file.
    init(path: String, mode: Mode, timeout: Duration) throws(StoreError) {
        self.path = path
        var opened: OpaquePointer?
        let access = mode == .readWrite ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY
        let code = sqlite3_open_v2(path, &opened, access | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nil)
        guard code == SQLITE_OK, let opened else {
            let error = SQLiteFailure.error(code, opened.map { String(cString: sqlite3_errmsg($0)) } ?? "", path)
            sqlite3_close_v2(opened)
            throw error
        }
        guard let file = FileIdentity(ofFileAt: path) else {
            sqlite3_close_v2(opened)
            throw .unreachable("\(path): the file can't be looked at")
        }
        handle = opened
        logLength = .allocate(capacity: 1)
        logLength.initialize(to: 0)
        self.file = file
        sqlite3_busy_timeout(handle, Int32(clamping: timeout.inMilliseconds))
    }

    deinit {
        for statement in statements { statement.finalize() }
        sqlite3_close_v2(handle)
        logLength.deallocate()
    }

    var isReadOnly: Bool { sqlite3_db_readonly(handle, "main") == 1 }

    /// Throws where the file at the path is no longer the one that was opened: what is written to the old one is lost.
    func checkFile() throws(StoreError) {
        guard let now = FileIdentity(ofFileAt: path) else {
            throw .unreachable("\(path): the file was deleted while it was open")
        }
        guard now == file else { throw .unreachable("\(path): the file was replaced while it was open") }
    }

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
        SQLiteFailure.error(code, String(cString: sqlite3_errmsg(handle)), path)
    }
}

extension FileIdentity {
    init?(ofFileAt path: String) {
        var found = stat()
        guard stat(path, &found) == 0 else { return nil }
        self.init(device: UInt64(found.st_dev), inode: UInt64(found.st_ino))
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
