import ConvergeWire
import Testing

@testable import ConvergeClient

@Suite("Reconnecting")
struct ReconnectMachineTests {
    private static let second: UInt64 = 1_000_000_000

    private struct Driver {
        var machine: ReconnectMachine
        var now: UInt64 = 1
        var waits: [UInt64] = []

        init(servers: Int = 3, seed: UInt64 = 1, options: ReconnectMachine.Options = .init()) {
            machine = ReconnectMachine(
                servers: servers, options: options, generator: SeededGenerator(seed: seed))
        }

        mutating func tell(_ event: ReconnectMachine.Event) -> [ReconnectMachine.Effect] {
            var effects: [ReconnectMachine.Effect] = []
            machine.handle(event, at: now, into: &effects)
            for case .wait(let delay, _) in effects { waits.append(delay.wholeNanoseconds) }
            return effects
        }

        mutating func waitItsTime() -> [ReconnectMachine.Effect] {
            now = machine.nextTick
            var effects: [ReconnectMachine.Effect] = []
            machine.tick(at: now, into: &effects)
            return effects
        }

        mutating func fail(_ times: Int) -> [Int] {
            var servers: [Int] = []
            for _ in 0..<times {
                for case .connect(let server, _) in tell(.token) { servers.append(server) }
                _ = tell(.failed("refused"))
                _ = waitItsTime()
            }
            return servers
        }

        /// From asking for a token to being welcome.
        mutating func connect(for time: UInt64) {
            _ = tell(.token)
            _ = tell(.live)
            now += time
        }
    }

    @Test func `each failure goes on to the next server, and the wait doubles with each round`() {
        var driver = Driver()
        #expect(driver.tell(.start) == [.askToken(isRefused: false)])
        #expect(driver.fail(9) == [0, 1, 2, 0, 1, 2, 0, 1, 2])
        for (index, wait) in driver.waits.enumerated() {
            let bound: UInt64 = 250_000_000 << UInt64(index / 3)
            #expect(wait >= bound / 2 && wait <= bound, "wait \(index): \(wait)")
        }
        _ = driver.fail(60)
        #expect(driver.waits.allSatisfy { $0 <= 30 * Self.second })
        #expect(driver.waits.suffix(5).allSatisfy { $0 >= 15 * Self.second })
    }

    @Test func `clients that lost a node together don't come back together`() {
        let waits = Set(
            (0..<50).map { seed in
                var driver = Driver(seed: UInt64(seed))
                _ = driver.tell(.start)
                _ = driver.fail(1)
                return driver.waits[0]
            })
        #expect(waits.count > 45)
    }

    @Test func `a connection that lasted makes failures forgotten, one that did not doesn't`() {
        var driver = Driver(servers: 1)
        _ = driver.tell(.start)
        _ = driver.fail(8)
        driver.connect(for: Self.second)
        _ = driver.tell(.ended(.lost))
        #expect(driver.waits.last! > 5 * Self.second)
        _ = driver.waitItsTime()
        driver.connect(for: 11 * Self.second)
        _ = driver.tell(.ended(.lost))
        #expect(driver.waits.last! <= 250_000_000)
    }

    @Test(
        "a node that sends its clients elsewhere is left at once, but not for ever in a circle",
        arguments: [CloseCode.serviceRestart, .tryAgainLater])
    func elsewhere(code: CloseCode) {
        var driver = Driver()
        _ = driver.tell(.start)
        let end = ReconnectMachine.Event.ended(.closed(code, reason: "", byUs: false))
        for _ in 0..<2 {
            driver.connect(for: 0)
            #expect(driver.tell(end) == [.askToken(isRefused: false)])
        }
        driver.connect(for: 0)
        _ = driver.tell(end)
        #expect(driver.waits.count == 1)
        #expect(driver.machine.server == 0)
    }

