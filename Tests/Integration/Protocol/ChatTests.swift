// docs/protocol.md, "Frames": what each client frame does and who gets what.

import ConvergeNode
import ConvergeStorage
import Testing

@Suite struct ChatTests {
    @Test func `a message goes to everybody in the room, the sender included, and to nobody else`() throws {
        try withNode { node in
            let ann = try node.client("ann", name: "Ann", room: "dev")
            let bob = try node.client("bob", room: "dev")
            let eve = try node.client("eve", room: "other")
            try ann.send(#"{"type":"message","body":"hello \"world\" \u00e9\n"}"#)
            for client in [ann, bob] {
                let message = try client.next("message")
                #expect(message.body == "hello \"world\" é\n")
                #expect(message.room == "dev")
                #expect(message.user == "ann")
                #expect(message["display_name"] == "Ann")
                #expect(isTimestamp(message["timestamp"]))
                #expect(
                    message.names == [
                        "id", "type", "room", "user_id", "display_name", "body", "timestamp", "node", "seq", "pos",
                    ])
            }
            #expect(try eve.framesUntilNow().map(\.text) == [])
        }
    }

    @Test func `a frame without a type is a message`() throws {
        try withNode { node in
            let ann = try node.client("ann")
            for frame in [#"{"body":"one"}"#, #"{"type":"","body":"two"}"#, #"{"type":null,"body":"three"}"#] {
                try ann.send(frame)
            }
            #expect(try (0..<3).map { _ in try ann.next("message").body } == ["one", "two", "three"])
        }
    }

