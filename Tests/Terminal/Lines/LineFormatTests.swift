import Testing

@testable import ConvergeClient
@testable import ConvergeTerminal

@Suite("Events as lines")
struct LineFormatTests {
    private let plain = LineFormat(hasColours: false) { _ in "12:03" }
    private let line = ChatLine(room: "dev", userID: "ana", displayName: "Ana\u{1B}[2J", body: "hi\u{7}")

    @Test("a map is shown field by field, and what changed in it")
    func maps() {
        let format = LineFormat(hasColours: false, time: { _ in "" })
        var event = DocumentEvent(type: "doc_value", room: "dev", document: "config")
        event.fields = [MapField("colour", .text("red")), MapField("size", .json("3"))]
        #expect(format.lines(.document(event)) == [#"-- config (2): colour: "red", size: 3"#])
        event = DocumentEvent(type: "doc", room: "dev", document: "config")
        event.field = "size"
        #expect(format.lines(.document(event)) == ["-- config: size is gone"])
        event.fieldValue = .json("4")
        #expect(format.lines(.document(event)) == ["-- config: size: 4"])
    }

    @Test("a message is time, name and body, and one's own has a mark")
    func messages() {
        #expect(plain.lines(.message(line)) == ["12:03 Ana\\e[2J: hi\\u{7}"])
        var own = plain
        own.ownID = "ana"
        #expect(own.lines(.message(line)) == ["12:03 > Ana\\e[2J: hi\\u{7}"])
    }

    @Test("nothing that others wrote reaches the terminal unescaped")
    func hostile() {
        let evil = "\u{1B}]0;x\u{7}\n\u{9B}2J"
        let line = ChatLine(room: evil, userID: evil, displayName: evil, body: evil, timestamp: evil)
        let events: [ChatEvent] = [
            .welcome(Welcome(room: evil, userID: evil, displayName: evil)), .message(line), .system(line),
            .rooms([evil], ref: evil), .users(MemberList(room: evil, userIDs: [evil]), ref: nil),
            .history(HistoryFrame(room: evil, entries: [.message(line), .system(line)])),
            .joined(room: evil, cursor: nil, ref: nil),
            .document(DocumentEvent(type: evil, room: evil, document: evil, body: evil, items: [evil])),
            .unknown(type: evil, ref: nil),
        ]
        let lines = events.flatMap { plain.lines($0) } + [LineFormat.error(evil, hasColours: false)]
        #expect(lines.allSatisfy { !$0.unicodeScalars.contains { $0.properties.generalCategory == .control } })
        #expect(lines.count == 11)
    }

    @Test("colours are closed again, and there are none without a terminal")
    func colours() {
        var format = plain
        format.hasColours = true
        let text = format.message(line)
        #expect(text.hasSuffix(": hi\\u{7}") && text.contains("\u{1B}[2m12:03\u{1B}[0m"))
        #expect(!plain.message(line).contains("\u{1B}"))
        #expect(LineFormat.colour(of: "ana") == LineFormat.colour(of: "ana"))
        #expect(Set((0..<200).map { LineFormat.colour(of: "user\($0)") }).count == 10)
    }

    @Test("what is no moment is shown as none", arguments: ["", "x", "2026-13-01T00:00:00Z", "2026-01-01"])
    func noTime(text: String) {
        #expect(LocalTime.short(text) == "--:--")
    }

    @Test("a moment of another day has its date")
    func otherDay() {
        let shown = LocalTime.short("2001-06-15T12:03:00.5Z")
        #expect(shown.hasPrefix("2001-06-1") && shown.utf8.count == 16)
    }
}
