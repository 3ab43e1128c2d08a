import ConvergeCRDT

/// What a node's clocks let it do: its wall clock against those of the others, and the latest moment that it has given or
/// applied (the hybrid clock) against its wall clock.
enum ClockStanding: Equatable, Sendable {
    case right
    /// The hybrid clock is so many milliseconds ahead of wall time, more than is borne: once it ran, or was taken along, by
    /// a wrong clock, and what is written now is dated there, too.
    /// - refuses: nothing is written. Where others would hold aside what is dated so, or no date is left, that is better
    ///   than to acknowledge it.
    case ahead(UInt64, refuses: Bool)
    /// The wall clock is so many milliseconds from the median of the others', more than is borne: nothing is written.
    case skewed(Int64)

    var mayWrite: Bool {
        switch self {
        case .right, .ahead(_, refuses: false): true
        case .ahead(_, refuses: true), .skewed: false
        }
    }

    /// Whether an operator has to be told again: by how much something is wrong changes all the time.
    func isKind(of other: ClockStanding) -> Bool {
        switch (self, other) {
        case (.right, .right), (.skewed, .skewed): true
        case (.ahead(_, let one), .ahead(_, let two)): one == two
        default: false
        }
    }

    /// Judges both.
    /// - Parameters:
    ///   - median: what the others' clocks are ahead of this one; nil where nobody tells.
    ///   - lead: how far ahead entries are accepted, in milliseconds.
    ///   - hasPeers: others take what is written here, or hold it aside.
    static func judge(
        _ last: HybridTimestamp, wall: UInt64, median: Int64?, lead: UInt64, hasPeers: Bool
    ) -> ClockStanding {
        if let median, median.magnitude > ClockSkews.limit { return .skewed(median) }
        let ahead = last.milliseconds - min(last.milliseconds, wall)
        // The last counters are kept back: a batch must not run out of dates in its middle.
        let isSpent = max(last, HybridTimestamp(milliseconds: wall)) >= HybridTimestamp(rawValue: .lastToBegin)
        guard ahead > HybridClock.tolerance || isSpent else { return .right }
        return .ahead(ahead, refuses: isSpent || (hasPeers && ahead > lead))
    }
}

extension UInt64 {
    /// Behind this a store has a minute of dates left, of 65,536 counters a millisecond.
    fileprivate static let lastToBegin = HybridTimestamp.last.rawValue - (60_000 << 16)
}
