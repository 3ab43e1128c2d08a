/// What becomes of what was entered. A message that is too long for the nodes stays in the draft, and is sent in several
/// when it is entered once more.
extension ChatScreen {
    mutating func enter(_ effects: inout [ScreenEffect]) {
        help = nil
        let entered = rooms[current].editor.string
        let command = EnteredCommand(entered)
        if case .message(let body) = command {
            if splitOffered == entered { return sendInPieces(body, entered, &effects) }
            guard rooms[current].unsent.count < Self.unsentLimit else {
                return tell("\(Self.unsentLimit) messages wait to be sent: nothing more is taken")
            }
            if bodyLimit.isCertain, body.utf8.count > bodyLimit.bytes { return offerSplit(entered, body) }
        }
        splitOffered = nil
        _ = rooms[current].editor.take()
        history.add(entered)
        run(command, &effects)
    }

    /// The draft stays as it is, and Enter has another meaning until it is changed.
    private mutating func offerSplit(_ entered: String, _ body: String) {
        let count = BodyPieces.of(body, limit: bodyLimit.bytes).count
        splitOffered = entered
        tell("\(body.utf8.count) bytes, and \(bodyLimit.bytes) fit: Enter again sends it as \(count) messages")
    }

    private mutating func sendInPieces(_ body: String, _ entered: String, _ effects: inout [ScreenEffect]) {
        let pieces = BodyPieces.of(body, limit: bodyLimit.bytes)
        guard rooms[current].unsent.count + pieces.count <= Self.unsentLimit else {
            return tell("that would be \(pieces.count) messages: at most \(Self.unsentLimit) may wait to be sent")
        }
        splitOffered = nil
        _ = rooms[current].editor.take()
        history.add(entered)
        for piece in pieces { send(piece, &effects) }
    }

    /// A node does not take a message. Where nothing is being typed for its room, it is there to be mended or split.
    mutating func refused(_ unsent: RoomState.Unsent, _ reason: String, in index: Int) {
        add(.refused(unsent.body, reason: reason), at: unsent.milliseconds, to: index)
        let isTooLong = reason == "message too large" || reason == "message too big"
        if isTooLong { bodyLimit.refused(unsent.body.utf8.count) }
        guard index == current else { return }
        guard isTooLong, rooms[index].editor.isEmpty else {
            return tell("not taken: \(reason); Up brings the text back")
        }
        let draft = unsent.body.hasPrefix("/") ? "/" + unsent.body : unsent.body
        rooms[index].editor.replace(with: draft)
        offerSplit(draft, unsent.body)
    }

    private mutating func run(_ command: EnteredCommand, _ effects: inout [ScreenEffect]) {
        let name = rooms[current].name
        switch command {
        case .nothing: scrollToEnd()
        case .message(let body): send(body, &effects)
        case .join(let room): open(room, into: &effects)
        case .leave: leaveRoom(&effects)
        case .reconnect: reconnect(&effects)
        case .rooms:
            wantsRoomList = true
            effects.append(.rooms)
        case .users:
            let shown = rooms[current].members.map { $0.name == $0.userID ? $0.name : "\($0.name) (\($0.userID))" }
            note("users in \(name) (\(rooms[current].memberCount)): \(shown.joined(separator: ", "))")
            effects.append(.members(room: name))
        case .history(let count): wantOlder(count ?? 100, &effects)
        case .documents: effects.append(.documents(room: name))
        case .document(let request): effects.append(.document(room: name, request))
        case .status: status()
        case .help: help = HelpPane()
        case .quit: quit(&effects)
        case .mistake(let what): mistaken(what)
        }
    }

    /// Where messages go on coming, a line among them would be gone before it is read: it is said below them, too.
    private mutating func mistaken(_ what: String) {
        note(what, isError: true)
        tell(what)
    }

    /// All rooms that have no connection; where all have one, this room's is made anew.
    private mutating func reconnect(_ effects: inout [ScreenEffect]) {
        let away = rooms.filter { !$0.isLive }.map(\.name)
        for name in away.isEmpty ? [rooms[current].name] : away { effects.append(.reconnect(name)) }
    }

    private mutating func status() {
        for room in rooms {
            var words = "\(room.name): \(connectionWords(room, at: now))"
            if let latency = room.latency { words += ", \(latency) ms" }
            let waiting = room.unsent.count
            if waiting > 0 { words += ", \(waiting) unsent" }
            note("\(words), \(room.conversation.items.count) lines")
        }
        note("you are \(displayName.isEmpty ? userID : "\(displayName) (\(userID))")")
        note(
            "a message may have \(bodyLimit.bytes) bytes\(bodyLimit.isCertain ? "" : ", unless the node is set otherwise")"
        )
    }
}
