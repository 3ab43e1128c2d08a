// What can be wrong with an SQLite file, and what the node is told.

import ConvergeCRDT
import ConvergeStorage
import ConvergeWire
import Foundation
import Testing

@Suite("SQLite store")
final class SQLiteStoreTests {
    let folder: TemporaryFolder
    let path: String

    init() throws {
        folder = try TemporaryFolder()
        path = folder.path("converge.db")
    }

    deinit { folder.remove() }

    private func store(timeout: Duration = .milliseconds(50), maximumBytes: Int? = nil) -> SQLiteStore {
        SQLiteStore(path: path, timeout: timeout, maximumBytes: maximumBytes)
    }

    /// What opening says.
    private func openError(_ store: SQLiteStore? = nil) -> StoreError? {
        error { () throws(StoreError) in _ = try (store ?? self.store()).openWriter(.test()) }
    }

    /// A file with `count` entries of replica `a`, closed.
    @discardableResult
    private func fill(_ count: Int = 3) throws -> [Entry] {
        let (writer, recovered) = try store().openWriter(.test())
        var own = TestLog(.a, after: recovered.head)
        let entries = own.entries(count, from: 10)
        try writer.append(Batch(entries: entries))
        writer.close()
        return entries
    }

    // MARK: Files that are not ours to write

    @Test("a newer schema is refused by its number, and the file is left as it was")
    func newer() throws {
        try fill()
        try RawDatabase(path).execute("PRAGMA user_version = 99; PRAGMA journal_mode = DELETE")
        let before = FileManager.default.contents(atPath: path)
        #expect(openError() == .newer(found: 99, known: 4))
        #expect(error { () throws(StoreError) in _ = try store().openReader() } == .newer(found: 99, known: 4))
        #expect(FileManager.default.contents(atPath: path) == before)
    }

    @Test("another program's database is refused, and left as it was")
    func foreign() throws {
        try RawDatabase(path).execute("CREATE TABLE invoices(id)")
        let before = FileManager.default.contents(atPath: path)
        #expect(openError()?.name == "failed")
        #expect(FileManager.default.contents(atPath: path) == before)
        let marked = folder.path("marked.db")
        try RawDatabase(marked).execute("PRAGMA application_id = 77")
        #expect(openError(SQLiteStore(path: marked))?.name == "failed")
    }

    @Test("a table called messages that the Go server did not make is another program's")
    func foreignMessages() throws {
        try RawDatabase(path).execute("CREATE TABLE messages(id, sender, words)")
        #expect(openError()?.name == "failed")
    }

    @Test("a file that is no database is called damaged")
    func notADatabase() throws {
        try Data(String(repeating: "not a database\n", count: 1_000).utf8).write(to: URL(filePath: path))
        #expect(openError()?.name == "corrupt")
        #expect(error { () throws(StoreError) in _ = try store().openReader() }?.name == "corrupt")
    }

    @Test("a damaged file is called damaged")
    func corrupt() throws {
        try fill(500)
        var bytes = try Data(contentsOf: URL(filePath: path))
        bytes.replaceSubrange(4_096..<bytes.count, with: Data(repeating: 0xA5, count: bytes.count - 4_096))
        try bytes.write(to: URL(filePath: path))
        #expect(openError()?.name == "corrupt")
    }

    @Test("a file of no bytes is a new database")
    func emptyFile() throws {
        try Data().write(to: URL(filePath: path))
        let (writer, recovered) = try store().openWriter(.test())
        writer.close()
        #expect(recovered.renewal == nil)
        #expect(recovered.boot == 1)
    }

    @Test("a missing folder and a folder in place of the file can't be reached, and the path is named")
    func unreachable() throws {
        for path in [folder.path("missing/converge.db"), folder.path, folder.path("converge.db/x")] {
            let thrown = openError(SQLiteStore(path: path))
            #expect(thrown?.name == "unreachable")
            #expect(thrown?.message.contains(path) == true)
        }
        #expect(error { () throws(StoreError) in _ = try store().openReader() }?.name == "unreachable")
    }

    @Test("a reader of a file that no node has set up says so")
    func readerFirst() throws {
        try Data().write(to: URL(filePath: path))
        #expect(error { () throws(StoreError) in _ = try store().openReader() }?.name == "unreachable")
    }

