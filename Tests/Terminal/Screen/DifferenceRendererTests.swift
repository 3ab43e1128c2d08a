import ConvergeTestSupport
import Testing

@testable import ConvergeTerminal

@Suite("Drawing by difference")
struct DifferenceRendererTests {
    private static let words = [
        "hello", "世界", "e\u{301}te\u{301}", "👩‍👩‍👧", "❤️", "🇩🇪🇫🇷", "👍🏽", "क्षि", "שלום", "   ", "a", "…", "한국어", "x\u{1B}[2Jy",
        "https://example.org/a", "\u{202E}rtl", "ｱ",
    ]
    private static let styles: [Style] = [
        .plain, .bold, .dim, .reverse, Style(colour: .red), Style(colour: .brightBlue, attributes: .underline),
        Style(attributes: .underline, link: "https://example.org/a"),
    ]

    /// A grid of random pieces; most of them those of the grid before.
    private static func change(_ grid: inout Grid, using random: inout SplitMix64) {
        if Int.random(in: 0..<20, using: &random) == 0 { grid = Grid(columns: grid.columns, rows: grid.rows) }
        for _ in 0..<Int.random(in: 0..<6, using: &random) {
            let row = Row(words.randomElement(using: &random) ?? "", styles.randomElement(using: &random) ?? .plain)
            grid.draw(
                row, column: Int.random(in: -1..<grid.columns, using: &random),
                row: Int.random(in: -1..<grid.rows + 1, using: &random))
        }
        grid.cursor =
            Int.random(in: 0..<5, using: &random) == 0
            ? nil : (Int.random(in: 0..<grid.columns, using: &random), Int.random(in: 0..<grid.rows, using: &random))
    }

    @Test("the bytes make a terminal show the grid, whatever it showed before", arguments: 0..<60 as Range<UInt64>)
    func converges(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var grid = Grid(
            columns: Int.random(in: 1...40, using: &random), rows: Int.random(in: 1...8, using: &random))
        var terminal = ModelTerminal(columns: grid.columns, rows: grid.rows, filledWith: "#")
        var renderer = DifferenceRenderer(isSynchronized: seed % 2 == 0)
        for step in 0..<40 {
            Self.change(&grid, using: &random)
            terminal.feed(renderer.update(to: grid))
            let differences = terminal.differences(from: grid)
            guard differences.isEmpty else {
                Issue.record("seed \(seed), step \(step): \(differences.prefix(5))")
                return
            }
        }
    }

    @Test(
        "a terminal that gives contested clusters another width shows everything else right", arguments: [1, 4],
        0..<30 as Range<UInt64>)
    func contested(width: Int, seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var grid = Grid(columns: 40, rows: 4)
        var terminal = ModelTerminal(columns: 40, rows: 4, contestedWidth: width)
        var renderer = DifferenceRenderer()
        for step in 0..<40 {
            Self.change(&grid, using: &random)
            terminal.feed(renderer.update(to: grid))
            for row in 0..<grid.rows {
                for column in 0..<grid.columns where grid[column, row].width > 0 {
                    let cell = grid[column, row]
                    if DisplayWidth.isContested(cell.cluster) { continue }
                    // A contested cluster at the very edge, or just before another, may have no room at all.
                    let before = (max(column - 4, 0)..<column).contains {
                        DisplayWidth.isContested(grid[$0, row].cluster)
                    }
                    if terminal.grid[row][column] == cell || width < 2 && before { continue }
                    Issue.record("seed \(seed), step \(step): \(column),\(row) is \(terminal.grid[row][column])")
                    return
                }
            }
        }
    }

    @Test("nothing is sent where nothing has changed, and little where little has")
    func economy() {
        var renderer = DifferenceRenderer(isSynchronized: false)
        var grid = Grid(columns: 80, rows: 24)
        for row in 0..<24 { grid.draw(Row(String(repeating: "text ", count: 16)), column: 0, row: row) }
        #expect(renderer.update(to: grid).utf8.count > 1_900)
        #expect(renderer.update(to: grid).isEmpty)
        grid.draw(Row("X"), column: 40, row: 12)
        #expect(renderer.update(to: grid) == "\u{1B}[?25l\u{1B}[13;41HX")
        grid.draw(Row(String(repeating: " ", count: 80)), column: 0, row: 3)
        #expect(renderer.update(to: grid) == "\u{1B}[?25l\u{1B}[4;1H\u{1B}[K")
    }

    @Test("after it was told to forget, everything is drawn anew")
    func forgets() {
        var renderer = DifferenceRenderer()
        var grid = Grid(columns: 10, rows: 2)
        grid.draw(Row("hello"), column: 0, row: 0)
        _ = renderer.update(to: grid)
        renderer.forget()
        #expect(renderer.update(to: grid).contains("hello"))
    }

    @Test("no cell holds what a terminal obeys, whatever is drawn")
    func harmless() {
        var bad: [UInt32] = []
        for value in Array(UInt32(0)...0x2FF) + Array(0x2000...0x206F) + Array(0xFFF0...0xFFFF) {
            guard let scalar = Unicode.Scalar(value) else { continue }
            var grid = Grid(columns: 20, rows: 1)
            grid.draw(Row("a\(Character(scalar))b"), column: 0, row: 0)
            var terminal = ModelTerminal(columns: 20, rows: 1)
            var renderer = DifferenceRenderer()
            terminal.feed(renderer.update(to: grid))
            if !terminal.differences(from: grid).isEmpty { bad.append(value) }
        }
        #expect(bad.isEmpty)
    }
}

@Suite("Pacing")
struct PacingTests {
    @Test("a change after a pause is drawn at once")
    func atOnce() {
        var pacing = Pacing()
        #expect(pacing.due == nil)
        pacing.want()
        let first = pacing.take(at: 5)
        pacing.want()
        let second = pacing.take(at: 5 + Pacing.interval)
        #expect(first && second)
    }

    @Test("a thousand changes in a second are drawn thirty times")
    func bounded() {
        var pacing = Pacing()
        var drawn = 0
        for millisecond in 0..<1_000 as Range<UInt64> {
            pacing.want()
            if pacing.take(at: millisecond * 1_000_000) { drawn += 1 }
        }
        #expect((28...31).contains(drawn))
        #expect(pacing.isWanted || pacing.due == nil)
    }
}
