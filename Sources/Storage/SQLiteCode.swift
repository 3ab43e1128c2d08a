// All of SQLite's result codes, and what each says of the store.
//
// Two things are asked of a code. What is wrong, so that a node can tell whoever has to mend it. And, where a COMMIT ended
// with it, whether the transaction may be in the file all the same. That follows from the order in which SQLite commits in
// WAL mode: it takes its locks and reads what it needs; it writes the pages to the log, the one that ends the transaction
// last; it syncs; it enters them into the log's index, which is in shared memory. A code that can only come before the last
// page is written, or says that writing it fell short, is certain: nothing is stored. Any other leaves it open, and the
// next opening of the file tells. https://www.sqlite.org/rescode.html, https://www.sqlite.org/walformat.html

import CSQLite
import Glibc

struct SQLiteCode: Hashable {
    enum Meaning: Hashable {
        /// No error.
        case fine
        /// Others hold a lock for longer than the timeout.
        case locked
        /// No room: on the disk, in a quota, or beyond the largest file.
        case full
        case readOnly
        case corrupt
        /// Can't be opened.
        case unreachable
        /// The file at the path is no longer the one that was opened.
        case moved
        case syncFailed
        case timeout
        /// Anything else.
        case failed
    }

    let number: Int32
    let name: String
    let meaning: Meaning
    /// A COMMIT that ended with it may have happened.
    let leavesCommitOpen: Bool

    private init(_ number: Int32, _ name: String, _ meaning: Meaning, open: Bool = false) {
        self.number = number
        self.name = name
        self.meaning = meaning
        leavesCommitOpen = open
    }

    private init(_ primary: Int32, _ extension: Int32, _ name: String, _ meaning: Meaning, open: Bool = false) {
        self.init(primary | `extension` << 8, name, meaning, open: open)
    }

    /// The code; one that a newer SQLite has is taken for its kind, with a commit left open.
    static func of(_ number: Int32) -> SQLiteCode {
        if let known = byNumber[number] { return known }
        let kind = byNumber[number & 0xFF]
        return SQLiteCode(number, kind?.name ?? "?", kind?.meaning ?? .failed, open: true)
    }

    /// Where the system said `error`, too: a full disk has other names, and hides behind codes for any trouble.
    func meaning(after error: Int32) -> Meaning {
        let isRoom = error == ENOSPC || error == EDQUOT || error == EFBIG
        let kind = number & 0xFF
        return isRoom && (kind == SQLITE_CANTOPEN || (kind == SQLITE_IOERR && meaning == .failed)) ? .full : meaning
    }

    /// As `leavesCommitOpen`: of a write that fell short for want of room it is known that it did.
    func leavesCommitOpen(after error: Int32) -> Bool {
        leavesCommitOpen && !(number == SQLITE_IOERR | 3 << 8 && meaning(after: error) == .full)
    }

    private static let byNumber = Dictionary(uniqueKeysWithValues: all.map { ($0.number, $0) })

    /// In the order of https://www.sqlite.org/rescode.html.
    static let all: [SQLiteCode] = general + trouble + statements

