import ConvergeCRDT

/// How far the clocks of the peers are from this node's.
///
/// A hybrid clock follows the highest timestamp it sees, so a wall clock that is far ahead drags everybody's history
/// along. A node that is more than a day from its peers' median refuses to write until its clock is mended.
struct ClockSkews {
    /// A day, in milliseconds.
    static let limit: Int64 = 86_400_000

    /// Sorted by peer: its wall time less ours when it last told.
    private var skews: [(peer: ReplicaID, milliseconds: Int64)] = []

    mutating func note(_ peer: ReplicaID, wall: UInt64, here now: UInt64) {
        let skew = Int64(clamping: wall) - Int64(clamping: now)
        if let at = skews.firstIndex(where: { $0.peer >= peer }) {
            if skews[at].peer == peer { skews[at].milliseconds = skew } else { skews.insert((peer, skew), at: at) }
        } else {
            skews.append((peer, skew))
        }
    }

    mutating func forget(_ peer: ReplicaID) { skews.removeAll { $0.peer == peer } }

    /// What the median of the peers is ahead of this node, in milliseconds; nil without peers.
    var median: Int64? {
        guard !skews.isEmpty else { return nil }
        return skews.map(\.milliseconds).sorted()[skews.count / 2]
    }

    /// Whether this node may write.
    var isTolerable: Bool { median.map { $0.magnitude <= Self.limit.magnitude } ?? true }
}
