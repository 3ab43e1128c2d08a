import CSQLite
import Foundation
import Testing

@testable import ConvergeStorage

@Suite("SQLite's result codes") struct SQLiteCodeTests {
    private static let header = "/usr/include/sqlite3.h"

    /// The codes as SQLite's own header defines them: `#define SQLITE_IOERR_READ (SQLITE_IOERR | (1<<8))`.
    private static func defined() throws -> [String: Int32] {
        let text = try String(contentsOfFile: header, encoding: .utf8)
        var codes: [String: Int32] = [:]
        var isInCodes = false
        for line in text.split(separator: "\n") {
            let words = line.split(whereSeparator: { " ()|<".contains($0) })
            guard words.count >= 3, words[0] == "#define", words[1].hasPrefix("SQLITE_") else { continue }
            let name = String(words[1].dropFirst(7))
            if name == "OK" { isInCodes = true }
            if name.hasPrefix("OPEN_") { break }
            guard isInCodes else { continue }
            if let primary = Int32(words[2]) {
                codes[name] = primary
            } else if words.count >= 5, let kind = codes[String(words[2].dropFirst(7))], let number = Int32(words[3]) {
                codes[name] = kind | number << 8
            }
        }
        return codes
    }

    @Test(
        "every code of the SQLite that is built against is in the table, under its number",
        .enabled(if: FileManager.default.fileExists(atPath: header)))
    func complete() throws {
        let defined = try Self.defined()
        try #require(defined.count >= 100)
        let table = Dictionary(uniqueKeysWithValues: SQLiteCode.all.map { ($0.name, $0.number) })
        for (name, number) in defined { #expect(table[name] == number, "\(name) = \(number)") }
    }

    @Test("no error is taken for success, and none for a lost connection")
    func errors() {
        for code in SQLiteCode.all {
            let isFine = [SQLITE_OK, SQLITE_ROW, SQLITE_DONE].contains(code.number & 0xFF)
            #expect((code.meaning == .fine) == isFine, "\(code.name)")
            let error = SQLiteFailure.error(code.number, "words", "/x.db")
            #expect(error.kind != .unknownOutcome && error.kind != .gone, "\(code.name)")
            #expect(error.message.contains("/x.db"), "\(code.name)")
        }
    }

    /// A COMMIT is certain not to have happened where SQLite stops before the last page is in the log, or the disk has no
    /// room for it; a failed sync gives the replica up. Everything else the log tells.
    @Test("a commit that ended with an error is left open unless nothing can be stored")
    func commits() {
        let certain: Set<StoreError.Kind> = [.locked, .readOnly, .unreachable, .timeout, .syncFailed]
        for code in SQLiteCode.all where code.meaning != .fine {
            let kind = SQLiteFailure.error(code.number, "", "").kind
            let primary = code.number & 0xFF
            let isCertain = certain.contains(kind) && primary != SQLITE_IOERR
            let saysSo = [SQLITE_FULL, SQLITE_NOLFS, SQLITE_CORRUPT, SQLITE_NOTADB].contains(primary)
            #expect(code.leavesCommitOpen == !(isCertain || saysSo || kind == .syncFailed), "\(code.name)")
        }
    }

    @Test(
        "a full disk is called full, by whatever code it comes",
        arguments: [
            (SQLITE_FULL, 0, false), (SQLITE_IOERR | 19 << 8, 0, true), (SQLITE_IOERR | 3 << 8, EDQUOT, false),
            (SQLITE_IOERR | 3 << 8, EFBIG, false), (SQLITE_IOERR | 18 << 8, ENOSPC, true),
            (SQLITE_CANTOPEN, ENOSPC, false), (SQLITE_NOLFS, 0, false),
        ] as [(Int32, Int32, Bool)])
    func full(code: Int32, system: Int32, leavesOpen: Bool) {
        #expect(SQLiteFailure.error(code, system: system, "", "").kind == .full)
        #expect(SQLiteCode.of(code).leavesCommitOpen(after: system) == leavesOpen)
    }

    @Test("other trouble is not called full")
    func notFull() {
        #expect(SQLiteFailure.error(SQLITE_IOERR | 3 << 8, system: EIO, "", "").kind == .failed)
        #expect(SQLiteFailure.error(SQLITE_CANTOPEN, system: EACCES, "", "").kind == .unreachable)
        #expect(SQLiteFailure.error(SQLITE_IOERR | 4 << 8, system: ENOSPC, "", "").kind == .syncFailed)
        #expect(SQLiteFailure.error(SQLITE_IOERR | 2 << 8, "", "").kind == .corrupt)
    }

    @Test("a code that is not known yet is of its kind, and leaves a commit open")
    func unknown() {
        let code = SQLiteCode.of(SQLITE_BUSY | 99 << 8)
        #expect(code.meaning == .locked && code.leavesCommitOpen)
        #expect(SQLiteCode.of(77).meaning == .failed)
    }
}
