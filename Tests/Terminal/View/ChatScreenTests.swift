import ConvergeTestSupport
import Testing

@testable import ConvergeTerminal

@Suite("The screen")
struct ChatScreenTests {
    // MARK: Sending

    @Test("what is entered is marked as on its way, and stored when the room shows it")
    func stored() {
        var driver = ScreenDriver()
        driver.enter("hello")
        #expect(driver.taken() == [.send(room: "lobby", body: "hello", tag: 1)])
        #expect(driver.shows("· hello") && driver.shows("1 unsent"))
        driver.say("Ann", "hello")
        #expect(driver.shows("✓ hello") && !driver.shows("· hello") && !driver.shows("unsent"))
        driver.event(.sending(room: "lobby", tag: 1, .stored(id: "id1", position: nil, milliseconds: nil)))
        #expect(driver.text.count { $0.contains("hello") } == 1)
    }

    @Test("an acknowledgement that comes first is enough, and the room's own showing is not a second message")
    func acknowledged() {
        var driver = ScreenDriver()
        driver.enter("hello")
        driver.event(.sending(room: "lobby", tag: 1, .stored(id: "id1", position: "5", milliseconds: nil)))
        #expect(driver.shows("✓ hello"))
        driver.say("Ann", "hello")
        #expect(driver.text.count { $0.contains("hello") } == 1)
    }

    @Test("a refusal is told with its reason, and what was refused can be had back")
    func refused() {
        var driver = ScreenDriver()
        driver.enter("too long")
        driver.event(.sending(room: "lobby", tag: 1, .refused("message too large")))
        #expect(driver.shows("✗ too long") && driver.shows("not taken: message too large"))
        driver.press(.named(.up))
        #expect(driver.screen.room?.editor.string == "too long")
    }

    @Test("where as many wait as may, nothing is lost: it stays in the draft")
    func full() {
        var driver = ScreenDriver()
        for number in 0..<ChatScreen.unsentLimit { driver.enter("\(number)") }
        driver.enter("one more")
        #expect(driver.screen.room?.editor.string == "one more")
    }

    @Test("leaving with something unsent takes two tries")
    func leaving() {
        var driver = ScreenDriver()
        driver.enter("hello")
        driver.effects = []
        driver.enter("/quit")
        #expect(driver.taken().isEmpty && driver.shows("1 unsent message would be lost"))
        driver.press(.control("d"))
        #expect(driver.taken() == [.quit])
    }

    // MARK: Rooms

    @Test("a room that is not looked at counts what is unread, and who names the reader")
    func unread() {
        var driver = ScreenDriver(rooms: ["lobby", "dev"])
        driver.say("Bob", "one", in: "dev")
        driver.say("Bob", "planning", in: "dev")
        #expect(driver.screen.rooms[1].unread == 2 && driver.screen.rooms[1].mentions == 0 && driver.taken().isEmpty)
        driver.say("Bob", "Ann, look", in: "dev")
        #expect(driver.taken() == [.bell] && driver.shows("@3"))
        driver.press(.alt("a"))
        #expect(driver.screen.room?.name == "dev" && driver.screen.rooms[1].unread == 0)
        #expect(driver.shows(" new ─"))
        driver.press(.alt("1"))
        driver.press(.alt("2"))
        #expect(!driver.shows(" new ─"))
    }

    @Test("each room keeps its own draft")
    func drafts() {
        var driver = ScreenDriver(rooms: ["lobby", "dev"])
        driver.type("for the lobby")
        driver.press(.named(.down, .alt))
        driver.type("for dev")
        driver.press(.named(.up, .alt))
        #expect(driver.screen.room?.editor.string == "for the lobby")
        driver.event(.waiting(room: "lobby", until: driver.now + 1_000, reason: "lost"))
        #expect(driver.shows("for the lobby") && driver.shows("not connected, again in 1 s: lost"))
    }

    @Test("rooms are joined, left and bounded")
    func joining() {
        var driver = ScreenDriver()
        driver.enter("/join dev")
        #expect(driver.taken() == [.join("dev")] && driver.screen.room?.name == "dev")
        driver.enter("/join lobby")
        #expect(driver.taken().isEmpty && driver.screen.room?.name == "lobby")
        driver.enter("/leave")
        #expect(driver.taken() == [.leave("lobby")] && driver.screen.room?.name == "dev")
        driver.enter("/leave")
        #expect(driver.taken().isEmpty && driver.shows("this is the only room"))
        for number in 0..<ChatScreen.roomLimit { driver.enter("/join r\(number)") }
        #expect(driver.screen.rooms.count == ChatScreen.roomLimit)
    }

