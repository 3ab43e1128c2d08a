// SQLite without the store: to make files that the store must cope with, and to look into those that it made.

import CSQLite
import ConvergeStorage
import Testing

final class RawDatabase {
    private var handle: OpaquePointer?

    struct Failure: Error {
        var code: Int32
        var words: String
    }

    init(_ path: String) throws {
        try check(sqlite3_open(path, &handle))
        sqlite3_busy_timeout(handle, 2_000)
    }

    deinit { sqlite3_close_v2(handle) }

    func execute(_ sql: String) throws { try check(sqlite3_exec(handle, sql, nil, nil, nil)) }

    /// The rows as text, NULL as "NULL".
    func rows(_ sql: String) throws -> [[String]] {
        var statement: OpaquePointer?
        try check(sqlite3_prepare_v2(handle, sql, -1, &statement, nil))
        defer { sqlite3_finalize(statement) }
        var rows: [[String]] = []
        while sqlite3_step(statement) == SQLITE_ROW {
            rows.append(
                (0..<sqlite3_column_count(statement)).map { column in
                    sqlite3_column_text(statement, column).map { String(cString: $0) } ?? "NULL"
                })
        }
        return rows
    }

    private func check(_ code: Int32) throws {
        if code != SQLITE_OK { throw Failure(code: code, words: String(cString: sqlite3_errmsg(handle))) }
    }
}
