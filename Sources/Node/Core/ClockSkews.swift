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

    /// What a peer's clock is ahead of ours, in milliseconds; nil where it has not told.
    subscript(peer: ReplicaID) -> Int64? { skews.first { $0.peer == peer }?.milliseconds }

    mutating func forget(_ peer: ReplicaID) { skews.removeAll { $0.peer == peer } }

    /// What the median of the peers is ahead of this node, in milliseconds; nil without peers. Of an even number it is the
    /// one of the two in the middle that is nearer: with one wrong clock among three nodes the other two may write.
    var median: Int64? {
        guard !skews.isEmpty else { return nil }
        let sorted = skews.map(\.milliseconds).sorted()
        let (low, high) = (sorted[(sorted.count - 1) / 2], sorted[sorted.count / 2])
        return low.magnitude <= high.magnitude ? low : high
    }

    /// Whether this node may write.
    var isTolerable: Bool { median.map { $0.magnitude <= Self.limit.magnitude } ?? true }
}
