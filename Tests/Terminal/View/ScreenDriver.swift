import ConvergeTestSupport
import Foundation
import Testing

@testable import ConvergeTerminal

/// A screen that is told what happens in few words; the time is 2026-11-23, 12:00 UTC, and goes on by itself.
struct ScreenDriver {
    static let noon: Int64 = 1_795_435_200_000

    var screen: ChatScreen
    var now = ScreenDriver.noon
    var effects: [ScreenEffect] = []
    private var counter = 0
    private var tags: [Int] = []

    init(
        columns: Int = 80, rows: Int = 24, settings: ScreenSettings = .init(), rooms: [String] = ["lobby"],
        isLive: Bool = true
    ) {
        screen = ChatScreen(columns: columns, rows: rows, settings: settings, clock: .utc)
        for room in rooms {
            screen.open(room, into: &effects)
            if isLive { live(room) }
        }
        if let first = rooms.first { screen.open(first, into: &effects) }
        for room in rooms where isLive { event(.history(room: room, .page([], isWhole: true))) }
        effects = []
    }

    mutating func event(_ event: ScreenEvent) { screen.handle(event, at: now, into: &effects) }

    mutating func live(_ room: String, node: String? = "n1") {
        event(.live(room: room, server: "10.0.0.1:8080", node: node, userID: "ann", name: "Ann"))
    }

    mutating func line(_ user: String, _ body: String) -> ScreenMessage {
        counter += 1
        return ScreenMessage(
            id: "id\(counter)", userID: user.lowercased(), name: user, body: body, milliseconds: now,
            position: String(format: "%016d", 1_000_000 + counter))
    }

    mutating func say(_ user: String, _ body: String, in room: String = "lobby", isMissed: Bool = false) {
        now += 1_000
        event(.message(room: room, line(user, body), isMissed: isMissed))
    }

    mutating func comes(_ user: String, in room: String = "lobby", leaves: Bool = false) {
        now += 1_000
        let line = line(user, "\(user) \(leaves ? "left" : "joined")")
        event(.presence(room: room, line, joined: !leaves, isMissed: false))
    }

    mutating func type(_ text: String) { for letter in text { press(.text(String(letter))) } }
    mutating func press(_ key: Key) { screen.handle(key, at: now, into: &effects) }

    mutating func enter(_ text: String) {
        type(text)
        press(.named(.enter))
    }

    /// What the screen wanted since it was asked last.
    mutating func taken() -> [ScreenEffect] {
        defer { effects = [] }
        return effects
    }

    var grid: Grid { screen.grid(at: now) }
    var text: [String] { grid.text }

    func shows(_ words: String) -> Bool { text.contains { $0.contains(words) } }

    // MARK: A day in a room

    /// Something of everything that a screen can show.
    static func scene(columns: Int, rows: Int, settings: ScreenSettings = .init()) -> ScreenDriver {
        var driver = ScreenDriver(columns: columns, rows: rows, settings: settings, rooms: ["lobby", "dev", "ops"])
        driver.event(
            .members(
                room: "lobby",
                ["Ann", "Bob", "Cat", "Dora", "小林"].map {
                    ScreenMember(userID: $0.lowercased(), name: $0, sessions: $0 == "Bob" ? 2 : 1)
                },
                count: 5))
        driver.event(.latency(room: "lobby", milliseconds: 3))
        driver.now -= 86_400_000
        driver.say("Bob", "good night, all")
        driver.now += 72_000_000
        for user in ["Bob", "Cat", "Dora", "小林"] { driver.comes(user) }
        driver.say("Cat", "morning! the build is green again: https://ci.example.org/runs/4711?view=log#L20, at last")
        driver.say("小林", "おはようございます。テストはすべて通りました 🎉 👩‍💻")
        driver.say("Ann", "great")
        driver.say(
            "Bob",
            "@ann can you look at the second node? It says \u{1B}[31msuspect\u{1B}[0m since eleven, and I have no idea why; nothing is in its log"
        )
        driver.comes("Dora", leaves: true)
        driver.say("Dora", "several\nlines\n  of text")
        driver.event(.waiting(room: "lobby", until: driver.now + 5_000, reason: "the connection was lost"))
        driver.now += 60_000
        driver.live("lobby", node: "n2")
        driver.say("Cat", "n1 is down", isMissed: true)
        driver.say("Bob", "I know, it was me", isMissed: true)
        driver.event(.resumed(room: "lobby", recovered: true, missed: 2))
        driver.event(
            .document(
                room: "lobby",
                DocumentChange(
                    userID: "cat", name: "Cat", document: "todo", kind: .added("restart n1"), milliseconds: driver.now))
        )
        driver.say("Cat", "ann: lunch?", in: "dev")
        for number in 1...12 { driver.say("Bot", "deploy \(number)", in: "ops") }
        driver.enter("on my way")
        driver.type("and then we ")
        return driver
    }
}

/// A screen as lines of text, and below them how each cell looks; compared with a file.
enum Golden {
    static func text(_ grid: Grid) -> String {
        let looks = (0..<grid.rows).map { row in
            var line = ""
            for column in 0..<grid.columns where grid[column, row].width > 0 {
                line.append(letter(grid[column, row].style))
            }
            while line.last == " " { line.removeLast() }
            return line
        }
        let cursor = grid.cursor.map { "cursor \($0.column),\($0.row)" } ?? "no cursor"
        return (grid.text + ["=== \(cursor)"] + looks).joined(separator: "\n") + "\n"
    }

    private static func letter(_ style: Style) -> Character {
        if style.link != nil { return "@" }
        if style.attributes.contains(.reverse) { return style.colour == .standard ? "R" : "X" }
        if style.attributes.contains(.underline) { return "u" }
        if style.colour != .standard {
            let letter: Character = style.colour.code >= 90 ? "k" : "c"
            return style.attributes.contains(.bold) ? Character(letter.uppercased()) : letter
        }
        if style.attributes.contains(.dim) { return "d" }
        return style.attributes.contains(.bold) ? "b" : " "
    }

    /// With CONVERGE_GOLDEN=write in the environment the file is written anew: read what has changed before committing it.
    static func expect(_ grid: Grid, _ name: String, sourceLocation: SourceLocation = #_sourceLocation) {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../Golden")
        let file = folder.appendingPathComponent(name + ".txt")
        let shown = text(grid)
        if ProcessInfo.processInfo.environment["CONVERGE_GOLDEN"] == "write" {
            try? shown.write(to: file, atomically: true, encoding: .utf8)
            return
        }
        let wanted = (try? String(contentsOf: file, encoding: .utf8)) ?? ""
        #expect(shown == wanted, "\(name) is not as in Tests/Terminal/Golden", sourceLocation: sourceLocation)
    }
}
