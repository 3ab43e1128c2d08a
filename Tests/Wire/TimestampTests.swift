import ConvergeTestSupport
import ConvergeWire
import Testing

@Suite struct TimestampTests {
    private func text(_ milliseconds: UInt64) -> String {
        var out = ByteBuffer()
        var writer = TimestampWriter()
        writer.append(milliseconds: milliseconds, to: &out)
        return String(decoding: out.bytes, as: UTF8.self)
    }

    private static let known: [(UInt64, String)] = [
        (0, "1970-01-01T00:00:00.000Z"), (1, "1970-01-01T00:00:00.001Z"),
        (951_782_400_000, "2000-02-29T00:00:00.000Z"), (951_868_799_999, "2000-02-29T23:59:59.999Z"),
        (1_709_164_800_000, "2024-02-29T00:00:00.000Z"), (1_795_371_628_123, "2026-11-22T18:20:28.123Z"),
        (4_107_542_400_000, "2100-03-01T00:00:00.000Z"), (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
    ]

    @Test("golden texts", arguments: known)
    func golden(_ milliseconds: UInt64, _ expected: String) {
        #expect(text(milliseconds) == expected)
        #expect(ReadTimestamp(rfc3339: Text(expected)) == ReadTimestamp(milliseconds: Int64(milliseconds)))
    }

    @Test("what is past the year 9999 is written as its end")
    func far() {
        #expect(text(253_402_300_800_000) == "9999-12-31T23:59:59.999Z")
        #expect(text(.max) == "9999-12-31T23:59:59.999Z")
    }

    @Test("a writer that remembers a second writes what a fresh one does")
    func memory() {
        var random = SplitMix64(seed: 9)
        var writer = TimestampWriter()
        var wrong: [UInt64] = []
        var moment: UInt64 = 1_795_371_628_000
        for step in 0..<4000 {
            moment =
                step % 100 == 0
                ? UInt64.random(in: 0...TimestampWriter.latest, using: &random)
                : max(400, moment) - 400 + UInt64.random(in: 0..<1200, using: &random)
            var out = ByteBuffer()
            writer.append(milliseconds: moment, to: &out)
            let written = String(decoding: out.bytes, as: UTF8.self)
            let read = ReadTimestamp(rfc3339: Text(written))
            if written != text(moment) || read?.milliseconds != Int64(min(moment, TimestampWriter.latest)) {
                wrong.append(moment)
            }
        }
        #expect(wrong == [], "seed 9")
    }

    @Test("every day from 1600 to 2400 follows the one before")
    func calendar() {
        var lengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        var milliseconds: Int64 = -11_676_096_000_000  // 1600-01-01
        var wrong: [String] = []
        func padded(_ value: Int, _ digits: Int) -> String {
            String(repeating: "0", count: digits - String(value).count) + String(value)
        }
        for year in 1600...2400 {
            lengths[1] = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
            for month in 1...12 {
                for day in [1, lengths[month - 1]] {
                    let date = "\(padded(year, 4))-\(padded(month, 2))-\(padded(day, 2))T00:00:00.000Z"
                    let expected = milliseconds + Int64(day - 1) * 86_400_000
                    if ReadTimestamp(rfc3339: Text(date))?.milliseconds != expected { wrong.append(date) }
                    if expected >= 0, text(UInt64(expected)) != date { wrong.append(date) }
                }
                let after = "\(padded(year, 4))-\(padded(month, 2))-\(padded(lengths[month - 1] + 1, 2))T00:00:00Z"
                if ReadTimestamp(rfc3339: Text(after)) != nil { wrong.append(after) }
                milliseconds += Int64(lengths[month - 1]) * 86_400_000
            }
        }
        #expect(wrong == [])
    }

    @Test(
        "fractions of any length, offsets, blanks and leap seconds are read",
        arguments: [
            ("2026-11-22T18:20:28Z", 1_795_371_628_000, 0), ("2026-11-22t18:20:28z", 1_795_371_628_000, 0),
            ("2026-11-22 18:20:28.5Z", 1_795_371_628_500, 0),
            ("2026-11-22T18:20:28.123456789Z", 1_795_371_628_123, 456_789),
            ("2026-11-22T18:20:28.1234567899999999999999999999Z", 1_795_371_628_123, 456_789),
            ("2026-11-22T19:20:28.000001+01:00", 1_795_371_628_000, 1000),
            ("2026-11-22T12:50:28-05:30", 1_795_371_628_000, 0), ("1969-12-31T23:59:59.999Z", -1, 0),
            ("1969-12-31T23:59:58.9999Z", -1001, 900_000), ("0001-01-01T00:00:00Z", -62_135_596_800_000, 0),
            ("2016-12-31T23:59:60Z", 1_483_228_800_000, 0), ("0000-01-01T00:00:00+23:59", -62_167_305_540_000, 0),
        ] as [(String, Int64, Int)])
    func read(_ text: String, _ milliseconds: Int64, _ nanoseconds: Int) {
        #expect(
            ReadTimestamp(rfc3339: Text(text)) == ReadTimestamp(milliseconds: milliseconds, nanoseconds: nanoseconds))
    }

    @Test(
        "anything else is not",
        arguments: [
            "", "2026-11-22", "2026-11-22T18:20:28", "2026-11-22T18:20Z", "2026-11-22T18:20:28.Z",
            "2026-11-22T18:20:28,5Z", "2026-13-22T18:20:28Z", "2026-00-22T18:20:28Z", "2026-11-31T18:20:28Z",
            "2026-11-00T18:20:28Z", "2025-02-29T00:00:00Z", "2026-11-22T24:00:00Z", "2026-11-22T18:60:00Z",
            "2026-11-22T18:20:61Z", "2026-11-22T18:20:28Zx", "2026-11-22T18:20:28+1:00", "2026-11-22T18:20:28+24:00",
            "2026-11-22T18:20:28+01:60", "2026-11-22T18:20:28+0100", "26-11-22T18:20:28Z", " 2026-11-22T18:20:28Z",
            "+026-11-22T18:20:28Z", "2026-11-22X18:20:28Z",
        ])
    func refused(_ text: String) {
        #expect(ReadTimestamp(rfc3339: Text(text)) == nil)
    }
}
