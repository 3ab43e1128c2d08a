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
        #expect(try decode(#"{"type":"error","body":"message too large"}"#) == .error("message too large", ref: nil))
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
}
