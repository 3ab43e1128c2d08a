import ConvergeCRDT

/// What nodes say to each other: one frame each, in order, over one link between two of them.
///
/// The kinds fall into four conversations: who is a member and lives (`hello`, `probe…`, `members`), what is in whose log
/// (`entries`, `stored`, `digest`, `summary`, `want`, `range`), the state behind what the logs no longer hold
/// (`snapshotWant`, `snapshotChunk`), and who is present (`presence…`).
public enum PeerFrame: Hashable, Sendable {
    /// The first frame of both sides; nothing else counts before it.
    case hello(PeerHello)
    /// Why the link is about to be closed.
    case refused(PeerRefusal)

    case probe(number: UInt64, [MemberUpdate])
    /// "Probe `target` for me."
    case probeRequest(number: UInt64, target: ReplicaID, [MemberUpdate])
    case probeAck(number: UInt64, [MemberUpdate])
    /// The one who was asked to probe has no answer so far (Lifeguard): it lives, the target may not.
    case probeNack(number: UInt64)
    case members([MemberUpdate])

    /// New entries, pushed as they are stored, in the order in which their sender applied them.
    case entries([Entry], wantsStored: Bool)
    /// How much of the receiver's own log the sender has stored, and how many bytes of pushed entries it has taken from
    /// this link so far: the credit for more.
    case stored(seq: UInt64, bytes: UInt64)
    case digest(PeerDigest)
    /// A hash of all that a digest compares, for times when nothing differs.
    case summary(hash: UInt64)
    case want(EntriesWant)
    case range(EntriesRange)

    case snapshotWant(SnapshotWant)
    case snapshotChunk(SnapshotChunk)

    case presenceDelta(PresenceDelta)
    case presenceWant(PresenceWant)
    case presenceChunk(PresenceChunk)
}

// MARK: Members

public struct PeerHello: Hashable, Sendable {
    /// The protocol versions that the sender speaks; the highest that both do is spoken.
    public var lowestVersion: UInt16
    public var highestVersion: UInt16
    public var cluster: Text
    public var replica: ReplicaID
    public var boot: UInt64
    /// Random, one a process: the same is oneself; another one under one's own replica is a twin.
    public var process: UInt64
    public var name: Text
    /// Where the sender can be dialled; empty where it can't.
    public var address: Text
    /// Wall time in milliseconds.
    public var wall: UInt64
    public var incarnation: UInt64
    /// The last kind of document that the sender knows.
    public var lastKind: UInt8

    public init(
        lowestVersion: UInt16, highestVersion: UInt16, cluster: Text, replica: ReplicaID, boot: UInt64, process: UInt64,
        name: Text, address: Text, wall: UInt64, incarnation: UInt64,
        lastKind: UInt8 = DocumentKind.knownToAll.rawValue
    ) {
        self.lowestVersion = lowestVersion
        self.highestVersion = highestVersion
        self.cluster = cluster
        self.replica = replica
        self.boot = boot
        self.process = process
        self.name = name
        self.address = address
        self.wall = wall
        self.incarnation = incarnation
        self.lastKind = lastKind
    }
}

public enum PeerRefusal: UInt8, Hashable, Sendable {
    case otherCluster = 1
    case noCommonVersion = 2
    /// The sender is the receiver.
    case oneself = 3
    /// There is another link between the two, and that one stays.
    case duplicate = 4
    /// Two processes write under one replica: one of them goes on under a new one.
    case twin = 5
    /// The sender stops.
    case leaving = 6
    /// The receiver broke the protocol.
    case violation = 7
}

public enum MemberState: UInt8, Hashable, Sendable {
    case alive = 1
    case suspect = 2
    case faulty = 3
    case left = 4
}

/// One piece of news about a member, carried by probes and their answers (SWIM, section 4.1).
public struct MemberUpdate: Hashable, Sendable {
    public var replica: ReplicaID
    public var incarnation: UInt64
    public var state: MemberState
    /// Who suspects or declares; Lifeguard counts independent suspicions. The replica itself for `alive` and `left`.
    public var from: ReplicaID
    public var address: Text
    public var name: Text

    public init(
        replica: ReplicaID, incarnation: UInt64, state: MemberState, from: ReplicaID, address: Text, name: Text
    ) {
        self.replica = replica
        self.incarnation = incarnation
        self.state = state
        self.from = from
        self.address = address
        self.name = name
    }
}

// MARK: Logs

