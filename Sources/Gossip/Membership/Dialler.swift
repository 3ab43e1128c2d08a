import ConvergeCRDT
import ConvergeWire

/// Which addresses are dialled, and when: all that nobody we have a link to is at, for ever, one dial an address at a time.
///
/// After a failed dial the wait doubles up to a limit, and a random half of it is taken off, so that nodes that lost each
/// other together do not dial together. An address belongs to the replica whose node was last met there.
struct Dialler: Sendable {
    /// A dial without an outcome counts as failed after this long.
    private static let longestDial: UInt64 = 30_000
    /// Where this node met itself it does not dial for this long.
    private static let oneselfWait: UInt64 = 3_600_000

    struct Target: Sendable {
        let address: Text
        var isSeed: Bool
        var owner: ReplicaID?
        /// What the store has for this address.
        var stored: RememberedMember?
        var linkedSince: UInt64?
        var diallingSince: UInt64?
        var failures: UInt64 = 0
        var nextAt: UInt64
    }

    private let first: UInt64
    private let most: UInt64
    private let limit: Int
    private let planted: PlantedFaults
    /// Sorted by address.
    private(set) var targets: [Target] = []

    init(_ options: MembershipOptions) {
        first = max(1, options.firstDialWait)
        most = max(first, options.mostDialWait)
        limit = options.memberLimit + options.rememberedLimit
        planted = options.planted
    }

    func index(of address: Text) -> Int? {
        let at = position(of: address)
        return at < targets.count && targets[at].address == address ? at : nil
    }

    subscript(address: Text) -> Target? { index(of: address).map { targets[$0] } }

    /// Adds the address, dialled first after `delay`. One that is there stays as it is; past the limit none is added.
    mutating func add(_ address: Text, isSeed: Bool = false, at now: UInt64, delay: UInt64) {
        let at = position(of: address)
        if at < targets.count, targets[at].address == address {
            targets[at].isSeed = targets[at].isSeed || isSeed
        } else if isSeed || targets.count < limit {
            targets.insert(Target(address: address, isSeed: isSeed, nextAt: now + delay), at: at)
        }
    }

    mutating func setOwner(_ owner: ReplicaID, of address: Text) {
        guard let at = index(of: address) else { return }
        if targets[at].owner != owner { targets[at].linkedSince = nil }
        targets[at].owner = owner
    }

    mutating func setStored(_ member: RememberedMember?, of address: Text) {
        guard let at = index(of: address) else { return }
        targets[at].stored = member
    }

    /// Takes the address off, but where it is a seed.
    mutating func remove(_ address: Text) {
        guard let at = index(of: address), !targets[at].isSeed else { return }
        targets.remove(at: at)
    }

    /// There is a link to `replica`, which is at `address` and was dialled at `dialled`.
    mutating func opened(_ replica: ReplicaID, address: Text, dialled: Text?, at now: UInt64) {
        for met in [address, dialled ?? address] {
            guard let at = index(of: met) else { continue }
            targets[at].owner = replica
            targets[at].diallingSince = nil
        }
        markLinked(replica, at: now)
    }

    mutating func markLinked(_ replica: ReplicaID, at now: UInt64) {
        for at in targets.indices where targets[at].owner == replica && targets[at].linkedSince == nil {
            targets[at].linkedSince = now
        }
    }

    /// The link is gone. It is dialled again soon, or later where links to it don't last.
    mutating func closed(
        _ replica: ReplicaID, headStart: UInt64, at now: UInt64, using random: inout MembershipGenerator
    ) {
        for at in targets.indices where targets[at].owner == replica {
            guard let since = targets[at].linkedSince else { continue }
            targets[at].linkedSince = nil
            if now - since >= most {
                targets[at].failures = 0
                targets[at].nextAt = now + random.below(first) + headStart
            } else {
                targets[at].nextAt = now + wait(after: targets[at].failures, using: &random) + headStart
                targets[at].failures += 1
            }
        }
    }

    /// The dial is over. `reachedLinked`: who answered has another link.
    mutating func failed(
        _ address: Text, reached: ReplicaID?, isOneself: Bool, reachedLinked: Bool, at now: UInt64,
        using random: inout MembershipGenerator
    ) {
        guard let at = index(of: address) else { return }
        targets[at].diallingSince = nil
        if isOneself {
            targets[at].nextAt = now + Dialler.oneselfWait
            return
        }
        targets[at].nextAt = now + wait(after: targets[at].failures, using: &random)
        targets[at].failures += 1
        guard let reached else { return }
        targets[at].owner = reached
        targets[at].linkedSince = reachedLinked ? targets[at].linkedSince ?? now : nil
    }

    /// The addresses to dial now, at most `limit` at one time, the longest waiting first.
    mutating func due(at now: UInt64, limit: Int, using random: inout MembershipGenerator) -> [Text] {
        var underWay = 0
        for at in targets.indices {
            guard let since = targets[at].diallingSince else { continue }
            if now >= since + Dialler.longestDial {
                targets[at].diallingSince = nil
                targets[at].nextAt = now + wait(after: targets[at].failures, using: &random)
                targets[at].failures += 1
            } else {
                underWay += 1
            }
        }
        guard underWay < limit else { return [] }
        let waiting = targets.indices.filter { isWaiting(targets[$0]) && targets[$0].nextAt <= now }
            .sorted { (targets[$0].nextAt, $0) < (targets[$1].nextAt, $1) }
        let chosen = waiting.prefix(limit - underWay)
        for at in chosen { targets[at].diallingSince = now }
        return chosen.map { targets[$0].address }
    }

    /// When the next dial is due.
    func deadline(limit: Int) -> UInt64 {
        var deadline = UInt64.max
        var underWay = 0
        var waiting = UInt64.max
        for target in targets {
            if let since = target.diallingSince {
                underWay += 1
                deadline = min(deadline, since + Dialler.longestDial)
            } else if isWaiting(target) {
                waiting = min(waiting, target.nextAt)
            }
        }
        return underWay < limit ? min(deadline, waiting) : deadline
    }

    private func isWaiting(_ target: Target) -> Bool {
        target.linkedSince == nil && target.diallingSince == nil
            && !(planted.has(.dialGivenUp) && target.failures >= 5)
    }

    /// From a half up to the whole of the doubled wait.
    private func wait(after failures: UInt64, using random: inout MembershipGenerator) -> UInt64 {
        let whole = failures >= 16 ? most : min(most, first << failures)
        return whole - random.below(whole / 2 + 1)
    }

    private func position(of address: Text) -> Int {
        var low = 0
        var high = targets.count
        while low < high {
            let middle = (low + high) / 2
            if targets[middle].address < address { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
