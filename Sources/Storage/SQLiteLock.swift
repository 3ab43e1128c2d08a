// Keeps a second process from writing the same database.
//
// SQLite lets processes take turns at writing, but a replica's log has one writer. So the writer holds a lock on a file
// beside the database (PATH-lock) as long as it is open; the kernel lets go of it when the process ends, however it
// ends. The database file itself can't be used: closing any descriptor of it would drop SQLite's own locks.

import ConvergeWire
import Glibc

final class SQLiteLock {
    private let descriptor: Int32

    /// Throws `locked` where another writer holds the lock for longer than `timeout`.
    init(besideDatabaseAt path: String, timeout: Duration) throws(StoreError) {
        var resolved = path
        if let real = realpath(path, nil) {
            resolved = String(cString: real)
            free(real)
        }
        let file = resolved + "-lock"
        descriptor = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
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
}
