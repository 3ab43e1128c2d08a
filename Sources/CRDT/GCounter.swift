/// A counter that only grows. Each replica counts what it added itself; the value is the sum.
///
/// The state is a total a replica, and of two totals of one replica the greater is the later. A delta carries the
/// replica's new total and not what was added, so that merging it twice is merging it once.
///
///     let (alice, bob) = (ReplicaID(rawValue: 1), ReplicaID(rawValue: 2))
///     var here = GCounter(), there = GCounter()
///
///     let first = here.increment(by: 2, of: alice)
///     let second = there.increment(of: bob)
///     here.merge(second)
///     there.merge(first)
///     there.merge(first)
///     // both: 3
///
/// Totals and sums stop at `UInt64.max`. A replica that lost its own totals must go on under a new `ReplicaID`: counting
/// again from less than others know of it would lose what it counts.
///
/// Shapiro, Preguiça, Baquero, Zawirski: "A comprehensive study of Convergent and Commutative Replicated Data Types"
/// (2011), section 3.1.2.
public struct GCounter: Hashable, Sendable {
    /// The totals, as a vector: their join is the componentwise maximum, like that of version vectors.
    internal private(set) var vector = VersionVector()

    public init() {}

    internal init(vector: VersionVector) { self.vector = vector }

    /// The sum over all replicas. O(r) for r replicas.
    public var value: UInt64 {
        vector.components.reduce(0) { sum, component in
            let (next, overflow) = sum.addingReportingOverflow(component.seq)
            return overflow ? .max : next
        }
    }

    /// What `replica` added so far. O(log r).
    public func total(of replica: ReplicaID) -> UInt64 { vector[replica] }

    /// Adds `amount` to what `replica` added: its own identity, which nobody else counts under. O(log r), and O(r) the
    /// first time.
    ///
    /// Returns the delta: the new total.
    @discardableResult
    public mutating func increment(by amount: UInt64 = 1, of replica: ReplicaID) -> GCounter {
        let (total, overflow) = vector[replica].addingReportingOverflow(amount)
        var delta = GCounter()
        delta.vector[replica] = overflow ? .max : total
        vector.merge(delta.vector)
        return delta
    }
}

extension GCounter: DeltaState {
    /// The greater total of each replica. O(m log r) for the m replicas that `other` names.
    public mutating func merge(_ other: GCounter) { vector.merge(other.vector) }
}
