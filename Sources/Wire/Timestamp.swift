/// Moments as text: RFC 3339, UTC, with milliseconds, as every server frame has in `timestamp`.
///
/// The calendar is computed, without tables and time zones: Howard Hinnant, "chrono-Compatible Low-Level Date
/// Algorithms" (`civil_from_days`, `days_from_civil`), proleptic Gregorian.

/// Writes moments as `2026-11-22T18:20:28.123Z`; remembers the text of the second before, which mostly is the same.
public struct TimestampWriter: Sendable {
    /// The last moment that has a year of four digits.
    public static let latest: UInt64 = 253_402_300_799_999

    private var second = UInt64.max
    /// `2026-11-22T18:20:28.` in memory order, in three numbers.
    private var head: (UInt64, UInt64, UInt32) = (0, 0, 0)

    public init() {}

    /// Appends the moment `milliseconds` after 1970-01-01T00:00:00Z: always 24 bytes. What is after the year 9999 is
    /// written as its end.
    @inline(__always)
    public mutating func append(milliseconds: UInt64, to out: inout ByteBuffer) {
        let bounded = min(milliseconds, TimestampWriter.latest)
        let (second, thousandths) = bounded.quotientAndRemainder(dividingBy: 1000)
        if second != self.second { remember(second) }
        let room = UnsafeMutableRawPointer(out.reserve(24))
        room.storeBytes(of: head.0, as: UInt64.self)
        room.storeBytes(of: head.1, toByteOffset: 8, as: UInt64.self)
        room.storeBytes(of: head.2, toByteOffset: 16, as: UInt32.self)
        let rest = UInt32(truncatingIfNeeded: thousandths)
        let zero = UInt32(UInt8(ascii: "0"))
        let tail =
            (rest / 100 &+ zero) | (rest / 10 % 10 &+ zero) << 8 | (rest % 10 &+ zero) << 16
            | UInt32(UInt8(ascii: "Z")) << 24
        room.storeBytes(of: tail.littleEndian, toByteOffset: 20, as: UInt32.self)
        out.commit(24)
    }

    @inline(never)
    private mutating func remember(_ second: UInt64) {
        let date = CivilDate(daysSince1970: Int(second / 86_400))
        let inDay = Int(second % 86_400)
        withUnsafeMutableBytes(of: &head) { text in
            func write(_ value: Int, digits: Int, at: Int) {
                var rest = value
                for place in stride(from: at + digits - 1, through: at, by: -1) {
                    text[place] = UInt8(ascii: "0") + UInt8(rest % 10)
                    rest /= 10
                }
            }
            write(date.year, digits: 4, at: 0)
            text[4] = UInt8(ascii: "-")
            write(date.month, digits: 2, at: 5)
            text[7] = UInt8(ascii: "-")
            write(date.day, digits: 2, at: 8)
            text[10] = UInt8(ascii: "T")
            write(inDay / 3600, digits: 2, at: 11)
            text[13] = UInt8(ascii: ":")
            write(inDay / 60 % 60, digits: 2, at: 14)
            text[16] = UInt8(ascii: ":")
            write(inDay % 60, digits: 2, at: 17)
            text[19] = UInt8(ascii: ".")
        }
        self.second = second
    }
}

/// A day of the proleptic Gregorian calendar.
package struct CivilDate: Hashable {
    package var year: Int
    package var month: Int
    package var day: Int

    package init(year: Int, month: Int, day: Int) {
        self.year = year
        self.month = month
        self.day = day
    }

    /// Hinnant's `civil_from_days`: years begin in March, so that the leap day ends them; 400 of them are an era.
    package init(daysSince1970 days: Int) {
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let marchMonth = (5 * dayOfYear + 2) / 153
        day = dayOfYear - (153 * marchMonth + 2) / 5 + 1
        month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    }

    /// Hinnant's `days_from_civil`.
    package var daysSince1970: Int {
        let marchYear = month <= 2 ? year - 1 : year
        let era = (marchYear >= 0 ? marchYear : marchYear - 399) / 400
        let yearOfEra = marchYear - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }
}
