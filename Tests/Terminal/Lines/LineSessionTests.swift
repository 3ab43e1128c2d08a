import ConvergeWire
import Testing

@testable import ConvergeClient
@testable import ConvergeTerminal

@Suite("The line client's decisions")
struct LineSessionTests {
    // MARK: The first connection

    @Test("input waits for the welcome")
    func welcome() {
        var driver = LineDriver(isLive: false)
        #expect(driver.taken() == [.join("lobby")] && !driver.session.wantsInput)
        driver.connecting(LineDriver.a)
        driver.live(LineDriver.a)
        #expect(driver.taken() == [.print("-- you are Ana in lobby; /help shows the commands")])
        #expect(driver.session.wantsInput)
    }

    @Test("where one server is away the next one is tried, and that is told")
    func second() {
        var driver = LineDriver(isLive: false)
        driver.connecting(LineDriver.a)
        driver.waiting("refused")
        #expect(driver.taken() == [.join("lobby")])
        driver.connecting(LineDriver.b)
        driver.live(LineDriver.b)
        #expect(driver.taken().first == .note("can't connect to a:1: refused"))
        #expect(driver.session.phase == .chatting)
    }

    @Test("when all servers have been tried in vain it leaves with 1 at once")
    func nobody() {
        var driver = LineDriver(isLive: false)
        driver.connecting(LineDriver.a)
        driver.waiting("refused")
        driver.connecting(LineDriver.b)
        driver.waiting("not trusted")
        #expect(
            driver.taken() == [
                .join("lobby"), .complain("can't connect to a:1: refused"),
                .complain("can't connect to b:2: not trusted"), .exit(1),
            ])
    }

    @Test("a server that sends its clients elsewhere has been tried, too")
    func elsewhere() {
        var driver = LineDriver(isLive: false)
        driver.connecting(LineDriver.a)
        driver.connecting(LineDriver.b)
        driver.waiting("refused")
        #expect(driver.taken().last == .exit(1))
    }

    @Test("servers that say nothing are given up after 10 s each", arguments: [1, 3])
    func silence(servers: Int) {
        var driver = LineDriver(isLive: false, servers: servers)
        driver.connecting(LineDriver.a)
        _ = driver.taken()
        driver.pass(10 * UInt64(servers) - 1)
        #expect(driver.taken().isEmpty)
        driver.pass(1)
        #expect(driver.taken() == [.complain("can't connect to a:1: the server does not answer"), .exit(1)])
    }

    @Test("a refusal for good is said, with status 1, at the beginning and later", arguments: [true, false])
    func unauthorized(isLive: Bool) {
        var driver = LineDriver(isLive: isLive)
        driver.effects = []
        driver.event(.connection(.ended(.unauthorized)))
        #expect(driver.taken() == [.complain(EndReason.unauthorized.message), .exit(1)])
    }

    // MARK: Requests

    @Test("at the end of input it waits until all is stored, then leaves with 0")
    func acknowledged() {
        var driver = LineDriver()
        driver.type("hi", "ho")
        driver.endOfInput()
        #expect(driver.taken() == [.send("hi", room: "lobby", line: 1), .send("ho", room: "lobby", line: 2)])
        driver.own("1", "hi")
        driver.stored("1")
        #expect(driver.taken() == [.print("12:03 > Ana: hi")])
        driver.own("2", "ho")
        driver.stored("2")
        #expect(driver.taken().last == .exit(0))
    }

    @Test("one's own messages are seen before it leaves, where they come soon")
    func echo() {
        var driver = LineDriver()
        driver.type("hi")
        driver.endOfInput()
        driver.stored("1")
        #expect(driver.taken() == [.send("hi", room: "lobby", line: 1)])
        driver.own("1", "hi")
        #expect(driver.taken() == [.print("12:03 > Ana: hi"), .exit(0)])

        var silent = LineDriver()
        silent.type("hi")
        silent.endOfInput()
        silent.stored("1")
        silent.pass(1)
        #expect(silent.taken().last == .exit(0))
    }

    @Test("an error to a piped message makes the whole a failure, to a typed one it doesn't", arguments: [true, false])
    func refused(isInteractive: Bool) {
        var driver = LineDriver(isInteractive: isInteractive)
        driver.type("", "hi")
        driver.session.sent(key: "k", line: isInteractive ? nil : 2)
        driver.event(.sending(key: "k", .refused("message too large")))
        driver.endOfInput()
        #expect(
            driver.taken() == [
                .send("hi", room: "lobby", line: isInteractive ? nil : 2),
                .complain(isInteractive ? "message too large" : "line 2: message too large"),
                .exit(isInteractive ? 0 : 1),
            ])
    }

    @Test("it takes no more input than the server keeps up with, and hands on no more")
    func inFlight() {
        var driver = LineDriver()
        for _ in 0..<LineSession.inFlight { driver.type("hi") }
        #expect(driver.taken().count == LineSession.inFlight && !driver.session.wantsInput)
        driver.type("more")
        #expect(driver.taken().isEmpty)
        driver.stored()
        #expect(
            driver.taken() == [.send("more", room: "lobby", line: LineSession.inFlight + 1)]
                && !driver.session.wantsInput)
        driver.stored()
        #expect(driver.session.wantsInput)
    }

    @Test("a command waits until the messages before it are stored, and what follows it for its answer")
    func order() {
        var driver = LineDriver()
        driver.type("hi", "/rooms", "ho", "/users")
        #expect(driver.taken() == [.send("hi", room: "lobby", line: 1)])
        driver.stored()
        #expect(driver.taken() == [.ask(.rooms, room: "lobby")])
        driver.answer(.shown([.rooms(["lobby"], ref: nil)]))
        #expect(driver.taken() == [.print("-- rooms (1): lobby"), .send("ho", room: "lobby", line: 3)])
        driver.stored()
        #expect(driver.taken() == [.ask(.users, room: "lobby")])
    }

    @Test("commands become requests, and mistakes are told")
    func commands() {
        var driver = LineDriver()
        driver.type("/doc tags add alpha", "/nope", "", "/leave")
        let change = DocumentRequest(name: "tags", action: .add("alpha"))
        #expect(
            driver.taken() == [
                .ask(.document(change), room: "lobby"),
                .complain("line 2: there is no command /nope: /help shows them"),
                .complain("line 4: /leave is for the full screen: /join goes to another room"),
            ])
        driver.type("/status", "/help")
        #expect(driver.taken().first == .print("-- ana in lobby: live on a:1"))
        driver.answer(.refused("tags was not changed: document full"))
        driver.type("/quit")
        #expect(driver.taken() == [.complain("line 1: tags was not changed: document full"), .exit(1)])
    }

    @Test("with --json mistakes, refusals and failures are objects among the others")
    func errorsAsJSON() {
        var driver = LineDriver(isJSON: true)
        driver.type("hi", "/nope")
        driver.session.sent(key: "k", line: 1)
        driver.event(.sending(key: "k", .refused("message too large")))
        driver.session.trouble("the token command ended with 1", into: &driver.effects)
        driver.event(.connection(.ended(.unauthorized)))
        #expect(
            driver.taken() == [
                .send("hi", room: "lobby", line: 1),
                .print(#"{"type":"error","line":2,"body":"there is no command /nope: /help shows them"}"#),
                .print(#"{"type":"error","line":1,"body":"message too large"}"#),
                .print(#"{"type":"error","body":"the token command ended with 1"}"#),
                .print(#"{"type":"error","body":"\#(EndReason.unauthorized.message)"}"#), .exit(1),
            ])
    }

    @Test("a refusal names its line also when later ones are on their way and others were too long to read")
    func lineNumbers() {
        var driver = LineDriver()
        driver.session.handle(.tooLong, at: 0, into: &driver.effects)
        driver.type("a", "b", "c")
        for (key, line) in [("a", 2), ("b", 3), ("c", 4)] { driver.session.sent(key: key, line: line) }
        driver.event(.sending(key: "a", .stored(Receipt(id: ""))))
        driver.event(.sending(key: "c", .refused("message too large")))
        driver.event(.sending(key: "b", .refused("busy")))
        let complaints = driver.taken().compactMap { effect -> String? in
            if case .complain(let what) = effect { what } else { nil }
        }
        #expect(complaints == ["line 1: that line is too long", "line 4: message too large", "line 3: busy"])
    }

    @Test("a person is told the node's name, where the server tells it")
    func names() throws {
        var driver = LineDriver(isInteractive: true)
        let a = try #require(LineDriver.a)
        let state = ConnectionState.live(a, node: "00000000000000aa", userID: "ana", displayName: "Ana")
        driver.event(.connection(state))
        #expect(driver.taken() == [.lookUp(a)])
        driver.type("/status")
        driver.session.learn(["00000000000000aa": "n1"])
        driver.type("/status")
        #expect(
            driver.taken() == [
                .print("-- ana in lobby: live on 00000000, a:1"), .print("-- ana in lobby: live on n1, a:1"),
            ])
        driver.event(.connection(state))
        #expect(driver.taken().isEmpty)
    }

    @Test("answers about documents are shown once, changes are shown as they come")
    func documents() {
        var driver = LineDriver()
        driver.event(.document(DocumentEvent(type: "crdt_orset_values", room: "lobby", document: "tags", items: ["a"])))
        #expect(driver.taken().isEmpty)
        driver.event(.document(DocumentEvent(type: "crdt_orset_added", room: "lobby", document: "tags", body: "a")))
        #expect(driver.taken() == [.print("-- crdt_orset_added tags: a")])
        driver.type("/doc tags")
        driver.answer(.shown([.document(DocumentReading.set(["a", "b"]).event("tags", room: "lobby"))]))
        #expect(driver.taken().last == .print("-- tags (2): a, b"))
    }

    // MARK: Rooms

    @Test(
        "one goes to another room when it is there: what is written before is in the old one, what follows in the new")
    func join() {
        var driver = LineDriver()
        driver.type("hi", "/join dev", "ho")
        #expect(driver.taken() == [.send("hi", room: "lobby", line: 1)])
        driver.stored()
        #expect(driver.taken() == [.join("dev")])
        driver.connecting(LineDriver.a, in: "dev")
        driver.event(.message(LineDriver.line("1", "still here"), isMissed: false))
        #expect(driver.taken() == [.print("12:03 Bob: still here")])
        driver.live(LineDriver.a, in: "dev")
        #expect(driver.taken() == [.leave("lobby"), .print("-- you are in dev"), .send("ho", room: "dev", line: 3)])
        driver.event(.message(LineDriver.line("2", "late"), isMissed: false))
        driver.event(.connection(.ended(.left)))
        driver.event(.message(LineDriver.line("3", "hello", room: "dev"), isMissed: false), in: "dev")
        #expect(driver.taken() == [.print("12:03 Bob: hello")])
        driver.type("/join dev")
        driver.event(.sending(key: "k", .stored(Receipt(id: ""))), in: "dev")
        #expect(driver.taken() == [.print("-- you are in dev")])
    }

    @Test("a room that can't be entered is told, and one stays")
    func refusedRoom() {
        var driver = LineDriver()
        driver.type("/join long", "ho")
        driver.event(.connection(.ended(.invalidRoomOrUser)), in: "long")
        #expect(
            driver.taken() == [
                .join("long"), .complain("line 1: \(EndReason.invalidRoomOrUser.message)"),
                .send("ho", room: "lobby", line: 2),
            ])
        driver.stored()
        driver.endOfInput()
        driver.pass(1)
        #expect(driver.taken() == [.exit(1)])
    }
}
