import ConvergeTestSupport
import Testing

@testable import ConvergeNode

@Suite("Durations as text")
struct DurationTextTests {
    @Test(
        "what Go reads, is read, and days",
        arguments: [
            ("500ms", Duration.milliseconds(500)), ("10s", .seconds(10)), ("2m", .seconds(120)),
            ("1h30m", .seconds(5_400)), ("1.5s", .milliseconds(1_500)), (".5s", .milliseconds(500)),
            ("1.s", .seconds(1)), ("0", .zero), ("+0", .zero), ("-0", .zero), ("0s", .zero), ("3us", .microseconds(3)),
            ("3µs", .microseconds(3)), ("3μs", .microseconds(3)), ("7ns", .nanoseconds(7)), ("-5s", .seconds(-5)),
            ("1h1m1s1ms", .milliseconds(3_661_001)), ("0.0000000001h", .nanoseconds(360)), ("1m1m", .seconds(120)),
            ("7d", .seconds(604_800)), ("1d12h", .seconds(129_600)), ("0.5d", .seconds(43_200)),
            ("9223372036854775807ns", .nanoseconds(Int64.max)),
            ("0.3333333333333333333h", .nanoseconds(1_199_999_999_999)),
        ])
    func reads(text: String, duration: Duration) {
        #expect(DurationText.parse(text) == duration)
    }

    @Test(
        "what Go refuses, is refused",
        arguments: [
            "", " ", "10", "s", ".s", "1x", "1D", "1w", "106752d", "10 s", "1h 30m", " 10s", "10s ", "--5s", "-", "+",
            "1e3s", "0x5s",
            "1,5s", "1..5s", "1.5.5s", "10S", "9223372036854775808ns", "9999999999h", "99999999999999999999999s", "١s",
            "1h-5m", "1h30", "1.5", String(repeating: "1s", count: 40),
        ])
    func refuses(text: String) {
        #expect(DurationText.parse(text) == nil)
    }

    @Test(
        "durations are written as a person would",
        arguments: [
            (Duration.milliseconds(500), "500ms"), (.seconds(10), "10s"), (.seconds(120), "2m"),
            (.seconds(5_400), "1h30m"), (.milliseconds(1_500), "1.5s"), (.zero, "0"), (.seconds(54), "54s"),
            (.seconds(86_400), "24h"), (.microseconds(1_001), "1001us"), (.nanoseconds(1_000_000_001), "1.000000001s"),
            (.seconds(-90), "-1m30s"),
        ])
    func writes(duration: Duration, text: String) {
        #expect(DurationText.text(duration) == text)
    }

    @Test("whatever is written reads back as the same duration")
    func roundTrip() {
        let seed = UInt64.random(in: 0 ... .max)
        var generator = SplitMix64(seed: seed)
        var failed: Duration?
        for _ in 0..<2_000 where failed == nil {
            let bits = Int.random(in: 1...62, using: &generator)
            let duration = Duration.nanoseconds(Int64.random(in: 0..<(1 << bits), using: &generator))
            if DurationText.parse(DurationText.text(duration)) != duration { failed = duration }
        }
        #expect(failed == nil, "seed \(seed)")
    }
}
