// A store that fails under a running node: errors to whoever asked, nothing shown, and it goes on by itself.

import CSQLite
import ConvergeNode
import ConvergeStorage
import Foundation
import Testing

@Suite struct StoreFailureTests {
    /// Joined and left of a history alternate for each user, and end as `present` says.
    static func checkAttendance(_ history: [Frame], present: Set<String>) {
        var there: [String: Bool] = [:]
        var wrong: [String] = []
        for frame in history where frame.type == "system" {
            let joined = frame.body.hasSuffix(" joined")
            if there[frame.user, default: false] == joined {
                wrong.append("\(frame.body) at \(frame.number("seq") ?? 0)")
            }
            there[frame.user] = joined
        }
        #expect(wrong.isEmpty)
        #expect(Set(there.filter(\.value).keys) == present)
    }

    static func checkLog(_ history: [Frame]) {
        #expect(history.map { $0.number("seq") } == (0..<history.count).map { $0 + 1 })
        #expect(zip(history, history.dropFirst()).allSatisfy { $0.pos < $1.pos })
    }

    @Test func `a batch that fails is an error to its senders, is shown to nobody, and leaves no gap`() throws {
        let store = MemoryStore()
        try withNode(store) { node in
            let ann = try node.client("ann")
            let bob = try node.client("bob")
            _ = try ann.next("system") { $0.user == "bob" }
            store.inject(.refuse(.failed("test")))
            let error = try ann.ask(#"{"body":"lost","ref":"1"}"#, ref: "1")
            #expect(error.type == "error")
            #expect(error.body == "storage unavailable")
            try node.waitUntilReady()
            #expect(try ann.ask(#"{"body":"kept","ref":"2"}"#, ref: "2").type == "ack")
            #expect(try bob.next().body == "kept")
            #expect(try bob.framesUntilNow().map(\.text) == [])
            let history = try NodeProcess.history("lobby", by: bob)
            #expect(history.map(\.body) == ["ann joined", "bob joined", "kept"])
            Self.checkLog(history)
        }
    }

    @Test func `a failed document write is undone`() throws {
        let store = MemoryStore()
        try withNode(store) { node in
            let ann = try node.client("ann")
            _ = try ann.ask(#"{"type":"crdt_orset_add","body":"kept","ref":"1"}"#, ref: "1")
            _ = try ann.ask(#"{"type":"crdt_lww_set","body":"kept","ref":"2"}"#, ref: "2")
            for frame in [
                #"{"type":"crdt_orset_add","body":"lost","ref":"r"}"#,
                #"{"type":"crdt_orset_remove","body":"kept","ref":"r"}"#,
                #"{"type":"crdt_lww_set","body":"lost","ref":"r"}"#,
            ] {
                store.inject(.refuse(.failed("test")))
                #expect(try ann.ask(frame, ref: "r").body == "storage unavailable")
                try node.waitUntilReady()
                #expect(try ann.ask(#"{"type":"crdt_orset_values","ref":"v"}"#, ref: "v").list("items") == ["kept"])
                #expect(try ann.ask(#"{"type":"crdt_lww_get","ref":"g"}"#, ref: "g").body == "kept")
            }
        }
    }

    @Test(
        "an unknown outcome is an ack where it was stored and an error where it was not, and a repeat happens once",
        arguments: [true, false])
    func unknownOutcome(stored: Bool) throws {
        let store = MemoryStore()
        try withNode(store) { node in
            let ann = try node.client("ann")
            store.inject(.unknownOutcome(stored: stored))
            let answer = try ann.ask(#"{"body":"perhaps","key":"k","ref":"1"}"#, ref: "1")
            #expect(answer.type == (stored ? "ack" : "error"))
            try node.waitUntilReady()
            let again = try ann.ask(#"{"body":"perhaps","key":"k","ref":"2"}"#, ref: "2")
            #expect(again.type == "ack")
            #expect((again.bool("duplicate") ?? false) == stored)
            _ = try ann.ask(#"{"body":"after","ref":"3"}"#, ref: "3")
            let history = try NodeProcess.history("lobby", by: ann)
            #expect(history.map(\.body) == ["ann joined", "perhaps", "after"])
            Self.checkLog(history)
        }
    }

    @Test func `many faults under a burst: acked is stored, refused is not, and the log has no gap`() throws {
        let store = MemoryStore()
        try withNode(store) { node in
            let clients = try (0..<4).map { try node.client("user\($0)") }
            var outcomes: [String: Bool] = [:]
            for round in 0..<12 {
                switch round % 3 {
                case 0: store.inject(.refuse(.failed("test")))
                case 1: store.inject(.unknownOutcome(stored: true))
                default: store.inject(.unknownOutcome(stored: false))
                }
                for (index, client) in clients.enumerated() {
                    try client.socket.send(
                        (0..<25).flatMap {
                            ChatSocket.frame(
                                #"{"body":"\#(round)-\#(index)-\#($0)","ref":"\#(round)-\#(index)-\#($0)"}"#)
                        })
                }
                for (index, client) in clients.enumerated() {
                    var left = 25
                    while left > 0 {
                        let frame = try client.next()
                        guard let ref = frame.ref, ref.hasPrefix("\(round)-\(index)-") else { continue }
                        if outcomes.updateValue(frame.type == "ack", forKey: ref) != nil {
                            Issue.record("two answers to \(ref)")
                        }
                        left -= 1
                    }
                }
                try node.waitUntilReady()
            }
            let history = try NodeProcess.history("lobby", by: clients[0])
            let bodies = history.filter { $0.type == "message" }.map(\.body)
            #expect(Set(bodies).count == bodies.count)
            #expect(Set(bodies) == Set(outcomes.filter(\.value).keys))
            Self.checkLog(history)
            Self.checkAttendance(history, present: ["user0", "user1", "user2", "user3"])
        }
    }

    @Test func `who came and went while there was no store is set right when it is back`() throws {
        let store = MemoryStore()
        try withNode(store) { node in
            let stays = try node.client("stays")
            let goes = try node.client("goes")
            store.setOutage(.unreachable("test"))
            #expect(try stays.ask(#"{"body":"x","ref":"1"}"#, ref: "1").body == "storage unavailable")
            try node.wait("not ready") { try HTTPReply.get("/ready", port: node.port).status == 503 }
            goes.socket.close()
            let comes = try node.client("comes", joins: false)
            let passes = try node.client("passes", joins: false)
            passes.socket.close()
            try node.wait("two are left") { try node.metric("sessions") == 2 }
            // Presence needs no store.
            #expect(try comes.ask(#"{"type":"users","ref":"u"}"#, ref: "u").list("users") == ["comes", "stays"])
            store.setOutage(nil)
            try node.wait("ready again") { try HTTPReply.get("/ready", port: node.port).status == 200 }
            _ = try comes.next("system") { $0.body == "comes joined" }
            _ = try stays.next("system") { $0.body == "goes left" }
            let history = try NodeProcess.history("lobby", by: stays)
            Self.checkLog(history)
            Self.checkAttendance(history, present: ["stays", "comes"])
            #expect(!history.contains { $0.user == "passes" })
        }
    }

    @Test func `SQLite that another connection holds is an error, ready says no, and it recovers`() throws {
        let folder = try TemporaryFolder()
        let path = folder.path("converge.db")
        try withNode(SQLiteStore(path: path, timeout: .milliseconds(200))) { node in
            let ann = try node.client("ann")
            var handle: OpaquePointer?
            #expect(sqlite3_open(path, &handle) == SQLITE_OK)
            defer { sqlite3_close(handle) }
            #expect(sqlite3_exec(handle, "BEGIN IMMEDIATE", nil, nil, nil) == SQLITE_OK)
            let error = try ann.ask(#"{"body":"held","ref":"1"}"#, ref: "1")
            #expect(error.type == "error")
            #expect(["storage unavailable", "busy"].contains(error.body))
            try node.wait("not ready") { try HTTPReply.get("/ready", port: node.port).status == 503 }
            #expect(try ann.ask(#"{"body":"held","ref":"2"}"#, ref: "2").type == "error")
            #expect(try HTTPReply.get("/health", port: node.port).status == 200)
            // Readers wait for nobody.
            #expect(try ann.ask(#"{"type":"history","ref":"h"}"#, ref: "h").type == "history")
            #expect(sqlite3_exec(handle, "ROLLBACK", nil, nil, nil) == SQLITE_OK)
            try node.wait("ready again") { try HTTPReply.get("/ready", port: node.port).status == 200 }
            #expect(try ann.ask(#"{"body":"free","ref":"3"}"#, ref: "3").type == "ack")
            let history = try NodeProcess.history("lobby", by: ann)
            #expect(history.map(\.body) == ["ann joined", "free"])
            Self.checkLog(history)
        }
    }

    @Test(
        "a database that is no database, or is newer, or can't be made: the node is up and says so",
        arguments: ["garbage", "newer", "nowhere"])
    func badDatabase(what: String) throws {
        let folder = try TemporaryFolder()
        var path = folder.path("converge.db")
        switch what {
        case "garbage": try Data(repeating: 0x41, count: 8_192).write(to: URL(fileURLWithPath: path))
        case "nowhere": path = folder.path("no/such/folder/converge.db")
        default:
            try withNode(SQLiteStore(path: path)) { _ in }
            var handle: OpaquePointer?
            #expect(sqlite3_open(path, &handle) == SQLITE_OK)
            #expect(sqlite3_exec(handle, "PRAGMA user_version = 9999", nil, nil, nil) == SQLITE_OK)
            sqlite3_close(handle)
        }
        try withNode(SQLiteStore(path: path, timeout: .milliseconds(200)), ready: false) { node in
            let ann = try node.client("ann", joins: false)
            #expect(try ann.ask(#"{"body":"x","ref":"1"}"#, ref: "1").body == "storage unavailable")
            #expect(try ann.ask(#"{"type":"history","ref":"2"}"#, ref: "2").body == "history unavailable")
            #expect(try ann.ask(#"{"type":"users","ref":"3"}"#, ref: "3").list("users") == ["ann"])
            #expect(try HTTPReply.get("/ready", port: node.port).status == 503)
            #expect(try HTTPReply.get("/health", port: node.port).status == 200)
        }
    }

    @Test func `a full save queue refuses with busy and drops nothing`() throws {
        let folder = try TemporaryFolder()
        try withNode(SQLiteStore(path: folder.path("converge.db"))) {
            $0.saveBuffer = 8
        } _: { node in
            let ann = try node.client("ann")
            try ann.socket.send((0..<500).flatMap { ChatSocket.frame(#"{"body":"\#($0)","ref":"\#($0)"}"#) })
            var acked: Set<String> = []
            var refused = 0
            while acked.count + refused < 500 {
                let frame = try ann.next()
                guard let ref = frame.ref else { continue }
                if frame.type == "ack" {
                    acked.insert(ref)
                } else {
                    #expect(frame.body == "busy")
                    refused += 1
                }
            }
            #expect(refused > 0)
            let history = try NodeProcess.history("lobby", by: ann).filter { $0.type == "message" }
            #expect(history.count == acked.count)
            #expect(Set(history.map(\.body)) == acked)
        }
    }

    @Test func `a node that stops without its store ends in time`() throws {
        let store = MemoryStore()
        try withNode(store) { node in
            let ann = try node.client("ann")
            store.inject(.unknownOutcome(stored: true))
            store.setOutage(.unreachable("test"))
            try ann.send(#"{"body":"x"}"#)
            try node.wait("not ready") { !node.server.isReady }
        }
    }
}
