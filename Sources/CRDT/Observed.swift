/// Any mergeable value, made removable: what lets an `ORMap` hold an `LWWRegister`, a `GCounter` or a `PNCounter`, which
/// know no dots.
///
/// Each change puts the whole value as it then is under a new dot, in place of the dots that it had seen; concurrent
/// changes stand side by side, and what is read is their join. A remove takes away the dots that it had seen. So a
/// change that the remover had not seen brings back the value as its writer knew it. For a register that is what one
/// wants, since its last write is all that it has; a counter gets back what was counted before too: where that is not
/// wanted, take `ResettableCounter`.
///
///     let (alice, bob) = (ReplicaID(rawValue: 1), ReplicaID(rawValue: 2))
///     var here = Observed<PNCounter>(), there = Observed<PNCounter>()
///
///     var counter = PNCounter()
///     there.merge(here.put(counter.add(5, of: alice), dot: Dot(replica: alice, seq: 1)))
///     there.value?.value                                              // 5
///     there.merge(here.clear())                                       // both: nil
///
/// Almeida, Shoker, Baquero: "Delta State Replicated Data Types" (2018), section 7.1, DotFun with a lattice for values.
public struct Observed<Value: Mergeable>: Sendable {
    public typealias Delta = DotFun<Value>.Delta

    @usableFromInline internal var held: DotFun<Value>
    @usableFromInline internal var seen: CausalContext

    @inlinable
    public init(store: DotFun<Value>, context: CausalContext) {
        held = store
        seen = context
    }

    @inlinable public var store: DotFun<Value> { held }
    @inlinable public var context: CausalContext { seen }

    /// The join of all that stands; nil where nothing does.
    @inlinable public var value: Value? {
        guard let first = held.writes.first else { return nil }
        return held.writes.dropFirst().reduce(first.value) { $0.merged(with: $1.value) }
    }

    /// Merges `part`, a delta or a whole value, into the value and puts the outcome under `dot`. O(n) for the n
    /// concurrent values that it replaces, and what their merging takes.
    ///
    /// `dot` must never have been used before: a seen one is the caller's mistake, and traps.
    @inlinable
    @discardableResult
    public mutating func put(_ part: Value, dot: Dot) -> Delta {
        let isNew = seen.insert(dot)
        precondition(isNew, "the dot has been used before")
        let gone = held.dots
        held = DotFun(value?.merged(with: part) ?? part, dot: dot)
        return Delta(standing: held, gone: gone)
    }
}

extension Observed: CausalState {
    /// Removes the value; what is put meanwhile stays. O(n).
    @inlinable
    @discardableResult
    public mutating func clear() -> Delta { held.clear() }

    /// Takes up what a delta did. O(n + m).
    @inlinable
    public mutating func merge(_ delta: Delta) { held.merge(delta, context: &seen) }

    /// Takes up all that another replica knows. O(n + m).
    @inlinable
    public mutating func merge(_ other: Observed) {
        held.join(other.held, context: seen, otherContext: other.seen)
        seen.merge(other.seen)
    }

    @inlinable
    public static func merge(_ delta: Delta, into store: inout DotFun<Value>, context: inout CausalContext) {
        store.merge(delta, context: &context)
    }
}

extension Observed: Equatable where Value: Equatable {}
extension Observed: Hashable where Value: Hashable {}
