/// Breaks text into rows of a width, at blanks where there are any.
///
/// Invariants: no row is wider than the limit (but for a single cluster that is wider than any row, which is left out);
/// nothing is lost but the blanks at which a row ends; a word that is longer than a row is broken at the row's end and
/// nowhere else, so a long link is whole when its rows are put together.
enum Wrapping {
    /// - Parameter text: newlines begin new rows. An empty text is one empty row.
    /// - Parameter limit: most rows; of a longer text the last row ends with "…".
    static func rows(_ spans: [Span], width: Int, limit: Int = 1_000) -> [Row] {
        guard width > 0, limit > 0 else { return [] }
        var rows: [Row] = []
        var builder = Builder(width: width)
        for span in spans {
            var isFirst = true
            for line in span.text.split(omittingEmptySubsequences: false, whereSeparator: Self.isNewline) {
                if !isFirst { builder.breakLine() }
                isFirst = false
                builder.add(SafeClusters(withoutTabs(line), style: span.style).pieces)
                // What is far beyond what anybody reads is not laid out.
                if builder.rows.count > limit { break }
            }
            if builder.rows.count > limit { break }
        }
        rows = builder.finish()
        if rows.count > limit {
            rows.removeLast(rows.count - limit)
            var last = rows[limit - 1]
            last.pad(to: width)
            last.append(.init(cluster: " ", width: 1, style: .plain))
            rows[limit - 1] = last.cut(to: width)
        }
        return rows
    }

    /// A carriage return with its newline is one cluster.
    private static func isNewline(_ cluster: Character) -> Bool { cluster == "\n" || cluster == "\r\n" }

    /// A tab is four blanks: where the columns of a message begin, nobody knows.
    private static func withoutTabs(_ line: Substring) -> String {
        guard line.contains("\t") else { return String(line) }
        return line.split(separator: "\t", omittingEmptySubsequences: false).joined(separator: "    ")
    }

    private struct Builder {
        let width: Int
        var rows: [Row] = []
        var row = Row()
        /// The word that is being gathered, and the blanks before it.
        var word = Row()
        var blanks = Row()

        mutating func add(_ pieces: [Row.Piece]) {
            for piece in pieces where piece.width <= width {
                if piece.cluster == " " {
                    flushWord()
                    blanks.append(piece)
                } else {
                    word.append(piece)
                    // Ideographs may be parted from their neighbours.
                    if piece.width == 2 { flushWord() }
                }
            }
        }

        private mutating func flushWord() {
            guard !word.pieces.isEmpty else { return }
            if row.width + blanks.width + word.width <= width {
                for piece in blanks.pieces + word.pieces { row.append(piece) }
            } else if word.width <= width {
                if !row.pieces.isEmpty { endRow() }
                row = word
            } else {
                // Longer than any row: it begins where it stands, if that is not at the very end.
                if row.width + blanks.width < width {
                    for piece in blanks.pieces { row.append(piece) }
                } else {
                    endRow()
                }
                for piece in word.pieces {
                    if row.width + piece.width > width { endRow() }
                    row.append(piece)
                }
            }
            word = Row()
            blanks = Row()
        }

        private mutating func endRow() {
            rows.append(row)
            row = Row()
        }

        mutating func breakLine() {
            flushWord()
            // Blanks that end a line are not shown; those of a line that has nothing else neither.
            blanks = Row()
            endRow()
        }

        mutating func finish() -> [Row] {
            breakLine()
            return rows
        }
    }
}
