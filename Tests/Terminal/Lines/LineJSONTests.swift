import Foundation
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

    @Test("what a terminal would obey is written as an escape, and reads back as it was")
    func harmless() throws {
        let foreign = "\u{9B}31m \u{7F} \u{85} \u{202E}evil\u{2066} \u{2028} \u{E0041} \u{200D} \u{1B}[0m é"
        let lines = LineJSON.lines(
            .message(ChatLine(id: "1", room: foreign, userID: foreign, displayName: foreign, body: foreign)))
        let text = try #require(lines.first)
        for scalar in text.unicodeScalars {
            let isHarmless = !TerminalText.isObeyed(scalar)
            #expect(isHarmless, "U+\(String(scalar.value, radix: 16)) stands in the line as it is")
        }
        #expect(text.contains(#"\u009b31m \u007f \u0085 \u202eevil\u2066 \u2028 \udb40\udc41"#) && text.contains("é"))
        let read = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
        for name in ["room", "user_id", "display_name", "body"] { #expect(read[name] as? String == foreign) }
        #expect(LineJSON.error("\u{9B}2J", line: 3) == #"{"type":"error","line":3,"body":"\u009b2J"}"#)
    }

    @Test("lists and documents")
    func others() {
        #expect(LineJSON.lines(.rooms(["a", "b"], ref: nil)) == [#"{"type":"rooms","rooms":["a","b"]}"#])
        let documents = [DocumentName(name: "tags", sort: .set), DocumentName(name: "new", sort: nil)]
        #expect(
            LineJSON.lines(.documents(documents, room: "dev", ref: nil)) == [
                #"{"type":"docs","room":"dev","docs":[{"name":"tags","kind":"orset"},{"name":"new"}]}"#
            ])
        let change = DocumentEvent(
            type: "crdt_counter_changed", room: "dev", document: "votes", userID: "ana", amount: -2, value: 5)
        #expect(
            LineJSON.lines(.document(change)) == [
                #"{"type":"crdt_counter_changed","room":"dev","doc":"votes","user_id":"ana","amount":-2,"value":5}"#
            ])
        var put = DocumentEvent(type: "doc", room: "dev", document: "config", userID: "ana")
        put.field = "colour"
        put.fieldValue = .json("{\"a\":\n1}")
        #expect(
            LineJSON.lines(.document(put)) == [
                #"{"type":"doc","room":"dev","doc":"config","user_id":"ana","kind":"map","op":"set","field":"colour","value":{"a": 1}}"#
            ], "a line's end in somebody's JSON is none of the line's")
        put.fieldValue = nil
        #expect(LineJSON.lines(.document(put))[0].hasSuffix(#""op":"remove","field":"colour"}"#))
        var whole = DocumentEvent(type: "doc_value", room: "dev", document: "config")
        whole.fields = [MapField("a", .text("\u{9B}")), MapField("b", .json("true"))]
        #expect(
            LineJSON.lines(.document(whole)) == [
                #"{"type":"doc_value","room":"dev","doc":"config","kind":"map","value":{"a":"\u009b","b":true}}"#
            ])
        #expect(LineJSON.notice("x") == #"{"type":"notice","body":"x"}"#)
    }
}
