extension ChatScreen {
    /// - Parameter now: wall time, in milliseconds since 1970.
    mutating func handle(_ key: Key, at now: Int64, into effects: inout [ScreenEffect]) {
        self.now = now
        guard rooms.indices.contains(current) else {
            if key == .control("c") || key == .control("d") { effects.append(.quit) }
            return
        }
        if search != nil, handleSearch(key) { return }
        switch key {
        case .named(.tab, _): return complete(by: 1)
        case .named(.backTab, _): return complete(by: -1)
        default: completion = nil
        }
        switch key {
        case .named(.enter, []): enter(&effects)
        case .named(.escape, _): scrollToEnd()
        case .named(.pageUp, .alt) where layout.hasMembers: scrollMembers(by: membersPage)
        case .named(.pageDown, .alt) where layout.hasMembers: scrollMembers(by: -membersPage)
        case .wheel(let up, let column, let row) where isMembers(column: column, row: row):
            scrollMembers(by: up ? 3 : -3)
        case .named(.pageUp, _), .alt("v"): scroll(by: max(messageRows - 1, 1), &effects)
        case .named(.pageDown, _), .control("v"): scroll(by: -max(messageRows - 1, 1), &effects)
        case .wheel(let up, _, _): scroll(by: up ? 3 : -3, &effects)
        case .alt("j"): jumpToUnread(&effects)

        case .named(.up, .alt), .named(.function(5), _): show((current + rooms.count - 1) % rooms.count, &effects)
        case .named(.down, .alt), .named(.function(6), _): show((current + 1) % rooms.count, &effects)
        case .alt("a"): showUnread(&effects)
        case .alt(let digit) where digit.isASCII && digit.isWholeNumber:
            show(((digit.wholeNumberValue ?? 0) + 9) % 10, &effects)

        case .named(.function(2), _): showsRooms.toggle()
        case .named(.function(4), _), .alt("m"): toggleMembers(&effects)
        case .alt("z"), .named(.function(8), _): isBare.toggle()
        case .named(.function(1), _): help()

        case .control("l"): effects.append(.redraw)
        case .control("z"): effects.append(.suspend)
        case .control("r"): search = ("", history.entries.count, rooms[current].editor.string)
        case .control("c"):
            if rooms[current].editor.isEmpty {
                note("/quit or Ctrl-D leaves")
            } else {
                rooms[current].editor.replace(with: "")
            }
        case .control("d") where rooms[current].editor.isEmpty: quit(&effects)

        case .named(.up, []):
            if rooms[current].editor.moveLine(up: true) == .ignored { recall { $0.older(than: $1) } }
        case .named(.down, []):
            if rooms[current].editor.moveLine(up: false) == .ignored { recall { history, _ in history.newer() } }
        case .control("p"): recall { $0.older(than: $1) }
        case .control("n"): recall { history, _ in history.newer() }
        case .alt("<"): recall { $0.oldest(than: $1) }
        case .alt(">"): recall { history, _ in history.newest() }
        case .pasteTooLong:
            note("that was too much to paste at once: at most \(LineEditor.limit / 1_024) KiB", isError: true)
        default:
            if rooms[current].editor.handle(key, kills: &kills) == .refused {
                if case .paste(let pasted) = key {
                    note("that was too much to paste: \(pasted.utf8.count) bytes", isError: true)
                } else {
                    ring(&effects)
                }
            }
        }
    }

    private mutating func recall(_ step: (inout InputHistory, String) -> String?) {
        if let entry = step(&history, rooms[current].editor.string) { rooms[current].editor.replace(with: entry) }
    }

    // MARK: Entering

    private mutating func enter(_ effects: inout [ScreenEffect]) {
        let entered = rooms[current].editor.string
        let command = EnteredCommand(entered)
        if case .message = command, rooms[current].unsent.count >= Self.unsentLimit {
            // It stays in the draft.
            return note("\(Self.unsentLimit) messages wait to be sent: nothing more is taken", isError: true)
        }
        _ = rooms[current].editor.take()
        history.add(entered)
        run(command, &effects)
    }

