import CSQLite
import Foundation
import Testing

@testable import ConvergeClient

@Suite("The file of unsent messages")
struct OutboxFileTests {
    private final class Folder {
        let path = NSTemporaryDirectory() + "converge-outbox-\(UUID().uuidString)"
        init() throws { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }
        deinit { try? FileManager.default.removeItem(atPath: path) }
        var file: String { path + "/outbox.db" }
    }

    private func message(_ key: String, copies: Int? = nil) -> UnsentMessage {
        UnsentMessage(key: key, room: "dév", body: "body \(key)\0é", copies: copies)
    }

    private func failure(_ body: () throws(OutboxFile.Failure) -> Void) -> OutboxFile.Failure? {
        do throws(OutboxFile.Failure) {
            try body()
            return nil
        } catch {
            return error
        }
    }

    @Test func `what was added is there in the next life, in order, without what was taken out`() throws {
        let folder = try Folder()
        let first = try OutboxFile(path: folder.file)
        for key in ["1", "2", "3"] { #expect(try first.add(message(key, copies: key == "2" ? 3 : nil)) { true }) }
        #expect(try !first.add(message("never")) { false })
        try first.remove(["1"])
        first.release()
        let second = try OutboxFile(path: folder.file)
        #expect(try second.load() == [message("2", copies: 3), message("3")])
    }

    @Test func `nobody else may read it`() throws {
        let folder = try Folder()
        _ = FileManager.default.createFile(atPath: folder.file, contents: nil, attributes: [.posixPermissions: 0o644])
        let file = try OutboxFile(path: folder.file)
        #expect(try file.add(message("1")) { true })
        for name in try FileManager.default.contentsOfDirectory(atPath: folder.path) {
            let mode = try FileManager.default.attributesOfItem(atPath: folder.path + "/" + name)[.posixPermissions]
            #expect(mode as? Int == 0o600, "\(name)")
        }
    }

    @Test func `a second client of this program does not let another program in`() throws {
        let folder = try Folder()
        let first = try OutboxFile(path: folder.file)
        #expect(failure { () throws(OutboxFile.Failure) in _ = try OutboxFile(path: folder.file) }?.isInUse == true)
        // As another process would: locks of open file descriptions don't belong to this one. Closing comes last.
        let descriptor = open(folder.file, O_RDWR)
        defer { close(descriptor) }
        var lock = flock()
        lock.l_type = Int16(F_WRLCK)
        let getLockOfDescription: Int32 = 36
        #expect(fcntl(descriptor, getLockOfDescription, &lock) == 0)
        #expect(lock.l_type != Int16(F_UNLCK))
        first.release()
    }

    @Test func `a second client with the same file is told so`() throws {
        let folder = try Folder()
        let first = try OutboxFile(path: folder.file)
        #expect(failure { () throws(OutboxFile.Failure) in _ = try OutboxFile(path: folder.file) }?.isInUse == true)
        var options = ChatClient.Options()
        options.outboxFile = folder.file
        #expect(throws: ChatClientError.outboxInUse(file: folder.file)) {
            try ChatClient(urls: [ServerURL("ws://h")], token: nil, options: options)
        }
        first.release()
        #expect(try OutboxFile(path: folder.file).load().isEmpty)
    }

    @Test func `what is no such file is left as it is`() throws {
        let folder = try Folder()
        try Data("not a database, but long enough to be told from one".utf8).write(to: URL(filePath: folder.file))
        #expect(failure { () throws(OutboxFile.Failure) in _ = try OutboxFile(path: folder.file) }?.isInUse == false)

        let other = folder.path + "/other.db"
        var handle: OpaquePointer?
        sqlite3_open(other, &handle)
        sqlite3_exec(handle, "CREATE TABLE mine (x); PRAGMA user_version = 7", nil, nil, nil)
        sqlite3_close(handle)
        #expect(
            failure { () throws(OutboxFile.Failure) in _ = try OutboxFile(path: other) }?.reason
                == "is a database of something else")
        #expect(
            failure { () throws(OutboxFile.Failure) in _ = try OutboxFile(path: folder.path + "/no/where.db") }?.reason
                == "No such file or directory")
    }

    /// A copy of the files as they are in the middle of a life is what a process that is killed leaves behind.
    @Test func `a life that is cut off leaves what it was told`() throws {
        let folder = try Folder()
        let file = try OutboxFile(path: folder.file)
        for key in 0..<50 { #expect(try file.add(message("\(key)")) { true }) }
        try file.remove((0..<20).map { "\($0)" })
        let copy = folder.path + "/copy.db"
        for suffix in ["", "-wal"] {
            try FileManager.default.copyItem(atPath: folder.file + suffix, toPath: copy + suffix)
        }
        #expect(try OutboxFile(path: copy).load().map(\.key) == (20..<50).map { "\($0)" })
    }

    @Test func `a closed one takes nothing`() throws {
        let folder = try Folder()
        let file = try OutboxFile(path: folder.file)
        file.release()
        #expect(
            failure { () throws(OutboxFile.Failure) in _ = try file.add(message("1")) { true } }?.reason == "closed")
    }
}
