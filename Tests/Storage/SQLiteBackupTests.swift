// Copies of a database that is in use, and what becomes of whoever opens them.

import ConvergeCRDT
import ConvergeStorage
import ConvergeWire
import Foundation
import Testing

@Suite("SQLite backup")
final class SQLiteBackupTests {
    let folder: TemporaryFolder
    let path: String
    let copy: String

    init() throws {
        folder = try TemporaryFolder()
        path = folder.path("converge.db")
        copy = folder.path("backup.db")
    }

    deinit { folder.remove() }

    private func files() throws -> [String] { try FileManager.default.contentsOfDirectory(atPath: folder.path("")) }

    /// What running it says.
    private func failure(from source: String? = nil, to destination: String? = nil) -> SQLiteBackup.Failure? {
        do throws(SQLiteBackup.Failure) {
            _ = try SQLiteBackup.run(from: source ?? path, to: destination ?? copy, timeout: .milliseconds(50))
            return nil
        } catch {
            return error
        }
    }

    @Test("a copy made under an open writer has all that was stored, and goes on under another replica")
    func identity() throws {
        let (writer, recovered) = try SQLiteStore(path: path).openWriter(.test(fresh: .a))
        var own = TestLog(recovered.replica, after: recovered.head)
        let entries = own.entries(50, from: 10)
        try writer.append(Batch(entries: entries))
        let report = try SQLiteBackup.run(from: path, to: copy)
        #expect(report.entries == 50)
        #expect(report.vector == VersionVector([Dot(replica: recovered.replica, seq: 50)]))
        #expect(report.bytes == (try Data(contentsOf: URL(filePath: copy))).count)
        // The original is as it was, and its writer goes on.
        try writer.append(Batch(entries: own.entries(1, from: 100)))
        writer.close()
        #expect(try SQLiteStore(path: path).openWriter(.test(fresh: .c)).recovered.replica == recovered.replica)

        let (restored, again) = try SQLiteStore(path: copy).openWriter(.test(fresh: .b))
        #expect(again.replica == .b && again.boot == 1 && again.head == 0)
        #expect(again.vector == report.vector)
        #expect(try SQLiteStore(path: copy).openReader().entries(of: recovered.replica, from: 1, limit: 100) == entries)
        var next = TestLog(.b, after: 0)
        try restored.append(Batch(entries: next.entries(1, from: 200)))
        restored.close()
        #expect(try files().filter { $0.hasPrefix("backup.db.partial") } == [])
    }

    @Test("the copy is one file that needs no other, readable by its owner alone, whoever may read the database")
    func oneFile() throws {
        let (writer, _) = try SQLiteStore(path: path).openWriter(.test())
        defer { writer.close() }
        #expect(chmod(path, 0o640) == 0)
        _ = try SQLiteBackup.run(from: path, to: copy)
        #expect(try files().filter { $0.hasPrefix("backup.db") } == ["backup.db"])
        let attributes = try FileManager.default.attributesOfItem(atPath: copy)
        #expect(attributes[.posixPermissions] as? Int == 0o600)
        #expect(try RawDatabase(copy).rows("PRAGMA journal_mode") == [["delete"]])
    }

    @Test("what was not closed, as after a crash, is copied with its write-ahead log")
    func unclosed() throws {
        let (writer, recovered) = try SQLiteStore(path: path).openWriter(.test())
        var own = TestLog(recovered.replica, after: recovered.head)
        try writer.append(Batch(entries: own.entries(20, from: 10)))
        // The files as a killed process leaves them.
        let left = folder.path("left.db")
        for suffix in ["", "-wal"] {
            try FileManager.default.copyItem(atPath: path + suffix, toPath: left + suffix)
        }
        writer.close()
        #expect(try SQLiteBackup.run(from: left, to: copy).entries == 20)
    }

    @Test("a name that is taken is refused, be it a file, a folder or a link to nowhere")
    func exists() throws {
        try SQLiteStore(path: path).openWriter(.test()).writer.close()
        try Data("precious".utf8).write(to: URL(filePath: copy))
        #expect(failure() == .exists(copy))
        #expect(try Data(contentsOf: URL(filePath: copy)) == Data("precious".utf8))
        let link = folder.path("link")
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: folder.path("nowhere"))
        #expect(failure(to: link) == .exists(link))
        #expect(failure(to: path) == .exists(path))
    }

    @Test("what can't be copied, or not there, is said, and nothing is left behind")
    func failures() throws {
        guard case .source(.unreachable) = failure() else {
            Issue.record("a missing database")
            return
        }
        try RawDatabase(path).execute("PRAGMA user_version = 0")
        #expect(failure() == .nothingToCopy(path))
        let foreign = folder.path("foreign.db")
        try RawDatabase(foreign).execute("CREATE TABLE invoices(id)")
        guard case .source(.failed) = failure(from: foreign) else {
            Issue.record("another program's database")
            return
        }
        let own = folder.path("own.db")
        try SQLiteStore(path: own).openWriter(.test()).writer.close()
        guard case .copy = failure(from: own, to: folder.path("no/such/folder.db")) else {
            Issue.record("no folder")
            return
        }
        #expect(try files().filter { $0.contains("partial") || $0.hasPrefix("backup") } == [])
    }

    @Test("a Go server's database is copied as it is, and taken over when it is opened")
    func goServer() throws {
        try RawDatabase(path).execute(
            """
            CREATE TABLE messages(id TEXT PRIMARY KEY, type TEXT, room TEXT, user_id TEXT, display_name TEXT, body TEXT, ts TEXT);
            INSERT INTO messages VALUES ('1', 'message', 'lobby', 'ann', 'Ann', 'hello', '2024-01-01T00:00:00Z');
            """)
        #expect(try SQLiteBackup.run(from: path, to: copy).entries == 1)
        let (writer, recovered) = try SQLiteStore(path: copy).openWriter(.test())
        writer.close()
        #expect(recovered.adopted == 1)
    }
}
