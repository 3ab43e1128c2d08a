import ConvergeCRDT
import ConvergeWire
import Testing

@testable import ConvergeClient

@Suite("Server frames as events")
struct ChatEventDecoderTests {
    private func decode(_ text: String) throws(JSONError) -> ChatEvent {
        let bytes = Array(text.utf8)
        let result = bytes.withUnsafeBytes { frame -> Result<ChatEvent, JSONError> in
            do throws(JSONError) { return .success(try ChatEventDecoder.decode(frame)) } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    @Test("each kind of frame has its event")
    func kinds() throws {
        #expect(
            try decode(#"{"type":"welcome","room":"dev","user_id":"ana","display_name":"Ana","cursor":{"aa":5},"x":1}"#)
                == .welcome(Welcome(room: "dev", userID: "ana", displayName: "Ana")))
        let line = ChatLine(
            id: "1", room: "dev", userID: "ana", displayName: "Ana", body: "hi", timestamp: "t")
        let message =
            #"{"id":"1","type":"message","room":"dev","user_id":"ana","display_name":"Ana","body":"hi","timestamp":"t","pos":"p","seq":7}"#
        #expect(try decode(message) == .message(line))
        #expect(try decode(message.replacing("\"message\"", with: "\"system\"")) == .system(line))
        #expect(try decode(#"{"type":"rooms","rooms":["a","b"],"ref":"r"}"#) == .rooms(["a", "b"], ref: "r"))
        #expect(
            try decode(#"{"type":"users","room":"dev","users":["a"],"count":1}"#)
                == .users(MemberList(room: "dev", userIDs: ["a"]), ref: nil))
        #expect(
            try decode(#"{"type":"history","room":"dev","history":[\#(message)]}"#)
                == .history(HistoryFrame(room: "dev", entries: [.message(line)])))
        #expect(
            try decode(#"{"type":"ack","ref":"r","id":"1","pos":"p","duplicate":true}"#)
                == .ack(Receipt(id: "1", isDuplicate: true), ref: "r"))
        #expect(try decode(#"{"type":"joined","room":"x","ref":"r"}"#) == .joined(room: "x", cursor: nil, ref: "r"))
        #expect(try decode(#"{"type":"error","body":"message too large"}"#) == .error(ServerError("message too large")))
        #expect(
            try decode(#"{"type":"crdt_orset_values","room":"dev","doc":"d","items":["x"]}"#)
                == .document(DocumentEvent(type: "crdt_orset_values", room: "dev", document: "d", items: ["x"])))
        #expect(try decode(#"{"type":"news","x":[{}]}"#) == .unknown(type: "news", ref: nil))
    }

    @Test("null is as good as nothing, and a user without a name has its id")
    func lenient() throws {
        let event = try decode(#" { "type" : "message" , "ref" : null, "user_id":"ana", "body":"\u00e9\n" } "#)
        #expect(event == .message(ChatLine(room: "", userID: "ana", displayName: "ana", body: "é\n")))
    }

    @Test(
        "what is no frame is an error",
        arguments: [
            "", "{", "[]", "1", #"{"type":1}"#, #"{"type":"rooms","rooms":"a"}"#, #"{"type":"rooms","rooms":[1]}"#,
            #"{"type":"history","history":[1]}"#, #"{"type":"ack","duplicate":1}"#, #"{"type":"x"} x"#,
        ])
    func malformed(text: String) {
        #expect(throws: JSONError.self) { try decode(text) }
    }

    @Test("history inside history is not followed")
    func nested() throws {
        let event = try decode(#"{"type":"history","history":[{"type":"history","history":[{"type":"message"}]}]}"#)
        #expect(event == .history(HistoryFrame(room: "", entries: [.history(HistoryFrame(room: "", entries: []))])))
    }

    // MARK: Frames of a node, as docs/protocol.md shows them

    private static let node = ReplicaID(rawValue: 0x4ca2_0ee5_87ab_9f09)

    private static func position(_ text: Text) -> Position? { Position(text) }

    @Test func `a message knows its place`() throws {
        let event = try decode(
            #"{"id":"4ca20ee587ab9f090000000000000005","type":"message","room":"dev","user_id":"ann","display_name":"Ann","body":"with a ref","timestamp":"2026-11-22T19:22:41.058Z","node":"4ca20ee587ab9f09","seq":5,"pos":"01a204b5ec2200004ca20ee587ab9f0905"}"#
        )
        let place = Self.position("01a204b5ec2200004ca20ee587ab9f0905")
        #expect(place != nil)
        #expect(
            event
                == .message(
                    ChatLine(
                        id: "4ca20ee587ab9f090000000000000005", room: "dev", userID: "ann", displayName: "Ann",
                        body: "with a ref", timestamp: "2026-11-22T19:22:41.058Z", position: place,
                        dot: Dot(replica: Self.node, seq: 5))))
    }

    @Test func `a coming and a going say which they are`() throws {
        for (body, joined) in [("Ann joined", true), ("Ann left", false), ("Ann sneezed", nil), ("Bob joined", nil)] {
            let event = try decode(#"{"type":"system","user_id":"ann","display_name":"Ann","body":"\#(body)"}"#)
            guard case .system(let line) = event else { return #expect(Bool(false)) }
            #expect(line.isJoining == joined)
        }
    }

    @Test func `an ack has all that a receipt says`() throws {
        let event = try decode(
            #"{"id":"48a0bd54264d6dfcaa35a9099f79641a","type":"ack","room":"dev","timestamp":"2026-11-22T19:22:41.661Z","ref":"3","pos":"01a204b5ee7d00004ca20ee587ab9f0906","duplicate":true,"copies":2}"#
        )
        let receipt = Receipt(
            id: "48a0bd54264d6dfcaa35a9099f79641a", position: Self.position("01a204b5ee7d00004ca20ee587ab9f0906"),
            timestamp: "2026-11-22T19:22:41.661Z", copies: 2, isDuplicate: true)
        #expect(event == .ack(receipt, ref: "3"))
    }

    @Test func `members are who they are, how often and where`() throws {
        let event = try decode(
            #"{"id":"87cc9605025453c90000000000000005","type":"users","room":"dev","users":["ann"],"timestamp":"2026-11-22T19:22:47.079Z","ref":"u","count":2,"members":[{"user_id":"ann","display_name":"Ann","sessions":1,"nodes":["4ca20ee587ab9f09"]}]}"#
        )
        let ann = Member(userID: "ann", displayName: "Ann", sessions: 1, nodes: ["4ca20ee587ab9f09"])
        #expect(event == .users(MemberList(room: "dev", userIDs: ["ann"], count: 2, members: [ann]), ref: "u"))
    }

    @Test func `cursors are read wherever they stand`() throws {
        let cursor = VersionVector([Dot(replica: Self.node, seq: 12)])
        #expect(
            try decode(
                #"{"type":"welcome","room":"dev","user_id":"a","display_name":"A","cursor":{"4ca20ee587ab9f09":12}}"#)
                == .welcome(Welcome(room: "dev", userID: "a", displayName: "A", cursor: cursor)))
        #expect(
            try decode(#"{"type":"joined","room":"ops","ref":"j1","cursor":{"4ca20ee587ab9f09":12}}"#)
                == .joined(room: "ops", cursor: cursor, ref: "j1"))
        #expect(
            try decode(#"{"type":"welcome","room":"dev","user_id":"a","display_name":"A","cursor":{"nonsense":12}}"#)
                == .welcome(Welcome(room: "dev", userID: "a", displayName: "A")))
        #expect(
            try decode(
                #"{"type":"history","room":"dev","history":[],"limit":200,"resume":true,"cursor":{"4ca20ee587ab9f09":12},"docs":["list"],"recovered":false}"#
            )
                == .history(
                    HistoryFrame(
                        room: "dev", entries: [], limit: 200, isResume: true, cursor: cursor, documents: ["list"],
                        isRecovered: false)))
        #expect(
            try decode(
                #"{"type":"resumed","room":"dev","ref":"r1","recovered":true,"cursor":{"4ca20ee587ab9f09":12},"docs":["list"]}"#
            )
                == .resumed(
                    Resumed(room: "dev", isRecovered: true, cursor: cursor, documents: ["list"], ref: "r1")))
    }

    @Test func `documents have their kinds, values and amounts`() throws {
        #expect(
            try decode(
                #"{"type":"docs","room":"dev","ref":"l","docs":[{"name":"list","kind":"orset"},{"name":"title","kind":"lww"},{"name":"votes","kind":"counter"},{"name":"x","kind":"new"}]}"#
            )
                == .documents(
                    [
                        DocumentName(name: "list", sort: .set), DocumentName(name: "title", sort: .register),
                        DocumentName(name: "votes", sort: .counter), DocumentName(name: "x", sort: nil),
                    ], room: "dev", ref: "l"))
        let changed = try decode(
            #"{"id":"1","type":"crdt_counter_changed","room":"dev","user_id":"ann","display_name":"Ann","doc":"votes","timestamp":"t","amount":-2,"value":5,"node":"4ca20ee587ab9f09","seq":13,"pos":"01a204b61d8800004ca20ee587ab9f090d"}"#
        )
        #expect(
            changed
                == .document(
                    DocumentEvent(
                        type: "crdt_counter_changed", room: "dev", document: "votes", userID: "ann",
                        displayName: "Ann", amount: -2, value: 5, id: "1", timestamp: "t",
                        position: Self.position("01a204b61d8800004ca20ee587ab9f090d"),
                        dot: Dot(replica: Self.node, seq: 13))))
        guard case .document(let clear) = try decode(#"{"type":"crdt_lww_value","room":"dev","doc":"title","ref":"d"}"#)
        else { return #expect(Bool(false)) }
        #expect(clear.body == nil && clear.ref == "d")
    }

    @Test func `a place that can't be read is none`() throws {
        let event = try decode(
            #"{"id":"1","type":"message","user_id":"a","body":"b","node":"x","seq":-5,"pos":"nowhere"}"#)
        #expect(event == .message(ChatLine(id: "1", room: "", userID: "a", displayName: "a", body: "b")))
    }

    // MARK: The second generation

    @Test func `what a live frame leaves out is in its pos`() throws {
        let text = "01a204b5ec2200004ca20ee587ab9f0905"
        let event = try decode(#"{"type":"message","room":"dev","user_id":"ann","body":"hi","pos":"\#(text)"}"#)
        let dot = Dot(replica: Self.node, seq: 5)
        let line = ChatLine(
            id: "4ca20ee587ab9f090000000000000005", room: "dev", userID: "ann", displayName: "ann", body: "hi",
            timestamp: "2026-11-22T19:22:41.058Z", position: Position(Text(text)), dot: dot)
        #expect(event == .message(line))
        let page = try decode(
            #"{"type":"history","room":"dev","resume":true,"cursor":{"4ca20ee587ab9f09":5},"history":[{"type":"message","room":"dev","user_id":"ann","body":"hi","pos":"\#(text)"}]}"#
        )
        guard case .history(let frame) = page else { return #expect(Bool(false)) }
        #expect(frame.entries == [.message(line)])
        // Its own id is not this place.
        let keyed = try decode(#"{"id":"k","type":"message","room":"dev","user_id":"ann","pos":"\#(text)"}"#)
        guard case .message(let other) = keyed else { return #expect(Bool(false)) }
        #expect(other.id == "k" && other.dot == dot)
    }

    @Test func `a place that says two things, or nothing that can be read, is none`() throws {
        for members in [#""pos":"zz""#, #""pos":"01a204b5ec2200004ca20ee587ab9f0905","node":"?","seq":5"#] {
            let event = try decode(#"{"type":"message","room":"dev",\#(members)}"#)
            guard case .message(let line) = event else { return #expect(Bool(false)) }
            #expect(line.dot == nil)
        }
    }

    @Test func `a session begins with who serves it and what it may have`() throws {
        let event = try decode(
            #"{"id":"x","type":"welcome","user_id":"ann","timestamp":"t","session":"0123456789abcdef0123456789abcdef","node":"4ca20ee587ab9f09","limits":{"rooms":128,"body":2000,"new":[1]}}"#
        )
        #expect(
            event
                == .welcome(
                    Welcome(userID: "ann", displayName: "ann", node: "4ca20ee587ab9f09", roomLimit: 128)))
    }

    @Test func `subscriptions begin and end, and cursors are told room by room`() throws {
        let cursor = VersionVector([Dot(replica: Self.node, seq: 12)])
        #expect(
            try decode(
                #"{"id":"x","type":"subscribed","room":"dev","timestamp":"t","ref":"s1","count":3,"can":["read"],"cursor":{"4ca20ee587ab9f09":12}}"#
            ) == .subscribed(Subscribed(room: "dev", cursor: cursor, ref: "s1")))
        #expect(
            try decode(#"{"type":"unsubscribed","room":"dev","reason":"history is gone","recovered":false}"#)
                == .unsubscribed(Unsubscribed(room: "dev", reason: "history is gone", isRecovered: false)))
        #expect(
            try decode(#"{"type":"unsubscribed","room":"dev","ref":"s2"}"#)
                == .unsubscribed(Unsubscribed(room: "dev", ref: "s2")))
        #expect(
            try decode(#"{"type":"cursors","rooms":{"dev":{"4ca20ee587ab9f09":12},"ops":{}}}"#)
                == .cursors([RoomCursor(room: "dev", cursor: cursor), RoomCursor(room: "ops", cursor: .init())]))
        #expect(
            try decode(#"{"type":"rooms","rooms":["a"],"next":"n","ref":"r"}"#)
                == .rooms(["a"], next: "n", ref: "r"))
    }

    @Test func `an error has a code, with servers that send none the one of its words`() throws {
        #expect(
            try decode(#"{"type":"error","code":"busy","body":"come back later","room":"dev","ref":"1"}"#)
                == .error(ServerError("come back later", code: "busy", room: "dev", ref: "1")))
        for (words, code) in [("storage unavailable", "storage_unavailable"), ("unknown type: x y", "unknown_type")] {
            guard case .error(let error) = try decode(#"{"type":"error","body":"\#(words)"}"#) else {
                return #expect(Bool(false))
            }
            #expect(error.code == code && error.reason == words)
        }
        // People read the same of servers of both generations, and a conflict's own words, which say with what.
        #expect(ServerError("The message is empty.", code: "message_required").words == "message required")
        #expect(ServerError("read it again", code: "conflict").words == "read it again")
    }

    private func document(_ text: String) throws(JSONError) -> DocumentEvent? {
        if case .document(let event) = try decode(text) { event } else { nil }
    }

    @Test func `changes of documents are told alike, whichever frame says them`() throws {
        func change(_ members: String) throws(JSONError) -> DocumentEvent? {
            try document(#"{"type":"doc","room":"dev","doc":"d","user_id":"ann",\#(members)}"#)
        }
        let added = try change(#""kind":"set","op":"add","value":"x""#)
        #expect(added?.type == "crdt_orset_added" && added?.body == "x" && added?.document == "d")
        let removed = try change(#""kind":"set","op":"remove","value":{"a": [1]}"#)
        #expect(removed?.type == "crdt_orset_removed" && removed?.body == #"{"a": [1]}"#)
        let set = try change(#""kind":"register","op":"set","value":1.5"#)
        #expect(set?.type == "crdt_lww_set" && set?.body == "1.5")
        let cleared = try change(#""kind":"register","op":"clear""#)
        #expect(cleared?.type == "crdt_lww_set" && cleared?.body == nil)
        let counted = try change(#""total":7,"value":-2,"op":"increment","kind":"counter""#)
        #expect(counted?.type == "crdt_counter_changed" && counted?.amount == -2 && counted?.value == 7)
        #expect(throws: JSONError.self) { try change(#""kind":"counter","op":"increment","value":"x""#) }
        let put = try change(#""kind":"map","op":"set","field":"f","value":null"#)
        #expect(put?.type == "doc" && put?.field == "f" && put?.fieldValue == .json("null"))
        let gone = try change(#""kind":"map","op":"remove","field":"""#)
        #expect(gone?.field == "" && gone?.fieldValue == nil)
        #expect(try decode(#"{"type":"doc","kind":"text","op":"insert","ref":"r"}"#) == .unknown(type: "doc", ref: "r"))
    }

    @Test func `what a document stands at is told alike, whichever frame says it`() throws {
        func value(_ members: String) throws(JSONError) -> DocumentEvent? {
            try document(#"{"type":"doc_value","room":"dev","doc":"d","ref":"g",\#(members)}"#)
        }
        let set = try value(#""kind":"set","value":["a",{"b":1}],"next":"n""#)
        #expect(set?.type == "crdt_orset_values" && set?.items == ["a", #"{"b":1}"#] && set?.next == "n")
        #expect(try value(#""kind":"register","value":null"#)?.body == nil)
        #expect(try value(#""kind":"counter","value":5"#)?.value == 5)
        let map = try value(#""kind":"map","value":{"a":"x","b":{"c":null},"d":null}"#)
        #expect(
            map?.fields == [
                MapField("a", .text("x")), MapField("b", .json(#"{"c":null}"#)), MapField("d", .json("null")),
            ])
        #expect(throws: JSONError.self) { try value(#""kind":"map","value":[]"#) }
        #expect(throws: JSONError.self) { try value(#""kind":"set""#) }
    }
}
