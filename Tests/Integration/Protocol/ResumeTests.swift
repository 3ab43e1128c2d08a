// docs/protocol.md, resume: what was missed, each once and in order, then live frames again.

import ConvergeNode
import ConvergeStorage
import Foundation
import Testing

@Suite struct ResumeTests {
    /// What a client is given between asking to resume and being told that it is over.
    private struct Resumed {
        var pages: [Frame] = []
        var others: [Frame] = []
        var end: Frame

        var shown: [Frame] { pages.flatMap { $0.frames("history") ?? [] } }
        var messages: [String] { shown.filter { $0.type == "message" }.map(\.body) }
    }

    private func resumed(_ client: ChatSocket) throws -> Resumed {
        var pages: [Frame] = []
        var others: [Frame] = []
        while true {
            let frame = try client.next()
            if frame.type == "resumed" { return Resumed(pages: pages, others: others, end: frame) }
            if frame.type == "history" { pages.append(frame) } else { others.append(frame) }
        }
    }

    /// The `cursor` of a frame as text, with what live frames have added.
    private func cursor(_ frame: Frame, and later: [Frame] = []) throws -> String {
        let object = try #require(try JSONSerialization.jsonObject(with: Data(frame.text.utf8)) as? [String: Any])
        var cursor = try #require(object["cursor"] as? [String: Int])
        for frame in later {
            guard let node = frame["node"], let seq = frame.number("seq") else { continue }
            cursor[node] = max(cursor[node] ?? 0, seq)
        }
        return "{" + cursor.sorted { $0.key < $1.key }.map { "\"\($0.key)\":\($0.value)" }.joined(separator: ",") + "}"
    }

    private func enter(_ node: TestNode, _ user: String, room: String = "dev") throws -> (ChatSocket, Frame) {
        let client = try node.open(token: Tokens.of(user), room: room)
        return (client, try client.next("welcome"))
    }

