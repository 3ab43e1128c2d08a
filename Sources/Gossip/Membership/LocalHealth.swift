/// How far a node trusts itself: one that misses answers which others get is likely slow itself, and should not accuse them.
///
/// The score rises with each sign that this node is late and falls with each probe that went well; waiting times are
/// multiplied with it. Lifeguard's LHA-Probe (Dadgar, Phillips, Currey 2017, section IV-A).
struct LocalHealth: Hashable, Sendable {
    private static let worst: UInt64 = 8

    private(set) var score: UInt64 = 0

    /// What waiting times are multiplied with, from 1 to 9.
    var multiplier: UInt64 { score + 1 }

    mutating func improve() { score = score == 0 ? 0 : score - 1 }
    mutating func worsen(by amount: Int = 1) { score = min(LocalHealth.worst, score + UInt64(max(0, amount))) }
}
