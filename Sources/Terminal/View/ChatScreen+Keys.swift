extension ChatScreen {
    /// - Parameter now: wall time, in milliseconds since 1970.
    mutating func handle(_ key: Key, at now: Int64, into effects: inout [ScreenEffect]) {
        self.now = now
        tell(nil)
        if help != nil, handleHelp(key) { return }
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
        case .named(.function(1), _): help = HelpPane()

        case .control("l"): effects.append(.redraw)
        case .control("z"): effects.append(.suspend)
        case .control("r"): search = ("", history.entries.count, rooms[current].editor.string)
        case .control("c"):
            if rooms[current].editor.isEmpty {
                tell("/quit or Ctrl-D leaves")
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
            refuse("that was too much to paste at once: at most \(LineEditor.limit / 1_024) KiB", &effects)
        default:
            if rooms[current].editor.handle(key, kills: &kills) == .refused {
                if case .paste(let pasted) = key {
                    let room = LineEditor.limit - rooms[current].editor.byteCount
                    refuse(
                        "that was too much to paste: \(pasted.utf8.count) bytes, and there is room for \(room)",
                        &effects)
                } else {
                    ring(&effects)
                }
            }
        }
    }

    private mutating func recall(_ step: (inout InputHistory, String) -> String?) {
        if let entry = step(&history, rooms[current].editor.string) { rooms[current].editor.replace(with: entry) }
    }

    /// Nothing was taken: says so where a person looks.
    private mutating func refuse(_ reason: String, _ effects: inout [ScreenEffect]) {
        tell(reason)
        ring(&effects)
    }

    // MARK: Help

    /// What it does with a key; false for one that is handled as ever.
    private mutating func handleHelp(_ key: Key) -> Bool {
        let (width, height) = (layout.messageWidth, messageRows)
        switch key {
        case .named(.function(1), _), .named(.escape, _): help = nil
        case .named(.pageDown, []), .control("v"): help?.scroll(by: max(height - 1, 1), width: width, height: height)
        case .named(.pageUp, []), .alt("v"): help?.scroll(by: -max(height - 1, 1), width: width, height: height)
        case .wheel(let up, _, _): help?.scroll(by: up ? -3 : 3, width: width, height: height)
        default: return false
        }
        return true
    }

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
        case "/doc" where words.count == 2:
            return .init(words: ["add", "clear", "drop", "put", "remove", "set"], suffix: " ")
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
