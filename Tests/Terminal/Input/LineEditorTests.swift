import ConvergeTestSupport
import Testing

@testable import ConvergeTerminal

/// An editor that is told its keys in one line: letters are typed, `^x` is Ctrl, `~x` is Alt.
private struct Typed {
    var editor = LineEditor()
    var kills = KillRing()
    var last = LineEditor.Outcome.ignored

    init(_ keys: String) { type(keys) }

    mutating func type(_ keys: String) {
        var rest = Substring(keys)
        while let next = rest.popFirst() {
            switch next {
            case "^": press(.control(rest.popFirst() ?? " "))
            case "~": press(.alt(rest.popFirst() ?? " "))
            default: press(.text(String(next)))
            }
        }
    }

    mutating func press(_ key: Key) { last = editor.handle(key, kills: &kills) }

    /// With the cursor as `|`.
    var shown: String {
        String(editor.text[..<editor.cursor]) + "|" + String(editor.text[editor.cursor...])
    }
}

@Suite("Editing a line")
struct LineEditorTests {
    @Test(
        "the keys do what they do in readline",
        arguments: [
            ("hello", "hello|"), ("hello^a", "|hello"), ("hello^b^b", "hel|lo"), ("hello^a^f", "h|ello"),
            ("one two~b", "one |two"), ("one two^a~f", "one| two"), ("one two^w", "one |"), ("one two^a~d", "| two"),
            ("one two^u", "|"), ("one two~b^u", "|two"), ("one two^a^k", "|"), ("one two~b^k^a^y", "two|one "),
            ("one two three^w^w^y", "one two three|"), ("one two^w^bx^e^w^y", "onex |"), ("ab^t", "ba|"),
            ("one^a~u", "ONE|"), ("ONE^a~l", "one|"), ("one two^a~c", "One| two"), ("abc^b^d", "ab|"), ("abc^_", "|"),
            ("abc^w^_", "abc|"), ("foo-bar~b", "foo-|bar"),
        ])
    func keys(keys: String, shown: String) {
        #expect(Typed(keys).shown == shown)
    }

    @Test("cuts that follow each other are one, and an older one is put in its place by Alt-Y")
    func killRing() {
        var typed = Typed("one two^w")
        typed.type("three^u^y")
        #expect(typed.shown == "one three|")
        typed.type("~y")
        #expect(typed.shown == "two|")
        typed.type("~y")
        #expect(typed.shown == "one three|")
        typed.type("x~y")
        #expect(typed.last == .refused)
    }

    @Test("a letter and its accent are one place for the cursor, also when they come apart")
    func clusters() {
        var typed = Typed("ae")
        typed.press(.text("\u{301}"))
        typed.type("b^b^b")
        #expect(typed.shown == "a|e\u{301}b")
        typed.press(.named(.delete))
        #expect(typed.shown == "a|b")
        var family = Typed("")
        for part in ["👩", "\u{200D}", "👧", "!"] { family.press(.text(part)) }
        #expect(family.editor.text.count == 2)
    }

    @Test("pasted lines stay lines, and the keys keep to the line they are on")
    func lines() {
        var typed = Typed("x")
        typed.press(.paste("one\ntwo\nthree"))
        #expect(typed.editor.text.count { $0 == "\n" } == 2)
        #expect(typed.editor.moveLine(up: true) == .edited)
        #expect(typed.shown == "xone\ntwo|\nthree")
        typed.type("^a")
        #expect(typed.shown == "xone\n|two\nthree")
        typed.type("^k")
        #expect(typed.shown == "xone\n|\nthree")
        typed.type("^k")
        #expect(typed.shown == "xone\n|three")
        #expect(typed.editor.moveLine(up: true) == .edited && typed.editor.moveLine(up: true) == .ignored)
    }

    @Test("control characters are not taken, and more than the limit is not")
    func limits() {
        var typed = Typed("")
        typed.press(.paste("a\u{1B}[2Jb\u{7}"))
        #expect(typed.shown == "a[2Jb|")
        typed.press(.paste(String(repeating: "x", count: LineEditor.limit)))
        #expect(typed.last == .refused && typed.shown == "a[2Jb|")
    }

    @Test(
        "any keys leave the cursor in the text, and undo comes back to where it began",
        arguments: 0..<60 as Range<UInt64>)
    func random(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var typed = Typed("")
        let keys: [Key] =
            "abfdehktuwy_".map { .control($0) } + "bfduy".map { .alt($0) }
            + ["a", " ", "é", "世", "\u{301}", "x"].map { .text($0) }
            + [
                .paste("p q\nr"), .named(.backspace), .named(.delete), .named(.left), .named(.right, .control),
                .named(.home),
            ]
        for _ in 0..<80 {
            guard let key = keys.randomElement(using: &random) else { continue }
            typed.press(key)
            if !(0...typed.editor.text.count).contains(typed.editor.cursor) {
                Issue.record("seed \(seed): the cursor is at \(typed.editor.cursor) after \(key)")
                return
            }
            // Put together again it is the same letters.
            if Array(typed.editor.string).count != typed.editor.text.count, !typed.editor.string.contains("\u{301}") {
                Issue.record("seed \(seed): \(typed.editor.text)")
                return
            }
        }
        for _ in 0..<200 { typed.press(.control("_")) }
        #expect(typed.editor.isEmpty, "seed \(seed)")
    }
}

@Suite("What was entered before")
struct InputHistoryTests {
    @Test("walking back and forth leaves the draft as it was")
    func draft() {
        var history = InputHistory()
        for entry in ["one", "two", "two", ""] { history.add(entry) }
        #expect(history.entries == ["one", "two"])
        #expect(history.older(than: "draft") == "two" && history.older(than: "two") == "one")
        #expect(history.older(than: "one") == nil)
        #expect(history.newer() == "two" && history.newer() == "draft" && history.newer() == nil)
        #expect(history.oldest(than: "draft") == "one" && history.newest() == "draft")
    }

    @Test("it keeps the newest")
    func bounded() {
        var history = InputHistory()
        for number in 0..<InputHistory.limit + 10 { history.add("\(number)") }
        #expect(history.entries.count == InputHistory.limit && history.entries.first == "10")
        #expect(history.find("11", before: .max)?.entry == "411")
    }
}

@Suite("Completing a word")
struct CompletionTests {
    private func complete(_ text: String, _ words: [String], tabs: Int) -> (text: String, offer: [String])? {
        var editor = LineEditor(text)
        guard var completion = Completion(.init(words: words, suffix: " "), in: &editor, word: 0..<text.count) else {
            return nil
        }
        for _ in 1..<tabs { completion.step(by: 1, in: &editor) }
        return (editor.string, completion.offer)
    }

    @Test("a word that is the only one is put in whole, with what stands behind it")
    func only() {
        #expect(complete("an", ["anna", "bob"], tabs: 1)?.text == "anna ")
        #expect(complete("x", ["anna", "bob"], tabs: 1) == nil)
    }

    @Test("of several the part they share is put in, then each in turn")
    func several() {
        let words = ["Anna", "Anton", "bob"]
        #expect(
            complete("a", words, tabs: 1)?.text == "An" && complete("a", words, tabs: 1)?.offer == ["Anna", "Anton"])
        #expect(complete("a", words, tabs: 2)?.text == "Anna " && complete("a", words, tabs: 3)?.text == "Anton ")
        #expect(complete("a", words, tabs: 4)?.text == "Anna " && complete("an", words, tabs: 1)?.text == "Anna ")
    }
}
