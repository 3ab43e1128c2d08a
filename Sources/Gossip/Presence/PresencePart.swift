import ConvergeCRDT
import ConvergeWire

/// What is known of another owner's part.
struct PresencePart: Sendable {
    /// The one question that is open about the part.
    struct Want: Sendable {
        var peer: ReplicaID
        /// What somebody has of the part, at least.
        var target: PresenceVersion
        var deadline: UInt64
        var staging: Staging?
    }

    /// The chunks that have come of one answer.
    struct Staging: Sendable {
        var boot: UInt64
        var version: UInt64
        /// The index of the chunk that comes next.
        var next: UInt32 = 0
        var seats: [Seat] = []
    }

    /// Changes that came before the part that they change; they lead from `from` on, one a version.
    struct Waiting: Sendable {
        var boot: UInt64
        var from: UInt64
        var changes: [Seat]

        var through: UInt64 { from + UInt64(changes.count) }

        /// Takes a delta in that goes on from here. Where it does not, or there would be over `limit` changes, the newer ones
        /// are kept and the others dropped. Returns how many were.
        mutating func take(_ delta: PresenceDelta, limit: Int) -> Int {
            if delta.boot < boot || (delta.boot == boot && delta.through <= through) { return 0 }
            let overlap = delta.boot == boot && from <= delta.from && delta.from <= through
            if overlap, changes.count + delta.changes.count <= limit {
                changes.append(contentsOf: delta.changes.dropFirst(Int(through - delta.from)))
                return 0
            }
            let dropped = changes.count
            self = Waiting(boot: delta.boot, from: delta.from, changes: delta.changes)
            return dropped
        }
    }

    let slot: UInt32
    var boot: UInt64 = 0
    var version: UInt64 = 0
    /// Whether what is here is the part at that version. If not, there is nothing, or something that its owner disowned: only
    /// a whole part helps.
    var isKnown = false
    var want: Want?
    var waiting: Waiting?

    init(slot: UInt32) { self.slot = slot }

    /// Whether the part is older than that, or not known (and not of a newer boot).
    func isBehind(boot: UInt64, version: UInt64) -> Bool {
        guard isKnown else { return self.boot <= boot }
        return self.boot == boot ? self.version < version : self.boot < boot
    }
}

extension PresenceDelta {
    /// The version to which the changes lead. Those that come from others were checked not to overflow.
    var through: UInt64 { from &+ UInt64(changes.count) }
}

/// What a peer said last.
struct PresencePeer: Sendable {
    /// Sorted by owner.
    var versions: [PresenceVersion] = []
    /// Sorted.
    var direct: [ReplicaID] = []
    /// What was here of the peer's own part when it said so.
    var hadOfIts: PresenceVersion?
    /// When it was last sent a whole part, by owner.
    var served: [ReplicaID: UInt64] = [:]

    func version(of owner: ReplicaID) -> PresenceVersion? {
        let at = versions.partitionPoint { $0.owner >= owner }
        return at < versions.count && versions[at].owner == owner ? versions[at] : nil
    }

    func isLinked(to owner: ReplicaID) -> Bool {
        let at = direct.partitionPoint { $0 >= owner }
        return at < direct.count && direct[at] == owner
    }
}

extension Array {
    /// The index of the first element for which the condition holds, in an array where it holds for all that follow it.
    fileprivate func partitionPoint(where holds: (Element) -> Bool) -> Int {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if holds(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
