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

    /// What stands, sorted by dot, no dot twice.
    public private(set) var writes: [Write] = []

    public init() {}

    /// Just this write.
    public init(_ value: Value, dot: Dot) { writes = [Write(dot: dot, value: value)] }

    /// The writes must be sorted by dot, no dot twice.
    internal init(sorted writes: [Write]) { self.writes = writes }

    public var count: Int { writes.count }

    /// The dots of all writes that stand. O(n).
    public var dots: DotSet { DotSet(sorted: writes.map(\.dot)) }

    /// `value` stands under `dot` from now on. O(n); where a write stands under it already, that is the same one.
    public mutating func insert(_ value: Value, dot: Dot) {
        let at = position(of: dot)
        if at == writes.count || writes[at].dot != dot { writes.insert(Write(dot: dot, value: value), at: at) }
    }

    /// Takes the writes under these dots out, and no other. O(n log m).
    public mutating func remove(_ dots: DotSet) {
        if !dots.isEmpty, !writes.isEmpty { writes.removeAll { dots.contains($0.dot) } }
    }

    /// Where the write under `dot` is, or would be.
    private func position(of dot: Dot) -> Int {
        var low = 0
        var high = writes.count
        while low < high {
            let middle = (low + high) / 2
            if writes[middle].dot < dot { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

extension DotFun: DotStore {
    public var isEmpty: Bool { writes.isEmpty }

    public func forEachDot(_ body: (Dot) -> Void) {
        for write in writes { body(write.dot) }
    }

    public mutating func join(_ other: DotFun, context: CausalContext, otherContext: CausalContext) {
        var joined: [Write] = []
        joined.reserveCapacity(max(writes.count, other.writes.count))
        var theirs = other.writes[...]
        for own in writes {
            while let their = theirs.first, their.dot < own.dot {
                if !context.contains(their.dot) { joined.append(their) }
                theirs.removeFirst()
            }
            if theirs.first?.dot == own.dot {
                joined.append(own)
                theirs.removeFirst()
            } else if !otherContext.contains(own.dot) {
                joined.append(own)
            }
        }
        for their in theirs where !context.contains(their.dot) { joined.append(their) }
        writes = joined
    }
}

extension DotFun.Write: Equatable where Value: Equatable {}
extension DotFun.Write: Hashable where Value: Hashable {}
extension DotFun: Equatable where Value: Equatable {}
extension DotFun: Hashable where Value: Hashable {}

extension DotFun {
    /// What some writes and removes did: which writes stand, and which dots are gone. No dot is both.
    public struct Delta: Sendable {
        public internal(set) var standing: DotFun
        public internal(set) var gone: DotSet

        internal init(standing: DotFun, gone: DotSet) {
            self.standing = standing
            self.gone = gone
        }
    }

    /// Takes up `delta`. O(n + m) for the n writes here and the m of the delta.
    internal mutating func merge(_ delta: Delta, context: inout CausalContext) {
        for write in delta.standing.writes where context.insert(write.dot) { insert(write.value, dot: write.dot) }
        remove(delta.gone)
        for dot in delta.gone { context.insert(dot) }
    }

    /// Takes out all that stands, and says what that was.
    internal mutating func clear() -> Delta {
        let gone = dots
        writes = []
        return Delta(standing: DotFun(), gone: gone)
    }
}

extension DotFun.Delta: CausalDelta {
    public init() { self.init(standing: DotFun(), gone: DotSet()) }

    public var isEmpty: Bool { standing.isEmpty && gone.isEmpty }

    /// One delta in place of two. O(n + m) for dots that come in order.
    public mutating func merge(_ other: DotFun.Delta) {
        for dot in other.gone { gone.insert(dot) }
        for write in other.standing.writes { standing.insert(write.value, dot: write.dot) }
        standing.remove(gone)
    }
}

extension DotFun.Delta: Equatable where Value: Equatable {}
extension DotFun.Delta: Hashable where Value: Hashable {}
