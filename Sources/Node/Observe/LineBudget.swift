/// How many log lines of a kind may be written: some at once, and then one more each interval. So nobody can fill the log
/// from outside. How many were left out stands in the next line of the kind.
///
/// A bucket of tokens, kept as the time at which it would be full (the "generic cell rate algorithm" of ITU-T I.371).
/// Bound: the kinds, which are fixed texts.
struct LineBudget {
    /// What strangers do: one line of a kind in ten seconds.
    static var strangers: LineBudget { LineBudget(burst: 1, interval: 10_000_000_000) }
    /// What peers do who have proved themselves. A cluster that comes up or goes has a line for each of its nodes.
    static var peers: LineBudget { LineBudget(burst: 100, interval: 2_000_000_000) }

    let burst: UInt64
    /// Monotonic nanoseconds.
    let interval: UInt64
    private var kinds: [String: (fullAt: UInt64, left: Int)] = [:]

    init(burst: UInt64, interval: UInt64) {
        self.burst = max(1, burst)
        self.interval = interval
    }

    /// How many lines of this kind were left out since the last that was written; nil where this one is left out, too.
    /// - Parameter kind: a fixed text.
    mutating func take(_ kind: String, at now: UInt64) -> Int? {
        let before = kinds[kind] ?? (0, 0)
        let fullAt = max(before.fullAt, now)
        guard fullAt - now <= (burst - 1) * interval else {
            kinds[kind] = (before.fullAt, before.left + 1)
            return nil
        }
        kinds[kind] = (fullAt + interval, 0)
        return before.left
    }
}
