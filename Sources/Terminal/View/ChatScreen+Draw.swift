/// The whole screen as a grid: the same value gives the same grid.
extension ChatScreen {
    /// - Parameter now: wall time, in milliseconds since 1970: for the clock and the countdown.
    func grid(at now: Int64) -> Grid {
        var grid = Grid(columns: columns, rows: rows)
        guard let room else { return grid }
        let layout = layout
        if layout.hasTitle { drawTitle(room, layout, &grid) }
        if let help {
            let visible = help.visible(width: layout.messageWidth, height: layout.body.count)
            for (offset, row) in visible.enumerated() {
                grid.draw(
                    row, column: layout.messageColumn, row: layout.body.lowerBound + offset, limit: layout.messageWidth)
            }
        } else {
            let visible = visibleRows(room, layout)
            let top = layout.body.upperBound - visible.count
            for (offset, row) in visible.enumerated() {
                grid.draw(row, column: layout.messageColumn, row: top + offset, limit: layout.messageWidth)
            }
        }
        if layout.roomsWidth > 0 { drawRooms(layout, &grid) }
        if layout.hasMembers { drawMembers(room, layout, &grid) }
        if layout.hasStatus { grid.draw(status(room, layout, at: now), column: 0, row: layout.statusRow) }
        let input = InputRows(room.editor, prompt: prompt, width: columns).visible(layout.inputRows)
        for (offset, row) in input.rows.enumerated() { grid.draw(row, column: 0, row: layout.inputRow + offset) }
        grid.cursor = (input.cursor.column, layout.inputRow + input.cursor.row)
        return settings.isASCII || !settings.hasColours
            ? grid.plain(ascii: settings.isASCII, colours: settings.hasColours) : grid
    }

    var prompt: Row {
        if let search { return Row("(find: \(search.text)) ", .dim) }
        return Row([Span("\(room?.name ?? "")", .bold), Span("> ", .dim)])
    }

    // MARK: Title and status

    private func drawTitle(_ room: RoomState, _ layout: ScreenLayout, _ grid: inout Grid) {
        var title = Row()
        title.append(" \(room.name)", .bold)
        if room.memberCount > 0 { title.append("  \(room.memberCount) here", .dim) }
        grid.draw(title.cut(to: columns - 1, mark: glyphs.more), column: 0, row: 0)
        let own = Row(
            displayName.isEmpty ? userID : displayName, Style(colour: NickColour.of(userID), attributes: .bold))
        if title.width + own.width + 3 < columns { grid.draw(own, column: columns - own.width - 1, row: 0) }
    }

    func connectionWords(_ room: RoomState, at now: Int64) -> String {
        switch room.connection {
        case .connecting(let server): server.isEmpty ? "connecting" : "connecting to \(server)"
        case .live(let server, let node): "live on \(node.map { "\(nodeNames.words($0)), " } ?? "")\(server)"
        case .waiting(let until, let reason):
            until > now
                ? "not connected, again in \((until - now + 999) / 1_000) s: \(reason)" : "not connected: \(reason)"
        case .ended(let reason): "not connected: \(reason)"
        }
    }

