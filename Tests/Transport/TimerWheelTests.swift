import ConvergeTestSupport
import ConvergeTransport
import Testing

/// The wheel against a list of deadlines that is searched whole.
@Suite("TimerWheel") struct TimerWheelTests {
    @Test("a key fires at the first tick at or after its deadline, once")
    func fires() {
        var wheel = TimerWheel(resolution: 10, now: 100)
        wheel.schedule(3, at: 145)
        var fired: [UInt32] = []
        wheel.advance(to: 149, into: &fired)
        #expect(fired == [])
        wheel.advance(to: 150, into: &fired)
        #expect(fired == [3])
        wheel.advance(to: 10_000, into: &fired)
        #expect(fired == [3] && wheel.count == 0)
    }

    @Test("the last deadline set is the one that counts, and a cancelled one does not")
    func replaced() {
        var wheel = TimerWheel(resolution: 10, now: 0)
        wheel.schedule(0, at: 50)
        wheel.schedule(0, at: 500)
        wheel.schedule(1, at: 50)
        wheel.cancel(1)
        wheel.cancel(7)
        var fired: [UInt32] = []
        wheel.advance(to: 499, into: &fired)
        #expect(fired == [] && wheel.count == 1)
        wheel.advance(to: 500, into: &fired)
        #expect(fired == [0])
    }

    @Test("a deadline in the past fires at the next tick")
    func past() {
        var wheel = TimerWheel(resolution: 10, now: 1_000)
        wheel.schedule(0, at: 3)
        var fired: [UInt32] = []
        wheel.advance(to: 1_009, into: &fired)
        #expect(fired == [])
        wheel.advance(to: 1_010, into: &fired)
        #expect(fired == [0])
    }

    @Test("the end of time is a deadline that never comes")
    func never() {
        var wheel = TimerWheel(resolution: 10, now: 1_000)
        wheel.schedule(0, at: .max)
        wheel.schedule(1, at: .max - 3)
        var fired: [UInt32] = []
        wheel.advance(to: 1 << 62, into: &fired)
        #expect(fired == [] && wheel.count == 2)
    }

    @Test("it waits up to the next tick, and for ever with nothing to wait for")
    func wait() {
        var wheel = TimerWheel(resolution: 50_000_000, now: 0)
        #expect(wheel.wait(from: 0) == nil)
        wheel.schedule(0, at: 1_000_000_000)
        #expect(wheel.wait(from: 0) == 50)
        #expect(wheel.wait(from: 49_000_001) == 1)
        #expect(wheel.wait(from: 60_000_000) == 0)
    }

    @Test("random schedules fire as a plain list of deadlines does")
    func model() {
        var wrong: [String] = []
        for seed in UInt64(0)..<60 {
            var random = SplitMix64(seed: seed)
            let resolution: UInt64 = 10
            var now: UInt64 = 5_000
            var wheel = TimerWheel(resolution: resolution, now: now)
            var deadlines: [UInt32: UInt64] = [:]  // the tick at which the key fires
            for _ in 0..<300 {
                let key = UInt32.random(in: 0..<40, using: &random)
                switch Int.random(in: 0..<8, using: &random) {
                case 0..<4:
                    // Within a turn of the wheel and several of them (512 slots of 10).
                    let deadline = now + UInt64.random(in: 0...20_000, using: &random)
                    wheel.schedule(key, at: deadline)
                    deadlines[key] = max(now / resolution + 1, (deadline + resolution - 1) / resolution)
                case 4:
                    wheel.cancel(key)
                    deadlines[key] = nil
                default:
                    now += random.once(in: 10) ? 30_000 : UInt64.random(in: 0...700, using: &random)
                    var fired: [UInt32] = []
                    wheel.advance(to: now, into: &fired)
                    let expected = deadlines.filter { $0.value <= now / resolution }.keys.sorted()
                    if fired.sorted() != expected { wrong.append("seed \(seed): \(fired), not \(expected)") }
                    for key in expected { deadlines[key] = nil }
                }
                if wheel.count != deadlines.count { wrong.append("seed \(seed): counts \(wheel.count)") }
            }
        }
        #expect(wrong == [])
    }
}
