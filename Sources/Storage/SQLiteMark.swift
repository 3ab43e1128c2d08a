// What is known of a database without it: that there was one.
//
// A database that was deleted, moved or is on a volume that is not mounted must not become a new, empty one: a node would
// be ready at once, with its history gone. Within a process the node knows what it has committed. For the next process the
// file of the lock, which stays beside the database, says whose log was there, and how far it went when that was last
// written: at the opening, at a clean end, and when something is known to be lost.
//
// Invariant: where something is known to have been committed, no database is begun. Whoever wants to begin anew removes
// that file, too.

import ConvergeCRDT
import Glibc

struct SQLiteMark: Hashable {
    var replica: ReplicaID
    /// The log went at least this far.
    var committed: UInt64

    var text: String { "replica \(replica) committed \(committed)\n" }

    init(replica: ReplicaID, committed: UInt64) {
        self.replica = replica
        self.committed = committed
    }

    init?(text: String) {
        let words = text.split(whereSeparator: { $0 == " " || $0 == "\n" })
        guard words.count == 4, words[0] == "replica", words[2] == "committed",
            let replica = ReplicaID(String(words[1])),
            let committed = UInt64(words[3])
        else { return nil }
        self.init(replica: replica, committed: committed)
    }
}

/// Whether a database may be begun at a path.
enum SQLiteBeginning {
    /// Makes an empty file, for its owner alone, where there is none and none is missing.
    static func make(at path: String, log: String, mark: SQLiteMark?) throws(StoreError) {
        guard isEmpty(path) else { return }
        if let mark { throw missing(path, "\(log)-lock says that replica \(mark.replica) has written there") }
        if !isEmpty(log + "-wal") { throw missing(path, "its write-ahead log is there (\(log)-wal)") }
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_EXCL, 0o600)
        if descriptor >= 0 {
            close(descriptor)
        } else if errno != EEXIST {
            throw refused(path)
        }
    }

    /// Nothing is there, or a file that holds nothing.
    static func isEmpty(_ path: String) -> Bool {
        var found = stat()
        return stat(path, &found) == 0 ? found.st_size == 0 : errno == ENOENT
    }

    static func missing(_ path: String, _ reason: String) -> StoreError {
        .gone(
            """
            \(path): there is no database, but \(reason). Put it back with its -wal file, or mount its volume, and the node \
            goes on. To begin anew, with nothing, stop the node and remove \(path)-lock and \(path)-wal
            """)
    }

    private static func refused(_ path: String) -> StoreError {
        let words = "\(path): \(String(cString: strerror(errno)))"
        return switch errno {
        case EROFS, EACCES, EPERM: .readOnly(words)
        case ENOSPC, EDQUOT: .full(words)
        default: .unreachable(words)
        }
    }
}
