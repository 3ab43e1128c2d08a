import ConvergeCRDT
import ConvergeStorage

/// When old entries are dropped: a little at a time, between two batches, so that no message waits long for it.
///
/// A message's key is remembered as long as the message, or for the key window, whichever is longer.
struct Retention {
    /// The most entries that one step drops.
    static let step = 512

    /// The wall time of the tick that found pruning due, while it is.
    private var dueSince: UInt64?
    private(set) var isPruning = false
    /// The last piece of work was a step: a waiting batch goes first.
    private var hadStep = false

    var isDue: Bool { dueSince != nil }

    mutating func due(at now: UInt64) { dueSince = now }

    /// The next step, if it is time for one; it is then under way until `finished` or `failed`.
    /// - Parameter through: how far each log can be folded.
    mutating func next(
        keeping retention: UInt64, keys window: UInt64, folding through: VersionVector,
        batchWaits: Bool
    ) -> Pruning? {
        guard let now = dueSince, !(hadStep && batchWaits) else { return nil }
        isPruning = true
        hadStep = true
        // Kept for ever: nothing is too old.
        let horizon = retention == 0 ? 0 : now - min(now, retention)
        let keyHorizon = retention == 0 ? 0 : now - min(now, max(retention, window))
        return Pruning(
            entriesBefore: HybridTimestamp(milliseconds: horizon),
            keysBefore: HybridTimestamp(milliseconds: keyHorizon),
            foldThrough: through, limit: Self.step)
    }

    mutating func batchPassed() { hadStep = false }

    mutating func finished(hasMore: Bool) {
        isPruning = false
        if !hasMore { dueSince = nil }
    }

    mutating func failed() {
        isPruning = false
        dueSince = nil
    }
}
