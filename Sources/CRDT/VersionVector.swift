/// For each replica the highest `seq` that is covered: all of its entries from 1 to there.
///
/// Parker et al.: "Detection of Mutual Inconsistency in Distributed Systems" (1983). Kept as a sorted array: a cluster has
/// tens of replicas, where a binary search beats hashing and the order is the same in every process.
public struct VersionVector: Hashable, Sendable {
    public private(set) var components: [Dot] = []

    public init() {}

    /// The highest covered seq of `replica`; 0 where nothing is. O(log n).
    public subscript(replica: ReplicaID) -> UInt64 {
        get {
            let at = position(of: replica)
            return at < components.count && components[at].replica == replica ? components[at].seq : 0
        }
        set {
            let at = position(of: replica)
            let found = at < components.count && components[at].replica == replica
            switch (found, newValue) {
            case (true, 0): components.remove(at: at)
            case (true, _): components[at].seq = newValue
            case (false, 0): break
            case (false, _): components.insert(Dot(replica: replica, seq: newValue), at: at)
            }
        }
    }

    public func covers(_ dot: Dot) -> Bool { dot.seq <= self[dot.replica] }

    public func covers(_ other: VersionVector) -> Bool { other.components.allSatisfy(covers) }

    /// The componentwise maximum.
    public mutating func merge(_ other: VersionVector) {
        for dot in other.components { advance(to: dot) }
    }

    /// Covers `dot` and all before it of its replica.
    public mutating func advance(to dot: Dot) {
        if dot.seq > self[dot.replica] { self[dot.replica] = dot.seq }
    }

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
