import ConvergeWire

/// Moments as a person reads them where they are: `12:03`, `Monday 23 November 2026`.
///
/// The offset from UTC is asked for each moment, since it changes with summer time; the answer is the shell's.
struct LocalClock: Sendable {
    /// Seconds east of UTC at a moment, given in milliseconds since 1970.
    let offset: @Sendable (Int64) -> Int

    init(offset: @escaping @Sendable (Int64) -> Int) { self.offset = offset }

    static let utc = LocalClock { _ in 0 }

    /// Days since 1970-01-01 there and then.
    func day(_ milliseconds: Int64) -> Int { Self.floor(local(milliseconds), 86_400) }

    func time(_ milliseconds: Int64) -> String {
        let second = local(milliseconds) - day(milliseconds) * 86_400
        return "\(Self.two(second / 3_600)):\(Self.two(second / 60 % 60))"
    }

    func dayName(_ milliseconds: Int64) -> String {
        let day = day(milliseconds)
        let date = CivilDate(daysSince1970: day)
        let weekday = Self.weekdays[((day + 3) % 7 + 7) % 7]
        return "\(weekday) \(date.day) \(Self.months[min(max(date.month, 1), 12) - 1]) \(date.year)"
    }

    private func local(_ milliseconds: Int64) -> Int {
        // Whatever a server writes: within some thousand years, so that nothing overflows.
        let bounded = min(max(milliseconds, -100_000_000_000_000), 100_000_000_000_000)
        return Self.floor(Int(bounded), 1_000) + min(max(offset(bounded), -86_400), 86_400)
    }

    private static func floor(_ a: Int, _ b: Int) -> Int { a >= 0 ? a / b : (a - b + 1) / b }
    private static func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }

    private static let weekdays = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
    private static let months = [
        "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
        "December",
    ]
}
