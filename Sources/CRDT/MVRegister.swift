/// A register that keeps every value of which no later write knew: concurrent writes stand side by side until somebody
/// who has seen them writes again.
///
/// For what the application, or its user, has to settle itself; where the last write may simply win, `LWWRegister` is
/// smaller and needs no dots.
///
///     let (alice, bob) = (ReplicaID(rawValue: 1), ReplicaID(rawValue: 2))
///     var here = MVRegister<String>(), there = MVRegister<String>()
///
///     let draft = here.set("draft", dot: Dot(replica: alice, seq: 1))
///     let sketch = there.set("sketch", dot: Dot(replica: bob, seq: 1))
///     here.merge(sketch)
///     there.merge(draft)                                              // both: ["draft", "sketch"]
///     there.merge(here.set("text", dot: Dot(replica: alice, seq: 2))) // both: ["text"]
///
/// DeCandia et al.: "Dynamo: Amazon's Highly Available Key-value Store" (2007), section 4.4; as deltas: Almeida, Shoker,
/// Baquero: "Delta State Replicated Data Types" (2018), section 7.
public struct MVRegister<Value: Sendable>: Sendable {
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

    /// What stands: no value where it was cleared or never written, several after concurrent writes. The order is that of
    /// their dots, which is the same everywhere and says nothing about time.
    @inlinable public var values: [Value] { held.writes.map(\.value) }

    /// Writes `value` in place of all that stands. O(n) for the n values that it replaces.
    ///
    /// `dot` must never have been used before: a seen one is the caller's mistake, and traps.
    @inlinable
    @discardableResult
    public mutating func set(_ value: Value, dot: Dot) -> Delta {
        let isNew = seen.insert(dot)
        precondition(isNew, "the dot has been used before")
        let gone = held.dots
        held = DotFun(value, dot: dot)
        return Delta(standing: held, gone: gone)
    }
}

extension MVRegister: CausalState {
    /// Clears the register; a value that is written meanwhile stays. O(n).
    @inlinable
    @discardableResult
    public mutating func clear() -> Delta { held.clear() }

    /// Takes up what a delta did. O(n + m).
    @inlinable
    public mutating func merge(_ delta: Delta) { held.merge(delta, context: &seen) }

    /// Takes up all that another replica's register knows. O(n + m).
    @inlinable
    public mutating func merge(_ other: MVRegister) {
        held.join(other.held, context: seen, otherContext: other.seen)
        seen.merge(other.seen)
    }

    @inlinable
    public static func merge(_ delta: Delta, into store: inout DotFun<Value>, context: inout CausalContext) {
        store.merge(delta, context: &context)
    }
}

extension MVRegister: Equatable where Value: Equatable {}
extension MVRegister: Hashable where Value: Hashable {}
