import ConvergeWire
import Testing

@testable import ConvergeClient
@testable import ConvergeTerminal

@Suite("The line client's decisions")
struct LineSessionTests {
    private static let second: UInt64 = 1_000_000_000

    /// A session with what it did, driven by hand.
    private struct Driver {
        var session: LineSession
        var effects: [LineSession.Effect] = []
        var now: UInt64 = 0

        init(isInteractive: Bool = false, welcomed: Bool = true) {
            let format = LineFormat(hasColours: false) { _ in "12:03" }
            session = LineSession(format: format, isInteractive: isInteractive, at: 0)
            if welcomed { event(.welcome(Welcome(room: "lobby", userID: "ana", displayName: "Ana"))) }
            effects = []
        }

        mutating func type(_ text: String) { session.handle(.text(text), at: now, into: &effects) }
        mutating func event(_ event: ChatEvent) { session.handle(.chat(event), at: now, into: &effects) }
        mutating func end(_ end: ConnectionEnd) { session.handle(.ended(end), at: now, into: &effects) }
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

    private let own = ChatLine(room: "lobby", userID: "ana", displayName: "Ana", body: "hi")
    private let normal = ConnectionEnd.closed(.normal, reason: "", byUs: true)

    @Test("input waits for the welcome")
    func welcome() {
        var driver = Driver(welcomed: false)
        #expect(!driver.session.wantsInput)
        driver.event(.welcome(Welcome(room: "lobby", userID: "ana", displayName: "Ana")))
        #expect(driver.session.wantsInput)
    }

    @Test("a server that says nothing is given up")
    func silence() {
        var driver = Driver(welcomed: false)
        driver.pass(9)
        #expect(driver.taken().isEmpty)
        driver.pass(1)
        #expect(driver.taken() == [.complain("the server does not answer"), .exit(1)])
    }

    @Test("at the end of input it waits for each acknowledgement, then closes and leaves with 0")
    func acknowledged() {
        var driver = Driver()
        driver.type("hi")
        driver.type("ho")
        driver.endOfInput()
        #expect(driver.taken() == [.send(.message("hi", ref: "c1")), .send(.message("ho", ref: "c2"))])
        driver.event(.ack(Receipt(id: "1"), ref: "c1"))
        driver.event(.message(own))
        #expect(driver.taken() == [.print("12:03 > Ana: hi")])
        driver.event(.ack(Receipt(id: "2"), ref: "c2"))
        #expect(driver.taken() == [.close])
        driver.end(normal)
        #expect(driver.taken() == [.exit(0)])
    }

    @Test("a server that doesn't answer the close is not waited for")
    func noCloseAnswer() {
        var driver = Driver()
        driver.endOfInput()
        driver.pass(2)
        #expect(driver.taken() == [.close, .exit(0)])
    }

    @Test("what is never acknowledged is told, with status 1")
    func unacknowledged() {
        var driver = Driver()
        driver.type("hi")
        driver.endOfInput()
        _ = driver.taken()
        driver.pass(10)
        #expect(driver.taken() == [.complain("1 of what was sent was not acknowledged"), .close])
        driver.end(normal)
        #expect(driver.taken() == [.exit(1)])
    }

    @Test("of a server that acknowledges nothing, one's own message in the room is enough")
    func echoed() {
        var driver = Driver()
        driver.type("hi")
        driver.type("/rooms")
        driver.endOfInput()
        driver.event(.message(own))
        driver.event(.rooms(["lobby"], ref: nil))
        _ = driver.taken()
        driver.pass(1)
        #expect(driver.taken() == [.close])
    }

    @Test("an error to a piped message makes the whole a failure, to a typed one it doesn't", arguments: [true, false])
    func refused(isInteractive: Bool) {
        var driver = Driver(isInteractive: isInteractive)
        driver.type("hi")
        driver.event(.error("message too large", ref: "c1"))
        driver.endOfInput()
        driver.end(normal)
        #expect(
            driver.taken() == [
                .send(.message("hi", ref: "c1")), .complain("message too large"), .close, .exit(isInteractive ? 0 : 1),
            ])
    }

