import CSQLite
import ConvergeTransport
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// The unsent messages on disk, so that they outlive the program: a SQLite file with one small table.
///
/// Invariants: what `add` has returned from is in the file, whatever ends the program after that (a crash of the machine
/// may lose the last moments); one open client has the file, and nobody else; only its owner may read it (mode 0600).
final class OutboxFile: Sendable {
    struct Failure: Error, Hashable {
        /// Another program, or another client, has the file.
        var isInUse = false
        let reason: String
    }

    /// The statements are prepared once; all of it is touched with the lock held.
    private struct Connection: ~Copyable, @unchecked Sendable {
        let handle: OpaquePointer
        let insert: OpaquePointer
        let delete: OpaquePointer
        let begin: OpaquePointer
        let commit: OpaquePointer
        let rollback: OpaquePointer

        deinit {
            for statement in [insert, delete, begin, commit, rollback] { sqlite3_finalize(statement) }
            sqlite3_close(handle)
        }
    }

    private let connection: Mutex<Connection?>

    /// "Cnvo": marks the file as one of these.
    private static let applicationID: Int32 = 0x436E_766F

    /// Opens the file, or makes it, and holds it until `release`.
    init(path: String) throws(Failure) {
        try Self.secure(path)
        var handle: OpaquePointer?
        let code = sqlite3_open_v2(path, &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX, nil)
        guard code == SQLITE_OK, let handle else {
            let reason = Self.reason(handle)
            sqlite3_close(handle)
            throw Failure(reason: reason)
        }
        do throws(Failure) {
            try Self.prepare(handle)
            connection = Mutex(
                Connection(
                    handle: handle,
                    insert: try Self.statement(
                        "INSERT INTO unsent (key, room, body, copies) VALUES (?, ?, ?, ?)", handle),
                    delete: try Self.statement("DELETE FROM unsent WHERE key = ?", handle),
                    begin: try Self.statement("BEGIN IMMEDIATE", handle), commit: try Self.statement("COMMIT", handle),
                    rollback: try Self.statement("ROLLBACK", handle)))
        } catch {
            // Statements that were made before the one that failed go with the process's next use of the handle.
            sqlite3_close_v2(handle)
            throw error
        }
    }

    /// Makes the file if there is none, and shuts others out of it before anything is in it. One that is there is not
    /// opened: closing it again would drop the lock of another client of this process.
    private static func secure(_ path: String) throws(Failure) {
        let raw = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        if raw >= 0 {
            close(raw)
            return
        }
        guard errno == EEXIST, chmod(path, 0o600) == 0 else { throw Failure(reason: String(cString: strerror(errno))) }
        for suffix in ["-wal", "-shm", "-journal"] { _ = chmod(path + suffix, 0o600) }
    }

    private static func prepare(_ handle: OpaquePointer) throws(Failure) {
        // Exclusive: the lock that the first read takes is kept as long as the file is open.
        try run("PRAGMA locking_mode = EXCLUSIVE", handle)
        try run("PRAGMA busy_timeout = 0", handle)
        try run("BEGIN EXCLUSIVE", handle)
        let application = try number("PRAGMA application_id", handle)
        let tables = try number("SELECT count(*) FROM sqlite_schema", handle)
        guard application == applicationID || (application == 0 && tables == 0) else {
            try run("ROLLBACK", handle)
            throw Failure(reason: "is a database of something else")
        }
        let version = try number("PRAGMA user_version", handle)
        guard version <= 1 else {
            try run("ROLLBACK", handle)
            throw Failure(reason: "was made by a newer version")
        }
        try run("PRAGMA application_id = \(applicationID)", handle)
        try run("PRAGMA user_version = 1", handle)
        try run(
            """
            CREATE TABLE IF NOT EXISTS unsent (
                place INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, room TEXT NOT NULL,
                body TEXT NOT NULL, copies INTEGER)
            """, handle)
        try run("COMMIT", handle)
        try run("PRAGMA journal_mode = WAL", handle)
        try run("PRAGMA synchronous = NORMAL", handle)
    }

    // MARK: Messages

    /// All that wait, oldest first.
    func load() throws(Failure) -> [UnsentMessage] {
        try with { connection throws(Failure) in
            let statement = try Self.statement(
                "SELECT key, room, body, copies FROM unsent ORDER BY place", connection.handle)
            defer { sqlite3_finalize(statement) }
            var messages: [UnsentMessage] = []
            while true {
                let code = sqlite3_step(statement)
                if code == SQLITE_DONE { return messages }
                guard code == SQLITE_ROW else { throw Failure(reason: Self.reason(connection.handle)) }
                var message = UnsentMessage(
                    key: Self.text(statement, 0), room: Self.text(statement, 1), body: Self.text(statement, 2))
                if sqlite3_column_type(statement, 3) != SQLITE_NULL {
                    message.copies = Int(sqlite3_column_int64(statement, 3))
                }
                messages.append(message)
            }
        }
    }

