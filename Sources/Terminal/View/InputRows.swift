/// What is being typed as rows of the screen, and where the cursor is in them.
struct InputRows: Sendable {
    private(set) var rows: [Row]
    /// In the rows.
    private(set) var cursor: (column: Int, row: Int)

    init(_ editor: LineEditor, prompt: Row, width: Int) {
        var row = prompt.cut(to: max(width / 3, 1))
        var rows: [Row] = []
        var cursor: (column: Int, row: Int)?
        for (index, character) in editor.text.enumerated() {
            if index == editor.cursor { cursor = (row.width, rows.count) }
            if character == "\n" {
                rows.append(row)
                row = Row()
                continue
            }
            for piece in SafeClusters(character == "\t" ? "    " : String(character), style: .plain).pieces
            where piece.width <= width {
                if row.width + piece.width > width {
                    if index == editor.cursor, cursor?.column == row.width { cursor = (0, rows.count + 1) }
                    rows.append(row)
                    row = Row()
                }
                row.append(piece)
            }
        }
        var end = cursor ?? (row.width, rows.count)
        rows.append(row)
        // Behind a full row the cursor stands on the next.
        if end.column >= width {
            end = (0, end.row + 1)
            if end.row == rows.count { rows.append(Row()) }
        }
        self.rows = rows
        self.cursor = end
    }

    /// As many rows as there is room for, with the cursor among them.
    func visible(_ height: Int) -> (rows: ArraySlice<Row>, cursor: (column: Int, row: Int)) {
        let first = max(0, min(cursor.row - height + 1, rows.count - height))
        let last = min(rows.count, max(first + height, 0))
        return (rows[first..<last], (cursor.column, cursor.row - first))
    }
}
