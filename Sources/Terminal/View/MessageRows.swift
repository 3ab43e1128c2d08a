/// One item of a conversation as rows of the message pane.
///
/// The text of what others wrote stands behind time and name, and further rows are indented, so that no text can look like
/// a line of its own. The unit is the item: what is drawn depends on it, the item before and the width, on nothing else.
struct MessageRows: Sendable {
    let width: Int
    let clock: LocalClock
    let glyphs: Glyphs
    /// Whose words the messages are read by: names to look for, and the id of one's own.
    let names: [String]
    let userID: String
    let hasLinks: Bool
    let isBare: Bool

    private static let rowLimit = 400
    /// What is shown of a message that was refused: enough to know it by, so that the reason is not pages away.
    private static let refusedLimit = (characters: 200, lines: 3)

    private static func shortened(_ body: String) -> String {
        let start = body.prefix(refusedLimit.characters)
        return start.split(separator: "\n", omittingEmptySubsequences: false).prefix(refusedLimit.lines)
            .joined(separator: "\n")
    }

    // MARK: Columns

    private var isWide: Bool { width >= 50 && !isBare }
    private var hasTime: Bool { width >= 30 }
    private var nameWidth: Int { min(max(width / 7, 8), 14) }
    /// Where the text of a wide pane begins: time, name, mark.
    private var indent: Int { isWide ? 6 + nameWidth + 3 : isBare ? 0 : 2 }

    /// - Parameter isUnread: the first that has not been read: a line before it says so.
    func rows(_ item: Conversation.Item, after previous: Conversation.Item?, isUnread: Bool) -> [Row] {
        var rows: [Row] = []
        if previous.map({ clock.day($0.milliseconds) != clock.day(item.milliseconds) }) ?? true {
            rows.append(rule(clock.dayName(item.milliseconds), .dim))
        }
        if isUnread { rows.append(rule("new", Style(colour: .red, attributes: .bold))) }
        switch item.content {
        case .message(let message, let mentions):
            let isOwn = message.userID == userID
            var nameStyle = Style(colour: NickColour.of(message.userID))
            if isOwn || mentions { nameStyle.attributes.insert(.bold) }
            rows += block(
                time: item.milliseconds, name: message.name, nameStyle: nameStyle,
                mark: isOwn
                    ? Row(String(glyphs.stored), .dim)
                    : mentions ? Row("*", Style(colour: .brightYellow, attributes: .bold)) : nil,
                text: spans(message.body))
        case .presence(let run):
            if run.isFolded {
                let time =
                    clock.time(run.begin) == clock.time(run.end) || !isWide
                    ? "" : "\(clock.time(run.begin))-\(clock.time(run.end)) "
                rows += quiet(time: run.end, time + run.summary)
            } else {
                for event in run.first { rows += quiet(time: event.milliseconds, event.body) }
            }
        case .note(let text, let isError):
            rows += quiet(time: item.milliseconds, text, isError ? Style(colour: .red) : .dim)
        case .refused(let body, let reason):
            var text = Self.shortened(body)
            let isCut = text != body
            if isCut { text += String(glyphs.more) }
            let length = isCut ? " (\(body.utf8.count) bytes)" : ""
            rows += block(
                time: item.milliseconds, name: names.last ?? userID, nameStyle: Style(colour: .red),
                mark: Row(String(glyphs.refused), Style(colour: .red, attributes: .bold)),
                text: spans(text) + [Span("\nnot taken: \(reason)\(length)", Style(colour: .red))])
        case .gap:
            rows.append(rule("messages may be missing here", Style(colour: .yellow)))
        case .caughtUp(let since, let count):
            rows.append(
                rule(
                    "not connected since \(clock.time(since)); \(count) \(count == 1 ? "message" : "messages") caught up with",
                    Style(colour: .cyan)))
        }
        return rows
    }

    func rows(_ unsent: RoomState.Unsent) -> [Row] {
        block(
            time: unsent.milliseconds, name: names.last ?? userID,
            nameStyle: Style(colour: NickColour.of(userID), attributes: .bold),
            mark: Row(String(glyphs.sending), Style(colour: .yellow, attributes: .bold)),
            text: [Span(unsent.body, .dim)])
    }

    // MARK: Blocks