/// What a node has of everything, for the other side to compare.
public struct PeerDigest: Hashable, Sendable {
    /// How far each log is stored, sorted by replica.
    public var heads: [HeadDigest]
    /// Below these a log can't be served entry by entry; sorted by replica, none is 0.
    public var floors: [Dot]
    /// The replicas whose nodes the sender has a link to: their news comes from them. Sorted.
    public var direct: [ReplicaID]
    public var presence: [PresenceVersion]
    /// Wall time in milliseconds.
    public var wall: UInt64

    public init(
        heads: [HeadDigest], floors: [Dot], direct: [ReplicaID], presence: [PresenceVersion], wall: UInt64
    ) {
        self.heads = heads
        self.floors = floors
        self.direct = direct
        self.presence = presence
        self.wall = wall
    }
}

public struct HeadDigest: Hashable, Sendable {
    public var dot: Dot
    /// The first half of the head's hash: two that differ at one dot are a fork.
    public var hash: UInt64

    public init(dot: Dot, hash: UInt64) {
        self.dot = dot
        self.hash = hash
    }
}

/// The entries of one log after `after`, up to and with `through`.
public struct LogRange: Hashable, Sendable {
    public var replica: ReplicaID
    public var after: UInt64
    public var through: UInt64

    public init(replica: ReplicaID, after: UInt64, through: UInt64) {
        self.replica = replica
        self.after = after
        self.through = through
    }
}

public struct EntriesWant: Hashable, Sendable {
    /// Comes back with the answer.
    public var number: UInt64
    /// Sorted by replica, one a replica.
    public var ranges: [LogRange]
    /// The most bytes of entries that the answer may have.
    public var limit: UInt64

    public init(number: UInt64, ranges: [LogRange], limit: UInt64) {
        self.number = number
        self.ranges = ranges
        self.limit = limit
    }
}

/// The answer to a want: entries in a causal order.
public struct EntriesRange: Hashable, Sendable {
    public enum Status: UInt8, Hashable, Sendable {
        /// All that was wanted and is here.
        case complete = 1
        /// There is more: to be asked for.
        case more = 2
        /// A range begins below the floor of its log: a snapshot is needed.
        case belowFloor = 3
        /// The store can't be read now.
        case unavailable = 4
    }

    public var number: UInt64
    public var status: Status
    public var entries: [Entry]

    public init(number: UInt64, status: Status, entries: [Entry]) {
        self.number = number
        self.status = status
        self.entries = entries
    }
}

// MARK: Presence

/// How far one owner's part of the presence is known. `boot` counts the owner's starts: each begins at version 0.
public struct PresenceVersion: Hashable, Sendable {
    public var owner: ReplicaID
    public var boot: UInt64
    public var version: UInt64

    public init(owner: ReplicaID, boot: UInt64, version: UInt64) {
        self.owner = owner
        self.boot = boot
        self.version = version
    }
}

/// How many sessions of `user` are in `room` on the owner's node now; 0: none any more.
public struct Seat: Hashable, Sendable {
    public var room: Text
    public var user: Text
    public var displayName: Text
    public var sessions: UInt32

    public init(room: Text, user: Text, displayName: Text, sessions: UInt32) {
        self.room = room
        self.user = user
        self.displayName = displayName
        self.sessions = sessions
    }
}

/// The changes that lead from `from` to version `from + changes.count`, one a version.
public struct PresenceDelta: Hashable, Sendable {
    public var owner: ReplicaID
    public var boot: UInt64
    public var from: UInt64
    public var changes: [Seat]

    public init(owner: ReplicaID, boot: UInt64, from: UInt64, changes: [Seat]) {
        self.owner = owner
        self.boot = boot
        self.from = from
        self.changes = changes
    }
}

/// Asks for all of an owner's part.
public struct PresenceWant: Hashable, Sendable {
    public var owner: ReplicaID
    public var boot: UInt64

    public init(owner: ReplicaID, boot: UInt64) {
        self.owner = owner
        self.boot = boot
    }
}

/// One piece of an owner's whole part at `version`; the pieces come in order, from 0.
public struct PresenceChunk: Hashable, Sendable {
    public var owner: ReplicaID
    public var boot: UInt64
    public var version: UInt64
    public var index: UInt32
    public var isLast: Bool
    public var seats: [Seat]

    public init(owner: ReplicaID, boot: UInt64, version: UInt64, index: UInt32, isLast: Bool, seats: [Seat]) {
        self.owner = owner
        self.boot = boot
        self.version = version
        self.index = index
        self.isLast = isLast
        self.seats = seats
    }
}
