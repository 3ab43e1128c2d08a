/// One place on the screen. A cluster that is wider than one column is followed by cells of width 0.
struct Cell: Hashable, Sendable {
    var cluster: Character = " "
    /// Columns: 0 for the rest of the wide cluster before it.
    var width: UInt8 = 1
    var style = Style.plain

    static let blank = Cell()
}

/// The screen as a value: rows of cells.
///
/// Invariants: a cluster of width n > 1 is followed by n - 1 cells of width 0 and never crosses the edge; no cell holds
/// anything that a terminal would obey, since rows are made of `SafeClusters`.
struct Grid: Hashable, Sendable {
    let columns: Int
    let rows: Int
    private(set) var cells: [Cell]
    /// Where the cursor stands; nil where it is hidden.
    var cursor: (column: Int, row: Int)? {
        get { cursorColumn < 0 ? nil : (cursorColumn, cursorRow) }
        set {
            cursorColumn = min(newValue?.column ?? -1, columns - 1)
            cursorRow = min(newValue?.row ?? -1, rows - 1)
        }
    }
    private var cursorColumn = -1
    private var cursorRow = -1

    init(columns: Int, rows: Int) {
        self.columns = max(columns, 1)
        self.rows = max(rows, 1)
        cells = Array(repeating: .blank, count: self.columns * self.rows)
    }

    subscript(column: Int, row: Int) -> Cell { cells[row * columns + column] }

    /// Draws a row of a pane; what goes beyond `limit` or the screen's edge is left out.
    mutating func draw(_ line: Row, column: Int, row: Int, limit: Int = .max) {
        guard (0..<rows).contains(row), column >= 0 else { return }
        let end = min(columns, limit > columns ? columns : column + limit)
        var at = column
        for piece in line.pieces {
            guard piece.width > 0, at + piece.width <= end else { return }
            let first = row * columns + at
            split(at: first)
            split(at: first + piece.width - 1)
            cells[first] = Cell(cluster: piece.cluster, width: UInt8(clamping: piece.width), style: piece.style)
            for rest in 1..<max(piece.width, 1) {
                cells[first + rest] = Cell(cluster: " ", width: 0, style: piece.style)
            }
            at += piece.width
        }
    }

    /// What is left of a wide cluster when a part of it is drawn over: blanks.
    private mutating func split(at index: Int) {
        guard cells[index].width != 1 else { return }
        var first = index
        while cells[first].width == 0 { first -= 1 }
        for place in first..<first + Int(cells[first].width) { cells[place] = .blank }
    }

    /// Puts another cell in each cell's place; all of one width, or each of the same as before.
    mutating func replaceCells(_ change: (Cell) -> Cell) {
        for index in cells.indices { cells[index] = change(cells[index]) }
    }

    /// The rows as text, without styles: what a person would read. For tests.
    var text: [String] {
        (0..<rows).map { row in
            var line = ""
            for column in 0..<columns where self[column, row].width > 0 { line.append(self[column, row].cluster) }
            while line.last == " " { line.removeLast() }
            return line
        }
    }

    static func == (a: Grid, b: Grid) -> Bool {
        a.columns == b.columns && a.rows == b.rows && a.cursorColumn == b.cursorColumn && a.cursorRow == b.cursorRow
            && a.cells == b.cells
    }
}
