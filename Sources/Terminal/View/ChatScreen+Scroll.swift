/// Moving through what was said. The view hangs on its lower edge, so what comes below does not move it; what is laid out
/// is only what is near it, whatever a room holds.
extension ChatScreen {
    var layout: ScreenLayout {
        let wanted = room.map { InputRows($0.editor, prompt: prompt, width: columns).rows.count } ?? 1
        return ScreenLayout(
            columns: columns, rows: rows, rooms: showsRooms, members: showsMembers, isBare: isBare, inputRows: wanted)
    }

    var glyphs: Glyphs { settings.isASCII ? .ascii : .unicode }

    /// Rows of the message pane.
    var messageRows: Int { layout.body.count }

    func lines(_ layout: ScreenLayout) -> MessageRows {
        MessageRows(
            width: layout.messageWidth, clock: clock, glyphs: glyphs,
            names: displayName.isEmpty || displayName == userID ? [userID] : [userID, displayName], userID: userID,
            hasLinks: settings.hasLinks, isBare: isBare)
    }

    /// The rows of an item, or of an unsent message: these stand behind the items.
    func rows(of serial: Int, in room: RoomState, _ lines: MessageRows) -> [Row] {
        let end = room.conversation.endSerial
        if serial >= end {
            return room.unsent.indices.contains(serial - end) ? lines.rows(room.unsent[serial - end]) : []
        }
        guard let item = room.conversation.item(serial) else { return [] }
        return lines.rows(
            item, after: room.conversation.item(serial - 1), isUnread: room.unreadSerial == serial)
    }

    private static func last(_ room: RoomState) -> Int { room.conversation.endSerial + room.unsent.count - 1 }

    /// What the message pane shows, the last row at its lower edge.
    func visibleRows(_ room: RoomState, _ layout: ScreenLayout) -> [Row] {
        let lines = lines(layout)
        let height = layout.body.count
        var serial = min(room.anchor?.serial ?? .max, Self.last(room))
        var hidden = room.anchor?.hidden ?? 0
        var upwards: [Row] = []
        while upwards.count < height, serial >= room.conversation.firstSerial {
            upwards += rows(of: serial, in: room, lines).dropLast(hidden).reversed()
            hidden = 0
            serial -= 1
        }
        return upwards.prefix(height).reversed()
    }

    /// How many messages are below what is shown.
    func below(_ room: RoomState) -> Int { room.anchor.map { max(Self.last(room) - $0.serial, 0) } ?? 0 }

    mutating func scrollToEnd() {
        guard rooms.indices.contains(current) else { return }
        rooms[current].anchor = nil
        rooms[current].keepsOlder = false
        markRead()
        trim(current)
    }

    /// Up by rows, or down where negative. Near the top it asks for what is older.
    mutating func scroll(by count: Int, _ effects: inout [ScreenEffect]) {
        guard let room else { return }
        let layout = layout
        let (anchor, above) = moved(room, by: count, layout)
        rooms[current].anchor = anchor
        if anchor == nil { markRead() }
        if count > 0, above < layout.body.count { askOlder(limit: 100, &effects) }
    }

    /// After the screen has another size.
    mutating func clampAnchor() {
        let layout = layout
        for index in rooms.indices where rooms[index].anchor != nil {
            rooms[index].anchor = moved(rooms[index], by: 0, layout).anchor
        }
    }

    /// - Returns: where the lower edge is then, and how many rows there are above the upper edge, up to one screen.
    private func moved(
        _ room: RoomState, by count: Int, _ layout: ScreenLayout
    ) -> (anchor: RoomState.Anchor?, above: Int) {
        let lines = lines(layout)
        let height = layout.body.count
        let first = room.conversation.firstSerial
        let last = Self.last(room)
        guard last >= first else { return (nil, 0) }
        var serial = min(max(room.anchor?.serial ?? last, first), last)
        var hidden = room.anchor?.hidden ?? 0
        hidden = min(hidden, max(rows(of: serial, in: room, lines).count - 1, 0)) + count
        while hidden < 0, serial < last {
            serial += 1
            hidden += rows(of: serial, in: room, lines).count
        }
        while serial > first {
            let size = rows(of: serial, in: room, lines).count
            guard hidden >= size else { break }
            hidden -= size
            serial -= 1
        }
        // Not beyond the top: the oldest row is at the upper edge at most.
        var above = rows(of: serial, in: room, lines).count - hidden
        var next = serial
        while above < 2 * height, next > first {
            next -= 1
            above += rows(of: next, in: room, lines).count
        }
        if above < height {
            hidden -= height - above
            while hidden < 0, serial < last {
                serial += 1
                hidden += rows(of: serial, in: room, lines).count
            }
        }
        let isAtEnd = serial >= last && hidden <= 0
        return (isAtEnd ? nil : .init(serial: serial, hidden: hidden), max(above - height, 0))
    }

    /// The line before the first unread message at the upper edge.
    mutating func jumpToUnread(_ effects: inout [ScreenEffect]) {
        guard let room, let unread = room.unreadSerial, room.conversation.item(unread) != nil else {
            return ring(&effects)
        }
        let layout = layout
        let lines = lines(layout)
        var rest = layout.body.count
        for serial in unread...max(unread, Self.last(room)) {
            let size = rows(of: serial, in: room, lines).count
            if size >= rest {
                rooms[current].anchor = .init(serial: serial, hidden: size - rest)
                return
            }
            rest -= size
        }
        // All of it fits.
        scrollToEnd()
    }
}