    private func say(_ client: ChatSocket, _ bodies: [String]) throws {
        for body in bodies { try client.send(#"{"body":"\#(body)"}"#) }
        _ = try client.next("message") { $0.body == bodies.last }
    }

    @Test func `a client that comes back is shown what it missed, in order and once, and then live frames`() throws {
        try withNode { node in
            let bob = try node.client("bob", room: "dev")
            let (first, welcome) = try enter(node, "ann")
            try say(bob, ["seen"])
            let live = try [first.next("system"), first.next("message")]
            let cursor = try cursor(welcome, and: live)
            first.socket.close()
            _ = try bob.next("system") { $0.body == "ann left" }
            try say(bob, ["one", "two"])
            try bob.send(#"{"type":"crdt_orset_add","doc":"tags","body":"x","ref":"d"}"#)
            _ = try bob.next("ack")
            let (ann, _) = try enter(node, "ann")
            _ = try ann.next("system") { $0.body == "ann joined" }
            try ann.send(#"{"type":"resume","room":"dev","cursor":\#(cursor),"ref":"r"}"#)
            let missed = try resumed(ann)
            #expect(missed.shown.map(\.body) == ["ann left", "one", "two"])
            #expect(
                missed.pages.allSatisfy { $0.bool("resume") == true && $0.ref == nil && $0.names.contains("cursor") })
            #expect(missed.end.ref == "r" && missed.end.bool("recovered") == true && missed.end.room == "dev")
            #expect(missed.end.list("docs") == ["tags"] && missed.others.isEmpty)
            try say(bob, ["three"])
            #expect(try ann.next().body == "three")
            // From where it is now there is nothing.
            let third = try #require(try ann.framesUntilNow().isEmpty ? missed.end : nil)
            try ann.send(#"{"type":"resume","cursor":\#(try self.cursor(third)),"ref":"s"}"#)
            #expect(try resumed(ann).shown.isEmpty)
        }
    }

    @Test func `in the URL the missed frames come right behind welcome, thousands of them in bounded pages`() throws {
        let folder = try TemporaryFolder()
        try withNode(SQLiteStore(path: folder.path("converge.db"), sync: .normal)) { node in
            let bob = try node.client("bob", room: "dev")
            let (first, welcome) = try enter(node, "ann")
            let cursor = try cursor(welcome, and: [first.next("system")])
            first.socket.close()
            _ = try bob.next("system") { $0.body == "ann left" }
            let words = (0..<5_000).map { "m\($0)" }
            for start in stride(from: 0, to: words.count, by: 1_000) {
                try say(bob, Array(words[start..<start + 1_000]))
            }
            let target = "/ws?room=dev&cursor=\(cursor.percentEncoded)&token=\(Tokens.of("ann").percentEncoded)"
            let ann = try node.open(target)
            #expect(try ann.next().type == "welcome")
            // Others write meanwhile.
            for number in 0..<500 { try bob.send(#"{"body":"n\#(number)"}"#) }
            let missed = try resumed(ann)
            var all = missed.shown
            #expect(missed.others.isEmpty && missed.pages.allSatisfy { ($0.frames("history")?.count ?? 0) <= 200 })
            #expect(zip(all, all.dropFirst()).allSatisfy { $0.pos < $1.pos })
            #expect(missed.end.bool("recovered") == true && missed.end.ref == nil)
            while all.last?.body != "n499" { all.append(try ann.next()) }
            let bodies = all.filter { $0.type == "message" }.map(\.body)
            #expect(bodies == words + (0..<500).map { "n\($0)" })
            #expect(all.filter { $0.type == "system" }.map(\.body) == ["ann left", "ann joined"])
        }
    }

    @Test func `a node that was restarted knows what was missed before and after`() throws {
        let folder = try TemporaryFolder()
        var cursor = ""
        try withNode(SQLiteStore(path: folder.path("converge.db"))) { node in
            let (_, welcome) = try enter(node, "ann")
            cursor = try self.cursor(welcome)
            try say(try node.client("bob", room: "dev"), ["before"])
        }
        try withNode(SQLiteStore(path: folder.path("converge.db"))) { node in
            try say(try node.client("bob", room: "dev"), ["after"])
            let (ann, _) = try enter(node, "ann", room: "lobby")
            // Another room is joined first.
            try ann.send(#"{"type":"resume","room":"dev","cursor":\#(cursor),"ref":"r"}"#)
            let missed = try resumed(ann)
            #expect(missed.messages == ["before", "after"] && missed.end.bool("recovered") == true)
            // It comes into both rooms live.
            #expect(missed.others.map(\.body) == ["ann joined", "ann joined"])
        }
    }

    @Test func `on a disk that was set back in place a cursor from before hides nothing, and the gap is told`() throws {
        let folder = try TemporaryFolder()
        let file = folder.path("converge.db")
        func running(_ body: (TestNode, ChatSocket) throws -> Void) throws {
            try withNode(SQLiteStore(path: file)) { try body($0, $0.client("bob", room: "dev")) }
        }
        var cursor = ""
        try running { _, bob in try say(bob, ["kept"]) }
        let older = try Data(contentsOf: URL(filePath: file))
        let mark = try Data(contentsOf: URL(filePath: file + "-lock"))
        try running { node, bob in
            let (ann, welcome) = try enter(node, "ann")
            try say(bob, ["lost 1", "lost 2", "lost 3"])
            var live: [Frame] = []
            while live.last?.body != "lost 3" { live.append(try ann.next()) }
            cursor = try self.cursor(welcome, and: live)
        }
        // As an image of the machine's disk does: the same files, with what they were.
        for (path, bytes) in [(file, older), (file + "-lock", mark)] {
            let handle = try FileHandle(forWritingTo: URL(filePath: path))
            try handle.truncate(atOffset: 0)
            try handle.write(contentsOf: bytes)
            try handle.close()
        }
        try running { node, bob in
            let (ann, _) = try enter(node, "ann")
            try ann.send(#"{"type":"resume","cursor":\#(cursor),"ref":"r"}"#)
            let missed = try resumed(ann)
            #expect(missed.end.bool("recovered") == false && missed.messages.first == "kept")
            try say(bob, (0..<5).map { "new \($0)" })
            var shown: [Frame] = []
            while shown.last?.body != "new 4" { shown.append(try ann.next()) }
            #expect(shown.filter { $0.type == "message" }.map(\.body) == (0..<5).map { "new \($0)" })
            // From where it is told to be, nothing is missing.
            try ann.send(#"{"type":"resume","cursor":\#(try self.cursor(missed.end, and: shown)),"ref":"s"}"#)
            #expect(try resumed(ann).end.bool("recovered") == true)
        }
    }

    @Test func `a cursor that can't be used is told, and the client is live all the same`() throws {
        try withNode { node in
            let bob = try node.client("bob", room: "dev")
            let many = (1...257).map { "\"\(String(repeating: "0", count: 13))\(String($0 + 256, radix: 16))\":1" }
            let target = "/ws?room=dev&cursor=%7Bx&token=\(Tokens.of("ann").percentEncoded)"
            let ann = try node.open(target)
            let first = try resumed(ann)
            #expect(first.end.bool("recovered") == false && first.others.map(\.type) == ["welcome"])
            try ann.send(#"{"type":"resume","cursor":{\#(many.joined(separator: ","))},"ref":"m"}"#)
            #expect(try resumed(ann).end.bool("recovered") == false)
            try ann.send(#"{"ref":"e","type":"resume","cursor":{"x":1}}"#)
            #expect(try ann.next("error") { $0.ref == "e" }.body == "invalid message")
            try say(bob, ["here"])
            #expect(try ann.next("message").body == "here")
        }
    }

    @Test func `a second resume replaces the first, and moving to another room ends it`() throws {
        try withNode { node in
            let bob = try node.client("bob", room: "dev")
            let (ann, welcome) = try enter(node, "ann")
            let start = try cursor(welcome)
            try say(bob, (0..<3_000).map { "m\($0)" })
            let (cat, _) = try enter(node, "cat")
            for ref in ["1", "2", "3"] { try cat.send(#"{"type":"resume","cursor":\#(start),"ref":"\#(ref)"}"#) }
            let last = try cat.next("resumed") { $0.ref == "3" }
            #expect(last.bool("recovered") == true)
            try cat.send(#"{"type":"resume","cursor":\#(start),"ref":"4"}"#)
            try cat.send(#"{"type":"join","room":"quiet","ref":"j"}"#)
            _ = try cat.next("joined") { $0.ref == "j" }
            #expect(try cat.framesUntilNow().allSatisfy { $0.type == "system" && $0.room == "quiet" })
            withExtendedLifetime(ann) {}
        }
    }

    @Test func `what retention has dropped is told`() throws {
        try withNode {
            $0.retention = .seconds(1)
        } _: { node in
            let (first, welcome) = try enter(node, "ann")
            let start = try cursor(welcome)
            first.socket.close()
            let bob = try node.client("bob", room: "dev")
            try say(bob, ["old"])
            let deadline = Deadline()
            while true {
                let history = try bob.ask(#"{"type":"history","ref":"h"}"#, ref: "h").frames("history") ?? []
                if !history.contains(where: { $0.body == "old" }) { break }
                if deadline.hasPassed { throw TestFailure("nothing is dropped") }
                usleep(50_000)
            }
            try say(bob, ["new"])
            let (ann, _) = try enter(node, "ann")
            try ann.send(#"{"type":"resume","cursor":\#(start),"ref":"r"}"#)
            let missed = try resumed(ann)
            #expect(missed.end.bool("recovered") == false && missed.messages == ["new"])
            #expect(missed.pages.allSatisfy { $0.bool("recovered") == false })
        }
    }
}
