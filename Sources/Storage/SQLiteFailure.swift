// SQLite's result codes as errors of the store, with words for whoever has to mend it.
//
// https://www.sqlite.org/rescode.html

import CSQLite

enum SQLiteFailure {
    /// `words` is what SQLite said; it never holds bound values, so no message's text.
    static func error(_ code: Int32, _ words: String, _ path: String) -> StoreError {
        let what = "\(path): \(words.isEmpty ? String(cString: sqlite3_errstr(code)) : words) (SQLite \(code))"
        switch code {
        case SQLITE_READONLY | (4 << 8):  // SQLITE_READONLY_DBMOVED
            return .unreachable("\(path): the file was moved or deleted while it was open")
        case SQLITE_IOERR | (4 << 8), SQLITE_IOERR | (5 << 8):  // SQLITE_IOERR_FSYNC, SQLITE_IOERR_DIR_FSYNC
            return .syncFailed(what)
        case SQLITE_IOERR | (33 << 8):  // SQLITE_IOERR_CORRUPTFS
            return .corrupt(what)
        default:
            break
        }
        switch code & 0xFF {
        case SQLITE_BUSY, SQLITE_LOCKED: return .locked(what)
        case SQLITE_FULL: return .full(what)
        case SQLITE_READONLY: return .readOnly(what)
        case SQLITE_CORRUPT, SQLITE_NOTADB: return .corrupt(what)
        case SQLITE_CANTOPEN, SQLITE_PERM, SQLITE_AUTH: return .unreachable(what)
        case SQLITE_INTERRUPT: return .timeout(path)
        default: return .failed(what)
        }
    }
}
