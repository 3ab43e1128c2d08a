// `kill -9` in the middle of a burst: whatever anybody has seen is in history, once.

import ConvergeNode
import ConvergeStorage
import Glibc
import Testing

@Suite struct CrashTests {
    @Test func `after kill -9 in a burst every message that was shown or acked is in history once`() throws {
        let folder = try TemporaryFolder()
        let database = folder.path("converge.db")
        var shown: [String: String] = [:]  // id to body
        var sent = 0

        do {
            let node = try NodeProcess.serve(database: database)
            let clients = try (0..<4).map { try node.client("user\($0)") }
            let deadline = Deadline()
            // Until enough was seen that the burst is under way, and then still sending.
            while shown.count < 300 {
                for (index, client) in clients.enumerated() {
                    var bytes: [UInt8] = []
                    for _ in 0..<20 {
                        sent += 1
                        let key = sent % 3 == 0 ? "" : "k\(sent)"
                        bytes += ChatSocket.frame(#"{"body":"m\#(sent)","ref":"r","key":"\#(key)"}"#)
                    }
                    try client.socket.send(bytes)
                    try Self.collect(from: clients[(index + 1) % 4], into: &shown)
                }
                if deadline.hasPassed { throw TestFailure("only \(shown.count) seen") }
            }
            for client in clients {
                try client.socket.send((0..<200).flatMap { ChatSocket.frame(#"{"body":"last\#($0)","ref":"r"}"#) })
            }
            node.kill(SIGKILL)
            #expect(try node.waitForExit() == -SIGKILL)
            for client in clients { try Self.collect(from: client, into: &shown, toEnd: true) }
        }

        let node = try NodeProcess.serve(database: database)
        let reader = try node.client("reader")
        let history = try NodeProcess.history("lobby", by: reader)
        let messages = history.filter { $0.type == "message" }
        let ids = Dictionary(grouping: messages, by: \.id)
        #expect(ids.values.allSatisfy { $0.count == 1 })
        let missing = shown.filter { ids[$0.key] == nil }
        #expect(missing.isEmpty, "\(missing.count) of \(shown.count)")
        let changed = shown.filter { !$0.value.isEmpty && ids[$0.key]?[0].body != $0.value }
        #expect(changed.isEmpty)
        // Nobody's log has a hole, and those who were there have left.
        let seqs = history.compactMap { $0.number("seq") }
        #expect(seqs == (1...max(1, history.count)).map { $0 })
        for user in (0..<4).map({ "user\($0)" }) {
            let events = history.filter { $0.type == "system" && $0.user == user }.map(\.body)
            #expect(events == ["\(user) joined", "\(user) left"])
        }
        #expect(try reader.ask(#"{"type":"users","ref":"u"}"#, ref: "u").list("users") == ["reader"])
    }

    /// Takes what is there: messages and acks. An ack has no body; the message's, if it comes, stands.
    private static func collect(
        from client: ChatSocket, into shown: inout [String: String], toEnd: Bool = false
    ) throws {
        let deadline = Deadline(in: toEnd ? Deadline.patience : .milliseconds(5))
        while let arrival = try client.arrivalIfAny(by: deadline) {
            switch arrival {
            case .text(let text):
                let frame = try Frame(text)
                if frame.type == "message" { shown[frame.id] = frame.body }
                if frame.type == "ack", shown[frame.id] == nil { shown[frame.id] = "" }
            case .end: return
            case .ping, .pong, .close: continue
            }
        }
    }

    @Test func `documents are alive after kill -9`() throws {
        let folder = try TemporaryFolder()
        let database = folder.path("converge.db")
        do {
            let node = try NodeProcess.serve(database: database)
            let ann = try node.client("ann")
            for number in 0..<50 {
                _ = try ann.ask(#"{"type":"crdt_orset_add","body":"e\#(number)","ref":"r"}"#, ref: "r")
            }
            _ = try ann.ask(#"{"type":"crdt_orset_remove","body":"e7","ref":"r"}"#, ref: "r")
            #expect(try ann.ask(#"{"type":"crdt_lww_set","body":"last","ref":"r"}"#, ref: "r").type == "ack")
            node.kill(SIGKILL)
            _ = try node.waitForExit()
        }
        let node = try NodeProcess.serve(database: database)
        let ann = try node.client("ann")
        let items = try ann.ask(#"{"type":"crdt_orset_values","ref":"v"}"#, ref: "v").list("items")
        #expect(items == (0..<50).filter { $0 != 7 }.map { "e\($0)" }.sorted())
        #expect(try ann.ask(#"{"type":"crdt_lww_get","ref":"g"}"#, ref: "g").body == "last")
    }
}
