/// When the screen is drawn: soon after a change, and never more often than `perSecond`.
///
/// A key that is pressed while nothing else happens is shown at once; of a thousand changes in a second only some thirty
/// are drawn. Times are in nanoseconds of one clock that only grows.
struct Pacing {
    static let perSecond: UInt64 = 30
    static let interval: UInt64 = 1_000_000_000 / perSecond

    private var last: UInt64?
    private(set) var isWanted = false

    /// Something has changed.
    mutating func want() { isWanted = true }

    /// When to draw; nil where nothing has changed.
    var due: UInt64? {
        guard isWanted else { return nil }
        return last.map { $0 &+ Self.interval } ?? 0
    }

    /// Whether to draw now; if so, it counts as drawn.
    mutating func take(at now: UInt64) -> Bool {
        guard let due, now >= due else { return false }
        last = now
        isWanted = false
        return true
    }
}
