import ConvergeTestSupport
import ConvergeCRDT
import Testing

@Suite struct HybridClockTests {
    @Test("a timestamp is milliseconds above a counter")
    func layout() {
        let moment = HybridTimestamp(milliseconds: 1_700_000_000_123, counter: 7)
        #expect(moment.milliseconds == 1_700_000_000_123)
        #expect(moment.counter == 7)
        #expect(HybridTimestamp(milliseconds: 1, counter: .max) < HybridTimestamp(milliseconds: 2))
        #expect(HybridTimestamp(milliseconds: .max).milliseconds == (1 << 48) - 1)
    }

    @Test("ticks with wall time, and counts where that stands still or runs back")
    func ticks() {
        var clock = HybridClock()
        #expect(clock.tick(wall: 100) == HybridTimestamp(milliseconds: 100))
        #expect(clock.tick(wall: 100) == HybridTimestamp(milliseconds: 100, counter: 1))
        #expect(clock.tick(wall: 50) == HybridTimestamp(milliseconds: 100, counter: 2))
        #expect(clock.tick(wall: 101) == HybridTimestamp(milliseconds: 101))
    }

    @Test("a full counter carries into the milliseconds")
    func carries() {
        var clock = HybridClock(last: HybridTimestamp(milliseconds: 100, counter: .max))
        #expect(clock.tick(wall: 100) == HybridTimestamp(milliseconds: 101))
    }

    @Test("stands after what it has observed")
    func observes() {
        var clock = HybridClock()
        #expect(clock.observe(HybridTimestamp(milliseconds: 500, counter: 3), wall: 100, limit: 1_000) == true)
        #expect(clock.tick(wall: 101) == HybridTimestamp(milliseconds: 500, counter: 4))
        #expect(clock.observe(HybridTimestamp(milliseconds: 2), wall: 102, limit: 1_000) == true)
        #expect(clock.last == HybridTimestamp(milliseconds: 500, counter: 4))
    }

    @Test("is not dragged further ahead of wall time than the limit")
    func limited() {
        var clock = HybridClock()
        #expect(clock.observe(HybridTimestamp(milliseconds: 5_000), wall: 100, limit: 1_000) == false)
        #expect(clock.last == HybridTimestamp(milliseconds: 1_100, counter: .max))
        #expect(clock.observe(HybridTimestamp(milliseconds: 1_100, counter: .max), wall: 100, limit: 1_000) == true)
    }

    @Test("can still tick when it was dragged to the end of time")
    func endOfTime() {
        var clock = HybridClock()
        clock.observe(HybridTimestamp(rawValue: .max), wall: .max, limit: .max)
        let last = clock.last
        #expect(clock.tick(wall: 0) > last)
    }

    @Test("never gives a timestamp twice nor one below another, whatever wall time and peers do")
    func monotone() {
        var random = SplitMix64(seed: 5)
        var clock = HybridClock()
        var last = HybridTimestamp.zero
        var broken = 0
        for _ in 0..<20_000 {
            let wall = 1_000 + UInt64(random.below(50))
            if random.chance(30) {
                let seen = HybridTimestamp(
                    milliseconds: UInt64(random.below(2_000)), counter: UInt16(random.below(65_536)))
                clock.observe(seen, wall: wall, limit: 100)
                last = max(last, min(seen, HybridTimestamp(milliseconds: wall + 100, counter: .max)))
            } else {
                let now = clock.tick(wall: wall)
                if now <= last { broken += 1 }
                last = now
            }
        }
        #expect(broken == 0)
    }
}
