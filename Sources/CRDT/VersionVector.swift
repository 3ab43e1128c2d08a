/// How two version vectors stand to each other, as causality has it.
public enum CausalOrder: Hashable, Sendable {
    case equal
    /// The first is covered by the second, which has more.
    case before
    /// The first covers the second and has more.
    case after
    /// Each has something that the other lacks.
    case concurrent
}

/// For each replica the highest `seq` that is covered: all of its entries from 1 to there.
///
/// Kept as an array sorted by replica, in which no component is 0: so two vectors are equal exactly where they cover the
/// same, and the order is the same in every process. A cluster has tens of replicas, where a binary search beats hashing.
///
/// Parker et al.: "Detection of Mutual Inconsistency in Distributed Systems" (1983).
public struct VersionVector: Hashable, Sendable {
    /// The highest covered dot of each replica, sorted by replica. No seq is 0.
    public private(set) var components: [Dot] = []

    public init() {}

    /// Covers each of `dots` and all before it of its replica. The dots may come in any order and repeat replicas.
    public init(_ dots: some Sequence<Dot>) {
        for dot in dots { advance(to: dot) }
    }

    public var isEmpty: Bool { components.isEmpty }

    /// The highest covered seq of `replica`; 0 where nothing is. Reading is O(log n).
    public subscript(replica: ReplicaID) -> UInt64 {
        get {
            let at = position(of: replica)
            return isComponent(at, of: replica) ? components[at].seq : 0
        }
        set {
            let at = position(of: replica)
            switch (isComponent(at, of: replica), newValue) {
            case (true, 0): components.remove(at: at)
            case (true, _): components[at].seq = newValue
            case (false, 0): break
            case (false, _): components.insert(Dot(replica: replica, seq: newValue), at: at)
            }
        }
    }

    public func covers(_ dot: Dot) -> Bool { dot.seq <= self[dot.replica] }

    public func covers(_ other: VersionVector) -> Bool { other.components.allSatisfy(covers) }

    /// Where this stands to `other`. O(n log n).
    public func compare(_ other: VersionVector) -> CausalOrder {
        switch (covers(other), other.covers(self)) {
        case (true, true): .equal
        case (false, true): .before
        case (true, false): .after
        case (false, false): .concurrent
        }
    }

    /// What both cover: the componentwise minimum. O(n log n).
    public func limited(to bound: VersionVector) -> VersionVector {
        var both = VersionVector()
        for dot in components { both.advance(to: Dot(replica: dot.replica, seq: min(dot.seq, bound[dot.replica]))) }
        return both
    }

    /// Covers `dot` and all before it of its replica.
    public mutating func advance(to dot: Dot) {
        let at = position(of: dot.replica)
        if isComponent(at, of: dot.replica) {
            components[at].seq = max(components[at].seq, dot.seq)
        } else if dot.seq > 0 {
            components.insert(dot, at: at)
        }
    }

    /// How a dot stands to what is covered.
    internal enum Step { case covered, next, beyondGap }

    /// Covers `dot` where it is just the next of its replica, and says how it stood. One search.
    internal mutating func step(to dot: Dot) -> Step {
        let at = position(of: dot.replica)
        if isComponent(at, of: dot.replica) {
            let covered = components[at].seq
            if dot.seq <= covered { return .covered }
            if dot.seq - covered > 1 { return .beyondGap }
            components[at].seq = dot.seq
        } else {
            if dot.seq == 0 { return .covered }
            if dot.seq > 1 { return .beyondGap }
            components.insert(dot, at: at)
        }
        return .next
    }

    private func isComponent(_ at: Int, of replica: ReplicaID) -> Bool {
        at < components.count && components[at].replica == replica
    }

    /// Where the component of `replica` is, or would be.
    private func position(of replica: ReplicaID) -> Int {
        var low = 0
        var high = components.count
        while low < high {
            let middle = (low + high) / 2
            if components[middle].replica < replica { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

extension VersionVector: Mergeable {
    /// The componentwise maximum. O(n log n) where `other` names no replica that is new here.
    public mutating func merge(_ other: VersionVector) {
        for dot in other.components { advance(to: dot) }
    }
}
