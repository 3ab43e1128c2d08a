// What adds to an OR-Set and removes from it did, small enough to send each alone.
//
// A delta need not know what its replica has seen. Every dot it speaks of belongs to an element that it names, so it is
// enough to say of each such element which dots stand and which are gone; a dot that is gone never stands again. One
// change of one element, which nearly all are, is kept without an allocation.
//
// Almeida, Shoker, Baquero: "Delta State Replicated Data Types" (2018), section 7.3, with the context of the delta split
// among its elements.

/// What a delta says of one element. No dot is both standing and gone.
@usableFromInline
internal struct ElementChange: Hashable, Sendable {
    @usableFromInline internal var standing: DotSet
    @usableFromInline internal var gone: DotSet

    @inlinable
    internal init(standing: DotSet, gone: DotSet) {
        self.standing = standing
        self.gone = gone
    }
}

extension ElementChange: Mergeable {
    @usableFromInline
    internal mutating func merge(_ other: ElementChange) {
        gone.formUnion(other.gone)
        standing.formUnion(other.standing)
        standing.subtract(gone)
    }
}

extension ORSet {
    /// What some adds and removes did. Deltas merge, in any order and any number of times, into one that did all of it.
    public struct Delta: Hashable, Sendable {
        /// `many` holds two or more.
        @usableFromInline
        internal enum Changes: Hashable, Sendable {
            case none
            case one(Element, ElementChange)
            case many([Element: ElementChange])
        }

        @usableFromInline internal var changes: Changes

        /// A delta that does nothing.
        @inlinable public init() { changes = .none }

        @inlinable
        internal init(_ element: Element, _ change: ElementChange) { changes = .one(element, change) }

        @inlinable public var isEmpty: Bool {
            if case .none = changes { true } else { false }
        }
    }
}

extension ORSet.Delta: CausalDelta {
    /// One delta in place of two. O(m) for the m elements that `other` names.
    @inlinable
    public mutating func merge(_ other: ORSet.Delta) {
        switch other.changes {
        case .none: break
        case .one(let element, let change): merge(element, change)
        case .many(let others): for (element, change) in others { merge(element, change) }
        }
    }

    @inlinable
    internal mutating func merge(_ element: Element, _ change: ElementChange) {
        switch changes {
        case .none:
            changes = .one(element, change)
        case .one(let own, let ownChange) where own != element:
            changes = .many([own: ownChange, element: change])
        case .one(let own, var both):
            both.merge(change)
            changes = .one(own, both)
        case .many(var all):
            changes = .none  // the dictionary's only owner is now `all`: no copy
            all[element, default: ElementChange(standing: DotSet(), gone: DotSet())].merge(change)
            changes = .many(all)
        }
    }
}
