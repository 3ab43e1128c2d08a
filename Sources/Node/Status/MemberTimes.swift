import ConvergeCRDT
import ConvergeGossip
import ConvergeWire

/// Since when each member has been as it is. It is found out by looking now and then: what came and went between two looks
/// leaves no trace, and the times are as exact as the looks are frequent.
struct MemberTimes: Sendable {
    private struct Seen: Sendable {
        let replica: ReplicaID
        var state: ClusterStatus.MemberState
        var linked: Bool
        var stateSince: UInt64
        var linkSince: UInt64
    }

    /// Sorted by replica.
    private var seen: [Seen] = []

    /// - Parameter members: sorted by replica. O(members).
    mutating func look(_ members: [Membership.Member], at now: UInt64) {
        var next: [Seen] = []
        next.reserveCapacity(members.count)
        var at = 0
        for member in members {
            while at < seen.count, seen[at].replica < member.replica { at += 1 }
            let before = at < seen.count && seen[at].replica == member.replica ? seen[at] : nil
            let state = ClusterStatus.MemberState(member)
            next.append(
                Seen(
                    replica: member.replica, state: state, linked: member.linked,
                    stateSince: before.map { $0.state == state ? $0.stateSince : now } ?? now,
                    linkSince: before.map { $0.linked == member.linked ? $0.linkSince : now } ?? now))
        }
        seen = next
    }

    /// For how many milliseconds the members, in the order of the last look, have been in their states, and had or not had
    /// their links.
    func durations(at now: UInt64) -> [(state: UInt64, link: UInt64)] {
        seen.map { (now - min(now, $0.stateSince), now - min(now, $0.linkSince)) }
    }
}
