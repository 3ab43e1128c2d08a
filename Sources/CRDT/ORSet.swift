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

    /// All dots seen, those of removed elements included.
    public private(set) var context = CausalContext()

    public init() {}

    public var count: Int { elements.count }
    public var isEmpty: Bool { elements.isEmpty }

    @inlinable public func contains(_ element: Element) -> Bool { elements.contains(element) }

    /// The dots under which `element` stands; none where it isn't in the set.
    @inlinable public func dots(of element: Element) -> DotSet { elements[element] }

    /// The elements, without order.
    @inlinable public var values: Dictionary<Element, DotSet>.Keys { elements.keys }
}

extension ORSet {
    /// What some adds and removes did: the dots that the elements they name stand under, and the dots they knew of.
    ///
    /// Unlike in a state, an element may be named that has no dots: it was removed. Every dot of the context belongs to
    /// an element that is named, so a merge needs to look at these elements only.
    public struct Delta: Hashable, Sendable {
        @usableFromInline internal var elements: [Element: DotSet]
        @usableFromInline internal var context: CausalContext

        /// A delta that does nothing.
        public init() {
            elements = [:]
            context = CausalContext()
        }

        @usableFromInline
        internal init(_ element: Element, dots: DotSet, context: CausalContext) {
            elements = [element: dots]
            self.context = context
        }

        public var isEmpty: Bool { elements.isEmpty }
    }

    /// Puts `element` into the set under `dot`, in place of the dots that it stands under now. O(1) amortised.
    ///
    /// `dot` must never have been used before: a seen one is the caller's mistake, and traps.
    @inlinable
    @discardableResult
    public mutating func add(_ element: Element, dot: Dot) -> Delta {
        see(dot)
        let replaced = elements.update(element, to: DotSet(dot))
        var known = CausalContext(replaced)
        known.insert(dot)
        return Delta(element, dots: DotSet(dot), context: known)
    }

    /// Takes `element` out of the set: the dots that it stands under now, and no others. O(1) amortised.
    ///
    /// Where it isn't in the set the delta is empty.
    @inlinable
    @discardableResult
    public mutating func remove(_ element: Element) -> Delta {
        let removed = elements.update(element, to: DotSet())
        guard !removed.isEmpty else { return Delta() }
        return Delta(element, dots: DotSet(), context: CausalContext(removed))
    }

    @usableFromInline
    internal mutating func see(_ dot: Dot) {
        precondition(!context.contains(dot), "the dot \(dot) has been used before")
        context.insert(dot)
    }

    @usableFromInline
    internal mutating func see(_ other: CausalContext) { context.merge(other) }
}

extension ORSet.Delta: Mergeable {
    /// One delta in place of two. O(m) for the m elements that `other` names.
    @inlinable
    public mutating func merge(_ other: ORSet.Delta) {
        // An element that only this one names keeps its dots: `other` knows none of them.
        for (element, dots) in other.elements {
            elements[element, default: DotSet()].join(dots, context: context, otherContext: other.context)
        }
        context.merge(other.context)
    }
}

extension ORSet: DeltaState {
    /// Takes up what a delta did. O(m) for the m elements that it names, however large the set.
    @inlinable
    public mutating func merge(_ delta: Delta) {
        for (element, dots) in delta.elements {
            elements.join(dots, for: element, context: context, otherContext: delta.context)
        }
        see(delta.context)
    }

    /// Takes up all that another replica's set knows. O(n + m).
    @inlinable
    public mutating func merge(_ other: ORSet) {
        elements.join(other.elements, context: context, otherContext: other.context)
        see(other.context)
    }
}
