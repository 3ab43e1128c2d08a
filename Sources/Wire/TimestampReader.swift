/// A moment that was read from RFC 3339 text, which may be finer than the milliseconds that this server counts in.
public struct ReadTimestamp: Hashable, Sendable {
    /// Since 1970-01-01T00:00:00Z, rounded down; negative before.
    public var milliseconds: Int64
    /// What is left beyond the milliseconds: 0 to 999,999. Digits past the ninth are cut off.
    public var nanoseconds: Int

    public init(milliseconds: Int64, nanoseconds: Int = 0) {
        self.milliseconds = milliseconds
        self.nanoseconds = nanoseconds
    }

    /// Reads `2026-11-22T18:20:28.123456789+01:00` (RFC 3339, section 5.6): any number of fraction digits or none, `Z`
    /// or an offset, `T` and `Z` of either case, a blank for the `T` as databases print it. A leap second is read as
    /// the second after. Nil for anything else, for days that no month has and for anything after the text.
    public init?(rfc3339 text: UnsafeRawBufferPointer) {
        var reader = DigitReader(bytes: text)
        guard let year = reader.number(digits: 4), reader.byte("-"),
            let month = reader.number(digits: 2), reader.byte("-"),
            let day = reader.number(digits: 2), reader.byte("T") || reader.byte("t") || reader.byte(" "),
            let hour = reader.number(digits: 2), reader.byte(":"),
            let minute = reader.number(digits: 2), reader.byte(":"),
            let second = reader.number(digits: 2)
        else { return nil }
        let date = CivilDate(year: year, month: month, day: day)
        let days = date.daysSince1970
        guard (1...12).contains(month), day >= 1, CivilDate(daysSince1970: days) == date, hour <= 23, minute <= 59,
            second <= 60
        else { return nil }

        var fraction = 0
        if reader.byte(".") {
            guard let billionths = reader.billionths() else { return nil }
            fraction = billionths
        }
        var offset = 0
        if !reader.byte("Z"), !reader.byte("z") {
            let ahead = reader.byte("+")
            guard ahead || reader.byte("-"), let hours = reader.number(digits: 2), reader.byte(":"),
                let minutes = reader.number(digits: 2), hours <= 23, minutes <= 59
            else { return nil }
            offset = (hours * 60 + minutes) * (ahead ? 60 : -60)
        }
        guard reader.isAtEnd else { return nil }
        let seconds = days * 86_400 + hour * 3600 + minute * 60 + second - offset
        milliseconds = Int64(seconds * 1000 + fraction / 1_000_000)
        nanoseconds = fraction % 1_000_000
    }

    public init?(rfc3339 text: Text) {
        guard let read = text.withUTF8({ ReadTimestamp(rfc3339: UnsafeRawBufferPointer($0)) }) else { return nil }
        self = read
    }
}

/// Reads fixed runs of decimal digits.
private struct DigitReader {
    let bytes: UnsafeRawBufferPointer
    var at = 0

    var isAtEnd: Bool { at == bytes.count }

    mutating func byte(_ wanted: Unicode.Scalar) -> Bool {
        guard at < bytes.count, bytes[at] == UInt8(ascii: wanted) else { return false }
        at += 1
        return true
    }

    mutating func number(digits: Int) -> Int? {
        var value = 0
        for _ in 0..<digits {
            guard let digit = digit() else { return nil }
            value = value * 10 + digit
        }
        return value
    }

    /// One digit or more, as a fraction of one in billionths.
    mutating func billionths() -> Int? {
        var value = 0
        var count = 0
        while let digit = digit() {
            if count < 9 { value = value * 10 + digit }
            count += 1
        }
        guard count > 0 else { return nil }
        for _ in min(count, 9)..<9 { value *= 10 }
        return value
    }

    private mutating func digit() -> Int? {
        guard at < bytes.count else { return nil }
        let digit = bytes[at] &- UInt8(ascii: "0")
        guard digit < 10 else { return nil }
        at += 1
        return Int(digit)
    }
}
