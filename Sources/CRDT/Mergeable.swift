// What the types of this module have in common: state that several replicas change on their own and that comes out the
// same wherever it is put together again.
//
// The states of a type form a join-semilattice and `merge` is the least upper bound of two. So whatever is merged may
// arrive late, twice, in any order and in any grouping. Three laws, which the tests hold every type to:
//
//     merge(a, b)           = merge(b, a)              commutative
//     merge(merge(a, b), c) = merge(a, merge(b, c))    associative
//     merge(a, a)           = a                        idempotent
//
// A *delta* is a small state that says only what one change did. Merging all deltas gives what merging the full states
// gives; deltas merge among themselves, so that a batch of them travels as one. A fourth law follows:
//
//     merge(a, d1 merged with d2) = merge(merge(a, d1), d2)
//
// Who writes is never part of a state: a copy of a state is a state of whoever holds it. The caller passes what a
// change needs of identity and time (a `Dot`, or a timestamp and a `ReplicaID`).
//
// Shapiro, Preguiça, Baquero, Zawirski: "Conflict-free Replicated Data Types" (2011); Almeida, Shoker, Baquero: "Delta
// State Replicated Data Types" (2018).

/// A value of which two versions have a least upper bound. `merge` is commutative, associative and idempotent.
public protocol Mergeable: Sendable {
    /// Makes this the least upper bound of itself and `other`: everything that either knows.
    mutating func merge(_ other: Self)
}

extension Mergeable {
    /// The least upper bound of the two.
    public func merged(with other: Self) -> Self {
        var result = self
        result.merge(other)
        return result
    }
}

/// A replicated state whose changes can be sent alone.
///
/// Each mutating method of a conforming type returns the `Delta` of what it did; a replica that merges it, now or later,
/// once or often, has the change. Where a whole state is its own smallest delta, `Delta` is the type itself.
public protocol DeltaState: Mergeable {
    associatedtype Delta: Mergeable

    /// Takes up one change, or several merged into one delta.
    mutating func merge(_ delta: Delta)
}
