import ConvergeWire
import Testing

@testable import ConvergeClient
@testable import ConvergeTerminal

@Suite("The line client's decisions")
struct LineSessionTests {
    private static let second: UInt64 = 1_000_000_000
    private static let a = try? ServerURL("a:1")
    private static let b = try? ServerURL("b:2")

    /// A session with what it did, driven by hand.
    private struct Driver {
        var session: LineSession
        var effects: [LineSession.Effect] = []
        var now: UInt64 = 0
        private var keys = 0

        init(isInteractive: Bool = false, isJSON: Bool = false, isLive: Bool = true, servers: Int = 2) {
            var format = LineFormat(hasColours: false) { _ in "12:03" }
            format.isJSON = isJSON
            session = LineSession(room: "lobby", servers: servers, format: format, isInteractive: isInteractive, at: 0)
            session.start(into: &effects)
            if isLive {
                connecting(LineSessionTests.a)
                live(LineSessionTests.a)
                effects = []
            }
        }

        mutating func type(_ lines: String...) {
            for line in lines { session.handle(.text(line), at: now, into: &effects) }
        }
        mutating func event(_ event: RoomEvent, in room: String = "lobby") {
            session.handle(ClientEvent(room: room, event: event), at: now, into: &effects)
        }
        mutating func connecting(_ url: ServerURL?, in room: String = "lobby") {
            guard let url else { return }
            event(.connection(.connecting(url, attempt: 1)), in: room)
        }
        mutating func live(_ url: ServerURL?, in room: String = "lobby") {
            guard let url else { return }
            event(.connection(.live(url, node: nil, userID: "ana", displayName: "Ana")), in: room)
        }
        mutating func waiting(_ reason: String) { event(.connection(.waiting(.seconds(1), reason: reason))) }
        /// Lost, and back on the other server.
        mutating func moved() {
            waiting("gone")
            connecting(LineSessionTests.b)
            live(LineSessionTests.b)
        }
        mutating func stored(_ id: String = "") {
            keys += 1
            event(.sending(key: "k\(keys)", .stored(Receipt(id: id))))
        }
        mutating func own(_ id: String, _ body: String) {
            event(
                .message(
                    ChatLine(id: id, room: "lobby", userID: "ana", displayName: "Ana", body: body), isMissed: false))
        }
        mutating func answer(_ answer: LineAnswer) { session.answered(answer, at: now, into: &effects) }
        mutating func endOfInput() { session.endOfInput(at: now, into: &effects) }
        mutating func pass(_ seconds: UInt64) {
            now += seconds * LineSessionTests.second
            session.tick(at: now, into: &effects)
        }
        mutating func taken() -> [LineSession.Effect] {
            defer { effects = [] }
            return effects
        }
    }

    private func line(_ id: String, _ body: String, room: String = "lobby") -> ChatLine {
        ChatLine(id: id, room: room, userID: "bob", displayName: "Bob", body: body)
    }

    // MARK: The first connection

    @Test("input waits for the welcome")
    func welcome() {
        var driver = Driver(isLive: false)
        #expect(driver.taken() == [.join("lobby")] && !driver.session.wantsInput)
        driver.connecting(Self.a)
        driver.live(Self.a)
        #expect(driver.taken() == [.print("-- you are Ana in lobby; /help shows the commands")])
        #expect(driver.session.wantsInput)
    }

    @Test("where one server is away the next one is tried, and that is told")
    func second() {
        var driver = Driver(isLive: false)
        driver.connecting(Self.a)
        driver.waiting("refused")
        #expect(driver.taken() == [.join("lobby")])
        driver.connecting(Self.b)
        driver.live(Self.b)
        #expect(driver.taken().first == .note("can't connect to a:1: refused"))
        #expect(driver.session.phase == .chatting)
    }