    private static let general: [SQLiteCode] = [
        .init(SQLITE_OK, "OK", .fine), .init(SQLITE_ROW, "ROW", .fine), .init(SQLITE_DONE, "DONE", .fine),
        .init(SQLITE_OK, 1, "OK_LOAD_PERMANENTLY", .fine), .init(SQLITE_OK, 2, "OK_SYMLINK", .fine),

        // Locks are taken before anything is written.
        .init(SQLITE_BUSY, "BUSY", .locked), .init(SQLITE_BUSY, 1, "BUSY_RECOVERY", .locked),
        .init(SQLITE_BUSY, 2, "BUSY_SNAPSHOT", .locked), .init(SQLITE_BUSY, 3, "BUSY_TIMEOUT", .locked),
        .init(SQLITE_LOCKED, "LOCKED", .locked), .init(SQLITE_LOCKED, 1, "LOCKED_SHAREDCACHE", .locked),
        .init(SQLITE_LOCKED, 2, "LOCKED_VTAB", .locked),
        // Others began and ended too often for this one to get in between.
        .init(SQLITE_PROTOCOL, "PROTOCOL", .locked),

        // A write fell short. The page that ends the transaction comes last, and has a checksum.
        .init(SQLITE_FULL, "FULL", .full),
        // Files over 2 GiB are not possible here.
        .init(SQLITE_NOLFS, "NOLFS", .full),

        .init(SQLITE_READONLY, "READONLY", .readOnly), .init(SQLITE_READONLY, 1, "READONLY_RECOVERY", .readOnly),
        .init(SQLITE_READONLY, 2, "READONLY_CANTLOCK", .readOnly),
        .init(SQLITE_READONLY, 3, "READONLY_ROLLBACK", .readOnly),
        .init(SQLITE_READONLY, 4, "READONLY_DBMOVED", .moved),
        .init(SQLITE_READONLY, 5, "READONLY_CANTINIT", .readOnly),
        .init(SQLITE_READONLY, 6, "READONLY_DIRECTORY", .readOnly),

        // Found while reading what is to be changed.
        .init(SQLITE_CORRUPT, "CORRUPT", .corrupt), .init(SQLITE_CORRUPT, 1, "CORRUPT_VTAB", .corrupt),
        .init(SQLITE_CORRUPT, 2, "CORRUPT_SEQUENCE", .corrupt), .init(SQLITE_CORRUPT, 3, "CORRUPT_INDEX", .corrupt),
        .init(SQLITE_NOTADB, "NOTADB", .corrupt),

        .init(SQLITE_CANTOPEN, "CANTOPEN", .unreachable),
        .init(SQLITE_CANTOPEN, 1, "CANTOPEN_NOTEMPDIR", .unreachable),
        .init(SQLITE_CANTOPEN, 2, "CANTOPEN_ISDIR", .unreachable),
        .init(SQLITE_CANTOPEN, 3, "CANTOPEN_FULLPATH", .unreachable),
        .init(SQLITE_CANTOPEN, 4, "CANTOPEN_CONVPATH", .unreachable),
        .init(SQLITE_CANTOPEN, 5, "CANTOPEN_DIRTYWAL", .unreachable),
        .init(SQLITE_CANTOPEN, 6, "CANTOPEN_SYMLINK", .unreachable),
        .init(SQLITE_PERM, "PERM", .unreachable), .init(SQLITE_AUTH, "AUTH", .unreachable),
        .init(SQLITE_AUTH, 1, "AUTH_USER", .unreachable),

        // Only statements with a deadline are interrupted, and those only read.
        .init(SQLITE_INTERRUPT, "INTERRUPT", .timeout),
    ]

    /// The system refused something: most of it may have been refused after the last page was written.
    private static let trouble: [SQLiteCode] = [
        .init(SQLITE_IOERR, "IOERR", .failed, open: true),
        .init(SQLITE_IOERR, 1, "IOERR_READ", .failed, open: true),
        // The file is shorter than what it is known to hold.
        .init(SQLITE_IOERR, 2, "IOERR_SHORT_READ", .corrupt, open: true),
        // The page may be there, whatever the system says; not where there was no room for it.
        .init(SQLITE_IOERR, 3, "IOERR_WRITE", .failed, open: true),
        // What is on the disk is unknown, and stays so: the replica is given up.
        .init(SQLITE_IOERR, 4, "IOERR_FSYNC", .syncFailed), .init(SQLITE_IOERR, 5, "IOERR_DIR_FSYNC", .syncFailed),
        .init(SQLITE_IOERR, 6, "IOERR_TRUNCATE", .failed, open: true),
        .init(SQLITE_IOERR, 7, "IOERR_FSTAT", .failed, open: true),
        .init(SQLITE_IOERR, 8, "IOERR_UNLOCK", .failed, open: true),
        // No locks on this file system, or no more of them: before anything is written, or after all is.
        .init(SQLITE_IOERR, 9, "IOERR_RDLOCK", .failed, open: true),
        .init(SQLITE_IOERR, 10, "IOERR_DELETE", .failed, open: true),
        .init(SQLITE_IOERR, 11, "IOERR_BLOCKED", .failed, open: true),
        .init(SQLITE_IOERR, 12, "IOERR_NOMEM", .failed, open: true),
        .init(SQLITE_IOERR, 13, "IOERR_ACCESS", .failed, open: true),
        .init(SQLITE_IOERR, 14, "IOERR_CHECKRESERVEDLOCK", .failed, open: true),
        .init(SQLITE_IOERR, 15, "IOERR_LOCK", .failed, open: true),
        .init(SQLITE_IOERR, 16, "IOERR_CLOSE", .failed, open: true),
        .init(SQLITE_IOERR, 17, "IOERR_DIR_CLOSE", .failed, open: true),
        .init(SQLITE_IOERR, 18, "IOERR_SHMOPEN", .failed, open: true),
        // The log's index can't grow, which has no other cause than a full disk. Within a COMMIT it comes after the sync:
        // so the writer makes that room before (`SQLiteLogIndex.reserve`), when it is still certain that nothing is stored.
        .init(SQLITE_IOERR, 19, "IOERR_SHMSIZE", .full, open: true),
        .init(SQLITE_IOERR, 20, "IOERR_SHMLOCK", .failed, open: true),
        // No address space, or too many mappings.
        .init(SQLITE_IOERR, 21, "IOERR_SHMMAP", .failed, open: true),
        .init(SQLITE_IOERR, 22, "IOERR_SEEK", .failed, open: true),
        .init(SQLITE_IOERR, 23, "IOERR_DELETE_NOENT", .failed, open: true),
        .init(SQLITE_IOERR, 24, "IOERR_MMAP", .failed, open: true),
        .init(SQLITE_IOERR, 25, "IOERR_GETTEMPPATH", .failed, open: true),
        .init(SQLITE_IOERR, 26, "IOERR_CONVPATH", .failed, open: true),
        // The file was deleted or moved under a system that tells.
        .init(SQLITE_IOERR, 27, "IOERR_VNODE", .moved, open: true),
        .init(SQLITE_IOERR, 28, "IOERR_AUTH", .failed, open: true),
        .init(SQLITE_IOERR, 29, "IOERR_BEGIN_ATOMIC", .failed, open: true),
        .init(SQLITE_IOERR, 30, "IOERR_COMMIT_ATOMIC", .failed, open: true),
        .init(SQLITE_IOERR, 31, "IOERR_ROLLBACK_ATOMIC", .failed, open: true),
        // A checksum, of SQLite's or the file system's, says that what was read is not what was written.
        .init(SQLITE_IOERR, 32, "IOERR_DATA", .corrupt, open: true),
        .init(SQLITE_IOERR, 33, "IOERR_CORRUPTFS", .corrupt, open: true),
        .init(SQLITE_IOERR, 34, "IOERR_IN_PAGE", .failed, open: true),
        // Memory is asked for at every step.
        .init(SQLITE_NOMEM, "NOMEM", .failed, open: true),
    ]

