import Testing

@testable import ConvergeTerminal

@Suite("The width of text")
struct DisplayWidthTests {
    @Test(
        "clusters take as many columns as terminals give them",
        arguments: [
            ("a", 1), ("é", 1), ("e\u{301}", 1), ("世", 2), ("ｱ", 1), ("ア", 2), ("한", 2),
            ("\u{1112}\u{1161}\u{11AB}", 2),
            ("😀", 2), ("❤", 1), ("❤\u{FE0F}", 2), ("⌛", 2), ("⌛\u{FE0E}", 2), ("☎\u{FE0F}", 2),
            ("1\u{FE0F}\u{20E3}", 2),
            ("👍🏽", 2), ("👩‍👩‍👧", 2), ("🏳️‍🌈", 2), ("🇩🇪", 2), ("🇩", 1), ("क्षि", 3), ("ก็", 1), ("…", 1), ("│", 1), ("✓", 1),
            ("\u{301}", 0), ("\u{200D}", 0), ("\u{3000}", 2), ("\u{20000}", 2), ("ſ", 1),
        ])
    func clusters(text: String, width: Int) {
        #expect(text.reduce(0) { $0 + DisplayWidth.of($1) } == width)
    }

    @Test("a flag is two letters, and three letters are a flag and one more")
    func flags() {
        #expect(DisplayWidth.of("🇩🇪🇫🇷") == 4 && DisplayWidth.of("🇩🇪🇫") == 3)
    }

    @Test("the table is ascending and without overlaps")
    func table() {
        let bounds = WideRanges.bounds
        #expect(bounds.count % 2 == 0)
        var last: UInt32 = 0
        var isAscending = true
        for index in stride(from: 0, to: bounds.count, by: 2) {
            if bounds[index] <= last || bounds[index + 1] < bounds[index] { isAscending = false }
            last = bounds[index + 1]
        }
        #expect(isAscending)
    }

    @Test("every code point of the table is found, and its neighbours are not")
    func search() {
        var wrong: [UInt32] = []
        let bounds = WideRanges.bounds
        var wide: Set<UInt32> = []
        for index in stride(from: 0, to: bounds.count, by: 2) where bounds[index + 1] < 0x20000 {
            wide.formUnion(bounds[index]...bounds[index + 1])
        }
        for value in 0..<0x20000 as Range<UInt32> {
            guard let scalar = Unicode.Scalar(value) else { continue }
            if WideRanges.contains(scalar) != wide.contains(value) { wrong.append(value) }
        }
        #expect(wrong.isEmpty)
    }

    @Test("letters with ever so many marks are cut, and a mark alone has a blank to stand on")
    func bounds() {
        let zalgo = "a" + String(repeating: "\u{301}", count: 10_000)
        let pieces = SafeClusters(zalgo, style: .plain).pieces
        #expect(pieces.count == 1 && pieces[0].width == 1 && pieces[0].cluster.utf8.count <= SafeClusters.clusterLimit)
        let alone = SafeClusters("\u{301}", style: .plain).pieces
        #expect(alone.map(\.cluster) == ["\u{A0}\u{301}"] && alone.map(\.width) == [1])
    }
}
