import ConvergeTransport
import Testing

@Suite("SystemClock") struct SystemClockTests {
    @Test("monotonic time does not run backwards")
    func monotonic() {
        var last: UInt64 = 0
        var backwards = 0
        for _ in 0..<10_000 {
            let now = SystemClock.monotonic()
            if now < last { backwards += 1 }
            last = now
        }
        #expect(backwards == 0)
        #expect(SystemClock.wallMilliseconds() > 1_700_000_000_000)
    }

    @Test(
        "durations in whole nanoseconds, within what fits",
        arguments: [
            (.zero, 0), (.milliseconds(1_500), 1_500_000_000), (.nanoseconds(7), 7), (.seconds(-3), 0),
            (.milliseconds(-1), 0), (.seconds(Int64.max), UInt64(Int64.max)),
        ] as [(Duration, UInt64)])
    func nanoseconds(_ duration: Duration, _ expected: UInt64) {
        #expect(duration.nanoseconds == expected)
        #expect(duration.milliseconds == expected / 1_000_000)
    }
}
