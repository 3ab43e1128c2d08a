/// Values that each stand under a dot of their own: the store of `MVRegister`, `ResettableCounter` and `Observed`.
///
/// A dot names one write, so a dot's value never changes: it stands, or it is gone. The writes are kept as an array
/// sorted by dot, mostly of one, so that equal stores are equal values and what is written out is the same everywhere.
///
/// Almeida, Shoker, Baquero: "Delta State Replicated Data Types" (2018), section 7.1.
public struct DotFun<Value: Sendable>: Sendable {
    /// One value and the dot it stands under.
    public struct Write: Sendable {
        public let dot: Dot
        public let value: Value

        @inlinable
        public init(dot: Dot, value: Value) {
            self.dot = dot
            self.value = value
        }
    }

    /// Sorted by dot, no dot twice.
    @usableFromInline internal var held: [Write] = []

    @inlinable public init() {}

    /// What stands, sorted by dot, no dot twice.
    @inlinable public var writes: [Write] { held }

    /// Just this write.
    @inlinable
    public init(_ value: Value, dot: Dot) { held = [Write(dot: dot, value: value)] }

    /// The writes must be sorted by dot, no dot twice.
    @inlinable
    internal init(sorted writes: [Write]) { held = writes }

    @inlinable public var count: Int { held.count }

    /// The dots of all writes that stand. O(n).
    @inlinable public var dots: DotSet { DotSet(sorted: held.map(\.dot)) }

    /// `value` stands under `dot` from now on. O(n); where a write stands under it already, that is the same one.
    @inlinable
    public mutating func insert(_ value: Value, dot: Dot) {
        let at = position(of: dot)
        if at == held.count || held[at].dot != dot { held.insert(Write(dot: dot, value: value), at: at) }
    }

    /// Puts all of these writes in. O(n + m).
    @inlinable
    internal mutating func formUnion(_ other: DotFun) {
        if other.count == 1 { return insert(other.writes[0].value, dot: other.writes[0].dot) }
        join(other) { _, _ in true }
    }

    /// Takes the writes under these dots out, and no other. O(n log m).
    @inlinable
    public mutating func remove(_ dots: DotSet) {
        if !dots.isEmpty, !held.isEmpty { held.removeAll { dots.contains($0.dot) } }
    }

    /// Where the write under `dot` is, or would be.
    @inlinable
    internal func position(of dot: Dot) -> Int {
        var low = 0
        var high = held.count
        while low < high {
            let middle = (low + high) / 2
            if held[middle].dot < dot { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

extension DotFun: DotStore {
    @inlinable public var isEmpty: Bool { held.isEmpty }

    @inlinable
    public func forEachDot(_ body: (Dot) -> Void) {
        for write in held { body(write.dot) }
    }

    @inlinable
    public mutating func join(_ other: DotFun, context: CausalContext, otherContext: CausalContext) {
        join(other) { dot, isOwn in !(isOwn ? otherContext : context).contains(dot) }
    }

    /// Keeps what both have, and of what one has what `keep` says; it is told the dot, and whether it stands here.
    @inlinable
    internal mutating func join(_ other: DotFun, keeping keep: (Dot, Bool) -> Bool) {
        var joined: [Write] = []
        joined.reserveCapacity(max(held.count, other.held.count))
        var theirs = other.writes[...]
        for own in held {
            while let their = theirs.first, their.dot < own.dot {
                if keep(their.dot, false) { joined.append(their) }
                theirs.removeFirst()
            }
            if theirs.first?.dot == own.dot {
                joined.append(own)
                theirs.removeFirst()
            } else if keep(own.dot, true) {
                joined.append(own)
            }
        }
        for their in theirs where keep(their.dot, false) { joined.append(their) }
        held = joined
    }
}

extension DotFun.Write: Equatable where Value: Equatable {}
extension DotFun.Write: Hashable where Value: Hashable {}
extension DotFun: Equatable where Value: Equatable {}
extension DotFun: Hashable where Value: Hashable {}

extension DotFun {
    /// What some writes and removes did: which writes stand, and which dots are gone. No dot is both.
    public struct Delta: Sendable {
        @usableFromInline internal var stands: DotFun
        @usableFromInline internal var isGone: DotSet

        @inlinable
        internal init(standing: DotFun, gone: DotSet) {
            stands = standing
            isGone = gone
        }

        @inlinable public var standing: DotFun { stands }
        @inlinable public var gone: DotSet { isGone }
    }

    /// Takes up `delta`. O(n + m) for the n writes here and the m of the delta.
    @inlinable
    internal mutating func merge(_ delta: Delta, context: inout CausalContext) {
        formUnion(DotFun(sorted: delta.standing.writes.filter { context.insert($0.dot) }))
        remove(delta.gone)
        for dot in delta.gone { context.insert(dot) }
    }

    /// Takes out all that stands, and says what that was.
    @inlinable
    internal mutating func clear() -> Delta {
        let gone = dots
        held = []
        return Delta(standing: DotFun(), gone: gone)
    }
}

extension DotFun.Delta: CausalDelta {
    @inlinable public init() { self.init(standing: DotFun(), gone: DotSet()) }

    @inlinable public var isEmpty: Bool { standing.isEmpty && gone.isEmpty }

    /// One delta in place of two. O(n + m).
    @inlinable
    public mutating func merge(_ other: DotFun.Delta) {
        isGone.formUnion(other.isGone)
        stands.formUnion(other.stands)
        stands.remove(isGone)
    }
}

extension DotFun.Delta: Equatable where Value: Equatable {}
extension DotFun.Delta: Hashable where Value: Hashable {}