    private mutating func run(_ command: EnteredCommand, _ effects: inout [ScreenEffect]) {
        let name = rooms[current].name
        switch command {
        case .nothing: scrollToEnd()
        case .message(let body): send(body, &effects)
        case .join(let room): open(room, into: &effects)
        case .leave: leaveRoom(&effects)
        case .rooms:
            wantsRoomList = true
            effects.append(.rooms)
        case .users:
            let shown = rooms[current].members.map { $0.name == $0.userID ? $0.name : "\($0.name) (\($0.userID))" }
            note("users in \(name) (\(rooms[current].memberCount)): \(shown.joined(separator: ", "))")
            effects.append(.members(room: name))
        case .history(let count): askOlder(limit: min(count ?? 100, 1_000), &effects)
        case .documents: effects.append(.documents(room: name))
        case .document(let request): effects.append(.document(room: name, request))
        case .status: status()
        case .help: help()
        case .quit: quit(&effects)
        case .mistake(let what): note(what, isError: true)
        }
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
    }

    private mutating func help() {
        for (name, arguments, meaning) in EnteredCommand.list {
            note("/\(name)\(arguments.isEmpty ? "" : " ")\(arguments): \(meaning)")
        }
        for line in Self.keyHelp { note(line) }
    }

    private static let keyHelp = [
        "//text: a message that begins with a slash. Alt-Enter: a new line in the message",
        "PgUp, PgDn, wheel: older and newer; Esc: the newest; Alt-J: to the first unread",
        "Alt-Up, Alt-Down, Alt-1 to Alt-0: other rooms; Alt-A: the next with something unread",
        "F2: rooms, F4 or Alt-M: members, which Alt-PgUp, Alt-PgDn and the wheel scroll; Alt-Z: messages alone",
        "Tab completes; Ctrl-R finds what was typed",
    ]

    // MARK: Finding what was typed

    /// As readline's reverse-search-history; false for a key that ends it and is handled as ever.
    private mutating func handleSearch(_ key: Key) -> Bool {
        guard var search else { return false }
        switch key {
        case .text(let typed): search.text += typed
        case .named(.backspace, _): if !search.text.isEmpty { search.text.removeLast() }
        case .control("r"):
            if let found = history.find(search.text, before: search.place) {
                search.place = found.place
                rooms[current].editor.replace(with: found.entry)
            }
            self.search = search
            return true
        case .control("g"), .control("c"), .named(.escape, _):
            rooms[current].editor.replace(with: search.before)
            self.search = nil
            return true
        default:
            self.search = nil
            return false
        }
        search.place = history.entries.count
        if !search.text.isEmpty, let found = history.find(search.text, before: search.place) {
            search.place = found.place
            rooms[current].editor.replace(with: found.entry)
        }
        self.search = search
        return true
    }

    // MARK: Completing

    private mutating func complete(by direction: Int) {
        if completion != nil {
            completion?.step(by: direction, in: &rooms[current].editor)
            return
        }
        guard direction > 0 else { return }
        let editor = rooms[current].editor
        let before = editor.text[..<editor.cursor]
        let start = before.lastIndex(where: \.isWhitespace).map { $0 + 1 } ?? 0
        guard let candidates = candidates(String(before[..<start]), String(before[start...])) else { return }
        completion = Completion(candidates, in: &rooms[current].editor, word: start..<editor.cursor)
    }

    /// What may stand behind `before`.
    private func candidates(_ before: String, _ word: String) -> Completion.Candidates? {
        let room = rooms[current]
        if before.isEmpty, word.hasPrefix("/") {
            return .init(words: EnteredCommand.list.map { "/\($0.name)" }, suffix: " ")
        }
        let words = before.split(whereSeparator: \.isWhitespace)
        switch words.first {
        case "/join" where words.count == 1:
            let names = Set(knownRooms).union(rooms.map(\.name)).subtracting([room.name])
            return .init(words: names.sorted(), suffix: "")
        case "/doc" where words.count == 1: return .init(words: room.documents.sorted(), suffix: " ")
        case "/doc" where words.count == 2: return .init(words: ["add", "clear", "remove", "set"], suffix: " ")
        default:
            guard !word.isEmpty else { return nil }
            let at = word.hasPrefix("@") ? "@" : ""
            // Who spoke last is meant most often.
            var names = room.speakers
            var known = Set(names)
            for member in room.members where member.userID != userID && known.insert(member.name).inserted {
                names.append(member.name)
            }
            return .init(words: names.map { at + $0 }, suffix: before.isEmpty && at.isEmpty ? ": " : " ")
        }
    }

    private mutating func toggleMembers(_ effects: inout [ScreenEffect]) {
        showsMembers = !layout.hasMembers
        if let room { effects.append(.members(room: room.name)) }
    }
}
