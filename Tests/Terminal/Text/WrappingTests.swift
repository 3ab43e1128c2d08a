import ConvergeTestSupport
import Testing

@testable import ConvergeTerminal

@Suite("Wrapping")
struct WrappingTests {
    private func wrap(_ text: String, _ width: Int, limit: Int = 1_000) -> [String] {
        Wrapping.rows([Span(text)], width: width, limit: limit).map { row in String(row.pieces.map(\.cluster)) }
    }

    @Test(
        "rows end at blanks, and long words at the edge",
        arguments: [
            ("the quick brown fox", 10, ["the quick", "brown fox"]), ("", 5, [""]),
            ("abcdefghij", 4, ["abcd", "efgh", "ij"]),
            ("a abcdefghij", 4, ["a ab", "cdef", "ghij"]), ("  x", 10, ["  x"]), ("a  b", 10, ["a  b"]),
            ("one\ntwo\n\nfour", 10, ["one", "two", "", "four"]), ("one\r\ntwo", 10, ["one", "two"]),
            ("a\tb", 10, ["a    b"]), ("世界你好", 5, ["世界", "你好"]), ("世", 1, [""]), ("word ", 4, ["word"]),
            ("\u{1B}[1m", 3, ["\\e[", "1m"]), ("日本語のテキスト", 6, ["日本語", "のテキ", "スト"]),
        ])
    func examples(text: String, width: Int, rows: [String]) {
        #expect(wrap(text, width) == rows)
    }

    @Test("a long link is whole when its rows are put together")
    func link() {
        let link = "https://example.org/" + String(repeating: "path/", count: 40)
        #expect(wrap("see \(link)", 30).joined() == "see \(link)")
    }

    @Test("what is too long ends with a mark")
    func limit() {
        #expect(wrap("a b c d e f", 3, limit: 2) == ["a b", "c …"])
    }

    @Test("no row is too wide, and no letter is lost", arguments: 0..<100 as Range<UInt64>)
    func random(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let alphabet: [Character] = ["a", "b", " ", " ", "世", "é", "👩‍👩‍👧", "\n", "-", "❤️", "ش"]
        let text = String((0..<200).map { _ in alphabet.randomElement(using: &random) ?? "a" })
        let width = Int.random(in: 2...30, using: &random)
        let rows = Wrapping.rows([Span(text)], width: width)
        let letters = rows.flatMap { $0.pieces.map(\.cluster) }.filter { $0 != " " }
        #expect(rows.allSatisfy { $0.width <= width }, "seed \(seed)")
        #expect(letters == text.filter { $0 != " " && $0 != "\n" }.map { $0 }, "seed \(seed)")
    }
}
