import ConvergeCRDT
import ConvergeWire

/// The versions of this node's own part, and its newest changes.
///
/// Invariant: `history` holds the changes after version `base`, one a version, up to `version`; those after `pushed` have
/// not been sent yet.
struct OwnPart: Sendable {
    /// Nil until the store has given this node its name; nothing is told to anybody before.
    var replica: ReplicaID?
    var boot: UInt64
    let slot: UInt32
    private(set) var version: UInt64 = 0
    private(set) var pushed: UInt64 = 0
    private var base: UInt64 = 0
    private var history: [Seat] = []

    init(replica: ReplicaID?, boot: UInt64, slot: UInt32) {
        self.replica = replica
        self.boot = boot
        self.slot = slot
    }

    mutating func append(_ change: Seat) {
        version += 1
        history.append(change)
    }

    /// The changes after `version`; nil where they are not kept any more.
    func changes(after version: UInt64) -> ArraySlice<Seat>? {
        guard version >= base, version <= self.version else { return nil }
        return history[Int(version - base)...]
    }

    /// Goes on after a version that somebody has of this part and this node has not told: an earlier life told it, of which the
    /// disk knows nothing any more. Whoever is behind asks for the whole part.
    mutating func surpass(_ told: PresenceVersion) {
        boot = told.boot
        version = told.version + 1
        pushed = version
        base = version
        history = []
    }

    /// All has been sent, or is to be asked for. Keeps about the newest `length`, cutting seldom enough to cost nothing.
    mutating func markPushed(keeping length: Int) {
        pushed = version
        guard history.count >= 2 * max(length, 1) else { return }
        let dropped = history.count - length
        history.removeFirst(dropped)
        base += UInt64(dropped)
    }
}

extension Presence {
    mutating func start(_ replica: ReplicaID?, boot: UInt64, into effects: inout [PresenceEffect]) {
        if let replica { drop(replica, into: &effects) }
        guard let former = own else {
            own = OwnPart(replica: replica, boot: boot, slot: table.addOwner(replica, isShown: true))
            return
        }
        if let name = former.replica, name != replica { retire(name) }
        table.rename(former.slot, to: replica)
        var renewed = OwnPart(replica: replica, boot: boot, slot: former.slot)
        // As if all had entered anew, one by one: so the new part, too, is counted from 1.
        table.forEachSeat(of: former.slot) { renewed.append($0) }
        // A large one is not pushed at everybody, before all that is live: who lacks it asks for it.
        if renewed.version > UInt64(options.historyLength) { renewed.markPushed(keeping: options.historyLength) }
        own = renewed
    }

    /// A peer's digest names this node's own part. Where the disk was set back and its boot was given out once more, what an
    /// earlier life told would be taken for newer than what is, by all who have it from each other.
    mutating func hear(ofOwn said: PresenceVersion) {
        guard let own, (own.boot, own.version) < (said.boot, said.version) else { return }
        guard said.boot < Self.highestNumber, said.version < Self.highestNumber else {
            counters.violations += 1
            return
        }
        counters.surpassed += 1
        self.own?.surpass(said)
    }

    /// Nobody counts so far.
    private static var highestNumber: UInt64 { 1 << 56 }

    mutating func enter(room: Text, user: Text, displayName: Text, into effects: inout [PresenceEffect]) {
        guard let slot = own?.slot else { preconditionFailure("nobody can enter before `started`") }
        let sessions = table.seat(room: room, user: user, of: slot)?.sessions ?? 0
        guard sessions > 0 ? sessions < UInt32.max : table.seatCount(of: slot) < options.seatsPerOwner else {
            counters.seatsRefused += 1
            return
        }
        let seat = Seat(room: room, user: user, displayName: displayName, sessions: sessions + 1)
        effects.tell(table.set(seat, of: slot), lost: false)
        own?.append(seat)
    }

    mutating func leave(room: Text, user: Text, into effects: inout [PresenceEffect]) {
        // One that was refused a seat leaves none.
        guard let slot = own?.slot, let seat = table.seat(room: room, user: user, of: slot) else { return }
        let stays = seat.sessions > 1
        let change = Seat(
            room: room, user: user, displayName: stays ? seat.displayName : "", sessions: seat.sessions - 1)
        effects.tell(table.set(change, of: slot), lost: false)
        own?.append(change)
    }

    /// Sends what changed on this node since the last time to all peers, in as few frames as hold it.
    public mutating func flush(into effects: inout [PresenceEffect]) {
        guard let own, own.pushed < own.version else { return }
        if let changes = own.changes(after: own.pushed), !linked.isEmpty {
            send(changes, of: own, after: own.pushed, to: linked, into: &effects)
        }
        self.own?.markPushed(keeping: options.historyLength)
    }

    mutating func send(
        _ changes: ArraySlice<Seat>, of own: OwnPart, after version: UInt64, to peers: [ReplicaID],
        into effects: inout [PresenceEffect]
    ) {
        guard let owner = own.replica else { return }
        var from = version
        var rest = changes
        while !rest.isEmpty {
            let piece = rest.prefix(fitting(rest))
            rest = rest.dropFirst(piece.count)
            let delta = PresenceDelta(owner: owner, boot: own.boot, from: from, changes: Array(piece))
            for peer in peers { effects.append(.send(peer, .presenceDelta(delta), bulk: false)) }
            counters.deltasSent += peers.count
            from += UInt64(piece.count)
        }
    }

    /// How many of these seats one frame may have; at least one.
    func fitting(_ seats: ArraySlice<Seat>) -> Int {
        var bytes = 0
        var count = 0
        for seat in seats {
            bytes += seat.frameBytes
            if bytes > options.chunkBytes { break }
            count += 1
        }
        return max(count, 1)
    }
}

extension Seat {
    /// At most so many bytes on the wire: three lengths and a count, and the texts.
    var frameBytes: Int { room.byteCount + user.byteCount + displayName.byteCount + 20 }
}