    /// Puts a message into the file and then, still alone, calls `then`; takes it out again where that says false.
    func add(_ message: UnsentMessage, then: () -> Bool) throws(Failure) -> Bool {
        try with { connection throws(Failure) in
            Self.bind(message.key, connection.insert, 1)
            Self.bind(message.room, connection.insert, 2)
            Self.bind(message.body, connection.insert, 3)
            if let copies = message.copies {
                sqlite3_bind_int64(connection.insert, 4, Int64(copies))
            } else {
                sqlite3_bind_null(connection.insert, 4)
            }
            try Self.step(connection.insert, connection.handle)
            if then() { return true }
            Self.bind(message.key, connection.delete, 1)
            try Self.step(connection.delete, connection.handle)
            return false
        }
    }

    /// Takes messages out, in one transaction. What fails leaves them in: they are sent again in the next life, and since
    /// their keys are known they stay one message each.
    func remove(_ keys: [String]) throws(Failure) {
        guard !keys.isEmpty else { return }
        try with { connection throws(Failure) in
            try Self.step(connection.begin, connection.handle)
            do throws(Failure) {
                for key in keys {
                    Self.bind(key, connection.delete, 1)
                    try Self.step(connection.delete, connection.handle)
                }
                try Self.step(connection.commit, connection.handle)
            } catch {
                try? Self.step(connection.rollback, connection.handle)
                throw error
            }
        }
    }

    /// Lets go of the file. Nothing is taken after it.
    func release() { connection.withLock { $0 = nil } }

    // MARK: SQLite

    private func with<R>(_ body: (borrowing Connection) throws(Failure) -> R) throws(Failure) -> R {
        try connection.withLock { connection throws(Failure) in
            switch connection {
            case .some(let connection): return try body(connection)
            case .none: throw Failure(reason: "closed")
            }
        }
    }

    private static func run(_ sql: String, _ handle: OpaquePointer) throws(Failure) {
        let statement = try statement(sql, handle)
        defer { sqlite3_finalize(statement) }
        try step(statement, handle)
    }

    private static func number(_ sql: String, _ handle: OpaquePointer) throws(Failure) -> Int32 {
        let statement = try statement(sql, handle)
        defer { sqlite3_finalize(statement) }
        guard sqlite3_step(statement) == SQLITE_ROW else { throw failure(handle) }
        return sqlite3_column_int(statement, 0)
    }

    private static func statement(_ sql: String, _ handle: OpaquePointer) throws(Failure) -> OpaquePointer {
        var statement: OpaquePointer?
        guard sqlite3_prepare_v2(handle, sql, -1, &statement, nil) == SQLITE_OK, let statement else {
            throw failure(handle)
        }
        return statement
    }

    /// Runs to the end and resets.
    private static func step(_ statement: OpaquePointer, _ handle: OpaquePointer) throws(Failure) {
        var code = sqlite3_step(statement)
        while code == SQLITE_ROW { code = sqlite3_step(statement) }
        let failure = code == SQLITE_DONE ? nil : failure(handle)
        sqlite3_reset(statement)
        if let failure { throw failure }
    }

    private static func failure(_ handle: OpaquePointer) -> Failure {
        let code = sqlite3_errcode(handle) & 0xFF
        return Failure(isInUse: code == SQLITE_BUSY || code == SQLITE_LOCKED, reason: reason(handle))
    }

    private static func reason(_ handle: OpaquePointer?) -> String {
        handle.map { String(cString: sqlite3_errmsg($0)) } ?? "no memory"
    }

    private static func bind(_ text: String, _ statement: OpaquePointer, _ index: Int32) {
        var text = text
        text.withUTF8 { utf8 in
            // SQLite copies it. Empty text may have no address, which SQLite would take for NULL.
            let transient = unsafeBitCast(-1, to: sqlite3_destructor_type.self)
            guard utf8.count > 0 else {
                sqlite3_bind_text(statement, index, "", 0, transient)
                return
            }
            utf8.withMemoryRebound(to: CChar.self) {
                _ = sqlite3_bind_text64(
                    statement, index, $0.baseAddress, UInt64($0.count), transient, UInt8(SQLITE_UTF8))
            }
        }
    }

    private static func text(_ statement: OpaquePointer, _ column: Int32) -> String {
        guard let start = sqlite3_column_text(statement, column) else { return "" }
        let count = Int(sqlite3_column_bytes(statement, column))
        return String(decoding: UnsafeBufferPointer(start: start, count: count), as: UTF8.self)
    }
}
