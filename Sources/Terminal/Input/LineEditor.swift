/// A text of one or more lines that is being typed, edited as in GNU readline's emacs mode.
///
/// The unit is the grapheme cluster, so the cursor never stands inside a letter with its accent. Bounds: `limit` bytes of
/// text; `undoLimit` steps back, fewer of a long text. The kill ring and the history belong to the whole program and are handed in.
struct LineEditor: Hashable, Sendable {
    static let limit = 64 << 10
    static let undoLimit = 100
    private static let undoCharacters = 4 * limit

    private(set) var text: [Character] = []
    private(set) var cursor = 0
    private(set) var byteCount = 0
    private var undo: [(text: [Character], cursor: Int)] = []
    /// Where the last yank stands, for putting an older piece in its place.
    private var yanked: Range<Int>?
    /// The last key inserted a character: a run of them is one step of undo.
    private var isTyping = false

    init(_ text: String = "") {
        self.text = Array(text)
        cursor = self.text.count
        byteCount = text.utf8.count
    }

    var string: String { String(text) }
    var isEmpty: Bool { text.isEmpty }
    /// It would be one if it were entered.
    var isCommand: Bool { text.first == "/" && text.dropFirst().first != "/" }

    static func == (a: LineEditor, b: LineEditor) -> Bool { a.text == b.text && a.cursor == b.cursor }
    func hash(into hasher: inout Hasher) {
        hasher.combine(text)
        hasher.combine(cursor)
    }

    /// What a key has come to.
    enum Outcome: Hashable, Sendable {
        /// Not an editing key.
        case ignored
        case edited
        /// It can't be: the text is full, or there is nothing to do. Worth a bell.
        case refused
    }

    mutating func handle(_ key: Key, kills: inout KillRing) -> Outcome {
        let outcome = apply(key, &kills)
        switch key {
        case .control("k"), .control("u"), .control("w"), .alt("d"), .alt("D"), .named(.backspace, .alt),
            .alt("\u{7F}"),
            .named(.delete, .alt), .named(.delete, .control):
            break
        default: kills.close()
        }
        if outcome == .edited {
            switch key {
            case .text: isTyping = true
            default: isTyping = false
            }
            switch key {
            case .control("y"), .alt("y"), .alt("Y"): break
            default: yanked = nil
            }
        }
        return outcome
    }

    private mutating func apply(_ key: Key, _ kills: inout KillRing) -> Outcome {
        switch key {
        case .text(let typed): return insert(typed)
        case .paste(let pasted): return insert(pasted)
        case .named(.enter, .alt), .named(.enter, .shift), .named(.enter, .control): return insert("\n")

        case .named(.left, []), .control("b"): return move(to: cursor - 1)
        case .named(.right, []), .control("f"): return move(to: cursor + 1)
        case .named(.left, _), .alt("b"), .alt("B"): return move(to: wordStart(before: cursor))
        case .named(.right, _), .alt("f"), .alt("F"): return move(to: wordEnd(after: cursor))
        case .named(.home, _), .control("a"): return move(to: lineStart)
        case .named(.end, _), .control("e"): return move(to: lineEnd)

        case .named(.backspace, []), .named(.backspace, .shift), .control("h"): return remove(cursor - 1..<cursor)
        case .named(.delete, []), .named(.delete, .shift): return remove(cursor..<cursor + 1)
        case .control("d"): return text.isEmpty ? .ignored : remove(cursor..<cursor + 1)

        case .control("k"):
            // At a line's end the newline goes, as in emacs.
            return kill(cursor..<(cursor == lineEnd ? min(cursor + 1, text.count) : lineEnd), before: false, &kills)
        case .control("u"):
            return kill((cursor == lineStart ? max(cursor - 1, 0) : lineStart)..<cursor, before: true, &kills)
        case .control("w"): return kill(blankWordStart..<cursor, before: true, &kills)
        case .named(.backspace, _), .alt("\u{7F}"):
            return kill(wordStart(before: cursor)..<cursor, before: true, &kills)
        case .alt("d"), .alt("D"), .named(.delete, _):
            return kill(cursor..<wordEnd(after: cursor), before: false, &kills)

        case .control("y"):
            guard let piece = kills.yank() else { return .refused }
            return put(piece, at: cursor..<cursor)
        case .alt("y"), .alt("Y"):
            guard let yanked, let piece = kills.next() else { return .refused }
            return put(piece, at: yanked)

        case .control("t"): return transpose()
        case .alt("u"): return changeWord { String($0).uppercased() }
        case .alt("l"): return changeWord { String($0).lowercased() }
        case .alt("c"): return changeWord(Self.capitalized)
        case .control("_"), .control("/"): return takeBack()
        default: return .ignored
        }
    }

    // MARK: Lines

    /// Where the line with the cursor begins.
    private var lineStart: Int { text[..<cursor].lastIndex(of: "\n").map { $0 + 1 } ?? 0 }
    private var lineEnd: Int { text[cursor...].firstIndex(of: "\n") ?? text.count }

    /// To the same place one line up or down; ignored on the first or last line.
    mutating func moveLine(up: Bool) -> Outcome {
        let place = cursor - lineStart
        if up {
            guard lineStart > 0 else { return .ignored }
            let end = lineStart - 1
            let start = text[..<end].lastIndex(of: "\n").map { $0 + 1 } ?? 0
            cursor = min(start + place, end)
        } else {
            guard lineEnd < text.count else { return .ignored }
            let start = lineEnd + 1
            cursor = min(start + place, text[start...].firstIndex(of: "\n") ?? text.count)
        }
        isTyping = false
        return .edited
    }

