import ConvergeCRDT
import ConvergeWire

/// One counter: of each replica that ever wrote it, what that replica has added and taken in all.
///
/// Only a replica's own writes change its part, and neither total ever falls; so the greater of two is the later one, and
/// taking up a part twice, or an old one after a new one, changes nothing.
///
/// Shapiro et al.: "A comprehensive study of Convergent and Commutative Replicated Data Types" (2011), section 3.1.3.
struct DocumentCounter: Sendable {
    private var parts: [ReplicaID: CounterTotals] = [:]
    /// All that was added less all that was taken. Some billions of replicas at their limit would not fill it.
    private var sum: Int128 = 0

    var isEmpty: Bool { parts.isEmpty }

    /// What was added less what was taken, or the nearest number that there is a place for.
    var value: Int64 { Int64(clamping: sum) }

    /// The part of `replica`; nil where it never wrote the counter.
    subscript(replica: ReplicaID) -> CounterTotals? {
        get { parts[replica] }
        set {
            let before = newValue.map { parts.updateValue($0, forKey: replica) } ?? parts.removeValue(forKey: replica)
            sum += (newValue?.difference ?? 0) - (before?.difference ?? 0)
        }
    }

    /// Takes up what is known of a replica's part, and says what was known before. O(1).
    mutating func merge(_ totals: CounterTotals, of replica: ReplicaID) -> CounterTotals? {
        let before = self[replica]
        self[replica] = CounterTotals(
            up: max(totals.up, before?.up ?? 0), down: max(totals.down, before?.down ?? 0))
        return before
    }
}

extension CounterTotals {
    fileprivate var difference: Int128 { Int128(up) - Int128(down) }

    /// The totals after a write of `amount`; nil where the amount or a total would be too large.
    func adding(_ amount: Int64) -> CounterTotals? {
        let size = amount.magnitude
        let total = amount < 0 ? down : up
        guard size <= DocumentDelta.largestAmount.magnitude, total <= CounterTotals.limit - size else { return nil }
        return amount < 0 ? CounterTotals(up: up, down: down + size) : CounterTotals(up: up + size, down: down)
    }

    /// The totals with those of another write on top: what the planted fault `countersAsIncrements` makes of a write.
    func incremented(by other: CounterTotals) -> CounterTotals {
        CounterTotals(
            up: min(up &+ other.up, CounterTotals.limit), down: min(down &+ other.down, CounterTotals.limit))
    }
}