    @Test func `with one server there is nowhere else`() {
        var driver = Driver(servers: 1)
        _ = driver.tell(.start)
        driver.connect(for: 0)
        _ = driver.tell(.ended(.closed(.serviceRestart, reason: "", byUs: false)))
        #expect(driver.waits.count == 1)
    }

    @Test func `a refused token is asked for once more, and then it is over`() {
        var driver = Driver()
        let refused = ReconnectMachine.Event.ended(.closed(.policyViolation, reason: "unauthorized", byUs: false))
        _ = driver.tell(.start)
        _ = driver.tell(.token)
        #expect(driver.tell(refused) == [.askToken(isRefused: true)])
        #expect(driver.tell(.token) == [.connect(server: 0, attempt: 1)])
        #expect(driver.tell(refused) == [.end(.unauthorized)])
        #expect(driver.tell(.start).isEmpty && driver.machine.nextTick == .max)
    }

    @Test func `where a person is there, a refused token is asked for again and again, less and less often`() {
        var options = ReconnectMachine.Options()
        options.unauthorizedBackoff = Backoff(first: .seconds(4), greatest: .seconds(20))
        var driver = Driver(servers: 2, options: options)
        let refused = ReconnectMachine.Event.ended(.closed(.policyViolation, reason: "unauthorized", byUs: false))
        _ = driver.tell(.start)
        _ = driver.tell(.token)
        #expect(driver.tell(refused) == [.askToken(isRefused: true)])
        for round in 0..<6 {
            _ = driver.tell(.token)
            guard case .wait(_, let reason)? = driver.tell(refused).last else {
                Issue.record("no wait in round \(round)")
                return
            }
            #expect(reason == EndReason.unauthorized.message)
            let bound = min(4 << UInt64(round), 20) * Self.second
            #expect(driver.waits[round] >= bound / 2 && driver.waits[round] <= bound)
            // A fresh one, not the one that was refused.
            #expect(driver.waitItsTime() == [.askToken(isRefused: true)])
        }
        driver.connect(for: 1)
        // A good one: it all begins anew.
        #expect(driver.tell(refused) == [.askToken(isRefused: true)])
    }

    @Test func `somebody who does not want to wait need not, and what is under way goes on`() {
        var driver = Driver()
        _ = driver.tell(.start)
        #expect(driver.tell(.retry).isEmpty)
        _ = driver.tell(.token)
        #expect(driver.tell(.retry).isEmpty)
        _ = driver.tell(.failed("refused"))
        #expect(driver.tell(.retry) == [.askToken(isRefused: false)])
        #expect(driver.tell(.token) == [.connect(server: 1, attempt: 2)])
        #expect(driver.machine.nextTick == .max)
    }

    @Test func `a token that was good until now is asked for anew each time`() {
        var driver = Driver(servers: 1)
        _ = driver.tell(.start)
        for _ in 0..<3 {
            driver.connect(for: 20 * Self.second)
            _ = driver.tell(.ended(.lost))
            _ = driver.waitItsTime()
            _ = driver.tell(.token)
            let end = ReconnectMachine.Event.ended(.refused(status: 401, reason: ""))
            #expect(driver.tell(end) == [.askToken(isRefused: true)])
        }
    }

    @Test func `a token that can't be had is waited for`() {
        var driver = Driver()
        _ = driver.tell(.start)
        #expect(driver.tell(.tokenFailed("no")).count == 1)
        #expect(driver.waitItsTime() == [.askToken(isRefused: false)])
    }

    @Test func `what no attempt can mend ends it, and so does leaving`() {
        var driver = Driver()
        _ = driver.tell(.start)
        _ = driver.tell(.token)
        let end = ConnectionEnd.closed(.policyViolation, reason: "invalid room or user", byUs: false)
        #expect(driver.tell(.ended(end)) == [.end(.invalidRoomOrUser)])
        var other = Driver()
        _ = other.tell(.start)
        #expect(other.tell(.stop) == [.end(.left)])
        #expect(other.tell(.token).isEmpty)
    }
}
