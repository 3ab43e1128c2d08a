/// Older messages: the page above what is shown where a person scrolls up, or as many pages as were asked for.
///
/// Bounds: `EnteredCommand.historyLimit` at once, one page on its way a room, and what a conversation keeps.
extension ChatScreen {
    private static let pageLimit = 1_000

    /// One page, where it is not known that there is none.
    mutating func askOlder(limit: Int, _ effects: inout [ScreenEffect]) {
        askOlder(limit: limit, in: current, &effects)
    }

    private mutating func askOlder(limit: Int, in index: Int, _ effects: inout [ScreenEffect]) {
        let room = rooms[index]
        guard room.isLive, room.older == .unknown, room.conversation.takesOlder else { return }
        rooms[index].older = .asked
        effects.append(.history(room: room.name, before: room.conversation.oldestPosition, limit: limit))
    }

    /// As many as a person has asked for.
    mutating func wantOlder(_ count: Int, _ effects: inout [ScreenEffect]) {
        guard let room else { return }
        if room.older == .whole { return note("there is nothing older: all of the room's history is here") }
        guard room.conversation.takesOlder else {
            return note("no more lines are kept here: Esc, and the oldest go again", isError: true)
        }
        rooms[current].wantedOlder = (count, 0)
        rooms[current].keepsOlder = true
        guard room.isLive else { return note("older messages are asked for when the room is connected") }
        goOnOlder(current, &effects)
    }

    /// The next page of those that are wanted.
    mutating func goOnOlder(_ index: Int, _ effects: inout [ScreenEffect]) {
        guard let wanted = rooms[index].wantedOlder else { return }
        askOlder(limit: min(wanted.rest, Self.pageLimit), in: index, &effects)
    }

    mutating func history(_ answer: HistoryAnswer, of name: String, _ effects: inout [ScreenEffect]) {
        guard let index = index(of: name) else { return }
        switch answer {
        case .unavailable(let reason):
            rooms[index].older = .unavailable
            rooms[index].wantedOlder = nil
            note("older messages can't be had: \(reason)", isError: true, in: index)
        case .interrupted: rooms[index].older = .unknown
        case .page(let entries, let isWhole):
            rooms[index].older = isWhole ? .whole : .unknown
            let own = [userID, displayName]
            let userID = self.userID
            rooms[index].conversation.prepend(entries) {
                $0.userID != userID && Mentions.contains(anyOf: own, in: $0.body)
            }
            for entry in entries {
                if case .message(let message) = entry, message.userID != userID, rooms[index].speakers.count < 200,
                    !rooms[index].speakers.contains(message.name)
                {
                    rooms[index].speakers.append(message.name)
                }
            }
            guard let wanted = rooms[index].wantedOlder else { return }
            let came = wanted.came + entries.count
            let rest = wanted.rest - entries.count
            if rest > 0, !isWhole, !entries.isEmpty, rooms[index].conversation.takesOlder {
                rooms[index].wantedOlder = (rest, came)
                goOnOlder(index, &effects)
            } else {
                rooms[index].wantedOlder = nil
                tellOlder(came, rest, isWhole: isWhole || entries.isEmpty, in: index)
            }
        }
    }

    private mutating func tellOlder(_ came: Int, _ rest: Int, isWhole: Bool, in index: Int) {
        var words =
            came == 0 ? "there is nothing older" : "\(came) older \(came == 1 ? "entry is" : "entries are") above: PgUp"
        if came > 0, isWhole { words += "; that is all of the room's history" }
        if rest > 0, !isWhole { words += "; more lines are not kept here" }
        note(words, in: index)
    }
}
