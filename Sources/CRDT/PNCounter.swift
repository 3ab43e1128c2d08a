/// A counter that goes up and down: two that only grow, of which the second is taken from the first.
///
/// A single total a replica would not do, since of two totals the later could be the lesser.
///
///     let (alice, bob) = (ReplicaID(rawValue: 1), ReplicaID(rawValue: 2))
///     var here = PNCounter(), there = PNCounter()
///
///     let up = here.add(5, of: alice)
///     let down = there.add(-2, of: bob)
///     here.merge(down)
///     there.merge(up)
///     // both: 3
///
/// Inside an `ORMap`, where a counter can be removed while others count, take a `ResettableCounter`.
///
/// Shapiro, Preguiça, Baquero, Zawirski: "A comprehensive study of Convergent and Commutative Replicated Data Types"
/// (2011), section 3.1.3.
public struct PNCounter: Hashable, Sendable {
    /// What was added.
    public internal(set) var increments = GCounter()
    /// What was taken away.
    public internal(set) var decrements = GCounter()

    public init() {}

    /// What was added less what was taken away, as near as an `Int64` comes. O(r) for r replicas.
    public var value: Int64 {
        Int64(clamping: Int128(increments.value) - Int128(decrements.value))
    }

    /// Adds `amount`, which may be negative, under the caller's own identity. O(log r), and O(r) the first time.
    ///
    /// Returns the delta: the new total of what `replica` added, or of what it took away.
    @discardableResult
    public mutating func add(_ amount: Int64, of replica: ReplicaID) -> PNCounter {
        var delta = PNCounter()
        if amount > 0 {
            delta.increments = increments.increment(by: amount.magnitude, of: replica)
        } else if amount < 0 {
            delta.decrements = decrements.increment(by: amount.magnitude, of: replica)
        }
        return delta
    }
}

extension PNCounter: DeltaState {
    /// The greater totals of each replica. O(m log r) for the m replicas that `other` names.
    public mutating func merge(_ other: PNCounter) {
        increments.merge(other.increments)
        decrements.merge(other.decrements)
    }
}
