/// The pane of who is in the room. Where not all fit, its last row says which are shown; it scrolls by itself, whatever the
/// messages do.
extension ChatScreen {
    func drawMembers(_ room: RoomState, _ layout: ScreenLayout, _ grid: inout Grid) {
        let shown = shownMembers(room, layout)
        for (offset, member) in room.members[shown].enumerated() {
            let style = Style(
                colour: NickColour.of(member.userID), attributes: member.userID == userID ? .bold : [])
            var row = Row(member.name, style).cut(to: layout.membersWidth, mark: glyphs.more)
            if member.sessions > 1, row.width + 3 < layout.membersWidth { row.append(" x\(member.sessions)", .dim) }
            grid.draw(row, column: layout.membersColumn, row: layout.body.lowerBound + offset)
        }
        if room.memberCount > layout.body.count, !layout.body.isEmpty {
            let words =
                shown.lowerBound == 0
                ? "and \(room.memberCount - shown.count) more"
                : "\(shown.lowerBound + 1)-\(shown.upperBound) of \(room.memberCount)"
            grid.draw(
                Row(words, .dim), column: layout.membersColumn, row: layout.body.upperBound - 1,
                limit: layout.membersWidth)
        }
        drawLine(layout.membersColumn - 1, layout, &grid)
    }

    /// Which of the members that are known are on the screen.
    private func shownMembers(_ room: RoomState, _ layout: ScreenLayout) -> Range<Int> {
        let rows = memberRows(room, layout)
        let first = min(room.membersAbove, max(room.members.count - rows, 0))
        return first..<min(first + rows, room.members.count)
    }

    /// How many fit beside the row that says which they are.
    private func memberRows(_ room: RoomState, _ layout: ScreenLayout) -> Int {
        let height = layout.body.count
        return room.memberCount > height ? max(height - 1, 0) : height
    }

    /// Up by rows, or down where negative.
    mutating func scrollMembers(by count: Int) {
        guard let room else { return }
        let greatest = max(room.members.count - memberRows(room, layout), 0)
        rooms[current].membersAbove = max(min(room.membersAbove, greatest) - count, 0)
        rooms[current].membersAbove = min(rooms[current].membersAbove, greatest)
    }

    /// Whether a place on the screen is in the pane.
    func isMembers(column: Int, row: Int) -> Bool {
        let layout = layout
        return layout.hasMembers && column >= layout.membersColumn - 1 && layout.body.contains(row)
    }

    /// A screen of members, but for one row.
    var membersPage: Int { room.map { max(memberRows($0, layout) - 1, 1) } ?? 1 }
}
