import ConvergeTestSupport
import Testing

@testable import ConvergeTerminal

@Suite("Keys from bytes")
struct KeyDecoderTests {
    private static let examples: [(bytes: String, keys: [Key])] = [
        ("a", [.text("a")]), ("é世😀", [.text("é"), .text("世"), .text("😀")]), ("\r", [.named(.enter)]),
        ("\t", [.named(.tab)]), ("\u{7F}", [.named(.backspace)]), ("\u{1}", [.control("a")]),
        ("\u{1F}", [.control("_")]),
        ("\u{1B}[A", [.named(.up)]), ("\u{1B}OA", [.named(.up)]), ("\u{1B}[1;5C", [.named(.right, .control)]),
        ("\u{1B}[1;3B", [.named(.down, .alt)]), ("\u{1B}[5~", [.named(.pageUp)]),
        ("\u{1B}[6;2~", [.named(.pageDown, .shift)]),
        ("\u{1B}[H", [.named(.home)]), ("\u{1B}[4~", [.named(.end)]), ("\u{1B}[Z", [.named(.backTab)]),
        ("\u{1B}OP", [.named(.function(1))]), ("\u{1B}[15~", [.named(.function(5))]),
        ("\u{1B}[24~", [.named(.function(12))]),
        ("\u{1B}[[A", [.named(.function(1))]), ("\u{1B}f", [.alt("f")]), ("\u{1B}é", [.alt("é")]),
        ("\u{1B}\r", [.named(.enter, .alt)]), ("\u{1B}\u{7F}", [.named(.backspace, .alt)]),
        ("\u{1B}\u{1B}[A", [.named(.up, .alt)]), ("\u{1B}[27;5;105~", [.control("i")]), ("\u{1B}[97;3u", [.alt("a")]),
        ("\u{1B}[13;2u", [.named(.enter, .shift)]), ("\u{1B}[<64;10;5M", [.wheel(up: true, column: 9, row: 4)]),
        ("\u{1B}[<65;1;1M", [.wheel(up: false, column: 0, row: 0)]), ("\u{1B}[<0;1;1M\u{1B}[<0;1;1m", []),
        ("\u{1B}[200~one\rtwo\u{1B}[201~", [.paste("one\ntwo")]),
        ("\u{1B}[200~\u{1B}[2J\u{1B}[20\u{1B}[201~", [.paste("\u{1B}[2J\u{1B}[20")]),
        ("\u{1B}]11;rgb:0/0/0\u{1B}\\a", [.text("a")]), ("\u{1B}[?1;2ca", [.text("a")]), ("\u{1B}[99~a", [.text("a")]),
        ("\u{1B}[12\u{1B}[Aa", [.named(.up), .text("a")]),
    ]

    @Test("each example gives its keys, wherever it is cut")
    func cuts() {
        var wrong: [String] = []
        for (text, keys) in Self.examples {
            let bytes = Array(text.utf8)
            for cut in 0...bytes.count {
                var decoder = KeyDecoder()
                var got: [Key] = []
                decoder.feed(bytes[..<cut], into: &got)
                decoder.feed(bytes[cut...], into: &got)
                if got != keys || decoder.patience != nil {
                    wrong.append("\(text.debugDescription) cut at \(cut): \(got)")
                }
            }
            var decoder = KeyDecoder()
            var got: [Key] = []
            for byte in bytes { decoder.feed([byte], into: &got) }
            if got != keys { wrong.append("\(text.debugDescription) byte by byte: \(got)") }
        }
        #expect(wrong.isEmpty)
    }

    @Test(
        "what is open ends when nothing more comes",
        arguments: [
            ("\u{1B}", [Key.named(.escape)]), ("\u{1B}\u{1B}", [.named(.escape), .named(.escape)]),
            ("\u{1B}[", [.alt("[")]),
            ("\u{1B}O", [.alt("O")]), ("\u{1B}[1;", []), ("\u{1B}[200~lost", [.paste("lost")]), ("\u{1B}]0;x", []),
        ])
    func timeouts(text: String, keys: [Key]) {
        var decoder = KeyDecoder()
        var got: [Key] = []
        decoder.feed(text.utf8, into: &got)
        #expect(got.isEmpty && decoder.patience != nil)
        decoder.timeout(into: &got)
        #expect(got == keys && decoder.patience == nil)
        decoder.feed("a".utf8, into: &got)
        #expect(got.last == .text("a"))
    }

    @Test("bytes that are no UTF-8 are told as such, and what follows is right")
    func invalid() {
        var decoder = KeyDecoder()
        var got: [Key] = []
        decoder.feed([0xFF, 0x61, 0xE4, 0xB8, 0x61, 0xC3, 0xA9, 0xED, 0xA0, 0x80, 0x62], into: &got)
        #expect(got.filter { $0 != .text("\u{FFFD}") } == [.text("a"), .text("a"), .text("é"), .text("b")])
    }

    @Test("garbage ends in keys and little memory, and a key after it is read", arguments: 0..<50 as Range<UInt64>)
    func garbage(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var decoder = KeyDecoder()
        var got: [Key] = []
        let interesting: [UInt8] = [0x1B, 0x5B, 0x4F, 0x3B, 0x7E, 0x32, 0x30, 0x31, 0x9B, 0xC3, 0x3C, 0x4D]
        for _ in 0..<4_000 {
            let byte =
                Bool.random(using: &random)
                ? interesting.randomElement(using: &random) ?? 0 : UInt8.random(in: 0...255, using: &random)
            decoder.feed([byte], into: &got)
        }
        decoder.timeout(into: &got)
        got = []
        decoder.feed("z".utf8, into: &got)
        #expect(got.last == .text("z"), "seed \(seed)")
    }

    @Test("a sequence without an end is dropped, and a paste without one is bounded")
    func bounds() {
        var decoder = KeyDecoder()
        var got: [Key] = []
        decoder.feed("\u{1B}[".utf8, into: &got)
        decoder.feed([UInt8](repeating: 0x31, count: 100_000), into: &got)
        decoder.feed("~a".utf8, into: &got)
        #expect(got == [.text("a")])
        got = []
        decoder.feed("\u{1B}[200~".utf8, into: &got)
        for _ in 0..<3 { decoder.feed([UInt8](repeating: 0x31, count: KeyDecoder.pasteLimit / 2), into: &got) }
        decoder.feed("\u{1B}[201~a".utf8, into: &got)
        #expect(got == [.pasteTooLong, .text("a")])
    }
}
