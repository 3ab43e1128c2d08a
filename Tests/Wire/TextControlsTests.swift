import ConvergeWire
import Testing

@Suite struct TextControlsTests {
    @Test("controls and line ends are found and replaced, and nothing else is")
    func controls() {
        for bad in ["\0", "\n", "\u{1B}", "\u{1F}", "\u{7F}", "\u{80}", "\u{9B}", "\u{9F}", "\u{2028}", "\u{2029}"] {
            let text = Text("a\(bad)é")
            #expect(text.hasControls && text.withoutControls == "a\u{FFFD}é" && !text.withoutControls.hasControls)
        }
        for good in ["", " ~", "é日😀", "\u{A0}", "\u{2027}\u{202A}", "e\u{301}"] as [Text] {
            #expect(!good.hasControls && good.withoutControls == good)
        }
    }
}
