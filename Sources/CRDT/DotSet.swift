/// The few dots under which something stands: in an OR-Set, the adds of one element that nobody has replaced.
///
/// Almost always one, so one is kept inline, without an allocation; more (concurrent adds) are a sorted array. The order
/// is that of `Dot`, so that what is written out is the same in every process, and equal sets are equal values.
public struct DotSet: Hashable, Sendable {
    /// `many` holds two or more, sorted.
    private enum Dots: Hashable, Sendable {
        case none
        case one(Dot)
        case many([Dot])
    }

    private var dots: Dots

    public init() { dots = .none }

    public init(_ dot: Dot) { dots = .one(dot) }

    public init(_ sequence: some Sequence<Dot>) {
        var sorted: [Dot] = []
        for dot in sequence.sorted() where sorted.last != dot { sorted.append(dot) }
        self.init(sorted: sorted)
    }

    /// The dots must be sorted, none twice.
    @usableFromInline
    internal init(sorted: [Dot]) {
        switch sorted.count {
        case 0: dots = .none
        case 1: dots = .one(sorted[0])
        default: dots = .many(sorted)
        }
    }

    /// O(log n) for n dots.
    public func contains(_ dot: Dot) -> Bool {
        switch dots {
        case .none: return false
        case .one(let only): return dot == only
        case .many(let sorted):
            let at = DotSet.position(of: dot, in: sorted)
            return at < sorted.count && sorted[at] == dot
        }
    }

    /// Where `dot` is, or would be.
    private static func position(of dot: Dot, in sorted: [Dot]) -> Int {
        var low = 0
        var high = sorted.count
        while low < high {
            let middle = (low + high) / 2
            if sorted[middle] < dot { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// O(n) for n dots.
    public mutating func insert(_ dot: Dot) {
        switch dots {
        case .none: dots = .one(dot)
        case .one(let only):
            if dot != only { dots = .many(dot < only ? [dot, only] : [only, dot]) }
        case .many(var sorted):
            dots = .none  // the array's only owner is now `sorted`: no copy
            let at = DotSet.position(of: dot, in: sorted)
            if at == sorted.count || sorted[at] != dot { sorted.insert(dot, at: at) }
            dots = .many(sorted)
        }
    }

    /// Puts all of these dots in. O(n + m).
    public mutating func formUnion(_ other: DotSet) {
        switch (dots, other.dots) {
        case (_, .none): break
        case (.none, _): dots = other.dots
        case (_, .one(let dot)): insert(dot)
        default:
            var union: [Dot] = []
            union.reserveCapacity(count + other.count)
            var theirs = other[...]
            for own in self {
                while let their = theirs.first, their < own { union.append(theirs.removeFirst()) }
                if theirs.first == own { theirs.removeFirst() }
                union.append(own)
            }
            union.append(contentsOf: theirs)
            self = DotSet(sorted: union)
        }
    }

    /// Keeps only the dots for which `keep` is true. O(n).
    public mutating func filter(_ keep: (Dot) -> Bool) {
        switch dots {
        case .none: break
        case .one(let only): if !keep(only) { dots = .none }
        case .many(let sorted): self = DotSet(sorted: sorted.filter(keep))
        }
    }

    /// Takes these dots out, and no other. O(n · m).
    @inlinable
    public mutating func subtract(_ others: some Collection<Dot>) {
        if !isEmpty, !others.isEmpty { filter { !others.contains($0) } }
    }

    /// Takes these dots out, and no other. O(n log m).
    public mutating func subtract(_ others: DotSet) {
        if !others.isEmpty { filter { !others.contains($0) } }
    }

    /// The join of two versions of the same thing, each with what its side has seen: of a dot that only one side has, it
    /// is news where the other side has not seen it, and was removed there where it has.
    ///
    /// Almeida, Shoker, Baquero (2018), section 7.2: (s ∩ s′) ∪ (s ∖ c′) ∪ (s′ ∖ c).
    public mutating func join(_ other: DotSet, context: CausalContext, otherContext: CausalContext) {
        if dots == other.dots { return }
        filter { other.contains($0) || !otherContext.contains($0) }
        // What both have is here already.
        var news = other
        news.filter { !context.contains($0) }
        formUnion(news)
    }
}

extension DotSet: RandomAccessCollection {
    public var startIndex: Int { 0 }

    public var endIndex: Int {
        switch dots {
        case .none: 0
        case .one: 1
        case .many(let sorted): sorted.count
        }
    }

    /// The dots in order.
    public subscript(at: Int) -> Dot {
        switch dots {
        case .none: preconditionFailure("a dot of an empty set")
        case .one(let only):
            precondition(at == 0, "the second dot of one")
            return only
        case .many(let sorted): return sorted[at]
        }
    }
}
