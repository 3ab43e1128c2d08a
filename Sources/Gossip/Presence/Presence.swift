import ConvergeCRDT
import ConvergeWire

// Who is in which room, in the whole cluster.
//
// Each node owns its part, a map (room, user) → (display name, sessions), and only it changes that. Every change is one
// version, counted from 1 in each boot of the owner; so a part is a function of (owner, boot, version), whoever it came
// from, and nothing has to be merged. What changed is pushed as a delta, which leads from one version to another. Who is
// not where a delta begins asks for the whole part, of anybody who has it, gets it in chunks, and puts it in place when
// the last one has come.
//
// A disk that is set back gives out a boot once more. Who was linked to the process before refuses the new one (`PeerLinks`);
// where nobody was, the owner hears of itself what it has not said, and goes on after that.
//
// Invariants: a part that is shown is exactly its owner's part at one version; a user is present as long as an owner that
// is shown has a seat for it; `came` and `went` alternate for each (room, user), and say each change of `isPresent`.
//
// Almeida, Shoker, Baquero: "Delta State Replicated Data Types" (2018), with one writer a part, so that an interval of
// versions is all the causality there is.

/// The presence of the whole cluster, as one node knows it. A value: events and time in, effects out.
///
/// `started` comes first. `flush` comes at the end of each turn: what changed on this node since the last one leaves then.
public struct Presence: Sendable {
    public struct Occupant: Hashable, Sendable {
        public var user: Text
        /// What the lowest of `nodes` calls the user.
        public var displayName: Text
        /// On all nodes.
        public var sessions: Int
        /// Where the sessions are, sorted.
        public var nodes: [ReplicaID]

        public init(user: Text, displayName: Text, sessions: Int, nodes: [ReplicaID]) {
            self.user = user
            self.displayName = displayName
            self.sessions = sessions
            self.nodes = nodes
        }
    }

    let options: PresenceOptions
    var table = SeatTable()
    var own: OwnPart?
    /// The parts of the others; `order` has the keys sorted.
    var parts: [ReplicaID: PresencePart] = [:]
    var order: [ReplicaID] = []
    /// The nodes to which there is a link; `linked` has the keys sorted.
    var peers: [ReplicaID: PresencePeer] = [:]
    var linked: [ReplicaID] = []
    /// Members that are faulty or have left: what they own is hidden. As many as the membership remembers.
    private var gone: Set<ReplicaID> = []
    /// Owners that were forgotten, oldest first: a peer that still remembers one does not bring it back. Bounded.
    private var forgotten: [ReplicaID] = []
    /// Seats that wait for the rest of their part.
    var staged = 0

    public internal(set) var counters = PresenceCounters()

    public init(options: PresenceOptions = PresenceOptions()) { self.options = options }

    /// Takes one event. `now` is monotonic, in milliseconds.
    public mutating func handle(_ event: PresenceEvent, at now: UInt64, into effects: inout [PresenceEffect]) {
        switch event {
        case .started(let replica, let boot): start(replica, boot: boot, into: &effects)
        case .entered(let room, let user, let displayName):
            enter(room: room, user: user, displayName: displayName, into: &effects)
        case .left(let room, let user): leave(room: room, user: user, into: &effects)
        case .linked(let peer): link(peer)
        case .unlinked(let peer): unlink(peer, at: now, into: &effects)
        case .digest(let peer, let versions, let direct):
            compare(versions, direct: direct, from: peer, at: now, into: &effects)
        case .frame(let peer, .presenceDelta(let delta)): take(delta, from: peer, at: now, into: &effects)
        case .frame(let peer, .presenceWant(let want)): serve(want, to: peer, at: now, into: &effects)
        case .frame(let peer, .presenceChunk(let chunk)): take(chunk, from: peer, at: now, into: &effects)
        case .frame: break
        case .memberChanged(let member, let state): change(member, to: state, into: &effects)
        case .forgotten(let member): forget(member, into: &effects)
        case .tick: askOthers(at: now, into: &effects)
        }
    }

    // MARK: Links and members

    private mutating func link(_ peer: ReplicaID) {
        guard peer != own?.replica, peers.updateValue(PresencePeer(), forKey: peer) == nil else { return }
        linked.insert(peer, at: linked.firstIndex { $0 > peer } ?? linked.count)
    }