    @Test("when all servers have been tried in vain it leaves with 1 at once")
    func nobody() {
        var driver = Driver(isLive: false)
        driver.connecting(Self.a)
        driver.waiting("refused")
        driver.connecting(Self.b)
        driver.waiting("not trusted")
        #expect(
            driver.taken() == [
                .join("lobby"), .complain("can't connect to a:1: refused"),
                .complain("can't connect to b:2: not trusted"), .exit(1),
            ])
    }

    @Test("a server that sends its clients elsewhere has been tried, too")
    func elsewhere() {
        var driver = Driver(isLive: false)
        driver.connecting(Self.a)
        driver.connecting(Self.b)
        driver.waiting("refused")
        #expect(driver.taken().last == .exit(1))
    }

    @Test("servers that say nothing are given up after 10 s each", arguments: [1, 3])
    func silence(servers: Int) {
        var driver = Driver(isLive: false, servers: servers)
        driver.connecting(Self.a)
        _ = driver.taken()
        driver.pass(10 * UInt64(servers) - 1)
        #expect(driver.taken().isEmpty)
        driver.pass(1)
        #expect(driver.taken() == [.complain("can't connect to a:1: the server does not answer"), .exit(1)])
    }

    @Test("a refusal for good is said, with status 1, at the beginning and later", arguments: [true, false])
    func unauthorized(isLive: Bool) {
        var driver = Driver(isLive: isLive)
        driver.effects = []
        driver.event(.connection(.ended(.unauthorized)))
        #expect(driver.taken() == [.complain(EndReason.unauthorized.message), .exit(1)])
    }

    // MARK: Requests

    @Test("at the end of input it waits until all is stored, then leaves with 0")
    func acknowledged() {
        var driver = Driver()
        driver.type("hi", "ho")
        driver.endOfInput()
        #expect(driver.taken() == [.send("hi", room: "lobby"), .send("ho", room: "lobby")])
        driver.own("1", "hi")
        driver.stored("1")
        #expect(driver.taken() == [.print("12:03 > Ana: hi")])
        driver.own("2", "ho")
        driver.stored("2")
        #expect(driver.taken().last == .exit(0))
    }

    @Test("one's own messages are seen before it leaves, where they come soon")
    func echo() {
        var driver = Driver()
        driver.type("hi")
        driver.endOfInput()
        driver.stored("1")
        #expect(driver.taken() == [.send("hi", room: "lobby")])
        driver.own("1", "hi")
        #expect(driver.taken() == [.print("12:03 > Ana: hi"), .exit(0)])

        var silent = Driver()
        silent.type("hi")
        silent.endOfInput()
        silent.stored("1")
        silent.pass(1)
        #expect(silent.taken().last == .exit(0))
    }

    @Test("an error to a piped message makes the whole a failure, to a typed one it doesn't", arguments: [true, false])
    func refused(isInteractive: Bool) {
        var driver = Driver(isInteractive: isInteractive)
        driver.type("hi")
        driver.event(.sending(key: "k", .refused("message too large")))
        driver.endOfInput()
        #expect(
            driver.taken() == [
                .send("hi", room: "lobby"), .complain("message too large"), .exit(isInteractive ? 0 : 1),
            ])
    }

    @Test("it takes no more input than the server keeps up with, and hands on no more")
    func inFlight() {
        var driver = Driver()
        for _ in 0..<LineSession.inFlight { driver.type("hi") }
        #expect(driver.taken().count == LineSession.inFlight && !driver.session.wantsInput)
        driver.type("more")
        #expect(driver.taken().isEmpty)
        driver.stored()
        #expect(driver.taken() == [.send("more", room: "lobby")] && !driver.session.wantsInput)
        driver.stored()
        #expect(driver.session.wantsInput)
    }

    @Test("a command waits until the messages before it are stored, and what follows it for its answer")
    func order() {
        var driver = Driver()
        driver.type("hi", "/rooms", "ho", "/users")
        #expect(driver.taken() == [.send("hi", room: "lobby")])
        driver.stored()
        #expect(driver.taken() == [.ask(.rooms, room: "lobby")])
        driver.answer(.shown([.rooms(["lobby"], ref: nil)]))
        #expect(driver.taken() == [.print("-- rooms (1): lobby"), .send("ho", room: "lobby")])
        driver.stored()
        #expect(driver.taken() == [.ask(.users, room: "lobby")])
    }

    @Test("commands become requests, and mistakes are told")
    func commands() {
        var driver = Driver()
        driver.type("/doc tags add alpha", "/nope", "", "/leave")
        let change = DocumentRequest(name: "tags", action: .add("alpha"))
        #expect(
            driver.taken() == [
                .ask(.document(change), room: "lobby"), .complain("there is no command /nope: /help shows them"),
                .complain("/leave is for the full screen: /join goes to another room"),
            ])
        driver.type("/status", "/help")
        #expect(driver.taken().first == .print("-- ana in lobby: live on a:1"))
        driver.answer(.refused("tags was not changed: document full"))
        driver.type("/quit")
        #expect(driver.taken() == [.complain("tags was not changed: document full"), .exit(1)])
    }

    @Test("answers about documents are shown once, changes are shown as they come")
    func documents() {
        var driver = Driver()
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
        var driver = Driver()
        driver.type("hi", "/join dev", "ho")
        #expect(driver.taken() == [.send("hi", room: "lobby")])
        driver.stored()
        #expect(driver.taken() == [.join("dev")])
        driver.connecting(Self.a, in: "dev")
        driver.event(.message(line("1", "still here"), isMissed: false))
        #expect(driver.taken() == [.print("12:03 Bob: still here")])
        driver.live(Self.a, in: "dev")
        #expect(driver.taken() == [.leave("lobby"), .print("-- you are in dev"), .send("ho", room: "dev")])
        driver.event(.message(line("2", "late"), isMissed: false))
        driver.event(.connection(.ended(.left)))
        driver.event(.message(line("3", "hello", room: "dev"), isMissed: false), in: "dev")
        #expect(driver.taken() == [.print("12:03 Bob: hello")])
        driver.type("/join dev")
        driver.event(.sending(key: "k", .stored(Receipt(id: ""))), in: "dev")
        #expect(driver.taken() == [.print("-- you are in dev")])
    }

    @Test("a room that can't be entered is told, and one stays")
    func refusedRoom() {
        var driver = Driver()
        driver.type("/join long", "ho")
        driver.event(.connection(.ended(.invalidRoomOrUser)), in: "long")
        #expect(
            driver.taken() == [
                .join("long"), .complain(EndReason.invalidRoomOrUser.message), .send("ho", room: "lobby"),
            ])
        driver.stored()
        driver.endOfInput()
        driver.pass(1)
        #expect(driver.taken() == [.exit(1)])
    }

    // MARK: Losses

    @Test("a loss is told, what was missed comes in its place, and what was unsent is waited for")
    func loss() {
        var driver = Driver()
        driver.type("hi")
        driver.waiting("the connection to the server was lost")
        driver.waiting("refused")
        driver.type("ho", "/rooms")
        driver.pass(3_600)
        #expect(
            driver.taken() == [
                .send("hi", room: "lobby"),
                .note("not connected: the connection to the server was lost; trying again"),
                .send("ho", room: "lobby"),
            ])
        #expect(driver.session.wantsInput)
        driver.connecting(Self.b)
        driver.live(Self.b)
        driver.event(.message(line("1", "meanwhile"), isMissed: true))
        driver.stored()
        driver.stored()
        // The question waits until what was missed has come.
        #expect(driver.taken() == [.note("connected again, to b:2"), .print("12:03 Bob: meanwhile")])
        driver.event(.resumed(recovered: true, missed: 1, documents: []))
        #expect(driver.taken() == [.ask(.rooms, room: "lobby")])
    }

    @Test("programs are told of a loss by objects")
    func lossJSON() {
        var driver = Driver(isJSON: true)
        driver.moved()
        driver.event(.message(line("1", "meanwhile"), isMissed: true))
        driver.event(.resumed(recovered: false, missed: 1, documents: ["tags"]))
        #expect(
            driver.taken() == [
                .print(#"{"type":"connection","state":"lost","room":"lobby","server":"a:1","reason":"gone"}"#),
                .print(#"{"type":"connection","state":"live","room":"lobby","server":"b:2"}"#),
                .print(
                    #"{"type":"message","id":"1","room":"lobby","user_id":"bob","display_name":"Bob","body":"meanwhile","missed":true}"#
                ),
                .print(#"{"type":"resumed","room":"lobby","recovered":false,"missed":1,"docs":["tags"]}"#),
            ])
        driver.type("/status")
        #expect(
            driver.taken() == [
                .print(#"{"type":"status","state":"live","room":"lobby","user_id":"ana","server":"b:2","unsent":0}"#)
            ])
    }

    @Test("people are told where something may be missing")
    func notRecovered() {
        var driver = Driver()
        driver.moved()
        _ = driver.taken()
        driver.event(.resumed(recovered: false, missed: 0, documents: ["tags"]))
        #expect(
            driver.taken() == [
                .print("-- documents changed meanwhile (1): tags"),
                .print("-- something may be missing before this line"),
            ])
    }

    @Test("a server that sends its clients elsewhere is a loss, too")
    func sentAway() {
        var driver = Driver()
        driver.connecting(Self.b)
        driver.live(Self.b)
        #expect(
            driver.taken() == [
                .note("not connected: the server sends its clients elsewhere; trying again"),
                .note("connected again, to b:2"),
            ])
    }

    @Test("a question that the loss has answered is asked again, a person's is not", arguments: [true, false])
    func interrupted(isInteractive: Bool) {
        var driver = Driver(isInteractive: isInteractive)
        driver.type("/rooms")
        // The answer may come before the loss is told, or behind it.
        driver.answer(.interrupted("the connection was lost before the answer"))
        _ = driver.taken()
        driver.pass(1)
        #expect(driver.taken() == (isInteractive ? [] : [.ask(.rooms, room: "lobby")]))
        guard isInteractive else { return }
        driver.waiting("gone")
        driver.type("/rooms")
        #expect(driver.taken().last == .complain("not connected"))
    }

    // MARK: The end

    @Test("input that ends while there is no connection waits for one, and leaves with 0")
    func endedWhileAway() {
        var driver = Driver()
        driver.type("hi")
        driver.waiting("gone")
        driver.endOfInput()
        _ = driver.taken()
        driver.pass(29)
        #expect(driver.taken().isEmpty)
        driver.connecting(Self.b)
        driver.live(Self.b)
        driver.own("1", "hi")
        driver.stored("1")
        // All that was missed is shown, too.
        #expect(driver.taken().last == .print("12:03 > Ana: hi"))
        driver.event(.resumed(recovered: true, missed: 0, documents: []))
        #expect(driver.taken() == [.exit(0)])
    }

    @Test("it waits only as long as something gets on: then it tells, with status 1", arguments: [true, false])
    func patience(isLive: Bool) {
        var driver = Driver()
        driver.type("hi", "ho")
        if !isLive { driver.waiting("gone") }
        driver.endOfInput()
        driver.pass(20)
        driver.stored()
        driver.pass(29)
        _ = driver.taken()
        // What others say is nothing that gets on, and neither are connections that don't last.
        driver.event(.message(line("1", "chatter"), isMissed: false))
        if !isLive { driver.moved() }
        if !isLive { driver.waiting("gone") }
        _ = driver.taken()
        driver.pass(1)
        #expect(
            driver.taken() == [
                .complain(isLive ? "the server does not answer" : "not connected: gone"),
                .complain("1 of what was sent was not acknowledged"), .exit(1),
            ])
    }

    @Test("input that nobody adds to ends, too, where no connection comes back")
    func wholeInput() {
        var driver = Driver()
        driver.session.inputIsWhole(at: driver.now)
        driver.pass(100)
        for _ in 0..<LineSession.inFlight { driver.type("hi") }
        driver.waiting("gone")
        driver.pass(29)
        #expect(driver.session.phase == .chatting)
        driver.pass(1)
        #expect(driver.taken().last == .exit(1))

        var open = Driver()
        for _ in 0..<LineSession.inFlight { open.type("hi") }
        open.waiting("gone")
        open.pass(100_000)
        #expect(open.session.phase == .chatting)
    }

    @Test("time in which nobody took its output counts for nothing")
    func heldUp() {
        var driver = Driver()
        driver.type("hi")
        driver.endOfInput()
        driver.now += 60 * Self.second
        driver.session.wasHeldUp(until: driver.now)
        driver.pass(29)
        #expect(driver.session.phase == .finishing)
    }

    @Test("an interruption leaves at once, with 130", arguments: [true, false])
    func interruption(isLive: Bool) {
        var driver = Driver(isLive: isLive)
        driver.type("hi")
        _ = driver.taken()
        driver.session.interrupt(into: &driver.effects)
        driver.session.interrupt(into: &driver.effects)
        #expect(driver.taken() == [.exit(130)])
    }
}