    @Test("a file or folder that may not be written is called read-only")
    func readOnly() throws {
        try fill()
        try FileManager.default.setAttributes([.posixPermissions: 0o444], ofItemAtPath: path)
        #expect(withoutPrivileges { openError() }?.name == "readOnly")
        try FileManager.default.setAttributes([.posixPermissions: 0o666], ofItemAtPath: path)
        try FileManager.default.setAttributes([.posixPermissions: 0o555], ofItemAtPath: folder.path)
        let thrown = withoutPrivileges { openError() }
        #expect(thrown?.name == "readOnly" || thrown?.name == "unreachable")
        try FileManager.default.setAttributes([.posixPermissions: 0o777], ofItemAtPath: folder.path)
        #expect(openError() == nil)
    }

    /// Runs `body` on this thread with the file system rights of nobody: tests may run as root, whom no mode bits stop.
    private func withoutPrivileges<R>(_ body: () -> R) -> R {
        typealias SetUser = @convention(c) (UInt32) -> Int32
        guard getuid() == 0, let symbol = dlsym(nil, "setfsuid") else { return body() }
        // The address is that of `int setfsuid(uid_t)`, which concerns the calling thread alone.
        let setUser = unsafeBitCast(symbol, to: SetUser.self)
        _ = setUser(65_534)
        defer { _ = setUser(0) }
        return body()
    }

    // MARK: Others at the file

