import ConvergeCRDT

/// Which changes of links the log is to tell of: one line when a process of a peer is linked, one when it is lost.
///
/// Two nodes that dial each other at once have two links for a moment, of which both keep the same one. The step from the
/// one to the other is no news, in whatever order the two hear of it. Bound: the peers that are linked or were so a moment
/// ago.
struct LinkReports {
    /// Milliseconds until a link that another one should have replaced counts as lost.
    static let grace: UInt64 = 5_000

    private struct Told {
        let process: UInt64
        /// The other side has closed the link for another one, which must be there by then.
        var replacedBy: UInt64?
    }

    private var told: [ReplicaID: Told] = [:]

    /// Whether that is news.
    mutating func linked(_ peer: ReplicaID, process: UInt64) -> Bool {
        let isNews = told[peer]?.process != process
        told[peer] = Told(process: process)
        return isNews
    }

    /// Whether that is news now; if the other side keeps another link, it is later, unless that one comes.
    mutating func unlinked(_ peer: ReplicaID, isReplaced: Bool, at now: UInt64) -> Bool {
        guard isReplaced else {
            told[peer] = nil
            return true
        }
        told[peer]?.replacedBy = now &+ Self.grace
        return false
    }

    /// Those whose other link has not come, sorted.
    mutating func takeLost(at now: UInt64) -> [ReplicaID] {
        let lost = told.filter { $0.value.replacedBy.map { $0 <= now } ?? false }.keys.sorted()
        for peer in lost { told[peer] = nil }
        return lost
    }
}