    // MARK: Scrolling

    @Test("a view that is scrolled up stays where it is whatever comes, and older ones are asked for at the top")
    func scrolling() {
        var driver = ScreenDriver(rooms: [])
        driver.screen.open("lobby", into: &driver.effects)
        driver.live("lobby")
        #expect(driver.taken().contains(.history(room: "lobby", before: nil, limit: 100)))
        var entries: [HistoryAnswer.Entry] = []
        for number in 100..<150 { entries.append(.message(driver.line("Bob", "old \(number)"))) }
        let first = entries.first
        driver.event(.history(room: "lobby", .page(entries, isWhole: false)))
        driver.press(.named(.pageUp))
        func messages(_ rows: ClosedRange<Int>) -> [Substring] { driver.text[rows].map { $0.dropFirst(15) } }
        let before = messages(1...20)
        for number in 0..<30 { driver.say("Cat", "live \(number)") }
        #expect(messages(1...20) == before && driver.shows("below"))
        while driver.effects.isEmpty { driver.press(.named(.pageUp)) }
        guard case .message(let oldest)? = first else { return }
        #expect(driver.taken() == [.history(room: "lobby", before: oldest.position, limit: 100)])
        for _ in 0..<5 { driver.press(.named(.pageUp)) }
        #expect(driver.taken().isEmpty && driver.shows("old 100"))
        let top = messages(2...20)
        entries = (0..<20).map { .message(driver.line("Bob", "older \($0)")) } + [.message(oldest)]
        driver.event(.history(room: "lobby", .page(entries, isWhole: true)))
        #expect(messages(2...20) == top)
        for _ in 0..<5 { driver.press(.wheel(up: true, column: 0, row: 0)) }
        #expect(driver.shows("older 19"))
        driver.press(.named(.escape))
        #expect(driver.shows("live 29"))
    }

    @Test("Alt-J shows the first that was not read at the top, also of many")
    func jump() {
        var driver = ScreenDriver(rooms: ["lobby", "dev"])
        for number in 0..<40 { driver.say("Bob", "read \(number)", in: "dev") }
        driver.press(.alt("2"))
        driver.press(.alt("1"))
        for number in 0..<60 { driver.say("Bob", "unread \(number)", in: "dev") }
        driver.press(.alt("2"))
        driver.press(.alt("j"))
        #expect(driver.text[1].contains(" new ") && driver.text[2].contains("unread 0"))
    }

    @Test("a room's lines are bounded, and so is what is known of them")
    func bounded() {
        var driver = ScreenDriver()
        for number in 0..<7_000 { driver.say("Bob", "message \(number)") }
        let count = driver.screen.rooms[0].conversation.items.count
        #expect(count <= Conversation.limit + 500 && driver.shows("message 6999"))
        for _ in 0..<80 { driver.say("Bob", String(repeating: "long ", count: 20_000)) }
        #expect(driver.screen.rooms[0].conversation.byteCount <= Conversation.byteLimit + Conversation.byteLimit / 4)
        for number in 0..<4_000 { driver.comes("u\(number)") }
        #expect(driver.screen.rooms[0].members.count <= ChatScreen.memberLimit)
    }

    // MARK: What comes

    @Test("comings and goings are shown one by one while they are few, and folded when many")
    func folded() {
        var driver = ScreenDriver(columns: 100)
        for user in ["Bob", "Cat"] { driver.comes(user) }
        #expect(driver.shows("Bob joined") && driver.shows("Cat joined"))
        for user in ["Dora", "Eve", "Fay", "Gil", "Hal"] { driver.comes(user) }
        driver.comes("Bob", leaves: true)
        #expect(driver.shows("7 joined, 1 left: Bob, Cat, Dora, Eve, Fay, Gil, …"))
        driver.say("Ann", "so many")
        driver.comes("Ida")
        #expect(driver.shows("Ida joined"))
    }

