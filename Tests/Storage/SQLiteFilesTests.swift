// What befalls an SQLite database's files while a node has them open, and what is done where they are missing.

import ConvergeCRDT
import ConvergeWire
import Foundation
import Testing

@testable import ConvergeStorage

@Suite("SQLite's files")
final class SQLiteFilesTests {
    let folder: TemporaryFolder
    let path: String
    let store: SQLiteStore

    init() throws {
        folder = try TemporaryFolder()
        path = folder.path("converge.db")
        store = SQLiteStore(path: path, timeout: .milliseconds(200))
    }

    deinit { folder.remove() }

    private func files() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
    }

    private func remove(_ suffixes: String...) throws {
        for suffix in suffixes { try FileManager.default.removeItem(atPath: path + suffix) }
    }

    private func held(_ committed: UInt64) -> WriterStart.Held { .init(replica: .a, committed: committed) }

    private func entries() throws -> [Entry] { try store.openReader().entries(of: .a, from: 1, limit: 99) }

    /// A store with two entries, and a reader that has read.
    private func open() throws -> (writer: any StoreWriter, reader: any StoreReader, log: TestLog) {
        let (writer, _) = try store.openWriter(.test())
        var own = TestLog(.a)
        try writer.append(Batch(entries: own.entries(2, from: 10)))
        let reader = try store.openReader()
        #expect(try reader.entries(of: .a, from: 1, limit: 9).count == 2)
        return (writer, reader, own)
    }

    private func appendError(_ writer: any StoreWriter, _ log: inout TestLog) -> StoreError? {
        let entries = log.entries(1, from: 20)
        return error { () throws(StoreError) in try writer.append(Batch(entries: entries)) }
    }

    private func openError(_ start: WriterStart) -> StoreError? {
        error { () throws(StoreError) in _ = try store.openWriter(start) }
    }

    // MARK: Missing

    @Test("a database that is moved away is not begun anew, and goes on when it is back", arguments: [true, false])
    func moved(withAll: Bool) throws {
        var (writer, reader, log) = try open()
        let suffixes = withAll ? ["", "-wal", "-shm"] : [""]
        for suffix in suffixes { #expect(rename(path + suffix, folder.path("away") + suffix) == 0) }
        #expect(error { () throws(StoreError) in _ = try reader.positions(of: []) }?.name == "gone")
        #expect(appendError(writer, &log)?.name == "gone")
        writer.close()
        for _ in 0..<3 { #expect(openError(.test(fresh: .b, held: held(2)))?.name == "gone") }
        #expect(error { () throws(StoreError) in _ = try store.openReader() }?.name == "unreachable")
        #expect(try !files().contains("converge.db"))
        for suffix in suffixes where access(folder.path("away") + suffix, F_OK) == 0 {
            #expect(rename(folder.path("away") + suffix, path + suffix) == 0)
        }
        let (again, recovered) = try store.openWriter(.test(fresh: .b, held: held(2)))
        defer { again.close() }
        #expect(recovered.replica == .a && recovered.renewal == nil && recovered.head == 2)
        #expect(try entries().count == 2)
    }

    @Test("where a volume was unmounted under the node nothing is made, no lock either")
    func unmounted() throws {
        let (writer, _, _) = try open()
        writer.close()
        for name in try files() { try FileManager.default.removeItem(atPath: folder.path(name)) }
        let thrown = openError(.test(fresh: .b, held: held(2)))
        #expect(thrown?.name == "gone" && thrown?.message.contains(path) == true)
        #expect(try files() == [])
    }

    @Test("the next process knows what was there, by the lock's file or the log's, until both are removed")
    func nextProcess() throws {
        let (writer, _, _) = try open()
        let left = try Data(contentsOf: URL(filePath: path + "-wal"))
        writer.close()
        try remove("")
        let thrown = openError(.test(fresh: .b))
        #expect(thrown?.name == "gone" && thrown?.message.contains("converge.db-lock") == true)
        // As a build before this one left it: a lock's file that says nothing.
        try remove("-lock")
        try left.write(to: URL(filePath: path + "-wal"))
        #expect(openError(.test(fresh: .b))?.message.contains("converge.db-wal") == true)
        try Data().write(to: URL(filePath: path))
        #expect(openError(.test(fresh: .b))?.name == "gone")
        #expect(FileManager.default.contents(atPath: path) == Data())
        try remove("-wal", "-lock")
        let (again, recovered) = try store.openWriter(.test(fresh: .b))
        defer { again.close() }
        #expect(recovered.replica == .b && recovered.renewal == nil && recovered.vector.isEmpty)
    }

    @Test("a log that was longer when its process ended is not gone on with")
    func setBack() throws {
        var (writer, _, log) = try open()
        writer.close()
        let before = try Data(contentsOf: URL(filePath: path))
        let (more, _) = try store.openWriter(.test(fresh: .b))
        try more.append(Batch(entries: log.entries(3, from: 30)))
        more.close()
        // In place, as `cp` does it: the same file.
        let file = try FileHandle(forWritingTo: URL(filePath: path))
        try file.truncate(atOffset: 0)
        try file.write(contentsOf: before)
        try file.close()
        let (again, recovered) = try store.openWriter(.test(fresh: .c))
        defer { again.close() }
        #expect(recovered.replica == .c && recovered.renewal == .behind)
        #expect(recovered.vector == VersionVector(Dot(replica: .a, seq: 2)))
    }

    // MARK: Befallen while open

    @Test(
        "a log or its index that is deleted is noticed before anything is acknowledged, and nothing is lost by it",
        arguments: ["-wal", "-shm"])
    func deleted(suffix: String) throws {
        var (writer, reader, log) = try open()
        let idle = try store.openReader()
        #expect(try idle.entries(of: .a, from: 1, limit: 9).count == 2)
        try remove(suffix)
        #expect(appendError(writer, &log)?.name == "unreachable")
        writer.close()
        #expect(error { () throws(StoreError) in _ = try reader.positions(of: []) }?.name == "unreachable")
        let (again, recovered) = try store.openWriter(.test(fresh: .b, held: held(2)))
        #expect(recovered.replica == .a && recovered.renewal == nil && recovered.head == 2)
        var next = TestLog(.a, after: 2)
        try again.append(Batch(entries: next.entries(2, from: 30)))
        #expect(try entries().count == 4)
        again.close()
        // What another process finds.
        let copy = folder.path("copy.db")
        try FileManager.default.copyItem(atPath: path, toPath: copy)
        #expect(try SQLiteStore(path: copy).openReader().entries(of: .a, from: 1, limit: 9).count == 4)
        #expect(try RawDatabase(copy).rows("PRAGMA integrity_check") == [["ok"]])
    }

    @Test(
        "a log that is cut is noticed before anything is acknowledged, and its replica is given up",
        arguments: [true, false])
    func cut(sameProcess: Bool) throws {
        var (first, _, log) = try open()
        first.close()
        let (writer, _) = try store.openWriter(.test(fresh: .b))
        try writer.append(Batch(entries: log.entries(3, from: 30)))
        let reader = try store.openReader()
        #expect(try reader.entries(of: .a, from: 1, limit: 9).count == 5)
        #expect(truncate(path + "-wal", 100) == 0)
        let thrown = appendError(writer, &log)
        #expect(thrown?.name == "corrupt" && thrown?.message.contains("write-ahead log was cut") == true)
        writer.close()
        #expect(error { () throws(StoreError) in _ = try reader.positions(of: []) }?.name == "unreachable")
        let start = WriterStart.test(fresh: .c, held: sameProcess ? held(5) : nil)
        let (again, recovered) = try store.openWriter(start)
        #expect(recovered.replica == .c && recovered.renewal == .behind)
        #expect(recovered.vector == VersionVector(Dot(replica: .a, seq: 2)))
        again.close()
        #expect(try RawDatabase(path).rows("PRAGMA integrity_check") == [["ok"]])
        first = again
    }

    @Test("a database that is cut is damaged, and stays so")
    func databaseCut() throws {
        var (first, _, log) = try open()
        try first.append(
            Batch(entries: (0..<200).map { log.entry(at: UInt64(30 + $0), text: String(repeating: "x", count: 900)) }))
        first.close()
        let (writer, _) = try store.openWriter(.test(fresh: .b))
        #expect(truncate(path, 8_192) == 0)
        #expect(appendError(writer, &log)?.name == "corrupt")
        writer.close()
        #expect(openError(.test(fresh: .b, held: held(202)))?.name == "corrupt")
        first = writer
    }

    @Test("another program that empties the log as SQLite does harms nothing")
    func emptied() throws {
        var (writer, reader, log) = try open()
        let other = try RawDatabase(path)
        for round in 0..<3 {
            #expect(try other.rows("PRAGMA wal_checkpoint(TRUNCATE)").first?.first == "0")
            try writer.append(Batch(entries: log.entries(2, from: UInt64(30 + 10 * round))))
            #expect(try reader.entries(of: .a, from: 1, limit: 99).count == 4 + 2 * round)
        }
        writer.close()
        #expect(try entries().count == 8)
    }

    // MARK: Whose they are

    private func mode(_ name: String) throws -> Int? {
        try FileManager.default.attributesOfItem(atPath: folder.path(name))[.posixPermissions] as? Int
    }

    @Test("the files are their owner's alone, also those that were not")
    func privacy() throws {
        let mask = umask(0)
        defer { umask(mask) }
        let (writer, _, _) = try open()
        #expect(try files() == ["converge.db", "converge.db-lock", "converge.db-shm", "converge.db-wal"])
        for name in try files() { #expect(try mode(name) == 0o600, "\(name)") }
        writer.close()
        for name in try files() { #expect(chmod(folder.path(name), 0o664) == 0) }
        let (again, recovered) = try store.openWriter(.test(fresh: .b))
        #expect(recovered.privacy == .tightened)
        for name in try files() { #expect(try mode(name) == 0o600, "\(name)") }
        again.close()
        let (third, kept) = try store.openWriter(.test(fresh: .b))
        #expect(kept.privacy == .kept)
        third.close()
    }

    @Test("files that others can open and this user can't change are told of", .enabled(if: getuid() != 0))
    func exposed() {
        #expect(FilePrivacy.enforce(["/etc/hostname", "/nowhere"]) == .exposed("/etc/hostname"))
    }
}
