import Testing

@testable import ConvergeTerminal

@Suite("Foreign text on a terminal")
struct TerminalTextTests {
    @Test(
        "what a terminal would obey is shown instead",
        arguments: [
            ("\u{1B}[2J", "\\e[2J"), ("a\nb\r\tc", "a\\nb\\r\\tc"),
            ("\u{0}\u{7}\u{8}\u{7F}", "\\u{0}\\u{7}\\u{8}\\u{7F}"),
            ("\u{9B}31m", "\\u{9B}31m"), ("\u{202E}evil", "\\u{202E}evil"), ("\u{2028}", "\\u{2028}"),
            ("\u{2066}x\u{2069}", "\\u{2066}x\\u{2069}"), ("\u{FEFF}", "\\u{FEFF}"), ("\r\n", "\\r\\n"),
            ("e\u{301}\u{1B}", "e\u{301}\\e"), ("\u{E0041}", "\\u{E0041}"),
        ])
    func escapes(text: String, shown: String) {
        #expect(TerminalText.escaped(text) == shown)
    }

    @Test("words and emoji stay as they are", arguments: ["hello", "Grüße, 世界", "👩‍👩‍👧", "می‌خواهم", "\\n", "❤️", ""])
    func keeps(text: String) {
        #expect(TerminalText.escaped(text) == text)
    }

    @Test("no control character of any kind comes through")
    func all() {
        var leaked: [UInt32] = []
        for value in Array(UInt32(0)...0x20_FF) + Array(0xFE00...0xFFFF) {
            guard let scalar = Unicode.Scalar(value), scalar.properties.generalCategory == .control else { continue }
            if TerminalText.escaped("a\(Character(scalar))b").unicodeScalars.contains(scalar) { leaked.append(value) }
        }
        #expect(leaked.isEmpty)
    }
}
