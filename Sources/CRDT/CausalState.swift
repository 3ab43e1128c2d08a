// What lets replicated states share one causal context, so that one can be a value inside another.
//
// A causal state is a *store*, all of whose content stands under dots, and the *context* that it is read in. What a store
// lacks and its context covers was removed; what the context doesn't cover is news. Since the store asks nothing of the
// context but whether a dot is in it, any number of stores can be read in one: the values of an `ORMap` all share the
// context of the map, and a removed key leaves nothing behind.
//
// Beside the laws of `DeltaState`, three hold for every causal state:
//
//     a dot that was removed never stands again          whatever arrives late or twice
//     a dot that the remover had not seen stays          an update wins over a concurrent remove
//     every dot of the store is in the context
//
// Almeida, Shoker, Baquero: "Delta State Replicated Data Types" (2018), section 7, where a state of this kind is
// Causal<T> for a dot store T.

/// Content that stands under dots, without the context that it is read in.
public protocol DotStore: Sendable {
    /// Holds nothing.
    init()

    /// True where no dot stands.
    var isEmpty: Bool { get }

    /// All dots that stand, in no order.
    func forEachDot(_ body: (Dot) -> Void)

    /// Joins another version of this store, each with what its side has seen: a dot that one side has and the other lacks
    /// was removed there, if it was seen there, and otherwise is news. O(n + m).
    mutating func join(_ other: Self, context: CausalContext, otherContext: CausalContext)
}

/// What changes of a causal state did. It names every dot that it speaks of as standing or as gone, and says where in the
/// state the dot belongs; so it needs no context of its own, and its merging costs what it holds, not what the state does.
public protocol CausalDelta: Mergeable {
    /// Does nothing.
    init()

    /// True where it does nothing.
    var isEmpty: Bool { get }
}

/// A replicated state whose store can be read in a context that it shares with others: what an `ORMap` can hold.
public protocol CausalState: DeltaState where Delta: CausalDelta {
    associatedtype Store: DotStore

    /// Puts a state together. Every dot of `store` must be in `context`, which may hold any others. O(1).
    init(store: Store, context: CausalContext)

    /// What stands.
    var store: Store { get }

    /// All dots seen, those of what was removed and of the neighbours that share it included.
    var context: CausalContext { get }

    /// Removes all that stands, and nothing that others do meanwhile. O(n).
    mutating func clear() -> Delta

    /// Takes up `delta` in a store and the context that it is read in.
    static func merge(_ delta: Delta, into store: inout Store, context: inout CausalContext)
}

extension CausalState {
    /// Holds nothing and has seen nothing.
    @inlinable public init() { self.init(store: Store(), context: CausalContext()) }

    @inlinable public var isEmpty: Bool { store.isEmpty }
}
