/// Randomness for jitter: the same seed gives the same numbers. Not for secrets.
///
/// Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators" (2014).
public struct SeededGenerator: RandomNumberGenerator, Hashable, Sendable {
    private var state: UInt64

    public init(seed: UInt64) { state = seed }

    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// 0...most.
    mutating func upTo(_ most: UInt64) -> UInt64 {
        most == .max ? next() : next().multipliedFullWidth(by: most + 1).high
    }
}

/// Exponential back-off with jitter: the n-th wait is between half of `first` · 2ⁿ and all of it, and never over `greatest`.
///
/// Half of it is left to chance, so that clients that lost one node together don't come to the next one together.
public struct Backoff: Hashable, Sendable {
    public var first: Duration
    public var greatest: Duration

    public init(first: Duration, greatest: Duration) {
        self.first = first
        self.greatest = greatest
    }

    /// In nanoseconds.
    func delay(after failures: Int, _ generator: inout SeededGenerator) -> UInt64 {
        let (first, greatest) = (first.wholeNanoseconds, greatest.wholeNanoseconds)
        let shift = UInt64(min(max(failures, 0), 62))
        let (grown, overflow) = first.multipliedReportingOverflow(by: 1 << shift)
        let bound = overflow ? greatest : min(grown, greatest)
        return bound - bound / 2 + generator.upTo(bound / 2)
    }
}

extension Duration {
    /// Negative ones are 0, and the longest is 292 years.
    var wholeNanoseconds: UInt64 {
        let (seconds, attoseconds) = components
        guard seconds >= 0, attoseconds >= 0 else { return 0 }
        let (whole, overflow) = UInt64(seconds).multipliedReportingOverflow(by: 1_000_000_000)
        guard !overflow, whole < UInt64(Int64.max) - 1_000_000_000 else { return UInt64(Int64.max) }
        return whole + UInt64(attoseconds / 1_000_000_000)
    }
}