    @Test("it takes no more input than the server keeps up with")
    func inFlight() {
        var driver = Driver()
        for _ in 0..<LineSession.inFlight { driver.type("hi") }
        #expect(!driver.session.wantsInput)
        driver.event(.ack(Receipt(id: "1"), ref: "c1"))
        #expect(driver.session.wantsInput)
    }

    @Test("a command waits until the messages before it are stored, and so does what follows it")
    func order() {
        var driver = Driver()
        for line in ["hi", "/join dev", "ho"] { driver.type(line) }
        #expect(driver.taken() == [.send(.message("hi", ref: "c1"))])
        #expect(!driver.session.wantsInput)
        driver.endOfInput()
        driver.event(.ack(Receipt(id: "1"), ref: "c1"))
        #expect(driver.taken() == [.send(.join("dev", ref: "c2")), .send(.message("ho", ref: "c3"))])
        driver.event(.joined(room: "dev", cursor: nil, ref: "c2"))
        driver.event(.ack(Receipt(id: "2"), ref: "c3"))
        #expect(driver.taken() == [.print("-- you are in dev"), .close])
    }

    @Test("a server that answers no messages doesn't hold commands up for long")
    func orderWithoutAnswers() {
        var driver = Driver()
        driver.type("hi")
        driver.type("/rooms")
        _ = driver.taken()
        driver.pass(3)
        #expect(driver.taken() == [.send(.rooms(ref: "c2"))])
    }

    @Test("a connection that ends by itself is said clearly, with status 1")
    func lost() {
        var driver = Driver()
        driver.type("hi")
        _ = driver.taken()
        driver.end(.lost)
        #expect(
            driver.taken() == [
                .complain("the connection to the server was lost"),
                .complain("1 of what was sent was not acknowledged"),
                .exit(1),
            ])
        var refused = Driver(welcomed: false)
        refused.end(.closed(.policyViolation, reason: "unauthorized", byUs: false))
        guard case .complain(let words) = refused.effects.first else {
            Issue.record("nothing was said")
            return
        }
        #expect(words.hasPrefix("unauthorized") && refused.effects.last == .exit(1))
    }

    @Test("a silent connection is asked for a sign of life, and given up without one")
    func pings() {
        var driver = Driver()
        driver.pass(29)
        #expect(driver.taken().isEmpty)
        driver.pass(1)
        #expect(driver.taken() == [.ping])
        driver.session.heard(at: driver.now)
        driver.pass(30)
        #expect(driver.taken() == [.ping])
        driver.pass(30)
        #expect(driver.taken() == [.ping])
        driver.pass(15)
        #expect(driver.taken() == [.complain("the connection to the server was lost"), .exit(1)])
    }

    @Test("commands become requests, and mistakes are told")
    func commands() {
        var driver = Driver(isInteractive: true)
        for line in ["/join dev", "/users", "/history 5", "/nope", ""] { driver.type(line) }
        #expect(
            driver.taken() == [
                .send(.join("dev", ref: "c1")), .send(.users(ref: "c2")), .send(.history(limit: 5, ref: "c3")),
                .complain("there is no command /nope: /help shows them"),
            ])
        driver.type("/help")
        #expect(driver.taken().count == LineInput.commandList.count)
        driver.type("/quit")
        #expect(driver.session.phase == .finishing)
    }

    @Test("an interruption leaves at once, politely")
    func interrupted() {
        var driver = Driver()
        driver.type("hi")
        _ = driver.taken()
        driver.session.interrupt(at: 0, into: &driver.effects)
        #expect(driver.taken() == [.close])
        driver.session.interrupt(at: 0, into: &driver.effects)
        #expect(driver.taken() == [.exit(130)])
    }
}
