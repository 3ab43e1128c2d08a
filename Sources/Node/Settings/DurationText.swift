/// Durations as text: `500ms`, `10s`, `1h30m`, `1.5s`, `7d`. The syntax is that of Go's `time.ParseDuration` and days of 24
/// hours, and as there nothing beyond 2^63 - 1 nanoseconds (292 years) can be written; "0" alone needs no unit.
///
/// Reading is exact down to the nanosecond, and what `text` writes reads back as the same duration.
package enum DurationText {
    private static let units: [(name: String, nanoseconds: UInt64)] = [
        ("ns", 1), ("us", 1_000), ("µs", 1_000), ("μs", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000),
        ("m", 60_000_000_000), ("h", 3_600_000_000_000), ("d", 86_400_000_000_000),
    ]

    /// Nil for whatever isn't a duration, or one too long.
    package static func parse(_ text: String) -> Duration? {
        var rest = text.unicodeScalars[...]
        var negative = false
        if let sign = rest.first, sign == "-" || sign == "+" {
            negative = sign == "-"
            rest.removeFirst()
        }
        if String(rest) == "0" { return .zero }
        guard !rest.isEmpty, rest.count <= 64 else { return nil }

        var total: UInt64 = 0
        while !rest.isEmpty {
            guard let part = component(&rest) else { return nil }
            let (sum, overflow) = total.addingReportingOverflow(part)
            guard !overflow, sum <= UInt64(Int64.max) else { return nil }
            total = sum
        }
        let nanoseconds = Int64(total)
        return .nanoseconds(negative ? -nanoseconds : nanoseconds)
    }

    /// Takes one number with its unit, in nanoseconds, off the front.
    private static func component(_ rest: inout Substring.UnicodeScalarView) -> UInt64? {
        let whole = digits(&rest)
        var fraction = Substring.UnicodeScalarView()
        if rest.first == "." {
            rest.removeFirst()
            fraction = digits(&rest)
        }
        guard !whole.isEmpty || !fraction.isEmpty else { return nil }
        guard let count = whole.isEmpty ? 0 : UInt64(String(whole)) else { return nil }

        let end = rest.firstIndex { $0 == "." || isDigit($0) } ?? rest.endIndex
        let name = String(rest[..<end])
        guard let unit = units.first(where: { $0.name == name })?.nanoseconds else { return nil }
        rest = rest[end...]

        let (product, overflow) = count.multipliedReportingOverflow(by: unit)
        guard !overflow else { return nil }
        // 18 digits of a day are below a nanosecond already.
        var numerator: UInt128 = 0
        var denominator: UInt128 = 1
        for digit in fraction.prefix(18) {
            numerator = numerator * 10 + UInt128(digit.value - 48)
            denominator *= 10
        }
        let (sum, overflowed) = product.addingReportingOverflow(UInt64(numerator * UInt128(unit) / denominator))
        return overflowed ? nil : sum
    }

    private static func digits(_ rest: inout Substring.UnicodeScalarView) -> Substring.UnicodeScalarView {
        let end = rest.firstIndex { !isDigit($0) } ?? rest.endIndex
        defer { rest = rest[end...] }
        return rest[..<end]
    }

    private static func isDigit(_ scalar: Unicode.Scalar) -> Bool { (48...57).contains(scalar.value) }

    /// The shortest usual way to write it: `1h30m`, `10s`, `1.5s`, `500ms`, `0`.
    package static func text(_ duration: Duration) -> String {
        let (seconds, attoseconds) = duration.components
        if seconds < 0 || attoseconds < 0 { return "-" + text(.zero - duration) }
        let nanoseconds = UInt64(attoseconds / 1_000_000_000)
        if seconds == 0 {
            return if nanoseconds == 0 {
                "0"
            } else if nanoseconds.isMultiple(of: 1_000_000) {
                "\(nanoseconds / 1_000_000)ms"
            } else if nanoseconds.isMultiple(of: 1_000) {
                "\(nanoseconds / 1_000)us"
            } else {
                "\(nanoseconds)ns"
            }
        }
        var shown = ""
        if seconds >= 3_600 { shown += "\(seconds / 3_600)h" }
        if seconds % 3_600 >= 60 { shown += "\(seconds % 3_600 / 60)m" }
        if seconds % 60 > 0 || nanoseconds > 0 {
            shown += "\(seconds % 60)"
            if nanoseconds > 0 {
                var fraction = String(String(nanoseconds + 1_000_000_000).dropFirst())
                while fraction.hasSuffix("0") { fraction.removeLast() }
                shown += "." + fraction
            }
            shown += "s"
        }
        return shown
    }
}