    private func status(_ room: RoomState, _ layout: ScreenLayout, at now: Int64) -> Row {
        var style = Style.reverse
        if !room.isLive { style.colour = .red }
        var row = Row()
        if let completion, !completion.offer.isEmpty {
            row.append(" ", style)
            for word in completion.offer {
                row.append(word, word == completion.chosen ? .bold : style)
                row.append(" ", style)
                if row.width > columns { break }
            }
        } else if let hint {
            style.colour = .red
            row.append(" " + hint, style)
        } else {
            // The words that matter most come first: a narrow screen cuts the rest.
            var parts: [String] = []
            let waiting = unsentCount
            let below = below(room)
            if let length = lengthWords(room) { parts.append(length) }
            if below > 0 { parts.append("\(glyphs.down) \(below) below") }
            if waiting > 0 { parts.append("\(waiting) unsent") }
            parts.append(connectionWords(room, at: now))
            if room.isLive, let latency = room.latency { parts.append("\(latency) ms") }
            if room.older == .asked, room.anchor != nil || room.wantedOlder != nil {
                let came = room.wantedOlder.map { $0.came > 0 ? ": \($0.came) of \($0.came + $0.rest)" : "" } ?? ""
                parts.append("asking for older messages" + came)
            }
            let others = rooms.indices.filter { $0 != current }
            let lost = others.count { !rooms[$0].isLive }
            if lost > 0 { parts.append("\(lost) other \(lost == 1 ? "room" : "rooms") not connected") }
            if layout.roomsWidth == 0 {
                let unread = others.reduce(0) { $0 + rooms[$1].unread }
                if unread > 0 { parts.append("\(unread) unread elsewhere") }
            }
            row.append(" " + parts.joined(separator: " \(glyphs.vertical) "), style)
        }
        let right = Row(
            columns >= 60 ? "F1 \(help == nil ? "help" : "back")  \(clock.time(now)) " : "\(clock.time(now)) ", style)
        let room = max(columns - right.width - 1, 0)
        guard columns >= 30, hint == nil else { return padded(row.cut(to: columns, mark: glyphs.more), style) }
        row = row.cut(to: room, mark: glyphs.more)
        row.pad(to: columns - right.width, style)
        for piece in right.pieces { row.append(piece) }
        return row
    }

    /// How long the draft is, where that comes near to what a message may have.
    private func lengthWords(_ room: RoomState) -> String? {
        let (length, limit) = (room.editor.byteCount, bodyLimit.bytes)
        guard length > limit - max(limit / 5, 1), !room.editor.isCommand else { return nil }
        let most = bodyLimit.isCertain ? "\(limit)" : "\(limit), as nodes mostly take"
        return length > limit
            ? "\(length - limit) bytes over \(most)" : "\(limit - length) bytes left of \(most)"
    }

    private func padded(_ row: Row, _ style: Style) -> Row {
        var row = row
        row.pad(to: columns, style)
        return row
    }

    // MARK: Panes

    private func drawRooms(_ layout: ScreenLayout, _ grid: inout Grid) {
        let height = layout.body.count
        let first = max(0, min(current - height / 2, rooms.count - height))
        for (offset, index) in (first..<min(rooms.count, first + height)).enumerated() {
            let room = rooms[index]
            var count = ""
            if room.unread > 0 { count = room.unread > 999 ? "999+" : "\(room.unread)" }
            if room.mentions > 0 { count = "@" + count }
            var style = index == current ? Style.reverse : room.unread > 0 ? .bold : .plain
            if room.mentions > 0 { style = Style(colour: .brightYellow, attributes: .bold) }
            if !room.isLive { style.attributes.insert(.dim) }
            let number = index < 9 ? "\(index + 1)" : index == 9 ? "0" : " "
            var row = Row(room.isLive ? "\(number) " : "\(number)!", style)
            let name = Row(room.name, style).cut(to: layout.roomsWidth - 3 - count.count, mark: glyphs.more)
            for piece in name.pieces { row.append(piece) }
            row.pad(to: layout.roomsWidth - count.count, style)
            row.append(count, style)
            grid.draw(row, column: 0, row: layout.body.lowerBound + offset)
        }
        drawLine(layout.roomsWidth, layout, &grid)
    }

    func drawLine(_ column: Int, _ layout: ScreenLayout, _ grid: inout Grid) {
        for row in layout.body { grid.draw(Row(String(glyphs.vertical), .dim), column: column, row: row) }
    }
}

extension Grid {
    /// The same for a terminal that has no colours, or nothing but ASCII: there every other cluster is a `?` in each of
    /// its columns.
    func plain(ascii: Bool, colours: Bool) -> Grid {
        var grid = self
        grid.replaceCells { cell in
            var cell = cell
            if !colours { cell.style = cell.style.withoutColour }
            if ascii {
                if !cell.cluster.isASCII || cell.width != 1 { cell.cluster = "?" }
                cell.width = 1
            }
            return cell
        }
        return grid
    }
}