    private func block(time: Int64, name: String, nameStyle: Style, mark: Row?, text: [Span]) -> [Row] {
        var head = Row()
        if hasTime { head.append(clock.time(time) + " ", .dim) }
        if isWide {
            let shown = Row(name, nameStyle).cut(to: nameWidth, mark: glyphs.more)
            head.pad(to: 6 + nameWidth - shown.width)
            for piece in shown.pieces { head.append(piece) }
            head.append(" ")
            if let mark { for piece in mark.pieces { head.append(piece) } }
            head.pad(to: indent)
            return hanging(head, Wrapping.rows(text, width: max(width - indent, 1), limit: Self.rowLimit))
        }
        let shown = Row(name, nameStyle).cut(to: max(width / 2, 1), mark: glyphs.more)
        for piece in shown.pieces { head.append(piece) }
        if let mark { for piece in mark.pieces { head.append(piece) } }
        head.append(": ")
        return flowing(head, text)
    }

    /// A line that is less than a message: dim, behind dashes.
    private func quiet(time: Int64, _ text: String, _ style: Style = .dim) -> [Row] {
        var head = Row()
        if hasTime { head.append(clock.time(time) + " ", .dim) }
        guard isWide else {
            head.append("-- ", style)
            return flowing(head, [Span(text, style)])
        }
        head.pad(to: 6 + nameWidth - 2)
        head.append("--", style)
        head.pad(to: indent)
        return hanging(head, Wrapping.rows([Span(text, style)], width: max(width - indent, 1), limit: Self.rowLimit))
    }

    /// The first row behind `head`, the others below it.
    private func hanging(_ head: Row, _ text: [Row]) -> [Row] {
        text.enumerated().map { index, line in
            var row = index == 0 ? head : Row()
            if index > 0 { row.pad(to: indent) }
            for piece in line.pieces { row.append(piece) }
            return row
        }
    }

    /// In a narrow pane: head and text are one paragraph, and only a little is indented.
    private func flowing(_ head: Row, _ text: [Span]) -> [Row] {
        let rest = max(width - head.width, 1)
        // The first row is shorter: what fits there is found by wrapping as if all rows were.
        let first = Wrapping.rows(text, width: rest, limit: 2)
        if first.count == 1 { return hanging(head, first) }
        let indent = min(self.indent, width / 4)
        var row = head
        if head.width >= width / 2 {
            // The name takes most of it.
            return [head.cut(to: width)]
                + Wrapping.rows(text, width: max(width - indent, 1), limit: Self.rowLimit).map { indented($0, indent) }
        }
        let all = Wrapping.rows(
            [Span(String(repeating: " ", count: max(head.width - indent, 0)))] + text, width: max(width - indent, 1),
            limit: Self.rowLimit)
        for piece in all[0].pieces.dropFirst(max(head.width - indent, 0)) { row.append(piece) }
        return [row] + all.dropFirst().map { indented($0, indent) }
    }

    private func indented(_ line: Row, _ indent: Int) -> Row {
        var row = Row()
        row.pad(to: indent)
        for piece in line.pieces { row.append(piece) }
        return row
    }

    /// Words in the middle of a line.
    private func rule(_ words: String, _ style: Style) -> Row {
        let text = Row(" \(words) ", style).cut(to: width, mark: glyphs.more)
        let line = String(glyphs.horizontal)
        let left = max((width - text.width) / 2, 0)
        var row = Row(String(repeating: line, count: left), style)
        for piece in text.pieces { row.append(piece) }
        row.append(String(repeating: line, count: max(width - row.width, 0)), style)
        return row
    }

    // MARK: Text

    /// The body with its links and the reader's names marked.
    private func spans(_ body: String) -> [Span] {
        var marks = Link.ranges(in: body).map { (range: $0, isLink: true) }
        for range in Mentions.ranges(of: names, in: body) where !marks.contains(where: { $0.range.overlaps(range) }) {
            marks.append((range, false))
        }
        marks.sort { $0.range.lowerBound < $1.range.lowerBound }
        var spans: [Span] = []
        var at = body.startIndex
        for (range, isLink) in marks {
            if at < range.lowerBound { spans.append(Span(String(body[at..<range.lowerBound]))) }
            let text = String(body[range])
            spans.append(
                isLink
                    ? Span(text, Style(attributes: .underline, link: hasLinks ? text : nil))
                    : Span(text, Style(colour: .brightYellow, attributes: [.bold, .reverse])))
            at = range.upperBound
        }
        if at < body.endIndex || spans.isEmpty { spans.append(Span(String(body[at...]))) }
        return spans
    }
}
