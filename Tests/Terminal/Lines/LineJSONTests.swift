import Testing

@testable import ConvergeClient
@testable import ConvergeTerminal

@Suite("Events as JSON")
struct LineJSONTests {
    private let line = ChatLine(
        id: "1", room: "dev", userID: "ana", displayName: "Ana", body: "a \"b\"\n\u{1B}",
        timestamp: "2026-11-23T12:00:00Z")

    @Test("a message is one line, whatever is in it")
    func message() {
        #expect(
            LineJSON.lines(.message(line)) == [
                #"{"type":"message","id":"1","room":"dev","user_id":"ana","display_name":"Ana","body":"a \"b\"\n\u001b","timestamp":"2026-11-23T12:00:00Z"}"#
            ])
    }

    @Test("a page of history is a line for each entry")
    func history() {
        let lines = LineJSON.lines(.history(HistoryFrame(room: "dev", entries: [.system(line), .message(line)])))
        #expect(lines.count == 2 && lines.allSatisfy { $0.hasSuffix(#""history":true}"#) })
    }

    @Test("lists and documents")
    func others() {
        #expect(LineJSON.lines(.rooms(["a", "b"], ref: nil)) == [#"{"type":"rooms","rooms":["a","b"]}"#])
        let change = DocumentEvent(
            type: "crdt_counter_changed", room: "dev", document: "votes", userID: "ana", amount: -2, value: 5)
        #expect(
            LineJSON.lines(.document(change)) == [
                #"{"type":"crdt_counter_changed","room":"dev","doc":"votes","user_id":"ana","amount":-2,"value":5}"#
            ])
        #expect(LineJSON.notice("x") == #"{"type":"notice","body":"x"}"#)
    }
}
