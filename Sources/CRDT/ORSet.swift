/// A set that several replicas add to and remove from at once: an add wins over a concurrent remove.
///
/// Each element stands under the dots of the adds that put it there. An add takes the place of the dots that its replica
/// had seen, and a remove takes away just those; an add that the remover had not seen keeps the element. Removed elements
/// leave nothing behind: that their dots are gone shows in the causal context, which covers them. So the state is as
/// large as the set, and the context as the number of replicas.
///
/// Who writes is not in the state; each add is named by a dot that the caller gives and that was never used before:
///
///     let (alice, bob) = (ReplicaID(rawValue: 1), ReplicaID(rawValue: 2))
///     var here = ORSet<String>(), there = ORSet<String>()
///
///     let added = here.add("milk", dot: Dot(replica: alice, seq: 1))
///     there.merge(added)
///
///     let removed = here.remove("milk")                                   // alice takes it off the list
///     let again = there.add("milk", dot: Dot(replica: bob, seq: 1))       // and bob, meanwhile, puts it on
///     here.merge(again)
///     there.merge(removed)
///     // both: ["milk"]
///
/// Bieniusa et al.: "An Optimized Conflict-free Replicated Set" (2012); as deltas: Almeida, Shoker, Baquero: "Delta
/// State Replicated Data Types" (2018), section 7.3.
public struct ORSet<Element: Hashable & Sendable>: Hashable, Sendable {
    @usableFromInline internal var elements = DotMap<Element>()
    @usableFromInline internal var seen = CausalContext()

    @inlinable public init() {}

    @inlinable
    public init(store: DotMap<Element>, context: CausalContext) {
        elements = store
        seen = context
    }

    /// The elements with their dots.
    @inlinable public var store: DotMap<Element> { elements }

    /// All dots seen, those of removed elements included.
    @inlinable public var context: CausalContext { seen }

    @inlinable public var count: Int { elements.count }
    @inlinable public var isEmpty: Bool { elements.isEmpty }

    @inlinable public func contains(_ element: Element) -> Bool { elements.contains(element) }

    /// The dots under which `element` stands; none where it isn't in the set.
    @inlinable public func dots(of element: Element) -> DotSet { elements[element] }

    /// The elements, without order.
    @inlinable public var values: Dictionary<Element, DotSet>.Keys { elements.keys }

    /// Puts `element` into the set under `dot`, in place of the dots that it stands under now. O(1) amortised.
    ///
    /// `dot` must never have been used before: a seen one is the caller's mistake, and traps.
    @inlinable
    @discardableResult
    public mutating func add(_ element: Element, dot: Dot) -> Delta {
        let isNew = seen.insert(dot)
        precondition(isNew, "the dot has been used before")
        let replaced = elements.update(element, to: DotSet(dot))
        return Delta(element, ElementChange(standing: DotSet(dot), gone: replaced))
    }

    /// Takes `element` out of the set: the dots that it stands under now, and no others. O(1) amortised.
    ///
    /// Where it isn't in the set the delta is empty.
    @inlinable
    @discardableResult
    public mutating func remove(_ element: Element) -> Delta {
        let removed = elements.update(element, to: DotSet())
        return removed.isEmpty ? Delta() : Delta(element, ElementChange(standing: DotSet(), gone: removed))
    }
}

extension ORSet: CausalState {
    /// Takes all elements out: the dots that they stand under now, and no others. O(n).
    @inlinable
    @discardableResult
    public mutating func clear() -> Delta {
        var delta = Delta()
        for element in elements.keys {
            delta.merge(element, ElementChange(standing: DotSet(), gone: elements[element]))
        }
        elements = DotMap()
        return delta
    }

    /// Takes up what a delta did. O(m) for the m elements that it names, however large the set.
    @inlinable
    public mutating func merge(_ delta: Delta) { ORSet.merge(delta, into: &elements, context: &seen) }

    @inlinable
    public static func merge(_ delta: Delta, into store: inout DotMap<Element>, context: inout CausalContext) {
        switch delta.changes {
        case .none: break
        case .one(let element, let change): store.merge(element, change, context: &context)
        case .many(let changes):
            for (element, change) in changes { store.merge(element, change, context: &context) }
        }
    }

    /// Takes up all that another replica's set knows. O(n + m).
    @inlinable
    public mutating func merge(_ other: ORSet) {
        elements.join(other.elements, context: seen, otherContext: other.seen)
        seen.merge(other.seen)
    }
}

extension DotMap {
    @inlinable
    internal mutating func merge(_ key: Key, _ change: ElementChange, context: inout CausalContext) {
        var news = change.standing
        news.filter { context.insert($0) }
        if !news.isEmpty {
            insert(key, news, replacing: change.gone)
        } else if !change.gone.isEmpty {
            remove(key, gone: change.gone)
        }
        for dot in change.gone { context.insert(dot) }
    }
}
