/// A counter that can be reset, or removed with the key of an `ORMap` that holds it, while others go on counting: a reset
/// takes away just the amounts that it had seen.
///
/// For that each amount stands under a dot of its own. Totals a replica, as in `PNCounter`, can't tell what a reset had
/// seen from what came meanwhile: one of the two would be lost, or counted again. The price is a dot for each amount since
/// the last reset; a replica that has counted much can `fold` its own amounts into one.
///
///     let (alice, bob) = (ReplicaID(rawValue: 1), ReplicaID(rawValue: 2))
///     var here = ResettableCounter(), there = ResettableCounter()
///
///     there.merge(here.add(5, dot: Dot(replica: alice, seq: 1)))
///     let reset = here.clear()
///     let meanwhile = there.add(2, dot: Dot(replica: bob, seq: 1))
///     here.merge(meanwhile)
///     there.merge(reset)
///     // both: 2
///
/// Baquero, Almeida, Lerche: "The Problem with Embedded CRDT Counters and a Solution" (2016); as a dot store: Almeida,
/// Shoker, Baquero: "Delta State Replicated Data Types" (2018), section 7.
public struct ResettableCounter: Hashable, Sendable {
    public typealias Delta = DotFun<Int64>.Delta

    public private(set) var store: DotFun<Int64>
    public private(set) var context: CausalContext

    public init(store: DotFun<Int64>, context: CausalContext) {
        self.store = store
        self.context = context
    }

    /// The sum of the amounts that stand, as near as an `Int64` comes. O(n) for n amounts.
    public var value: Int64 { Int64(clamping: store.writes.reduce(Int128(0)) { $0 + Int128($1.value) }) }

    /// Adds `amount`, which may be negative. O(n) for the n amounts that stand, most of it a move of memory.
    ///
    /// `dot` must never have been used before: a seen one is the caller's mistake, and traps.
    @discardableResult
    public mutating func add(_ amount: Int64, dot: Dot) -> Delta {
        let isNew = context.insert(dot)
        precondition(isNew, "the dot has been used before")
        store.insert(amount, dot: dot)
        return Delta(standing: DotFun(amount, dot: dot), gone: DotSet())
    }

    /// Puts one amount under `dot` in place of all that the dot's replica itself added. Only that replica may: two that
    /// folded the same amounts would count them twice. O(n).
    ///
    /// A reset that had seen some of the amounts but not the fold no longer takes them away. Where the sum fits no
    /// `Int64`, and where there is nothing to fold, the delta is empty and the dot stays unused.
    @discardableResult
    public mutating func fold(dot: Dot) -> Delta {
        let own = store.writes.filter { $0.dot.replica == dot.replica }
        guard own.count > 1, let sum = Int64(exactly: own.reduce(Int128(0)) { $0 + Int128($1.value) }) else {
            return Delta()
        }
        let isNew = context.insert(dot)
        precondition(isNew, "the dot has been used before")
        let gone = DotSet(sorted: own.map(\.dot))
        store.remove(gone)
        store.insert(sum, dot: dot)
        return Delta(standing: DotFun(sum, dot: dot), gone: gone)
    }
}

extension ResettableCounter: CausalState {
    /// Back to zero, but for what others add meanwhile. O(n).
    @discardableResult
    public mutating func clear() -> Delta { store.clear() }

    /// Takes up what a delta did. O(n + m).
    public mutating func merge(_ delta: Delta) { store.merge(delta, context: &context) }

    /// Takes up all that another replica's counter knows. O(n + m).
    public mutating func merge(_ other: ResettableCounter) {
        store.join(other.store, context: context, otherContext: other.context)
        context.merge(other.context)
    }

    public static func merge(_ delta: Delta, into store: inout DotFun<Int64>, context: inout CausalContext) {
        store.merge(delta, context: &context)
    }
}
