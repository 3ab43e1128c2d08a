// SQLite's result codes as errors of the store, with words for whoever has to mend it.

import CSQLite
import Glibc

enum SQLiteFailure {
    /// `words` is what SQLite said; it never holds bound values, so no message's text. `system` is the system's error
    /// where it has refused something, 0 otherwise.
    static func error(_ code: Int32, system: Int32 = 0, _ words: String, _ path: String) -> StoreError {
        var said = words.isEmpty ? String(cString: sqlite3_errstr(code)) : words
        if system != 0 { said += ": " + String(cString: strerror(system)) }
        let what = "\(path): \(said) (SQLite \(code))"
        switch SQLiteCode.of(code).meaning(after: system) {
        case .locked: return .locked(what)
        case .full: return .full(what)
        case .readOnly: return .readOnly(what)
        case .corrupt: return .corrupt(what)
        case .unreachable: return .unreachable(what)
        case .moved: return .unreachable("\(path): the file was moved or deleted while it was open")
        case .syncFailed: return .syncFailed(what)
        case .timeout: return .timeout(path)
        case .failed, .fine: return .failed(what)
        }
    }
}
