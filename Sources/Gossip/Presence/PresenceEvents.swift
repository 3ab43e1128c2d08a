import ConvergeCRDT
import ConvergeWire

// What goes into presence and what comes out of it.

/// How much presence keeps. What goes over a bound is left out and counted (`PresenceCounters`).
public struct PresenceOptions: Sendable {
    /// The most bytes of seats in one frame.
    public var chunkBytes: Int
    /// How many of this node's newest changes are kept, so that a peer that is a little behind gets those rather than all.
    public var historyLength: Int
    /// The most seats that one owner's part may have. One more is not recorded; its user is not shown.
    public var seatsPerOwner: Int
    /// The most owners that are known. One more is not asked for.
    public var owners: Int
    /// The most seats, of all owners, that wait for the rest of their part. Past it the transfer is given up, and tried
    /// again at the next digest.
    public var stagedSeats: Int
    /// The most changes of one owner that wait for its part. Past it the oldest are dropped, and the part is asked for again.
    public var waitingChanges: Int
    /// How long a peer that was asked for a part may be silent, in milliseconds, before another one is asked.
    public var wantTimeout: UInt64
    public var planted: PlantedFaults

    public init(
        chunkBytes: Int = 32 << 10, historyLength: Int = 1_024, seatsPerOwner: Int = 2_000_000, owners: Int = 1_024,
        stagedSeats: Int = 4_000_000, waitingChanges: Int = 16_384, wantTimeout: UInt64 = 3_000,
        planted: PlantedFaults = []
    ) {
        self.chunkBytes = chunkBytes
        self.historyLength = historyLength
        self.seatsPerOwner = seatsPerOwner
        self.owners = owners
        self.stagedSeats = stagedSeats
        self.waitingChanges = waitingChanges
        self.wantTimeout = wantTimeout
        self.planted = planted
    }
}

public enum PresenceEvent: Sendable {
    /// The first event, under no name yet; and again whenever the store gives this node one: its part goes on under it.
    case started(replica: ReplicaID?, boot: UInt64)
    /// One session more on this node.
    case entered(room: Text, user: Text, displayName: Text)
    /// One session less on this node.
    case left(room: Text, user: Text)
    case linked(ReplicaID)
    case unlinked(ReplicaID)
    /// What the peer has, and to whom it is linked directly.
    case digest(from: ReplicaID, [PresenceVersion], direct: [ReplicaID])
    /// One of the `presence…` frames; any other is ignored.
    case frame(from: ReplicaID, PeerFrame)
    case memberChanged(ReplicaID, MemberState)
    case forgotten(ReplicaID)
    /// Time has passed.
    case tick
}

public enum PresenceEffect: Hashable, Sendable {
    /// `bulk` may wait behind everything else that goes to the peer; the order among bulk frames must stay.
    case send(ReplicaID, PeerFrame, bulk: Bool)
    /// The user came into the room, as the cluster goes: its first session anywhere.
    case came(room: Text, user: Text, displayName: Text)
    /// The user's last session in the room is gone. `lost`: with its node, rather than by leaving.
    case went(room: Text, user: Text, displayName: Text, lost: Bool)
}

extension [PresenceEffect] {
    mutating func tell(_ moves: [SeatTable.Move], lost: Bool) {
        for move in moves { tell(move, lost: lost) }
    }

    mutating func tell(_ move: SeatTable.Move?, lost: Bool) {
        guard let move else { return }
        append(
            move.isThere
                ? .came(room: move.room, user: move.user, displayName: move.displayName)
                : .went(room: move.room, user: move.user, displayName: move.displayName, lost: lost))
    }
}

/// What has happened since the start, for the metrics.
public struct PresenceCounters: Hashable, Sendable {
    /// Frames of changes that were sent, whether own or passed on.
    public var deltasSent = 0
    /// Frames of changes of which at least one was new.
    public var deltasApplied = 0
    /// Frames of changes that were known already, or of an older boot.
    public var deltasStale = 0
    /// Frames of changes that begin behind what is here.
    public var deltasBehindGap = 0
    public var wantsSent = 0
    /// Wants that were answered with the whole part.
    public var wholesServed = 0
    /// Wants that were answered with the changes that the peer lacked.
    public var deltasServed = 0
    /// Wants that were not answered: the part is not here, or was sent to that peer a moment ago.
    public var wantsUnanswered = 0
    public var chunksSent = 0
    /// Whole parts that took the place of what was here.
    public var wholesInstalled = 0
    /// Transfers that broke off: the link ended, time ran out, a piece was missing, or there was no room.
    public var transfersBroken = 0
    /// Pieces that were not asked for.
    public var strayChunks = 0
    /// Parts whose owner has less of it than it had: they are asked for anew.
    public var regressions = 0
    /// Times that a peer had of this node's own part what this node had not told: its disk was set back.
    public var surpassed = 0
    /// Seats left out, because their owner has as many as it may.
    public var seatsRefused = 0
    /// Owners left out, because there are as many as may be.
    public var ownersRefused = 0
    /// Transfers given up, because too many seats wait.
    public var stagingRefused = 0
    /// Waiting changes that were dropped, because too many wait.
    public var waitingDropped = 0
    /// Frames that no correct peer sends.
    public var violations = 0

    public init() {}
}
