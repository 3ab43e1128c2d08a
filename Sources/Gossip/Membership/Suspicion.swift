import ConvergeCRDT

/// How long a member may be suspected before it is faulty.
///
/// The more members suspect it, each on its own account, the less likely is it that the fault is the accuser's, and the
/// shorter the wait: from three times the suspect timeout with nobody's confirmation down to the timeout itself, along
/// the logarithm. Lifeguard's LHA-Suspicion (Dadgar, Phillips, Currey 2017, section IV-B).
struct Suspicion: Hashable, Sendable {
    /// More confirmations than these shorten nothing.
    static let mostConfirmations = 3

    /// log(c + 1) / log(k + 1) in thousandths, for c confirmations of k that would do.
    private static let share: [[UInt64]] = [[1000], [0, 1000], [0, 631, 1000], [0, 500, 792, 1000]]

    private(set) var since: UInt64
    /// Who suspects, in the order in which it became known. One and the confirmations.
    private(set) var accusers: [ReplicaID]
    /// Whether this node is one that began it.
    let isOwn: Bool
    /// Whether the suspect was looked at once more before the end.
    var checked = false
    /// What the wait grew by, since the suspect showed life or this node didn't run.
    private var extra: UInt64 = 0

    init(since: UInt64, by accuser: ReplicaID, isOwn: Bool) {
        self.since = since
        accusers = [accuser]
        self.isOwn = isOwn
    }

    /// Whether this accuser is new and counts.
    mutating func confirm(by accuser: ReplicaID) -> Bool {
        guard accusers.count <= Suspicion.mostConfirmations, !accusers.contains(accuser) else { return false }
        accusers.append(accuser)
        return true
    }

    /// When it ends, with so many other members alive that could confirm it.
    func deadline(timeout: UInt64, others: Int) -> UInt64 {
        let needed = min(Suspicion.mostConfirmations, max(0, others))
        let share = Suspicion.share[needed][min(needed, accusers.count - 1)]
        return since + extra + 3 * timeout - 2 * timeout * share / 1000
    }

    /// Whether as many suspect it as would do, where there is anybody else who could.
    func isConfirmed(others: Int) -> Bool {
        others > 0 && accusers.count > min(Suspicion.mostConfirmations, others)
    }

    /// The end of a wait that begins at `start`, or with the suspicion where that began later.
    func wait(_ time: UInt64, from start: UInt64) -> UInt64 { max(since, start) + extra + time }

    mutating func extend(by time: UInt64) {
        extra += time
        checked = false
    }
}
