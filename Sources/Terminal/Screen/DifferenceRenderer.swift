/// Turns a grid into the bytes that make a terminal show it, where it shows another already: only what differs is sent.
///
/// Invariants: after the bytes the terminal shows the grid, whatever it showed before; each run begins with an absolute
/// cursor position, so nothing depends on where earlier text has led the cursor. Terminals disagree about the width of
/// some clusters (`DisplayWidth.isContested`): behind one the position is set again and the rest of its row is sent
/// anew, so that no wrong guess reaches further than the cluster itself.
///
/// Control sequences: ECMA-48 (CUP, EL, ED, SGR); hyperlinks by OSC 8; synchronized output by private mode 2026, which
/// terminals that don't know it ignore.
struct DifferenceRenderer {
    /// Asks the terminal to show each update at once (mode 2026).
    var isSynchronized = true
    private var shown: Grid?
    /// What the terminal draws in now.
    private var style = Style.plain
    private var hasLink = false

    init(isSynchronized: Bool = true) { self.isSynchronized = isSynchronized }

    /// The screen may show anything: the next update draws all of it.
    mutating func forget() { shown = nil }

    /// Empty where the terminal shows the grid already.
    mutating func update(to grid: Grid) -> String {
        guard shown != grid else { return "" }
        var out = ""
        style = .plain
        hasLink = false
        let before: Grid
        if let shown, shown.columns == grid.columns, shown.rows == grid.rows {
            before = shown
        } else {
            before = Grid(columns: grid.columns, rows: grid.rows)
            out += "\u{1B}[0m\u{1B}[2J"
        }
        for row in 0..<grid.rows { draw(row, of: grid, over: before, into: &out) }
        setStyle(.plain, &out)
        if let cursor = grid.cursor { out += "\(Self.position(cursor.column, cursor.row))\u{1B}[?25h" }
        shown = grid
        let frame = "\u{1B}[?25l" + out
        return isSynchronized ? "\u{1B}[?2026h\(frame)\u{1B}[?2026l" : frame
    }

    private mutating func draw(_ row: Int, of grid: Grid, over before: Grid, into out: inout String) {
        // Behind its last cell that is not blank a row is erased in one go.
        var end = grid.columns
        while end > 0, grid[end - 1, row] == .blank { end -= 1 }
        var isDirty = false
        var at = -1  // where the terminal's cursor is in this row; -1: unknown
        var column = 0
        while column < end {
            let cell = grid[column, row]
            let width = max(Int(cell.width), 1)
            let old = before[column, row]
            guard isDirty || cell != old else {
                column += width
                continue
            }
            let isContested = DisplayWidth.isContested(cell.cluster)
            // A terminal that gave the cluster before another width has shifted or covered what follows it.
            if isContested || DisplayWidth.isContested(old.cluster) { isDirty = true }
            if at != column { out += Self.position(column, row) }
            setStyle(cell.style, &out)
            if isContested {
                out += String(repeating: " ", count: width) + Self.position(column, row)
            }
            out.append(cell.cluster)
            column += width
            // At the edge the cursor waits in a place that terminals do not agree about.
            at = isContested || column >= grid.columns ? -1 : column
        }
        guard end < grid.columns, isDirty || (end..<grid.columns).contains(where: { before[$0, row] != .blank }) else {
            return
        }
        if at != end { out += Self.position(end, row) }
        setStyle(.plain, &out)
        out += "\u{1B}[K"
    }

    private mutating func setStyle(_ wanted: Style, _ out: inout String) {
        guard wanted != style else { return }
        if wanted.link != style.link || hasLink && wanted.link == nil {
            out += "\u{1B}]8;;\(wanted.link ?? "")\u{1B}\\"
            hasLink = wanted.link != nil
        }
        if wanted.colour != style.colour || wanted.attributes != style.attributes { out += wanted.sequence }
        style = wanted
    }

    private static func position(_ column: Int, _ row: Int) -> String { "\u{1B}[\(row + 1);\(column + 1)H" }
}
