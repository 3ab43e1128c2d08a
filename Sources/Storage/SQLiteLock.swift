// Keeps a second process from writing the same database.
//
// SQLite lets processes take turns at writing, but a replica's log has one writer. So the writer holds a lock on a file
// beside the database (PATH-lock) as long as it is open; the kernel lets go of it when the process ends, however it
// ends. The database file itself can't be used: closing any descriptor of it would drop SQLite's own locks. What the file
// holds is for the next process: see SQLiteMark.swift.

import ConvergeWire
import Glibc

final class SQLiteLock {
    private let descriptor: Int32
    /// What the database's file is called without links: its log and its index are beside that.
    let databasePath: String

    /// Throws `locked` where another writer holds the lock for longer than `timeout`.
    init(besideDatabaseAt path: String, timeout: Duration) throws(StoreError) {
        var resolved = path
        if let real = realpath(path, nil) {
            resolved = String(cString: real)
            free(real)
        }
        databasePath = resolved
        let file = resolved + "-lock"
        descriptor = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            let words = "\(file): \(String(cString: strerror(errno)))"
            if errno == EROFS || errno == EACCES || errno == EPERM { throw .readOnly(words) }
            if errno == ENOSPC || errno == EDQUOT { throw .full(words) }
            throw .unreachable(words)
        }
        let deadline = MonotonicClock.nanoseconds() + UInt64(clamping: timeout.inMilliseconds) * 1_000_000
        while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            guard errno == EWOULDBLOCK || errno == EINTR else {
                let words = "\(file): \(String(cString: strerror(errno)))"
                close(descriptor)
                throw .unreachable(words)
            }
            guard MonotonicClock.nanoseconds() < deadline else {
                close(descriptor)
                throw .locked("\(path): another node is writing it (\(file) is held)")
            }
            usleep(10_000)
        }
    }

    deinit { close(descriptor) }

    /// What was known of the database when this was last written; nil where nothing was.
    var mark: SQLiteMark? {
        var bytes = [UInt8](repeating: 0, count: 256)
        let count = pread(descriptor, &bytes, bytes.count, 0)
        return count > 0 ? SQLiteMark(text: String(decoding: bytes.prefix(count), as: UTF8.self)) : nil
    }

    /// Keeps what is known for the next process. Nothing is said of a failure: it helps where it is there.
    func keep(_ mark: SQLiteMark) {
        guard mark != self.mark else { return }
        let text = Array(mark.text.utf8)
        if pwrite(descriptor, text, text.count, 0) == text.count { ftruncate(descriptor, off_t(text.count)) }
        fsync(descriptor)
    }
}
