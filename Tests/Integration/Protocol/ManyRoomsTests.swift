// docs/protocol.md, "Many rooms a connection", over real sockets.

import ConvergeNode
import ConvergeStorage
import ConvergeTransport
import Foundation
import Testing

@Suite struct ManyRoomsTests {
    /// A connection of the second generation, its `welcome` read.
    private func arrive(_ node: TestNode, _ user: String, receiveBuffer: Int32? = nil) throws -> ChatSocket {
        let client = try node.open(
            "/ws?token=\(Tokens.of(user).percentEncoded)", headers: ["Sec-WebSocket-Protocol: converge.2"],
            receiveBuffer: receiveBuffer)
        _ = try client.next("welcome")
        return client
    }

    @discardableResult
    private func subscribe(_ client: ChatSocket, _ room: String, _ more: String = "") throws -> Frame {
        try client.ask(#"{"type":"subscribe","room":"\#(room)","ref":"s-\#(room)"\#(more)}"#, ref: "s-\(room)")
    }

    private func code(_ client: ChatSocket, _ json: String) throws -> String? {
        try client.ask(json, ref: "e")["code"]
    }

    // MARK: Connecting

    @Test func `the token comes by header, query, subprotocol or first frame, and the welcome says what may be done`()
        throws
    {
        try withNode { node in
            let token = Tokens.of("ann", name: "Ann")
            let byHeader = try node.open(
                "/ws", headers: ["Authorization: Bearer \(token)", "Sec-WebSocket-Protocol: converge.2"])
            let welcome = try byHeader.next("welcome")
            #expect(welcome.user == "ann" && welcome["display_name"] == "Ann" && welcome.names.contains("limits"))
            #expect(welcome["session"]?.count == 32 && welcome["node"]?.count == 16)
            #expect(!welcome.names.contains("room") && !welcome.names.contains("cursor"))
            let byProtocol = try node.open(
                "/ws?room=dev", headers: ["Sec-WebSocket-Protocol: bearer.\(token), converge.2"])
            #expect(try byProtocol.next("welcome")["session"] != welcome["session"])
            let byFrame = try node.open("/ws", headers: ["Sec-WebSocket-Protocol: converge.2"])
            try byFrame.send(#"{"type":"auth","token":"\#(token)"}"#)
            #expect(try byFrame.next("welcome").user == "ann")
            let first = try node.open("/ws?room=dev", headers: ["Sec-WebSocket-Protocol: converge.1, bearer.\(token)"])
            #expect(try first.next("welcome").room == "dev")
        }
    }

    @Test(
        "who shows no good token is closed, and told no more",
        arguments: [
            #"{"type":"auth","token":"x"}"#, #"{"type":"auth"}"#, #"{"type":"subscribe","room":"dev"}"#, "nonsense",
            #"{"type":"message","body":"x","token":"x"}"#,
        ])
    func unauthorized(_ json: String) throws {
        try withNode { node in
            let client = try node.open("/ws", headers: ["Sec-WebSocket-Protocol: converge.2"])
            try client.send(json)
            #expect(try client.waitForClose() == .init(1008, "unauthorized"))
        }
    }

    @Test func `who says nothing is closed when its time is over, and so is one with a malformed list`() throws {
        try withNode {
            $0.readTimeout = .milliseconds(200)
        } _: { node in
            let silent = try node.open("/ws", headers: ["Sec-WebSocket-Protocol: converge.2"])
            #expect(try silent.waitForClose() == .init(1008, "unauthorized"))
            let token = Tokens.of("ann").percentEncoded
            for list in ["converge.2,,x", "converge.2, bearer.garbage", "converge.2, converge.2"] {
                let client = try node.open(
                    list.contains("garbage") ? "/ws" : "/ws?token=\(token)",
                    headers: ["Sec-WebSocket-Protocol: \(list)"])
                #expect(try client.waitForClose() == .init(1008, "unauthorized"), "\(list)")
            }
        }
    }

    // MARK: Rooms

    @Test func `a session gets the frames of all its rooms, compact, and others of the first generation as ever`()
        throws
    {
        try withNode { node in
            let ann = try arrive(node, "ann")
            let bob = try node.client("bob", room: "dev")
            let subscribed = try subscribe(ann, "dev")
            #expect(subscribed.number("count") == 2 && subscribed.list("can") == ["read", "send", "write"])
            #expect(subscribed.names.contains("cursor"))
            try subscribe(ann, "ops")
            _ = try bob.next("system") { $0.body == "ann joined" }
            try bob.send(#"{"body":"hi"}"#)
            let compact = try ann.next("message")
            #expect(compact.room == "dev" && compact.body == "hi" && compact.user == "bob")
            #expect(compact.names == ["type", "room", "user_id", "body", "pos"])
            try ann.send(#"{"type":"message","room":"ops","body":"to ops","ref":"1"}"#)
            #expect(try ann.next("message").room == "ops")
            try ann.send(#"{"type":"message","room":"dev","body":"to dev"}"#)
            let whole = try bob.next("message") { $0.user == "ann" }
            #expect(whole.body == "to dev" && whole.number("seq") != nil && whole["display_name"] == "ann")
            try ann.send(#"{"type":"crdt_counter_add","room":"dev","amount":3,"ref":"c"}"#)
            #expect(try ann.next("doc").number("total") == 3)
            #expect(try bob.next("crdt_counter_changed").number("value") == 3)
            let left = try ann.ask(#"{"type":"unsubscribe","room":"dev","ref":"u"}"#, ref: "u")
            #expect(left.type == "unsubscribed" && left.room == "dev")
            try bob.send(#"{"body":"without her"}"#)
            _ = try bob.next("system") { $0.body == "ann left" }
            #expect(try ann.framesUntilNow().filter { $0.room == "dev" }.isEmpty)
        }
    }

    @Test func `who is no member is not seen`() throws {
        try withNode { node in
            let ann = try arrive(node, "ann")
            let bob = try node.client("bob", room: "dev")
            #expect(try subscribe(ann, "dev", #","member":false"#).number("count") == 1)
            #expect(try bob.ask(#"{"type":"users","ref":"u"}"#, ref: "u").list("users") == ["bob"])
            try subscribe(ann, "dev", #","member":true"#)
            _ = try bob.next("system") { $0.body == "ann joined" }
            #expect(try bob.ask(#"{"type":"users","ref":"v"}"#, ref: "v").list("users") == ["ann", "bob"])
        }
    }

    @Test func `rooms are resumed side by side, each from its own cursor, and live frames of others don't wait`() throws
    {
        try withNode { node in
            let bob = try arrive(node, "bob")
            for number in 0..<1_000 {
                try bob.send(#"{"type":"message","room":"long","body":"\#(number)","ref":"\#(number)"}"#)
                if number % 100 == 99 { _ = try bob.next("ack") { $0.ref == "\(number)" } }
            }
            for room in ["a", "b"] {
                _ = try bob.ask(#"{"type":"message","room":"\#(room)","body":"in \#(room)","ref":"1"}"#, ref: "1")
            }
            let ann = try arrive(node, "ann")
            try subscribe(ann, "live")
            for room in ["long", "a", "b"] {
                try ann.send(#"{"type":"subscribe","room":"\#(room)","cursor":{},"ref":"\#(room)"}"#)
            }
            var pages: [String: [String]] = [:]
            var ended: [String] = []
            while ended.count < 3 {
                let frame = try ann.next()
                if frame.type == "history" {
                    #expect(frame.bool("resume") == true)
                    let messages = frame.frames("history")?.filter { $0.type == "message" } ?? []
                    pages[frame.room, default: []] += messages.map(\.body)
                }
                if frame.type == "resumed" {
                    ended.append(frame.room)
                    #expect(frame.bool("recovered") == true && frame.ref == frame.room)
                }
            }
            #expect(pages["a"] == ["in a"] && pages["b"] == ["in b"])
            #expect(pages["long"]?.compactMap { Int($0) } == Array(0..<1_000))
            // The long one delays no other.
            #expect(ended.last == "long")
        }
    }

    @Test func `bad input is told by its code, and the connection lives`() throws {
        try withNode {
            $0.maxSubscriptions = 2
        } _: { node in
            let ann = try arrive(node, "ann")
            let rows: [(String, String)] = [
                (#"{"type":"subscribe","ref":"e"}"#, "invalid_room"),
                (#"{"type":"message","body":"x","ref":"e"}"#, "invalid_room"),
                (#"{"type":"history","ref":"e"}"#, "invalid_room"),
                (#"{"type":"docs","ref":"e"}"#, "invalid_room"),
                (#"{"type":"subscribe","room":"\#(String(repeating: "r", count: 65))","ref":"e"}"#, "invalid_room"),
                (#"{"ref":"e","type":"subscribe","room":7}"#, "invalid_message"),
                (#"{"ref":"e","type":"subscribe","room":"dev","cursor":"x"}"#, "invalid_message"),
                (#"{"type":"unsubscribe","room":"dev","ref":"e"}"#, "not_subscribed"),
                (#"{"type":"join","room":"dev","ref":"e"}"#, "unknown_type"),
                (#"{"type":"resume","room":"dev","cursor":{},"ref":"e"}"#, "unknown_type"),
                (#"{"type":"auth","token":"x","ref":"e"}"#, "unknown_type"),
                (#"{"ref":"e","type":"doc","room":"dev","kind":"tree","op":"add","value":1}"#, "invalid_message"),
                (#"{"ref":"e","type":"doc","room":"dev","kind":"map","op":"turn","field":"f"}"#, "invalid_message"),
                (
                    #"{"ref":"e","type":"doc","room":"dev","kind":"map","op":"set","field":7,"value":1}"#,
                    "invalid_message"
                ),
                (
                    #"{"type":"doc","room":"dev","kind":"map","op":"set","field":"f","value":"\#(String(repeating: "v", count: 2_001))","ref":"e"}"#,
                    "message_too_large"
                ),
                (
                    #"{"ref":"e","type":"doc","room":"dev","kind":"map","op":"set","field":"f","value":\#(String(repeating: "[", count: 40))}"#,
                    "invalid_message"
                ),
                (
                    #"{"type":"doc_get","room":"dev","kind":"set","doc":"\#(String(repeating: "d", count: 257))","ref":"e"}"#,
                    "invalid_document"
                ),
            ]
            for (json, expected) in rows { #expect(try code(ann, json) == expected, "\(json)") }
            for room in ["a", "b"] { try subscribe(ann, room) }
            #expect(try code(ann, #"{"type":"subscribe","room":"c","ref":"e"}"#) == "too_many_rooms")
            #expect(try subscribe(ann, "a").type == "subscribed")
            try ann.send(#"{"type":"leave"}"#)
            #expect(try ann.waitForClose() == .init(1000))
        }
    }

    @Test func `documents of all kinds are written and read, in pages, and lists come in pages, too`() throws {
        try withNode { node in
            let ann = try arrive(node, "ann")
            for number in 0..<5 {
                _ = try ann.ask(
                    #"{"type":"doc","room":"dev","kind":"map","doc":"m","op":"set","field":"f\#(number)","value":{"n":\#(number)},"ref":"\#(number)"}"#,
                    ref: "\(number)")
            }
            let first = try ann.ask(
                #"{"type":"doc_get","room":"dev","kind":"map","doc":"m","limit":3,"ref":"1"}"#, ref: "1")
            let next = try #require(first["next"])
            #expect(
                first.type == "doc_value" && first.text.contains(#""value":{"f0":{"n":0},"f1":{"n":1},"f2":{"n":2}}"#))
            let second = try ann.ask(
                #"{"type":"doc_get","room":"dev","kind":"map","doc":"m","limit":3,"after":"\#(next)","ref":"2"}"#,
                ref: "2")
            #expect(second.text.contains(#""value":{"f3":{"n":3},"f4":{"n":4}}"#) && second["next"] == nil)
            for room in ["t/a", "t/b", "u"] { try subscribe(ann, room) }
            let rooms = try ann.ask(#"{"type":"rooms","prefix":"t/","limit":1,"ref":"r"}"#, ref: "r")
            #expect(rooms.list("rooms") == ["t/a"] && rooms["next"] == "t/a")
            let rest = try ann.ask(#"{"type":"rooms","prefix":"t/","after":"t/a","ref":"q"}"#, ref: "q")
            #expect(rest.list("rooms") == ["t/b"] && rest["next"] == nil)
        }
    }

    @Test func `a slow client in several rooms misses nothing of any of them`() throws {
        let folder = try TemporaryFolder()
        try withNode(SQLiteStore(path: folder.path("converge.db"), sync: .normal)) { node in
            let slow = try arrive(node, "slow", receiveBuffer: 8 << 10)
            let fast = try arrive(node, "fast")
            let rooms = ["a", "b", "c"]
            for room in rooms { try subscribe(slow, room, #","member":false"#) }
            let filler = String(repeating: "x", count: 1_500)
            let count = 4_500
            for number in 0..<count {
                try fast.send(
                    #"{"type":"message","room":"\#(rooms[number % 3])","body":"\#(number) \#(filler)","ref":"\#(number)"}"#
                )
                if number % 100 == 99 { _ = try fast.next("ack") { $0.ref == "\(number)" } }
            }
            #expect(try node.metric("slow_taken_off_total") >= 1)
            var seen: [String: [Int]] = [:]
            while seen.values.reduce(0, { $0 + $1.count }) < count {
                let frame = try slow.next()
                guard frame.type == "message", let number = SlowClientTests.number(of: frame) else { continue }
                seen[frame.room, default: []].append(number)
            }
            for (index, room) in rooms.enumerated() {
                #expect(seen[room] == Array(stride(from: index, to: count, by: 3)), "\(room)")
            }
            #expect(try slow.framesUntilNow().isEmpty)
        }
    }
}