    @Test func `a message to another room joins it first`() throws {
        try withNode { node in
            let ann = try node.client("ann", name: "Ann", room: "a")
            let old = try node.client("old", room: "a")
            let new = try node.client("new", room: "b")
            _ = try ann.next("system") { $0.user == "old" }
            try ann.send(#"{"type":"message","room":" b ","body":"hi"}"#)
            #expect(try old.next().body == "Ann left")
            #expect(try new.next().body == "Ann joined")
            #expect(try new.next().body == "hi")
            let joined = try ann.next()
            #expect(joined.body == "Ann joined")
            #expect(joined.room == "b")
            let message = try ann.next()
            #expect(message.body == "hi")
            #expect(message.room == "b")
            try ann.send(#"{"type":"message","body":"still here"}"#)
            #expect(try new.next().body == "still here")
            #expect(try old.framesUntilNow().map(\.text) == [])
        }
    }

    @Test func `a body over the limit is refused and not sent on`() throws {
        try withNode {
            $0.maxBodyLength = 10
        } _: { node in
            let ann = try node.client("ann")
            try ann.send(#"{"body":"12345678\u00e9"}"#)
            #expect(try ann.next().type == "message")
            try ann.send(#"{"body":"123456789\u00e9","ref":"r"}"#)
            let error = try ann.next()
            #expect(error.type == "error")
            #expect(error.body == "message too large")
            #expect(error.ref == "r")
            #expect(error.names == ["id", "type", "body", "timestamp", "ref", "code"])
            #expect(try ann.framesUntilNow().map(\.text) == [])
        }
    }

    @Test func `join leaves the one room and enters the other, and both are told`() throws {
        try withNode { node in
            let ann = try node.client("ann", name: "Ann", room: "a")
            let old = try node.client("old", room: "a")
            let new = try node.client("new", room: "b")
            _ = try ann.next("system") { $0.user == "old" }
            try ann.send(#"{"type":"join","room":" b "}"#)
            let left = try old.next()
            #expect(left.type == "system")
            #expect(left.body == "Ann left")
            #expect(left.room == "a")
            let joined = try new.next()
            #expect(joined.body == "Ann joined")
            #expect(joined.room == "b")
            let own = try ann.next()
            #expect(own.type == "system")
            #expect(own.body == "Ann joined")
            #expect(try ann.framesUntilNow().map(\.text) == [])
        }
    }

    @Test func `joining the current room again does nothing`() throws {
        try withNode { node in
            let ann = try node.client("ann", room: "a")
            let bob = try node.client("bob", room: "a")
            _ = try ann.next("system") { $0.user == "bob" }
            try ann.send(#"{"type":"join","room":"a"}"#)
            #expect(try ann.framesUntilNow().map(\.text) == [])
            #expect(try bob.framesUntilNow().map(\.text) == [])
        }
    }

    @Test(
        "a join of no room, or of one with too long a name, is refused",
        arguments: [
            #"{"type":"join"}"#, #"{"type":"join","room":" "}"#,
            #"{"type":"join","room":"\#(String(repeating: "r", count: 65))"}"#,
            #"{"type":"message","body":"x","room":"\#(String(repeating: "r", count: 65))"}"#,
            #"{"type":"users","room":"\#(String(repeating: "r", count: 65))"}"#,
            #"{"type":"history","room":"\#(String(repeating: "r", count: 65))"}"#,
        ])
    func invalidRoom(frame: String) throws {
        try withNode { node in
            let ann = try node.client("ann")
            try ann.send(frame)
            let error = try ann.next()
            #expect(error.type == "error")
            #expect(error.body == "invalid room")
            #expect(try ann.ask(#"{"type":"users","ref":"u"}"#, ref: "u").room == "lobby")
        }
    }

    @Test func `leave makes the server close the connection, and the room is told`() throws {
        try withNode { node in
            let ann = try node.client("ann", name: "Ann")
            let bob = try node.client("bob")
            try ann.send(#"{"type":"leave"}"#)
            #expect(try ann.waitForClose().code == 1000)
            try ann.waitForEnd()
            #expect(try bob.next().body == "Ann left")
        }
    }

    @Test func `a client that goes, with or without a close, has left`() throws {
        try withNode { node in
            let bob = try node.client("bob")
            let ann = try node.client("ann")
            try ann.sendClose(1000)
            #expect(try ann.waitForClose() == .init(1000))
            try ann.waitForEnd()
            #expect(try bob.next("system") { $0.user == "ann" && $0.body == "ann left" }.room == "lobby")
            for abrupt in [true, false] {
                let cat = try node.client("cat")
                if abrupt { cat.socket.abort() } else { cat.socket.close() }
                _ = try bob.next("system") { $0.body == "cat left" }
            }
        }
    }

    @Test func `a user joins with its first session and leaves with its last`() throws {
        try withNode { node in
            let bob = try node.client("bob")
            let first = try node.client("ann")
            _ = try bob.next("system") { $0.user == "ann" }
            let second = try node.client("ann", joins: false)
            #expect(try second.ask(#"{"type":"users","ref":"u"}"#, ref: "u").list("users") == ["ann", "bob"])
            first.socket.close()
            try node.wait("one session fewer") { try node.metric("sessions") == 2 }
            #expect(try bob.framesUntilNow().map(\.text) == [])
            second.socket.close()
            #expect(try bob.next().body == "ann left")
        }
    }

    @Test func `rooms are those with someone in them, sorted`() throws {
        try withNode { node in
            let ann = try node.client("ann", room: "zeta")
            _ = try node.client("bob", room: "alpha")
            let cat = try node.client("cat", room: "mid")
            var rooms = try ann.ask(#"{"type":"rooms","ref":"1"}"#, ref: "1")
            #expect(rooms.type == "rooms")
            #expect(rooms.list("rooms") == ["alpha", "mid", "zeta"])
            #expect(rooms.names == ["id", "type", "rooms", "timestamp", "ref"])
            try cat.send(#"{"type":"join","room":"zeta"}"#)
            _ = try cat.next("system") { $0.room == "zeta" }
            rooms = try ann.ask(#"{"type":"rooms","ref":"2"}"#, ref: "2")
            #expect(rooms.list("rooms") == ["alpha", "zeta"])
        }
    }

    @Test func `users are who is in the room, each once, sorted`() throws {
        try withNode { node in
            let cat = try node.client("cat", room: "dev")
            _ = try node.client("ann", name: "Zed", room: "dev")
            _ = try node.client("cat", room: "dev", joins: false)
            _ = try node.client("bob", room: "other")
            let here = try cat.ask(#"{"type":"users","ref":"1"}"#, ref: "1")
            #expect(here.type == "users")
            #expect(here.room == "dev")
            #expect(here.list("users") == ["ann", "cat"])
            #expect(here.number("count") == 2)
            #expect(here.frames("members") == nil)
            let there = try cat.ask(#"{"type":"users","room":"other","ref":"2"}"#, ref: "2")
            #expect(there.list("users") == ["bob"])
            #expect(there.room == "other")
            let nowhere = try cat.ask(#"{"type":"users","room":"empty","ref":"3"}"#, ref: "3")
            #expect(nowhere.list("users") == [])
            #expect(nowhere.number("count") == 0)
        }
    }

    @Test func `users in detail, and limited`() throws {
        try withNode { node in
            let cat = try node.client("cat", name: "Cat", room: "dev")
            _ = try node.client("ann", room: "dev")
            _ = try node.client("cat", name: "Cat", room: "dev", joins: false)
            let reply = try cat.ask(#"{"type":"users","detail":true,"ref":"1"}"#, ref: "1")
            let members = try #require(reply.frames("members"))
            #expect(members.map(\.user) == ["ann", "cat"])
            #expect(members.map { $0["display_name"] } == ["ann", "Cat"])
            #expect(members.map { $0.number("sessions") } == [1, 2])
            #expect(members.allSatisfy { $0.list("nodes")?.count == 1 })
            #expect(members[0].list("nodes")?[0].wholeMatch(of: /[0-9a-f]{16}/) != nil)
            let limited = try cat.ask(#"{"type":"users","detail":true,"limit":1,"ref":"2"}"#, ref: "2")
            #expect(limited.list("users") == ["ann"])
            #expect(limited.frames("members")?.count == 1)
            #expect(limited.number("count") == 2)
        }
    }

    @Test func `an unknown type and an empty body are errors that end nothing`() throws {
        try withNode { node in
            let ann = try node.client("ann")
            for (frame, words) in [
                (#"{"type":"dance","ref":"r"}"#, "unknown type: dance"),
                (#"{"type":"message","ref":"r"}"#, "message required"),
                (#"{"type":"message","body":"","ref":"r"}"#, "message required"),
                (#"{"type":"Message","body":"x","ref":"r"}"#, "unknown type: Message"),
            ] {
                let error = try ann.ask(frame, ref: "r")
                #expect(error.type == "error")
                #expect(error.body == words)
            }
            try ann.send(#"{"body":"alive"}"#)
            #expect(try ann.next().body == "alive")
        }
    }

    @Test func `system events can be shown without being stored, or be off`() throws {
        try withNode {
            $0.systemEvents = .live
        } _: { node in
            let ann = try node.client("ann")
            let bob = try node.client("bob")
            #expect(try ann.next().body == "bob joined")
            bob.socket.close()
            #expect(try ann.next().body == "bob left")
            #expect(try ann.ask(#"{"type":"history","ref":"h"}"#, ref: "h").frames("history")?.count == 0)
        }
        try withNode {
            $0.systemEvents = .off
        } _: { node in
            let ann = try node.client("ann", joins: false)
            _ = try node.client("bob", joins: false)
            try ann.send(#"{"body":"only this"}"#)
            #expect(try ann.next().body == "only this")
            #expect(try ann.ask(#"{"type":"history","ref":"h"}"#, ref: "h").frames("history")?.count == 1)
        }
    }
}