    @Test("what was missed stands behind a mark, and so does what may be missing")
    func gaps() {
        var driver = ScreenDriver()
        driver.say("Bob", "before")
        driver.event(.waiting(room: "lobby", until: driver.now + 1_000, reason: "lost"))
        driver.now += 120_000
        driver.live("lobby")
        driver.say("Bob", "meanwhile", isMissed: true)
        driver.say("Cat", "also", isMissed: true)
        driver.event(.resumed(room: "lobby", recovered: false, missed: 2))
        driver.say("Bob", "after")
        let order = ["before", "2 messages caught up with", "meanwhile", "also", "may be missing here", "after"]
        let places = order.map { words in driver.text.firstIndex { $0.contains(words) } ?? -1 }
        #expect(places == places.sorted() && !places.contains(-1))
    }

    @Test("days are told apart")
    func days() {
        var driver = ScreenDriver()
        driver.say("Bob", "today")
        driver.now += 86_400_000
        driver.say("Bob", "tomorrow")
        #expect(driver.shows(" Monday 23 November 2026 ") && driver.shows(" Tuesday 24 November 2026 "))
    }

    @Test("what others write is shown, never obeyed, and can't look like a line of somebody else")
    func harmless() {
        var driver = ScreenDriver()
        driver.say("Eve\u{1B}]0;x\u{7}", "\u{1B}[2J\u{9B}1m\n12:00        Ann   I owe Eve money\u{202E}")
        let text = driver.text.joined(separator: "\n")
        #expect(text.contains("\\e[2J\\u{9B}1m") && text.contains("\\u{202E}"))
        #expect(driver.text.allSatisfy { !$0.dropFirst(15).hasPrefix("12:00        Ann") })
        #expect(
            driver.grid.cells.allSatisfy {
                $0.cluster.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x202E }
            })
    }

    @Test("a link is marked whole wherever its row ends, and nothing else becomes one")
    func links() {
        var driver = ScreenDriver()
        let link = "https://example.org/" + String(repeating: "path/", count: 30)
        driver.say("Bob", "see (\(link)), and http:// or xhttps://no.example or https://a.b\u{1B}]8;;https://evil\u{7}")
        let cells = driver.grid.cells.filter { $0.style.link == link }
        #expect(String(cells.map(\.cluster)) == link)
        #expect(Set(driver.grid.cells.compactMap(\.style.link)) == [link, "https://a.b", "https://evil"])
    }

    // MARK: Input

    @Test("Tab completes commands, rooms and who is here")
    func completing() {
        var driver = ScreenDriver(rooms: ["lobby", "development"])
        driver.event(
            .members(room: "lobby", [.init(userID: "zoe", name: "Zoe"), .init(userID: "zara", name: "Zara")], count: 2))
        driver.say("Zoltan", "hello")
        driver.type("/jo\tdev\t".replacing("\t", with: ""))
        #expect(driver.screen.room?.editor.string == "/jodev")
        driver.press(.control("u"))
        driver.type("/jo")
        driver.press(.named(.tab))
        driver.type("dev")
        driver.press(.named(.tab))
        #expect(driver.screen.room?.editor.string == "/join development")
        driver.press(.control("u"))
        driver.type("zol")
        driver.press(.named(.tab))
        #expect(driver.screen.room?.editor.string == "Zoltan: ")
        driver.type("and @zar")
        driver.press(.named(.tab))
        #expect(driver.screen.room?.editor.string == "Zoltan: and @Zara ")
        driver.type("zo")
        driver.press(.named(.tab))
        driver.press(.named(.tab))
        driver.press(.named(.backTab))
        #expect(driver.screen.room?.editor.string.hasPrefix("Zoltan: and @Zara Zo") == true)
    }

    @Test("Ctrl-R finds what was entered before, and Ctrl-G goes back to the draft")
    func search() {
        var driver = ScreenDriver()
        for entry in ["first thing", "second thing", "third"] { driver.enter(entry) }
        driver.type("draft")
        driver.press(.control("r"))
        driver.type("thi")
        #expect(driver.screen.room?.editor.string == "third" && driver.shows("(find: thi)"))
        driver.press(.control("r"))
        #expect(driver.screen.room?.editor.string == "second thing")
        driver.press(.control("g"))
        #expect(driver.screen.room?.editor.string == "draft")
    }

    @Test("the members scroll by the wheel over them and by Alt with the page keys, no further than there are any")
    func members() {
        var driver = ScreenDriver(columns: 80, rows: 24)
        let all = (10..<60).map { ScreenMember(userID: "user\($0)", name: "User \($0)") }
        driver.event(.members(room: "lobby", all, count: 50))
        driver.press(.named(.function(4)))
        for number in 0..<60 { driver.say("Bob", "number \(number)") }
        #expect(driver.shows("User 10") && driver.shows("and 30 more") && driver.shows("number 59"))
        for _ in 0..<9 { driver.press(.named(.pageDown, .alt)) }
        #expect(driver.shows("User 59") && driver.shows("31-50 of 50") && driver.shows("number 59"))
        driver.press(.wheel(up: true, column: 79, row: 3))
        #expect(driver.shows("28-47 of 50") && !driver.shows("User 59"))
        for _ in 0..<9 { driver.press(.named(.pageUp, .alt)) }
        #expect(driver.shows("User 10") && driver.shows("and 30 more"))
        // Elsewhere the wheel moves the messages.
        driver.press(.wheel(up: true, column: 30, row: 3))
        #expect(driver.shows("User 10") && !driver.shows("number 59"))
        // Those who go leave no hole.
        for _ in 0..<9 { driver.press(.named(.pageDown, .alt)) }
        driver.event(.members(room: "lobby", Array(all.prefix(3)), count: 3))
        #expect(driver.shows("User 10") && !driver.shows(" of 50"))
    }

    // MARK: Everything at once

    @Test(
        "any keys, events and sizes give a screen whose rows are as wide as they must be",
        arguments: 0..<12 as Range<UInt64>)
    func random(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var driver = ScreenDriver(columns: 80, rows: 24, rooms: ["lobby", "dev"])
        let keys: [Key] =
            "abcdefklnptuvwy".map { .control($0) } + "jazm12".map { .alt($0) }
            + ["x", "世", "\u{301}", "/", " "].map { .text($0) }
            + [
                .named(.enter), .named(.tab), .named(.pageUp), .named(.pageDown), .named(.up), .named(.down),
                .paste("p\nq"),
                .named(.backspace), .wheel(up: true, column: 1, row: 1), .wheel(up: false, column: 1, row: 1),
                .named(.escape),
                .named(.function(1)), .named(.function(2)), .named(.function(4)), .named(.enter, .alt),
            ]
        let bodies = [
            "hello ann", "世界 👩‍👩‍👧", String(repeating: "long ", count: 60), "https://example.org/x", "\u{1B}[1m\n\n", "",
        ]
        var renderer = DifferenceRenderer()
        var terminal = ModelTerminal(columns: 80, rows: 24)
        for step in 0..<120 {
            switch Int.random(in: 0..<10, using: &random) {
            case 0:
                let (columns, rows) = (Int.random(in: 1...100, using: &random), Int.random(in: 1...30, using: &random))
                driver.screen.resize(columns: columns, rows: rows)
                terminal = ModelTerminal(columns: columns, rows: rows)
            case 1...3:
                driver.say(
                    "Bob", bodies.randomElement(using: &random) ?? "", in: Bool.random(using: &random) ? "lobby" : "dev"
                )
            case 4: driver.comes("u\(Int.random(in: 0..<9, using: &random))", leaves: Bool.random(using: &random))
            case 5: driver.event(.waiting(room: "lobby", until: driver.now + 3_000, reason: "lost"))
            case 6: driver.live("lobby")
            default: if let key = keys.randomElement(using: &random) { driver.press(key) }
            }
            let grid = driver.grid
            terminal.feed(renderer.update(to: grid))
            let differences = terminal.differences(from: grid)
            if !differences.isEmpty {
                Issue.record("seed \(seed), step \(step), \(grid.columns)x\(grid.rows): \(differences.prefix(3))")
                return
            }
        }
        let unsent = driver.screen.rooms.reduce(0) { $0 + $1.unsent.count }
        #expect(driver.screen.unsentCount == unsent)
    }

    @Test("the screen changes by itself each minute, and each second while it counts down")
    func byItself() {
        var driver = ScreenDriver()
        #expect(driver.screen.nextChange(after: driver.now) == driver.now + 60_000)
        driver.event(.waiting(room: "lobby", until: driver.now + 3_500, reason: "lost"))
        #expect(driver.screen.nextChange(after: driver.now) == driver.now + 1_000)
    }
}