    private mutating func change(_ member: ReplicaID, to state: MemberState, into effects: inout [PresenceEffect]) {
        guard member != own?.replica else { return }
        switch state {
        case .alive, .suspect:
            gone.remove(member)
            forgotten.removeAll { $0 == member }
            if let slot = parts[member]?.slot { effects.tell(table.setShown(true, slot), lost: false) }
        case .faulty, .left:
            if options.planted.has(.faultyStillPresent) { return }
            gone.insert(member)
            if let slot = parts[member]?.slot { effects.tell(table.setShown(false, slot), lost: true) }
        }
    }

    private mutating func forget(_ member: ReplicaID, into effects: inout [PresenceEffect]) {
        guard member != own?.replica else { return }
        gone.remove(member)
        forgotten.removeAll { $0 == member }
        if forgotten.count >= options.owners { forgotten.removeFirst() }
        forgotten.append(member)
        drop(member, into: &effects)
    }

    // MARK: Owners

    /// Makes room to know an owner; false where it was forgotten, or there are too many.
    mutating func know(_ owner: ReplicaID) -> Bool {
        if parts[owner] != nil { return true }
        if forgotten.contains(owner) { return false }
        guard parts.count < options.owners else {
            counters.ownersRefused += 1
            return false
        }
        parts[owner] = PresencePart(slot: table.addOwner(owner, isShown: !gone.contains(owner)))
        order.insert(owner, at: order.firstIndex { $0 > owner } ?? order.count)
        return true
    }

    /// Forgets all of an owner's part.
    mutating func drop(_ owner: ReplicaID, into effects: inout [PresenceEffect]) {
        guard let slot = parts[owner]?.slot else { return }
        endTransfer(of: owner)
        effects.tell(table.replace(slot, with: []), lost: true)
        table.removeOwner(slot)
        parts[owner] = nil
        order.removeAll { $0 == owner }
    }

    /// An earlier name of this node: nobody has sessions under it any more.
    mutating func retire(_ former: ReplicaID) { gone.insert(former) }

    // MARK: Who is where

    /// Whether the user has a session in the room anywhere. O(1).
    public func isPresent(room: Text, user: Text) -> Bool { table.isPresent(room: room, user: user) }

    /// Whether the user has a session in the room on this node. O(1).
    public func isHosted(room: Text, user: Text) -> Bool {
        own.map { table.seat(room: room, user: user, of: $0.slot) != nil } ?? false
    }

    /// What this node's own sessions call the user; nil where it has none in the room. O(1).
    public func ownName(room: Text, user: Text) -> Text? {
        own.flatMap { table.seat(room: room, user: user, of: $0.slot)?.displayName }
    }

    /// The rooms with someone in them, sorted.
    public func rooms() -> [Text] { table.presentRoomNames() }

    /// How many users are in the room, and the first `limit` of them (nil: all), sorted by user. The count is O(1); what is
    /// shown costs a look at each of the room's users, and sorting as many as are shown.
    public func occupants(of room: Text, limit: Int? = nil) -> (count: Int, shown: [Occupant]) {
        let count = table.presentCount(in: room)
        return (count, table.occupants(of: room, limit: min(limit ?? count, count)))
    }

    /// All who are present, sorted by room and user.
    public func attendance() -> [(room: Text, user: Text, displayName: Text)] {
        rooms().flatMap { room in
            occupants(of: room).shown.map { (room: room, user: $0.user, displayName: $0.displayName) }
        }
    }

    /// How many (room, user) pairs are present, and in how many rooms. O(1).
    public var presentCount: Int { table.presentCount }
    public var occupiedRooms: Int { table.presentRooms }

    /// How far each owner's part is known here, sorted by owner, this node's own among them: what a digest says. A hidden
    /// part is named too, so that its owner sends only what is missing when it comes back.
    public var versions: [PresenceVersion] {
        var versions: [PresenceVersion] = []
        versions.reserveCapacity(order.count + 1)
        for owner in order {
            guard let part = parts[owner], part.isKnown else { continue }
            versions.append(PresenceVersion(owner: owner, boot: part.boot, version: part.version))
        }
        guard let own, let replica = own.replica else { return versions }
        // Not what has yet to be pushed: nobody is to ask for what is about to come.
        let mine = PresenceVersion(owner: replica, boot: own.boot, version: own.pushed)
        versions.insert(mine, at: versions.firstIndex { $0.owner > replica } ?? versions.count)
        return versions
    }
}