    @Test("a second writer is kept out, until the first is closed")
    func secondWriter() throws {
        let (writer, _) = try store().openWriter(.test())
        #expect(openError()?.name == "locked")
        let link = folder.path("link.db")
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: path)
        #expect(openError(SQLiteStore(path: link, timeout: .milliseconds(20)))?.name == "locked")
        var own = TestLog(.a)
        try writer.append(Batch(entries: own.entries(1, from: 10)))
        writer.close()
        #expect(openError() == nil)
    }

    @Test("a lock held by another program ends opening and appending in time, and passes")
    func locked() throws {
        try fill()
        let other = try RawDatabase(path)
        try other.execute("BEGIN IMMEDIATE")
        #expect(openError()?.name == "locked")
        try other.execute("COMMIT")
        let (writer, recovered) = try store().openWriter(.test())
        var own = TestLog(.a, after: recovered.head)
        let entries = own.entries(1, from: 20)
        try other.execute("BEGIN IMMEDIATE")
        #expect(error { () throws(StoreError) in try writer.append(Batch(entries: entries)) }?.name == "locked")
        let reader = try store().openReader()
        #expect(try reader.history(room: "room", before: nil, limit: 9).count == 3)
        writer.close()
        try other.execute("COMMIT")
        let (again, reopened) = try store().openWriter(.test(held: .init(replica: .a, committed: 3)))
        #expect(reopened.replica == .a)
        try again.append(Batch(entries: entries))
        again.close()
        #expect(try reader.history(room: "room", before: nil, limit: 9).count == 4)
    }

    @Test("a log that somebody else has written on is noticed")
    func fenced() throws {
        let (writer, _) = try store().openWriter(.test())
        var own = TestLog(.a)
        let entries = own.entries(2, from: 10)
        try writer.append(Batch(entries: [entries[0]]))
        try RawDatabase(path).execute("UPDATE replica SET head = 2")
        #expect(error { () throws(StoreError) in try writer.append(Batch(entries: [entries[1]])) }?.name == "fenced")
    }

    @Test("another file put in the place of an open one is noticed")
    func replaced() throws {
        let (writer, _) = try store().openWriter(.test())
        let reader = try store().openReader()
        let other = folder.path("other.db")
        try SQLiteStore(path: other).openWriter(.test(fresh: .b)).writer.close()
        #expect(rename(other, path) == 0)
        #expect(error { () throws(StoreError) in try writer.append(Batch()) }?.name == "unreachable")
        #expect(error { () throws(StoreError) in _ = try reader.positions(of: []) }?.name == "unreachable")
    }

    @Test("a copied file goes on under a new replica, with the old log inside")
    func copied() throws {
        let entries = try fill()
        let copy = folder.path("copy.db")
        try FileManager.default.copyItem(atPath: path, toPath: copy)
        let (writer, recovered) = try SQLiteStore(path: copy).openWriter(.test(fresh: .b))
        defer { writer.close() }
        #expect(recovered.replica == .b)
        #expect(recovered.renewal == .copied)
        #expect(recovered.vector == VersionVector(Dot(replica: .a, seq: 3)))
        #expect(try SQLiteStore(path: copy).openReader().entries(of: .a, from: 1, limit: 9) == entries)
        let (original, same) = try store().openWriter(.test(fresh: .c))
        original.close()
        #expect(same.replica == .a)
    }

    // MARK: Limits

    @Test("a file that was closed holds all by itself, though a reader still has it open")
    func closedWhole() throws {
        let (writer, recovered) = try store().openWriter(.test())
        let reader = try store().openReader()
        var own = TestLog(.a, after: recovered.head)
        try writer.append(Batch(entries: own.entries(3, from: 10)))
        #expect(try reader.entries(of: .a, from: 1, limit: 10).count == 3)
        writer.close()
        let copy = folder.path("copy.db")
        try FileManager.default.copyItem(atPath: path, toPath: copy)
        #expect(try SQLiteStore(path: copy).openReader().entries(of: .a, from: 1, limit: 10).count == 3)
        withExtendedLifetime(reader) {}
    }

    @Test("a full file refuses the batch whole, and goes on where there is room again")
    func full() throws {
        let (writer, _) = try store(maximumBytes: 400_000).openWriter(.test())
        var own = TestLog(.a)
        try writer.append(Batch(entries: own.entries(10, from: 10)))
        var large = TestLog(.a, after: 10)
        let entries = (0..<100).map { large.entry(at: UInt64(100 + $0), text: String(repeating: "x", count: 10_000)) }
        #expect(error { () throws(StoreError) in try writer.append(Batch(entries: entries)) }?.name == "full")
        #expect(error { () throws(StoreError) in try writer.append(Batch()) }?.name == "failed")
        writer.close()
        #expect(try store().openReader().history(room: "room", before: nil, limit: 999).count == 10)
        let (again, recovered) = try store().openWriter(.test(held: .init(replica: .a, committed: 10)))
        #expect(recovered.head == 10)
        try again.append(Batch(entries: entries))
        again.close()
    }

    @Test("the write-ahead log is cut back while it is written")
    func boundedLog() throws {
        let (writer, _) = try SQLiteStore(path: path, sync: .normal).openWriter(.test())
        var own = TestLog(.a)
        let text = String(repeating: "x", count: 1_000_000)
        var longest: UInt64 = 0
        for round in 0..<60 {
            try writer.append(Batch(entries: [own.entry(at: UInt64(10 + round), text: text)]))
            longest = max(longest, try size(path + "-wal"))
        }
        writer.close()
        #expect(longest > 8_000_000)
        #expect(longest < 24_000_000)
        #expect(try size(path) > 60_000_000)
    }

    @Test("the log's space is taken ahead of the commits, and what a crash leaves of it is recovered whole")
    func reservedLog() throws {
        let (writer, _) = try store().openWriter(.test())
        var own = TestLog(.a)
        let entries = own.entries(5, from: 10)
        for entry in entries { try writer.append(Batch(entries: [entry])) }
        #expect(try size(path + "-wal") >= 1 << 20)
        let copy = folder.path("crashed.db")
        for suffix in ["", "-wal"] {
            try FileManager.default.copyItem(atPath: path + suffix, toPath: copy + suffix)
        }
        writer.close()
        let (again, recovered) = try SQLiteStore(path: copy).openWriter(.test(fresh: .b))
        defer { again.close() }
        #expect(recovered.vector == VersionVector(own.head))
        #expect(try SQLiteStore(path: copy).openReader().entries(of: .a, from: 1, limit: 9) == entries)
    }

    private func size(_ path: String) throws -> UInt64 {
        try #require(try FileManager.default.attributesOfItem(atPath: path)[.size] as? UInt64)
    }

    @Test("a read that takes too long ends")
    func timeout() throws {
        try fill(5_000)
        let reader = try store(timeout: .zero).openReader()
        let thrown = error { () throws(StoreError) in _ = try reader.history(room: "room", before: nil, limit: 5_000) }
        #expect(thrown?.name == "timeout")
        #expect(try reader.history(room: "room", before: nil, limit: 5).count == 5)
    }

    @Test("an open transaction of a reader does not hold up the writer")
    func pinnedReader() throws {
        try fill()
        let other = try RawDatabase(path)
        try other.execute("BEGIN")
        #expect(try other.rows("SELECT count(*) FROM entry") == [["3"]])
        try fill()
        #expect(try other.rows("SELECT count(*) FROM entry") == [["3"]])
        try other.execute("COMMIT")
        #expect(try other.rows("SELECT count(*) FROM entry") == [["6"]])
    }

    @Test("a file of version 1 becomes one of this version, with all that is in it")
    func migration() throws {
        let entries = try fill()
        let records = (1...2).map { number in
            AttendanceRecord(
                room: "room", user: Text("u\(number)"), displayName: "U", number: UInt64(number),
                position: entries[number].position)
        }
        let (writer, _) = try store().openWriter(.test())
        try writer.append(Batch(effects: records.map { .attendance($0) }))
        writer.close()
        let old = try RawDatabase(path)
        try old.execute(
            """
            \(OldSchema.sqliteThree)
            DROP INDEX attendance_left; DROP INDEX attendance_joined;
            ALTER TABLE attendance RENAME COLUMN turn TO joined;
            UPDATE attendance SET joined = joined & 1;
            CREATE INDEX attendance_joined ON attendance(room, user) WHERE joined = 1;
            DROP TABLE counter; DROP TABLE staged_touched; DROP TABLE staged_row; DROP TABLE staged_attendance;
            DROP TABLE staged_key; DROP TABLE staged_entry;
            DROP TABLE staged_horizon; ALTER TABLE replica DROP COLUMN horizon;
            PRAGMA user_version = 1;
            """)
        #expect(error { () throws(StoreError) in _ = try store().openReader() }?.name == "unreachable")
        let (again, recovered) = try store().openWriter(.test())
        #expect(recovered.attendance == records)
        #expect(recovered.replica == .a && recovered.head == 3)
        let counter = DocumentID(room: "room", kind: .counter, name: "c")
        try again.append(
            Batch(effects: [.count(counter, CounterTotals(up: 1), dot: entries[0].dot, timestamp: .zero)]))
        again.close()
        #expect(try store().openReader().entries(of: .a, from: 1, limit: 9) == entries)
        #expect(try old.rows("PRAGMA user_version") == [["4"]])
        #expect(try old.rows("PRAGMA integrity_check") == [["ok"]])
    }

    @Test("of what version 2 dropped the floor is taken for the horizon")
    func migrationOfFloors() throws {
        try fill()
        let old = try RawDatabase(path)
        try old.execute(
            """
            \(OldSchema.sqliteThree)
            DROP TABLE staged_horizon; ALTER TABLE replica DROP COLUMN horizon;
            DELETE FROM entry WHERE seq <= 2; UPDATE replica SET floor = 2;
            PRAGMA user_version = 2;
            """)
        let (writer, recovered) = try store().openWriter(.test())
        writer.close()
        #expect(recovered.floors == VersionVector(Dot(replica: .a, seq: 2)))
        #expect(try store().openReader().horizon() == recovered.floors)
        #expect(try old.rows("PRAGMA user_version") == [["4"]])
    }

    @Test("what was staged is gone when the file is opened anew")
    func staleStage() throws {
        let (writer, _) = try store().openWriter(.test())
        var foreign = TestLog(.c)
        var chunk = SnapshotChunk(number: 1, status: .more, at: VersionVector())
        chunk.entries = foreign.entries(3, from: 5)
        try writer.stage(chunk)
        #expect(try RawDatabase(path).rows("SELECT count(*) FROM staged_entry") == [["3"]])
        writer.close()
        let (again, recovered) = try store().openWriter(.test())
        again.close()
        #expect(recovered.vector.isEmpty)
        #expect(try RawDatabase(path).rows("SELECT count(*) FROM staged_entry") == [["0"]])
    }

    // MARK: How it is stored

    @Test("history and resume are answered from the indexes, without sorting")
    func plans() throws {
        try fill()
        let database = try RawDatabase(path)
        let history = try database.rows("EXPLAIN QUERY PLAN " + SQLiteReader.historySQL).map { $0[3] }
        #expect(history.count == 1)
        #expect(history[0].contains("USING INDEX entry_history (room=? AND (ts,replica,seq)<(?,?,?))"), "\(history)")
        let room = try database.rows("EXPLAIN QUERY PLAN " + SQLiteReader.roomSQL).map { $0[3] }
        #expect(room.contains { $0.contains("COVERING INDEX entry_history (room=? AND ts>?)") }, "\(room)")
        #expect(room.contains { $0.contains("COVERING INDEX entry_others (room=? AND ts>?)") }, "\(room)")
        #expect(!room.contains { $0.contains("TEMP B-TREE") }, "\(room)")
        let touched = try database.rows("EXPLAIN QUERY PLAN " + SQLiteReader.touchedSQL).map { $0[3] }
        #expect(
            touched.count == 1 && touched[0].contains("COVERING INDEX touched_since (room=? AND replica=? AND seq>?)"),
            "\(touched)")
    }

    @Test("the file says what it is, and commits are synced as asked")
    func settings() throws {
        try fill()
        let database = try RawDatabase(path)
        #expect(try database.rows("PRAGMA user_version") == [["4"]])
        #expect(try database.rows("PRAGMA application_id") == [[String(0x436E_7667)]])
        #expect(try database.rows("PRAGMA journal_mode") == [["wal"]])
        #expect(try database.rows("PRAGMA integrity_check") == [["ok"]])
        #expect(
            try database.rows("SELECT value FROM meta WHERE key IN ('clean', 'sync') ORDER BY key") == [
                ["1"], ["full"],
            ])
    }
}