    // MARK: Changing

    /// Puts another text in place of this one, the cursor at its end.
    mutating func replace(with text: String) {
        remember()
        self.text = Array(text)
        cursor = self.text.count
        byteCount = text.utf8.count
        isTyping = false
        yanked = nil
    }

    /// Puts `replacement` in place of a part.
    mutating func replace(_ range: Range<Int>, with replacement: String) -> Outcome {
        put(Array(replacement), at: range.clamped(to: 0..<text.count))
    }

    /// Gives the text away and begins anew.
    mutating func take() -> String {
        defer { self = LineEditor() }
        return string
    }

    private mutating func insert(_ typed: String) -> Outcome {
        var safe = String.UnicodeScalarView()
        for scalar in typed.unicodeScalars where scalar == "\n" || scalar == "\t" || !Self.isControl(scalar) {
            safe.append(scalar)
        }
        let piece = String(safe)
        guard !piece.isEmpty else { return .refused }
        guard byteCount + piece.utf8.count <= Self.limit else { return .refused }
        if !isTyping { remember() }
        splice(cursor..<cursor, Array(piece))
        return .edited
    }

    private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value)
    }

    private mutating func put(_ piece: [Character], at range: Range<Int>) -> Outcome {
        let removed = text[range].reduce(0) { $0 + $1.utf8.count }
        let added = piece.reduce(0) { $0 + $1.utf8.count }
        guard byteCount - removed + added <= Self.limit else { return .refused }
        remember()
        splice(range, piece)
        yanked = min(range.lowerBound, cursor)..<cursor
        return .edited
    }

    /// Puts `piece` in place of a part, the cursor behind it. A mark may join the letter before it, and that what follows.
    private mutating func splice(_ range: Range<Int>, _ piece: [Character]) {
        byteCount -= text[range].reduce(0) { $0 + $1.utf8.count }
        byteCount += piece.reduce(0) { $0 + $1.utf8.count }
        let start = max(range.lowerBound - 1, 0)
        let end = min(range.upperBound + 1, text.count)
        let before = String(text[start..<range.lowerBound] + piece)
        let joined = Array(before + String(text[range.upperBound..<end]))
        text.replaceSubrange(start..<end, with: joined)
        cursor = start + min(Array(before).count, joined.count)
    }

    private mutating func remove(_ range: Range<Int>) -> Outcome {
        guard range.lowerBound >= 0, range.upperBound <= text.count, !range.isEmpty else { return .refused }
        return put([], at: range)
    }

    private mutating func kill(_ range: Range<Int>, before: Bool, _ kills: inout KillRing) -> Outcome {
        guard !range.isEmpty else { return .refused }
        kills.kill(Array(text[range]), before: before)
        return put([], at: range)
    }

    private mutating func transpose() -> Outcome {
        let at = min(cursor, text.count - 1)
        guard at > 0, text.count > 1 else { return .refused }
        let pair = [text[at], text[at - 1]]
        return put(pair, at: at - 1..<at + 1)
    }

    private static func capitalized(_ letters: ArraySlice<Character>) -> String {
        guard let first = letters.firstIndex(where: isWord) else { return String(letters) }
        return String(letters[..<first]) + letters[first].uppercased() + String(letters[(first + 1)...]).lowercased()
    }

    private mutating func changeWord(_ change: (ArraySlice<Character>) -> String) -> Outcome {
        let end = wordEnd(after: cursor)
        guard end > cursor else { return .refused }
        return put(Array(change(text[cursor..<end])), at: cursor..<end)
    }

    // MARK: Words

    private static func isWord(_ character: Character) -> Bool { character.isLetter || character.isNumber }

    private func wordStart(before place: Int) -> Int {
        var at = place
        while at > 0, !Self.isWord(text[at - 1]) { at -= 1 }
        while at > 0, Self.isWord(text[at - 1]) { at -= 1 }
        return at
    }

    private func wordEnd(after place: Int) -> Int {
        var at = place
        while at < text.count, !Self.isWord(text[at]) { at += 1 }
        while at < text.count, Self.isWord(text[at]) { at += 1 }
        return at
    }

    /// Back over blanks and then to the next blank: the word of Ctrl-W.
    private var blankWordStart: Int {
        var at = cursor
        while at > 0, text[at - 1].isWhitespace { at -= 1 }
        while at > 0, !text[at - 1].isWhitespace { at -= 1 }
        return at
    }

    private mutating func move(to place: Int) -> Outcome {
        let place = min(max(place, 0), text.count)
        guard place != cursor else { return .edited }
        cursor = place
        return .edited
    }

    // MARK: Undo

    private mutating func remember() {
        undo.append((text, cursor))
        var kept = undo.reduce(0) { $0 + $1.text.count }
        while undo.count > Self.undoLimit || kept > Self.undoCharacters, undo.count > 1 {
            kept -= undo.removeFirst().text.count
        }
    }

    private mutating func takeBack() -> Outcome {
        guard let last = undo.popLast() else { return .refused }
        text = last.text
        cursor = last.cursor
        byteCount = text.reduce(0) { $0 + $1.utf8.count }
        return .edited
    }
}
