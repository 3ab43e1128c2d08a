import Testing

@testable import ConvergeTerminal

/// What becomes of what is entered: messages that are too long, commands, the help.
@Suite("Entering")
struct EnteringTests {
    // MARK: Too long

    @Test("what is left is shown when it gets near the limit, and what is too much")
    func length() {
        var driver = ScreenDriver()
        driver.event(.nodes(names: [:], bodyLimit: 100))
        driver.type(String(repeating: "x", count: 79))
        #expect(!driver.shows("left of 100"))
        driver.press(.paste("xx"))
        #expect(driver.shows("19 bytes left of 100"))
        // Bytes, not letters.
        driver.press(.paste("世世世世世世世"))
        #expect(driver.shows("2 bytes over 100"))
        driver.press(.control("u"))
        driver.type("/doc topic set " + String(repeating: "x", count: 90))
        #expect(!driver.shows("left of 100"))
    }

    @Test("until a node has told its limit the usual one is guessed, and said to be a guess")
    func guessed() {
        var driver = ScreenDriver()
        driver.press(.paste(String(repeating: "x", count: 1_900)))
        #expect(driver.shows("100 bytes left of 2000, as nodes mostly take"))
    }

    @Test("one that is too long stays in the draft; entered again it goes in pieces, each within the limit, in order")
    func split() {
        var driver = ScreenDriver()
        driver.event(.nodes(names: [:], bodyLimit: 100))
        let text = (1...30).map { "word \($0)" }.joined(separator: " ")
        driver.press(.paste(text))
        driver.press(.named(.enter))
        #expect(driver.taken().isEmpty && driver.screen.room?.editor.string == text)
        #expect(
            driver.shows("\(text.utf8.count) bytes, and 100 fit: Enter again sends it as 3 messages"))
        driver.press(.named(.enter))
        let bodies = driver.taken().compactMap { effect -> String? in
            if case .send(_, let body, _) = effect { body } else { nil }
        }
        #expect(
            bodies.count == 3 && bodies.allSatisfy { $0.utf8.count <= 100 } && bodies.joined(separator: " ") == text)
        #expect(driver.screen.room?.editor.isEmpty == true)
    }

    @Test("a draft that was changed after the offer is offered anew")
    func changed() {
        var driver = ScreenDriver()
        driver.event(.nodes(names: [:], bodyLimit: 10))
        driver.enter("eleven bytes")
        driver.enter("!")
        #expect(driver.taken() == [.bell] || driver.effects.isEmpty)
        #expect(driver.screen.room?.editor.string == "eleven bytes!" && driver.shows("Enter again sends it as 2"))
    }

    @Test("a refused paste says so above what is typed, at its place in few rows, and is there again to be split")
    func refusedPaste() {
        var driver = ScreenDriver()
        let paste = (1...500).map { "line \($0) of a log that somebody pastes" }.joined(separator: "\n")
        driver.event(.nodes(names: [:], bodyLimit: nil))
        driver.press(.paste(paste))
        driver.press(.named(.enter))
        #expect(driver.taken().count == 1, "the limit is not known: it is tried")
        driver.event(.sending(room: "lobby", tag: 1, .refused("message too large")))
        #expect(driver.screen.room?.editor.string == paste)
        #expect(driver.shows("Enter again sends it as"))
        #expect(
            driver.shows("✗ line 1 of a log")
                && driver.shows("not taken: message too large (\(paste.utf8.count) bytes)"))
        #expect(!driver.text.prefix(14).joined().contains("line 9 "), "the text fills no screen")
    }

    @Test("a refusal does not touch what is being typed meanwhile, and the hint goes with the next key")
    func refusedMeanwhile() {
        var driver = ScreenDriver()
        driver.enter("first")
        driver.type("second")
        driver.event(.sending(room: "lobby", tag: 1, .refused("message too large")))
        #expect(
            driver.screen.room?.editor.string == "second" && driver.shows("message too large; Up brings the text back"))
        driver.type("!")
        #expect(!driver.shows("Up brings the text back") && driver.shows("not taken: message too large"))
    }

    @Test("what can't be pasted is said where one looks")
    func pasteTooLong() {
        var driver = ScreenDriver()
        driver.press(.pasteTooLong)
        #expect(driver.text[22].contains("too much to paste at once: at most 64 KiB"))
    }

    @Test("what nodes store and refuse corrects the guess", arguments: [1_500, 2_000, 5_000])
    func learns(limit: Int) {
        var known = BodyLimit()
        for length in [100, 1_400, 1_501, 1_999, 2_001, 4_000, 6_000, limit, limit + 1] {
            if length <= limit { known.stored(length) } else { known.refused(length) }
        }
        #expect(known.bytes == limit && known.isCertain)
        known.tell(3_000)
        #expect(known.bytes == 3_000)
        // Another node has another.
        known.refused(2_500)
        #expect(known.bytes < 2_500)
    }

    @Test(
        "pieces have everything, between lines where there are some, and none is over the limit",
        arguments: [1, 4, 7, 60, 100_000])
    func pieces(limit: Int) {
        let e = "e" + String(repeating: "\u{301}", count: 40)
        let text = "one two three\nfour\n\n  five 世界 👩‍👩‍👧 \(e) six" + String(repeating: "y", count: 200)
        let pieces = BodyPieces.of(text, limit: limit)
        #expect(pieces.allSatisfy { $0.utf8.count <= max(limit, 4) && $0.contains { !$0.isWhitespace } })
        func scalars(_ text: some StringProtocol) -> [Unicode.Scalar] {
            text.unicodeScalars.filter { !$0.properties.isWhitespace }
        }
        #expect(scalars(pieces.joined()) == scalars(text))
        #expect(BodyPieces.of("aaa bbb\nccc ddd", limit: 9) == ["aaa bbb", "ccc ddd"])
    }

    // MARK: Commands

    @Test("a name of two words is asked about, in quotes it is joined")
    func joining() {
        var driver = ScreenDriver()
        driver.enter("/join two words")
        #expect(driver.taken().isEmpty && driver.text[22].contains(#"in quotes, /join "two words""#))
        driver.enter(#"/join "two words""#)
        #expect(driver.taken() == [.join("two words")])
    }

    @Test("/history goes on, page by page, until it has what was asked for, and says what it has")
    func history() {
        var driver = ScreenDriver(columns: 200, rooms: [])
        driver.screen.open("lobby", into: &driver.effects)
        driver.live("lobby")
        var place = 1_000_000
        func page(_ count: Int, isWhole: Bool = false) -> ScreenEvent {
            let entries = (0..<count).map { number in
                HistoryAnswer.Entry.message(
                    ScreenMessage(
                        id: "h\(place - count + number)", userID: "bob", name: "Bob", body: "old",
                        milliseconds: driver.now, position: "\(place - count + number)"))
            }
            place -= count
            return .history(room: "lobby", .page(entries, isWhole: isWhole))
        }
        driver.event(page(100))
        driver.effects = []
        driver.enter("/history 20000")
        var asked = 0
        while case .history(_, let before?, let limit)? = driver.taken().last, asked < 200 {
            #expect(before == "\(place)" && limit <= 1_000)
            asked += 1
            driver.event(page(200, isWhole: asked == 30))
            // They stay, though nobody has scrolled up.
            driver.say("Cat", "live")
        }
        #expect(asked == 30)
        // A failure would print the whole room, were these not told apart from it.
        let isTold = driver.shows("6000 older entries are above: PgUp; that is all of the room's history")
        let kept = driver.screen.rooms[0].conversation.items.count
        #expect(isTold && kept > 6_000)
        driver.enter("/history 5")
        let isEnd = driver.shows("there is nothing older")
        driver.press(.named(.escape))
        let rest = driver.screen.rooms[0].conversation.items.count
        #expect(isEnd && rest <= Conversation.limit + 500)
    }

    @Test("/history stops at what a screen keeps, and says so; a lost connection makes it wait")
    func historyBounds() {
        var driver = ScreenDriver(columns: 200, rooms: [])
        driver.screen.open("lobby", into: &driver.effects)
        driver.live("lobby")
        driver.event(.history(room: "lobby", .page([.message(driver.line("Bob", "first"))], isWhole: false)))
        driver.effects = []
        driver.enter("/history 20000")
        driver.event(.history(room: "lobby", .interrupted))
        driver.event(.waiting(room: "lobby", until: driver.now + 1_000, reason: "lost"))
        driver.effects = []
        driver.live("lobby")
        var pages = 0
        var place = 900_000
        while case .history? = driver.taken().last, pages < 100 {
            pages += 1
            let entries = (0..<1_000).map { number -> HistoryAnswer.Entry in
                place -= 1
                return .message(
                    ScreenMessage(
                        id: "p\(place)", userID: "bob", name: "Bob", body: "old \(number)",
                        milliseconds: driver.now, position: "\(place)"))
            }
            driver.event(.history(room: "lobby", .page(entries, isWhole: false)))
        }
        let isTold = driver.shows("more lines are not kept here")
        #expect(pages == 19 && isTold)
    }

    // MARK: Tokens and nodes

    @Test("a refused token is told once with what can be done, and /reconnect does it, for all rooms that are away")
    func refusedToken() {
        for (hasCommand, words) in [
            (true, "/reconnect asks at once"), (false, "CONVERGE_TOKEN is read only at the start"),
        ] {
            var settings = ScreenSettings()
            settings.hasTokenCommand = hasCommand
            var driver = ScreenDriver(columns: 160, settings: settings, rooms: ["lobby", "dev", "ops"])
            for _ in 0..<3 {
                for room in ["lobby", "dev"] {
                    driver.event(
                        .waiting(
                            room: room, until: driver.now + 5_000, reason: "unauthorized", isTokenRefused: true))
                }
            }
            #expect(driver.text.count { $0.contains(words) } == 1)
            driver.effects = []
            driver.enter("/reconnect")
            #expect(driver.taken() == [.reconnect("lobby"), .reconnect("dev")])
            driver.live("lobby")
            driver.live("dev")
            driver.effects = []
            driver.enter("/reconnect")
            #expect(driver.taken() == [.reconnect("lobby")])
        }
    }

    @Test("the status line has the node's name where a server tells it, and each server is asked once a minute")
    func names() {
        var driver = ScreenDriver(isLive: false)
        let replica = "00000000000000aa"
        driver.live("lobby", node: nil)
        #expect(driver.taken().contains(.lookUp(server: "10.0.0.1:8080")))
        driver.live("lobby", node: replica)
        #expect(!driver.taken().contains(.lookUp(server: "10.0.0.1:8080")))
        #expect(driver.shows("live on 00000000, 10.0.0.1:8080"))
        driver.event(.nodes(names: [replica: "berlin-1\u{1B}[m"], bodyLimit: 2_000))
        #expect(driver.shows("live on berlin-1\\e[m, 10.0.0.1:8080"))
        driver.now += 61_000
        driver.live("lobby", node: replica)
        #expect(!driver.taken().contains(.lookUp(server: "10.0.0.1:8080")))
        driver.live("lobby", node: "00000000000000bb")
        #expect(driver.taken().contains(.lookUp(server: "10.0.0.1:8080")))
    }

    // MARK: Help

    @Test("F1 opens the help and closes it, so does Esc; one types on below, and Enter closes it, too")
    func help() {
        var driver = ScreenDriver()
        driver.say("Bob", "hello")
        driver.press(.named(.function(1)))
        #expect(driver.shows("/history [N]") && !driver.shows("hello") && driver.shows("F1 back"))
        driver.type("draft")
        #expect(driver.shows("lobby> draft") && driver.shows("/history [N]"))
        driver.press(.named(.function(1)))
        #expect(driver.shows("hello") && !driver.shows("/history [N]") && driver.shows("lobby> draft"))
        driver.press(.named(.function(1)))
        driver.press(.named(.pageDown))
        #expect(driver.shows("draw anew"))
        driver.press(.named(.escape))
        #expect(driver.shows("hello"))
        driver.press(.control("u"))
        driver.enter("/help")
        #expect(driver.shows("/history [N]"))
        driver.enter("said")
        #expect(driver.shows("· said") && !driver.shows("/history [N]"))
    }
}
