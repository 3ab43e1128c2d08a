import ConvergeNode
import ConvergeStorage
import Foundation
import Testing

/// A node whose disk fills, or whose database goes from under it, with clients who write and ask.
@Suite("Disk failures")
struct DiskFailureTests {
    private static func store(_ path: String) -> SQLiteStore { SQLiteStore(path: path, timeout: .milliseconds(500)) }

    private func readiness(_ node: TestNode) throws -> String {
        let reply = try HTTPReply.get("/ready", port: node.port)
        return "\(reply.status) \(reply.body)"
    }

    @Test(
        "a database that is moved away is missed, said so, and gone on with when it is back; none is begun in its place"
    )
    func moved() throws {
        let folder = try TemporaryFolder()
        let path = folder.path("converge.db")
        try withNode(Self.store(path)) { node in
            let ann = try node.client("ann")
            #expect(try ann.ask(#"{"body":"before","ref":"1"}"#, ref: "1").type == "ack")
            #expect(try ann.ask(#"{"type":"crdt_lww_set","body":"kept","ref":"2"}"#, ref: "2").type == "ack")
            #expect(rename(path, path + ".away") == 0)
            #expect(try ann.ask(#"{"body":"lost","ref":"3"}"#, ref: "3").body == "storage unavailable")
            try node.wait("told why") {
                try readiness(node) == "503 the store is not available: what was stored is not there"
            }
            #expect(try ann.ask(#"{"type":"crdt_lww_get","ref":"4"}"#, ref: "4").body == "kept")
            #expect(try node.metric(#"store_trouble{reason="gone"}"#) == 1)
            #expect(!FileManager.default.fileExists(atPath: path))
            #expect(rename(path + ".away", path) == 0)
            try node.waitUntilReady()
            #expect(try ann.ask(#"{"body":"after","ref":"5"}"#, ref: "5").type == "ack")
            #expect(try NodeProcess.history("lobby", by: ann).map(\.body) == ["ann joined", "before", "after"])
        }
    }

    @Test("a log that is deleted under the node costs nobody anything that was acknowledged")
    func logDeleted() throws {
        let folder = try TemporaryFolder()
        let path = folder.path("converge.db")
        var acked: [String] = ["ann joined"]
        try withNode(Self.store(path)) { node in
            let ann = try node.client("ann")
            for number in 0..<60 {
                if number == 20 || number == 40 { #expect(unlink(path + "-wal") == 0) }
                if try ann.ask(#"{"body":"\#(number)","ref":"\#(number)"}"#, ref: "\(number)").type == "ack" {
                    acked.append("\(number)")
                } else {
                    try node.waitUntilReady()
                }
            }
            #expect(acked.count >= 55 && acked.count < 61)
            // Readers that had the old one read what is there.
            #expect(try NodeProcess.history("lobby", by: ann).map(\.body) == acked)
        }
        try withNode(Self.store(path)) { node in
            let bob = try node.client("bob")
            let history = try NodeProcess.history("lobby", by: bob)
            #expect(history.filter { $0.type == "message" }.map(\.body) == Array(acked.dropFirst()))
        }
    }

    /// Whether a small file system can be mounted here, to be filled.
    static let canMount: Bool = {
        guard getuid() == 0, let folder = try? TemporaryFolder() else { return false }
        guard mounts("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder.url.path) else { return false }
        return mounts("umount", folder.url.path)
    }()

    private static func mounts(_ arguments: String...) -> Bool {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = arguments
        process.standardError = FileHandle.nullDevice
        guard (try? process.run()) != nil else { return false }
        process.waitUntilExit()
        return process.terminationStatus == 0
    }

    @Test(
        "a disk that the node fills refuses what is written, says so, answers everybody, and goes on when there is room",
        .enabled(if: canMount))
    func full() throws {
        let folder = try TemporaryFolder()
        defer { _ = Self.mounts("umount", "-l", folder.url.path) }
        #expect(Self.mounts("mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", folder.url.path))
        try Data(count: 2 << 20).write(to: URL(filePath: folder.path("ballast")))
        let body = String(repeating: "y", count: 1_900)
        var acked: [String] = []
        try withNode(Self.store(folder.path("converge.db"))) { node in
            let ann = try node.client("ann")
            #expect(try ann.ask(#"{"type":"crdt_lww_set","body":"kept","ref":"d"}"#, ref: "d").type == "ack")
            #expect(try ann.ask(#"{"type":"history","ref":"h"}"#, ref: "h").type == "history")
            var refused: Frame?
            for number in 0..<40_000 where refused == nil {
                let answer = try ann.ask(#"{"body":"\#(number) \#(body)","ref":"\#(number)"}"#, ref: "\(number)")
                if answer.type == "ack" { acked.append("\(number)") } else { refused = answer }
            }
            #expect(refused?.body == "storage unavailable")
            try node.wait("told why") {
                try readiness(node) == "503 the store is not available: the disk or the database is full"
            }
            for round in 0..<20 {
                #expect(
                    try ann.ask(#"{"body":"x","ref":"x\#(round)"}"#, ref: "x\(round)").body == "storage unavailable")
                #expect(try ann.ask(#"{"type":"crdt_lww_get","ref":"g\#(round)"}"#, ref: "g\(round)").body == "kept")
                #expect(try ann.ask(#"{"type":"docs","ref":"l\#(round)"}"#, ref: "l\(round)").type == "docs")
                #expect(try ann.ask(#"{"type":"history","ref":"h\#(round)"}"#, ref: "h\(round)").type == "history")
            }
            #expect(try node.metric(#"store_trouble{reason="full"}"#) == 1)
            try FileManager.default.removeItem(atPath: folder.path("ballast"))
            try node.waitUntilReady()
            #expect(try ann.ask(#"{"body":"after","ref":"z"}"#, ref: "z").type == "ack")
            let history = try NodeProcess.history("lobby", by: ann).filter { $0.type == "message" }.map(\.body)
            #expect(history.map { String($0.prefix { $0 != " " }) } == acked + ["after"])
        }
    }
}
