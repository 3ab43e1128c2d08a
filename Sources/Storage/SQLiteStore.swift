// A node's log in one SQLite file: one writer, any number of readers beside it, by the write-ahead log.
//
// https://www.sqlite.org/wal.html

import CSQLite
import ConvergeCRDT
import ConvergeWire
import Glibc

public struct SQLiteStore: Store {
    public let path: String
    public let sync: SyncMode
    /// How long an operation may wait for a lock, and how long a read may run.
    public let timeout: Duration
    /// What the file may grow to in bytes; nil for as much as the disk has.
    public let maximumBytes: Int?
    private let readers = SQLiteOpenReaders()

    /// The file is made where there is none and none is known to have been; its folder must be there.
    public init(path: String, sync: SyncMode = .full, timeout: Duration = .seconds(2), maximumBytes: Int? = nil) {
        self.path = path
        self.sync = sync
        self.timeout = timeout
        self.maximumBytes = maximumBytes
    }

    public func sizes() -> StoreSizes? {
        func size(_ path: String) -> Int? {
            var status = stat()
            return stat(path, &status) == 0 ? Int(status.st_size) : nil
        }
        return size(path).map { StoreSizes(database: $0, writeAheadLog: size(path + "-wal") ?? 0) }
    }

    public var summary: String { "sqlite \(path) (sync \(sync.rawValue))" }

    public func openWriter(_ start: WriterStart) throws(StoreError) -> (writer: any StoreWriter, recovered: Recovered) {
        // Before the lock, which would be made in the folder that a volume was mounted on.
        if start.held != nil, SQLiteBeginning.isEmpty(path) {
            throw SQLiteBeginning.missing(path, "this node has committed to it")
        }
        let lock = try SQLiteLock(besideDatabaseAt: path, timeout: timeout)
        let mark = lock.mark
        let files = ["", "-wal", "-shm", "-lock"].map { lock.databasePath + $0 }
        let privacy = FilePrivacy.enforce(files)
        try SQLiteBeginning.make(at: path, log: lock.databasePath, mark: mark)
        let connection = try SQLiteConnection(path: path, mode: .readWrite, timeout: timeout)
        let found = try SQLiteSchema.inspect(connection)
        if found == .empty, start.held != nil || mark != nil {
            throw SQLiteBeginning.missing(path, "something was committed to it before")
        }
        try prepare(connection)
        do throws(StoreError) {
            try connection.execute("BEGIN IMMEDIATE")
            try SQLiteSchema.migrate(connection, from: found)
            try SQLiteStage.clear(connection)
            let log = try SQLiteLog(connection)
            var recovered = try recover(start, mark, found, connection, log)
            recovered.privacy = privacy
            let writer = try SQLiteWriter(
                connection, log, lock: lock, readers: readers, recovered, sync: sync,
                attendanceLimit: start.attendanceLimit)
            try connection.reserveLogIndex()
            try connection.execute("COMMIT")
            readers.isSuspected = false
            if mark?.replica != recovered.replica {
                lock.keep(SQLiteMark(replica: recovered.replica, committed: recovered.head))
            }
            return (writer, recovered)
        } catch {
            connection.rollBack()
            throw error
        }
    }

    public func openReader() throws(StoreError) -> any StoreReader {
        let reader = try SQLiteSharedReader(path: path, timeout: timeout)
        readers.add(reader)
        return reader
    }

    /// Within the opening transaction: whose log goes on, what the Go server left, and what there is.
    private func recover(
        _ start: WriterStart, _ mark: SQLiteMark?, _ found: SQLiteSchema.Found, _ connection: SQLiteConnection,
        _ log: SQLiteLog
    ) throws(StoreError) -> Recovered {
        let stored = try SQLiteIdentity.load(connection)
        var vector = try SQLiteIdentity.vector(connection)
        let isBehind = mark.map { $0.replica == stored?.replica && vector[$0.replica] < $0.committed } ?? false
        if isBehind || readers.isSuspected { try check(connection) }
        let (identity, renewal) = try StoredIdentity.choose(
            stored, at: connection.file, synced: sync == .full, isBehind: isBehind, start: start, vector: vector)
        var adopted = 0
        if found == .goServer {
            adopted = try GoDatabase.adopt(in: connection, into: log, as: identity.replica)
            vector = try SQLiteIdentity.vector(connection)
        }
        // Written on every open, so that a store that can't be written is found out now.
        try SQLiteIdentity.save(identity, nodeName: start.nodeName, connection)
        return try SQLiteIdentity.recover(
            connection, under: identity, vector: vector, attendanceLimit: start.attendanceLimit, renewal: renewal,
            adopted: adopted)
    }

    /// Something befell the files: what is left of them is read whole, once, before anything is built on it.
    private func check(_ connection: SQLiteConnection) throws(StoreError) {
        let words = try connection.text("PRAGMA quick_check(1)") ?? ""
        guard words == "ok" else { throw .corrupt("\(path): \(words)") }
    }

    /// Settings of the write connection. Throws `readOnly` for a file that can't be written.
    private func prepare(_ connection: SQLiteConnection) throws(StoreError) {
        if connection.isReadOnly { throw .readOnly("\(path): the file may not be written by this user") }
        let mode = try connection.text("PRAGMA journal_mode = WAL") ?? ""
        guard mode == "wal" else { throw .failed("\(path): no write-ahead log is possible here (mode \(mode))") }
        try connection.execute(
            """
            PRAGMA synchronous = \(sync == .full ? "FULL" : "NORMAL");
            PRAGMA foreign_keys = OFF;
            PRAGMA trusted_schema = OFF;
            PRAGMA mmap_size = 0;
            PRAGMA temp_store = MEMORY;
            PRAGMA cache_size = -8192;
            PRAGMA journal_size_limit = \(SQLiteWriter.LogLimit.kept * 4_096);
            """)
        if let maximumBytes {
            let pageSize = try connection.number("PRAGMA page_size") ?? 4_096
            try connection.execute("PRAGMA max_page_count = \(max(1, Int64(maximumBytes) / max(1, pageSize)))")
        }
        connection.takeOverCheckpoints()
    }
}
