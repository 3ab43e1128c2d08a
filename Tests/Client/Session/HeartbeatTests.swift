import Testing

@testable import ConvergeClient

@Suite("Signs of life")
struct HeartbeatTests {
    private static let second: UInt64 = 1_000_000_000

    @Test func `silence is a loss, unless nothing is read`() {
        var heartbeat = Heartbeat(.init())
        #expect(heartbeat.nextTick == .max && heartbeat.tick(at: 1_000 * Self.second) == nil)
        heartbeat.start(at: 1)
        #expect(heartbeat.tick(at: 1) == .ping(1) && heartbeat.tick(at: 2) == nil)
        #expect(heartbeat.tick(at: 16 * Self.second) == .ping(2))
        #expect(heartbeat.pong(1, at: 16 * Self.second) == nil)
        #expect(heartbeat.pong(2, at: 16 * Self.second + 5_000_000) == .milliseconds(5))
        #expect(heartbeat.tick(at: 40 * Self.second) == .ping(3))
        heartbeat.paused(at: 50 * Self.second)
        #expect(heartbeat.tick(at: 80 * Self.second) == .ping(4))
        #expect(heartbeat.nextTick == 90 * Self.second)
        #expect(heartbeat.tick(at: 90 * Self.second) == .silence)
        heartbeat.stop()
        #expect(heartbeat.nextTick == .max && heartbeat.tick(at: 91 * Self.second) == nil)
    }

    @Test func `whatever comes is a sign of life`() {
        var heartbeat = Heartbeat(.init())
        heartbeat.start(at: 0)
        for second in 1...100 as ClosedRange<UInt64> {
            heartbeat.heard(at: second * Self.second)
            #expect(heartbeat.tick(at: second * Self.second) != .silence)
        }
    }
}
