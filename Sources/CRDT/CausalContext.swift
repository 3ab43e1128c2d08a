/// Which dots have been seen: the past of a replicated state.
///
/// What a state no longer holds but its context covers was removed; what the context doesn't cover is news. That is why
/// nothing here needs tombstones. Dots that follow each other without a gap are one number a replica (the vector); those
/// that came early wait in the *cloud* until the gap before them closes. The form is canonical: the cloud never holds
/// what the vector covers nor what would continue it, so equal contexts are equal values.
///
/// Where dots arrive in the order of their replicas' logs, the cloud stays empty and the context is a version vector.
///
/// Almeida, Shoker, Baquero: "Delta State Replicated Data Types" (2018), section 7.2.
public struct CausalContext: Hashable, Sendable {
    public private(set) var vector: VersionVector
    /// Dots beyond a gap. Without order: who writes it out sorts it.
    public private(set) var cloud: Set<Dot> = []

    public init() { vector = VersionVector() }

    /// All that `vector` covers.
    public init(_ vector: VersionVector) { self.vector = vector }

    /// Exactly these dots.
    public init(_ dots: some Sequence<Dot>) {
        vector = VersionVector()
        for dot in dots { insert(dot) }
    }

    public var isEmpty: Bool { vector.isEmpty && cloud.isEmpty }

    /// O(log r) for r replicas.
    public func contains(_ dot: Dot) -> Bool {
        vector.covers(dot) || (!cloud.isEmpty && cloud.contains(dot))
    }

    /// The first dot of `replica` after all that are seen of it: what its next change is to be called.
    ///
    /// Only the replica itself may ask, and only where the state is all it ever wrote; a node whose entries are numbered
    /// by a log takes the log's dots instead.
    public func next(of replica: ReplicaID) -> Dot {
        // A dot of its own can only be in the cloud after a loss; then it must not be used twice all the same.
        let beyond = cloud.lazy.filter { $0.replica == replica }.map(\.seq).max() ?? 0
        return Dot(replica: replica, seq: max(vector[replica], beyond) + 1)
    }

    /// Returns false where the dot had been seen; a seq of 0 always has. Amortised O(log r): a dot enters the cloud at
    /// most once and leaves it at most once.
    @discardableResult
    public mutating func insert(_ dot: Dot) -> Bool {
        switch vector.step(to: dot) {
        case .covered: return false
        case .beyondGap: return cloud.insert(dot).inserted
        case .next:
            if !cloud.isEmpty { closeGap(of: dot.replica) }
            return true
        }
    }

    /// Moves what now follows without a gap from the cloud into the vector.
    private mutating func closeGap(of replica: ReplicaID) {
        var top = Dot(replica: replica, seq: vector[replica])
        while top.seq < .max, cloud.remove(Dot(replica: replica, seq: top.seq + 1)) != nil { top.seq += 1 }
        vector.advance(to: top)
    }
}

extension CausalContext: Mergeable {
    /// The union. O(r log r) for vectors, and O(1) for each dot of the clouds.
    public mutating func merge(_ other: CausalContext) {
        if !other.vector.isEmpty {
            vector.merge(other.vector)
            if !cloud.isEmpty {
                let covered = vector
                cloud = cloud.filter { !covered.covers($0) }
                for component in covered.components { closeGap(of: component.replica) }
            }
        }
        for dot in other.cloud { insert(dot) }
    }
}
