import ConvergeWire
import Testing

@testable import ConvergeClient
@testable import ConvergeTerminal

@Suite("The line client's decisions: losses and the end")
struct LineSessionLossTests {
    // MARK: Losses

    @Test("a loss is told, what was missed comes in its place, and what was unsent is waited for")
    func loss() {
        var driver = LineDriver()
        driver.type("hi")
        driver.waiting("the connection to the server was lost")
        driver.waiting("refused")
        driver.type("ho", "/rooms")
        driver.pass(3_600)
        #expect(
            driver.taken() == [
                .send("hi", room: "lobby", line: 1),
                .note("not connected: the connection to the server was lost; trying again"),
                .send("ho", room: "lobby", line: 2),
            ])
        #expect(driver.session.wantsInput)
        driver.connecting(LineDriver.b)
        driver.live(LineDriver.b)
        driver.event(.message(LineDriver.line("1", "meanwhile"), isMissed: true))
        driver.stored()
        driver.stored()
        // The question waits until what was missed has come.
        #expect(driver.taken() == [.note("connected again, to b:2"), .print("12:03 Bob: meanwhile")])
        driver.event(.resumed(recovered: true, missed: 1, documents: []))
        #expect(driver.taken() == [.ask(.rooms, room: "lobby")])
    }

    @Test("programs are told of a loss by objects")
    func lossJSON() {
        var driver = LineDriver(isJSON: true)
        driver.moved()
        driver.event(.message(LineDriver.line("1", "meanwhile"), isMissed: true))
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
        var driver = LineDriver()
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
        var driver = LineDriver()
        driver.connecting(LineDriver.b)
        driver.live(LineDriver.b)
        #expect(
            driver.taken() == [
                .note("not connected: the server sends its clients elsewhere; trying again"),
                .note("connected again, to b:2"),
            ])
    }

    @Test("a question that the loss has answered is asked again, a person's is not", arguments: [true, false])
    func interrupted(isInteractive: Bool) {
        var driver = LineDriver(isInteractive: isInteractive)
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
        var driver = LineDriver()
        driver.type("hi")
        driver.waiting("gone")
        driver.endOfInput()
        _ = driver.taken()
        driver.pass(29)
        #expect(driver.taken().isEmpty)
        driver.connecting(LineDriver.b)
        driver.live(LineDriver.b)
        driver.own("1", "hi")
        driver.stored("1")
        // All that was missed is shown, too.
        #expect(driver.taken().last == .print("12:03 > Ana: hi"))
        driver.event(.resumed(recovered: true, missed: 0, documents: []))
        #expect(driver.taken() == [.exit(0)])
    }

    @Test("it waits only as long as something gets on: then it tells, with status 1", arguments: [true, false])
    func patience(isLive: Bool) {
        var driver = LineDriver()
        driver.type("hi", "ho")
        if !isLive { driver.waiting("gone") }
        driver.endOfInput()
        driver.pass(20)
        driver.stored()
        driver.pass(29)
        _ = driver.taken()
        // What others say is nothing that gets on, and neither are connections that don't last.
        driver.event(.message(LineDriver.line("1", "chatter"), isMissed: false))
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
        var driver = LineDriver()
        driver.session.inputIsWhole(at: driver.now)
        driver.pass(100)
        for _ in 0..<LineSession.inFlight { driver.type("hi") }
        driver.waiting("gone")
        driver.pass(29)
        #expect(driver.session.phase == .chatting)
        driver.pass(1)
        #expect(driver.taken().last == .exit(1))

        var open = LineDriver()
        for _ in 0..<LineSession.inFlight { open.type("hi") }
        open.waiting("gone")
        open.pass(100_000)
        #expect(open.session.phase == .chatting)
    }

    @Test("time in which nobody took its output counts for nothing")
    func heldUp() {
        var driver = LineDriver()
        driver.type("hi")
        driver.endOfInput()
        driver.now += 60 * LineDriver.second
        driver.session.wasHeldUp(until: driver.now)
        driver.pass(29)
        #expect(driver.session.phase == .finishing)
    }

    @Test("an interruption leaves at once, with 130", arguments: [true, false])
    func interruption(isLive: Bool) {
        var driver = LineDriver(isLive: isLive)
        driver.type("hi")
        _ = driver.taken()
        driver.session.interrupt(into: &driver.effects)
        driver.session.interrupt(into: &driver.effects)
        #expect(driver.taken() == [.exit(130)])
    }
}
