@testable import ConvergeTerminal

/// A terminal of a few lines: what the renderer's bytes would show. It can be one that gives contested clusters another
/// width than the screen does, as real ones do.
struct ModelTerminal {
    private(set) var grid: [[Cell]]
    private(set) var cursor = (column: 0, row: 0)
    private(set) var isCursorShown = true
    private var style = Style.plain
    /// Control sequences that it does not know.
    private(set) var unknown: [String] = []
    private let contestedWidth: Int?

    init(columns: Int, rows: Int, contestedWidth: Int? = nil, filledWith cluster: Character = " ") {
        grid = Array(repeating: Array(repeating: Cell(cluster: cluster), count: columns), count: rows)
        self.contestedWidth = contestedWidth
    }

    mutating func feed(_ bytes: String) {
        var rest = Substring(bytes)
        while let next = rest.first {
            rest.removeFirst()
            if next == "\u{1B}" { sequence(&rest) } else { put(next) }
        }
    }

    private mutating func put(_ cluster: Character) {
        guard cluster.unicodeScalars.allSatisfy({ $0.value >= 0x20 && !(0x7F...0x9F).contains($0.value) }) else {
            return unknown.append("control \(cluster.unicodeScalars)")
        }
        var width = DisplayWidth.of(cluster)
        if let contestedWidth, DisplayWidth.isContested(cluster) { width = contestedWidth }
        guard width > 0, cursor.column + width <= grid[0].count else { return }
        for column in cursor.column..<cursor.column + width { clearWide(column) }
        grid[cursor.row][cursor.column] = Cell(cluster: cluster, width: UInt8(width), style: style)
        for column in cursor.column + 1..<max(cursor.column + width, cursor.column + 1) {
            grid[cursor.row][column] = Cell(cluster: " ", width: 0, style: style)
        }
        cursor.column = min(cursor.column + width, grid[0].count - 1)
    }

    /// A terminal blanks what is left of a wide cluster.
    private mutating func clearWide(_ column: Int) {
        var head = column
        while grid[cursor.row][head].width == 0, head > 0 { head -= 1 }
        let width = Int(grid[cursor.row][head].width)
        guard width > 1 else { return }
        for place in head..<min(head + width, grid[0].count) { grid[cursor.row][place] = .blank }
    }

    private mutating func sequence(_ rest: inout Substring) {
        switch rest.popFirst() {
        case "[":
            let parameters = rest.prefix { !$0.isLetter }
            rest = rest[parameters.endIndex...]
            csi(String(parameters), rest.popFirst() ?? " ")
        case "]":
            let text = rest.prefix { $0 != "\u{1B}" }
            rest = rest[text.endIndex...].dropFirst(2)
            if text.hasPrefix("8;;") {
                style.link = text.count > 3 ? String(text.dropFirst(3)) : nil
            } else {
                unknown.append(String(text))
            }
        case let other: unknown.append("ESC \(other.map(String.init) ?? "")")
        }
    }

    private mutating func csi(_ parameters: String, _ final: Character) {
        let numbers = parameters.split(separator: ";").map { Int($0) ?? 0 }
        switch final {
        case "H": cursor = ((numbers.count > 1 ? numbers[1] : 1) - 1, (numbers.first ?? 1) - 1)
        case "J": for row in grid.indices { grid[row] = Array(repeating: .blank, count: grid[row].count) }
        case "K":
            clearWide(cursor.column)
            for column in cursor.column..<grid[0].count { grid[cursor.row][column] = .blank }
        case "m":
            let link = style.link
            style = .plain
            style.link = link
            for number in numbers { apply(number) }
        case "h", "l":
            if parameters == "?25" { isCursorShown = final == "h" }
            if !["?25", "?2026"].contains(parameters) { unknown.append(parameters) }
        default: unknown.append("CSI \(parameters)\(final)")
        }
    }

    private mutating func apply(_ number: Int) {
        switch number {
        case 0: break
        case 1: style.attributes.insert(.bold)
        case 2: style.attributes.insert(.dim)
        case 3: style.attributes.insert(.italic)
        case 4: style.attributes.insert(.underline)
        case 7: style.attributes.insert(.reverse)
        default:
            let colours: [Style.Colour] = [
                .red, .green, .yellow, .blue, .magenta, .cyan, .grey, .brightRed, .brightGreen, .brightYellow,
                .brightBlue, .brightMagenta, .brightCyan,
            ]
            guard let colour = colours.first(where: { $0.code == number }) else {
                return unknown.append("SGR \(number)")
            }
            style.colour = colour
        }
    }

    /// What differs from the grid, in words; empty where it shows it.
    func differences(from wanted: Grid) -> [String] {
        var found: [String] = unknown.map { "not understood: \($0)" }
        for row in 0..<wanted.rows {
            for column in 0..<wanted.columns where grid[row][column] != wanted[column, row] {
                found.append("\(column),\(row): \(grid[row][column]) and not \(wanted[column, row])")
            }
        }
        if let want = wanted.cursor {
            if !isCursorShown || cursor != want { found.append("cursor at \(cursor) and not \(want)") }
        } else if isCursorShown {
            found.append("a cursor")
        }
        return found
    }
}
