/// A moment of a hybrid logical clock: 48 bits of milliseconds since 1970 (UTC) and a 16-bit counter below them.
///
/// One 64-bit number, so that comparing is one instruction and a counter that overflows carries into the milliseconds:
///
///     63                                        16 15            0
///     +-------------------------------------------+--------------+
///     | milliseconds since 1970-01-01T00:00:00Z   | counter      |
///     +-------------------------------------------+--------------+
public struct HybridTimestamp: RawRepresentable, Hashable, Comparable, Sendable {
    public var rawValue: UInt64

    public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// Milliseconds past what 48 bits hold (the year 10889) are taken for the last that they hold.
    public init(milliseconds: UInt64, counter: UInt16 = 0) {
        rawValue = min(milliseconds, 1 << 48 - 1) << 16 | UInt64(counter)
    }

    public static let zero = HybridTimestamp(rawValue: 0)
    /// The last that a store can hold (the year 6429): no entry is dated later.
    public static let last = HybridTimestamp(rawValue: UInt64(Int64.max))

    /// Milliseconds since 1970-01-01T00:00:00Z.
    public var milliseconds: UInt64 { rawValue >> 16 }
    public var counter: UInt16 { UInt16(truncatingIfNeeded: rawValue) }

    public static func < (a: HybridTimestamp, b: HybridTimestamp) -> Bool { a.rawValue < b.rawValue }
}

/// A hybrid logical clock: timestamps near wall time that never run backwards and never stand before what they follow.
///
/// The clock has no time source of its own: wall time is passed in. While wall time stands still or runs backwards the
/// counter goes on, and carries into the milliseconds.
///
/// Kulkarni, Demirbas, Madappa, Avva, Leone: "Logical Physical Clocks and Consistent Snapshots in Globally Distributed
/// Databases" (2014).
public struct HybridClock: Sendable {
    /// How far apart clocks may be before something is taken for wrong, in milliseconds: a day. The one home of this number.
    ///
    /// A node that is further than this from its peers' median refuses to write; an entry that is dated further ahead is held
    /// aside; a clock that was dragged further ahead is told of.
    public static let tolerance: UInt64 = 86_400_000
    /// How far ahead of wall time a client's `after` may drag the clock: an hour less, so that what is dated so is held
    /// aside on no node whose wall clock is a little behind.
    public static let lead: UInt64 = tolerance - 3_600_000

    /// The highest timestamp given out or seen.
    public private(set) var last: HybridTimestamp

    public init(last: HybridTimestamp = .zero) { self.last = last }

    /// The next timestamp, greater than all given out or observed before. `milliseconds` is wall time since 1970.
    public mutating func tick(wall milliseconds: UInt64) -> HybridTimestamp {
        last = max(HybridTimestamp(milliseconds: milliseconds), HybridTimestamp(rawValue: last.rawValue + 1))
        return last
    }

    /// Makes what is ticked from now on stand after `seen`, but lets nobody drag the clock further ahead of wall time
    /// than `limit` milliseconds. Returns false where the limit held it back.
    @discardableResult
    public mutating func observe(_ seen: HybridTimestamp, wall milliseconds: UInt64, limit: UInt64) -> Bool {
        let (sum, overflow) = milliseconds.addingReportingOverflow(limit)
        // The top millisecond is kept back, so that a clock dragged to the end of time can still tick.
        let bound = HybridTimestamp(milliseconds: overflow ? 1 << 48 - 2 : min(sum, 1 << 48 - 2), counter: .max)
        last = max(last, min(seen, bound))
        return seen <= bound
    }
}
