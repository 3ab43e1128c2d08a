/// The help in place of the messages: F1 opens it, F1 or Esc closes it, and what is being typed goes on below.
struct HelpPane: Hashable, Sendable {
    /// How many rows are above those that are shown.
    private(set) var above = 0

    private static let keys = [
        ("Enter, Alt-Enter", "send; a new line in the message"),
        ("PgUp, PgDn, wheel", "older and newer messages; Esc: the newest"),
        ("Alt-J", "to the first unread"),
        ("Alt-Up, Alt-Down, Alt-1 to Alt-0", "other rooms; Alt-A: the next with something unread"),
        ("F2; F4 or Alt-M; Alt-Z", "rooms; members, which Alt-PgUp and Alt-PgDn scroll; messages alone"),
        ("Tab, Ctrl-R", "complete; find what was typed"),
        ("Ctrl-L, Ctrl-Z, Ctrl-D", "draw anew; stop, until fg; leave"),
    ]

    /// All of it in a pane of this width: names at the left, and what they mean beside or, in a narrow one, below.
    static func rows(width: Int) -> [Row] {
        var rows = [Row("Help: F1 or Esc closes it, PgUp and PgDn scroll", .bold), Row()]
        let commands = EnteredCommand.list.map {
            ("/\($0.name)\($0.arguments.isEmpty ? "" : " \($0.arguments)")", $0.meaning)
        }
        for (name, meaning) in commands + [("//text", "a message that begins with a slash")] {
            rows += entry(name, meaning, width)
        }
        rows.append(Row())
        for (name, meaning) in keys { rows += entry(name, meaning, width) }
        return rows
    }

    private static func entry(_ name: String, _ meaning: String, _ width: Int) -> [Row] {
        let indent = width >= 60 ? 24 : 4
        let text = Wrapping.rows([Span(meaning)], width: max(width - indent, 1), limit: 20)
        var rows: [Row] = []
        let head = Row(name, .bold)
        let isBeside = head.width + 2 <= indent
        if !isBeside { rows.append(head.cut(to: width)) }
        for (index, line) in text.enumerated() {
            var row = isBeside && index == 0 ? head : Row()
            row.pad(to: indent)
            for piece in line.pieces { row.append(piece) }
            rows.append(row)
        }
        return rows
    }

    /// What a pane of this size shows of it.
    func visible(width: Int, height: Int) -> ArraySlice<Row> {
        let rows = Self.rows(width: width)
        let first = min(above, max(rows.count - height, 0))
        return rows[first..<min(first + height, rows.count)]
    }

    /// Down by rows, or up where negative.
    mutating func scroll(by count: Int, width: Int, height: Int) {
        above = min(max(above + count, 0), max(Self.rows(width: width).count - height, 0))
    }
}
