// A copy of a node's SQLite file, made while the node may be writing it.
//
// The copy is what the file held at one moment: SQLite's backup reads in one transaction, beside which the writer goes on.
// The replica's identity is left out, so whoever opens the copy goes on under a new one, with all that is stored: two
// that write one log would be a fork. Invariant: the file either has its name and is whole, checked and on the disk, or
// there is no file of that name; and no file that was there is touched.
//
// https://www.sqlite.org/backup.html

import CSQLite
import ConvergeCRDT
import ConvergeWire
import Glibc

public enum SQLiteBackup {
    /// What is in the copy.
    public struct Report: Hashable, Sendable {
        public var bytes: Int
        public var entries: Int
        /// How far each replica's log goes.
        public var vector: VersionVector
    }

    public enum Failure: Error, Hashable, Sendable {
        /// There is something of that name already.
        case exists(String)
        /// Nothing has been stored there by a node.
        case nothingToCopy(String)
        case source(StoreError)
        /// The copy can't be written, or did not come out whole.
        case copy(String)

        public var message: String {
            switch self {
            case .exists(let path): "\(path) is there already, and is not overwritten"
            case .nothingToCopy(let path): "\(path) holds nothing of a node's"
            case .source(let error): error.message
            case .copy(let words): "the backup can't be written: \(words)"
            }
        }
    }

    /// Copies the database at `source` into the new file `destination`, in whose folder it makes a file of another name
    /// first. Takes as long as reading and writing all of it; while it lasts, the writer can't cut its write-ahead log.
    ///
    /// - Parameter timeout: how long to wait for a lock.
    public static func run(
        from source: String, to destination: String, timeout: Duration = .seconds(10)
    ) throws(Failure) -> Report {
        guard !isThere(destination) else { throw .exists(destination) }
        let partial = "\(destination).partial-\(getpid())"
        let reading = try open(source, timeout)
        try create(partial)
        defer { for suffix in ["", "-journal", "-wal", "-shm"] { unlink(partial + suffix) } }
        do throws(StoreError) {
            let writing = try SQLiteConnection(path: partial, mode: .readWrite, timeout: timeout)
            // Nobody else sees it, and it is synced as a whole at the end.
            try writing.execute("PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF")
            // In one transaction: otherwise it would begin anew at each commit of the node.
            try reading.execute("BEGIN")
            _ = try reading.number("SELECT count(*) FROM sqlite_schema")
            try reading.copy(to: writing)
        } catch {
            throw .copy(error.message)
        }
        var report = try finish(partial, timeout)
        do throws(SystemFailure) {
            report.bytes = try sync(partial)
            try name(partial, destination)
            _ = try sync(folder(of: destination))
        } catch {
            throw error.code == EEXIST ? .exists(destination) : .copy(error.words)
        }
        return report
    }

    private static func open(_ source: String, _ timeout: Duration) throws(Failure) -> SQLiteConnection {
        let reading: SQLiteConnection
        let found: SQLiteSchema.Found
        do throws(StoreError) {
            reading = try SQLiteConnection(path: source, mode: .readOnly, timeout: timeout)
            found = try SQLiteSchema.inspect(reading)
        } catch {
            throw .source(error)
        }
        if found == .empty { throw .nothingToCopy(source) }
        return reading
    }

    /// Takes the identity out of the copy, makes it one file, reads it all once, and says what is in it.
    private static func finish(_ partial: String, _ timeout: Duration) throws(Failure) -> Report {
        do throws(StoreError) {
            let copy = try SQLiteConnection(path: partial, mode: .readWrite, timeout: timeout)
            try copy.execute("PRAGMA synchronous = OFF; PRAGMA journal_mode = DELETE")
            guard try SQLiteSchema.inspect(copy) != .goServer else {
                try check(copy)
                let rows = try copy.number("SELECT count(*) FROM messages") ?? 0
                return Report(bytes: 0, entries: Int(rows), vector: VersionVector())
            }
            try copy.execute("BEGIN IMMEDIATE")
            try SQLiteIdentity.erase(copy)
            try copy.execute("COMMIT")
            try check(copy)
            return Report(
                bytes: 0, entries: Int(try copy.number("SELECT count(*) FROM entry") ?? 0),
                vector: try SQLiteIdentity.vector(copy))
        } catch {
            throw .copy(error.message)
        }
    }

    private static func check(_ copy: SQLiteConnection) throws(StoreError) {
        let words = try copy.text("PRAGMA quick_check(1)") ?? ""
        guard words == "ok" else { throw .corrupt("\(copy.path): \(words)") }
    }

    // MARK: Files

    private struct SystemFailure: Error {
        let code: Int32
        let words: String

        init(_ path: String) {
            code = errno
            words = "\(path): \(String(cString: strerror(errno)))"
        }
    }

    private static func isThere(_ path: String) -> Bool {
        var found = stat()
        return lstat(path, &found) == 0
    }

    /// Makes an empty file that nobody but its owner may read: what is in it is all that the node was told.
    private static func create(_ path: String) throws(Failure) {
        let descriptor = Glibc.open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .copy(SystemFailure(path).words) }
        close(descriptor)
    }

    /// Returns its size.
    private static func sync(_ path: String) throws(SystemFailure) -> Int {
        let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw SystemFailure(path) }
        defer { close(descriptor) }
        var found = stat()
        guard fsync(descriptor) == 0, fstat(descriptor, &found) == 0 else { throw SystemFailure(path) }
        return Int(found.st_size)
    }

    /// Never takes the place of what is there: a link is refused where there is a name. Where the file system has no
    /// links, a file that came to be in this moment is lost.
    private static func name(_ partial: String, _ destination: String) throws(SystemFailure) {
        if link(partial, destination) == 0 { return }
        guard errno == EPERM || errno == EOPNOTSUPP || errno == ENOSYS else { throw SystemFailure(destination) }
        guard !isThere(destination) else {
            errno = EEXIST
            throw SystemFailure(destination)
        }
        guard rename(partial, destination) == 0 else { throw SystemFailure(destination) }
    }

    private static func folder(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }
}