    /// A statement was wrong, or a value: mistakes of ours. Most can't end a COMMIT; where one does, nothing is known of it.
    private static let statements: [SQLiteCode] =
        [
            .init(SQLITE_ERROR, "ERROR", .failed, open: true),
            .init(SQLITE_ERROR, 1, "ERROR_MISSING_COLLSEQ", .failed, open: true),
            .init(SQLITE_ERROR, 2, "ERROR_RETRY", .failed, open: true),
            .init(SQLITE_ERROR, 3, "ERROR_SNAPSHOT", .failed, open: true),
            .init(SQLITE_ERROR, 4, "ERROR_RESERVESIZE", .failed, open: true),
            .init(SQLITE_ERROR, 5, "ERROR_KEY", .failed, open: true),
            .init(SQLITE_ERROR, 6, "ERROR_UNABLE", .failed, open: true),
            .init(SQLITE_INTERNAL, "INTERNAL", .failed, open: true),
            .init(SQLITE_ABORT, "ABORT", .failed, open: true),
            .init(SQLITE_ABORT, 2, "ABORT_ROLLBACK", .failed, open: true),
            .init(SQLITE_NOTFOUND, "NOTFOUND", .failed, open: true),
            .init(SQLITE_EMPTY, "EMPTY", .failed, open: true),
            .init(SQLITE_SCHEMA, "SCHEMA", .failed, open: true),
            .init(SQLITE_TOOBIG, "TOOBIG", .failed, open: true),
            .init(SQLITE_MISMATCH, "MISMATCH", .failed, open: true),
            .init(SQLITE_MISUSE, "MISUSE", .failed, open: true),
            .init(SQLITE_FORMAT, "FORMAT", .failed, open: true),
            .init(SQLITE_RANGE, "RANGE", .failed, open: true),
            .init(SQLITE_NOTICE, "NOTICE", .failed, open: true),
            .init(SQLITE_NOTICE, 1, "NOTICE_RECOVER_WAL", .failed, open: true),
            .init(SQLITE_NOTICE, 2, "NOTICE_RECOVER_ROLLBACK", .failed, open: true),
            .init(SQLITE_NOTICE, 3, "NOTICE_RBU", .failed, open: true),
            .init(SQLITE_WARNING, "WARNING", .failed, open: true),
            .init(SQLITE_WARNING, 1, "WARNING_AUTOINDEX", .failed, open: true),
            .init(SQLITE_CONSTRAINT, "CONSTRAINT", .failed, open: true),
        ] + constraints

    private static let constraints: [SQLiteCode] = [
        "CHECK", "COMMITHOOK", "FOREIGNKEY", "FUNCTION", "NOTNULL", "PRIMARYKEY", "TRIGGER", "UNIQUE", "VTAB", "ROWID",
        "PINNED", "DATATYPE",
    ].enumerated().map { at, name in
        .init(SQLITE_CONSTRAINT, Int32(at + 1), "CONSTRAINT_" + name, .failed, open: true)
    }
}
