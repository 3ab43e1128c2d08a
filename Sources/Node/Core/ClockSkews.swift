import ConvergeCRDT
import ConvergeGossip

/// How far the clocks of the peers, and of a database that is shared, are from this node's.
///
/// A hybrid clock follows the highest timestamp it sees, so a wall clock that is far ahead would drag everybody's history
/// along. A node that is too far (`HybridClock.tolerance`) from the median of the others refuses to write until its clock
/// is mended.
///
/// What another clock said is kept against a clock that never jumps. So a node whose own wall clock is set notices it at
/// once, and not when somebody next tells the time.
struct ClockSkews {
    static let limit = HybridClock.tolerance

    /// Sorted by source: its wall time less our monotonic time when it last told.
    private var told: [(source: LogSource, offset: Int64)] = []

    /// - Parameter monotonic: now, in milliseconds of a clock that never jumps.
    mutating func note(_ source: LogSource, wall: UInt64, at monotonic: UInt64) {
        let offset = Self.difference(wall, monotonic)
        if let at = told.firstIndex(where: { $0.source >= source }) {
            if told[at].source == source { told[at].offset = offset } else { told.insert((source, offset), at: at) }
        } else {
            told.append((source, offset))
        }
    }

    mutating func forget(_ source: LogSource) { told.removeAll { $0.source == source } }

    /// What a clock is ahead of ours now, in milliseconds; nil where it has not told.
    func skew(of source: LogSource, wall: UInt64, at monotonic: UInt64) -> Int64? {
        told.first { $0.source == source }.map { Self.difference($0.offset, Self.difference(wall, monotonic)) }
    }

    /// What the median of the others is ahead of this node, in milliseconds; nil where there is none. Of an even number it
    /// is the one of the two in the middle that is nearer: with one wrong clock among three nodes the other two may write.
    func median(wall: UInt64, at monotonic: UInt64) -> Int64? {
        guard !told.isEmpty else { return nil }
        let own = Self.difference(wall, monotonic)
        let sorted = told.map { Self.difference($0.offset, own) }.sorted()
        let (low, high) = (sorted[(sorted.count - 1) / 2], sorted[sorted.count / 2])
        return low.magnitude <= high.magnitude ? low : high
    }

    private static func difference(_ a: UInt64, _ b: UInt64) -> Int64 {
        difference(Int64(clamping: a), Int64(clamping: b))
    }

    private static func difference(_ a: Int64, _ b: Int64) -> Int64 {
        let (difference, overflow) = a.subtractingReportingOverflow(b)
        return overflow ? (a < 0 ? .min : .max) : difference
    }
}
