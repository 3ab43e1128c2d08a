/// Which part of the screen is what. Parts that a small screen has no room for are left out, the input last.
struct ScreenLayout: Hashable, Sendable {
    let columns: Int
    let rows: Int
    /// Columns of the panes beside the messages, without the line between; 0 where there is none.
    private(set) var roomsWidth = 0
    private(set) var membersWidth = 0
    let hasTitle: Bool
    let hasStatus: Bool
    let inputRows: Int

    var hasMembers: Bool { membersWidth > 0 }

    /// - Parameter members: whether a person wants to see them; nil: where it is wide enough.
    init(columns: Int, rows: Int, rooms: Bool, members: Bool?, isBare: Bool, inputRows wanted: Int) {
        self.columns = columns
        self.rows = rows
        hasStatus = rows >= 3
        hasTitle = rows >= 6 && !isBare
        inputRows = max(1, min(wanted, rows / 3, 8))
        guard !isBare, rows >= 6 else { return }
        if rooms, columns >= 60 { roomsWidth = columns >= 120 ? 20 : 14 }
        if members ?? (columns >= 110), columns >= 50 { membersWidth = columns >= 120 ? 20 : 14 }
    }

    /// The panes between title and status.
    var body: Range<Int> {
        let start = hasTitle ? 1 : 0
        return start..<max(start, rows - inputRows - (hasStatus ? 1 : 0))
    }

    var statusRow: Int { rows - inputRows - 1 }
    var inputRow: Int { rows - inputRows }
    var messageColumn: Int { roomsWidth > 0 ? roomsWidth + 1 : 0 }
    var messageWidth: Int { max(1, columns - messageColumn - (membersWidth > 0 ? membersWidth + 1 : 0)) }
    var membersColumn: Int { columns - membersWidth }
}
