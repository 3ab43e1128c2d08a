import ConvergeCRDT
import ConvergeWire

// What a replicator is told, what it wants done, and what it counts.

public struct ReplicatorOptions: Sendable {
    /// Milliseconds between two digests while anything differs, and between two summaries when nothing does.
    public var digestInterval: UInt64 = 1_000
    public var summaryInterval: UInt64 = 5_000
    /// How long to wait for a dependency, or for the push of an origin that has a link to us, before asking for it.
    public var patience: UInt64 = 400
    /// How long an answer may take before another peer is asked.
    public var answerTimeout: UInt64 = 5_000
    /// About how many bytes of entries one answer has.
    public var rangeBytes: Int = 256 << 10
    /// How many pushed bytes a peer may have taken without a word before it is pushed no more.
    public var pushWindow: Int = 1 << 20
    /// After how many taken bytes the peer is told.
    public var creditStep: Int = 64 << 10
    /// How many bytes of entries may be applied and not stored before more have to wait.
    public var unstoredBytes: Int = 4 << 20
    public var waitingEntries = 4_096
    public var waitingBytes: Int = 4 << 20
    public var waitingTime: UInt64 = 60_000
    /// About how many bytes one piece of a snapshot has.
    public var snapshotBytes: Int = 256 << 10
    /// How far ahead of the wall clock an entry may be dated, in milliseconds, before it is held aside.
    public var lead = HybridClock.tolerance
    /// How long a log of which an entry is held aside is not asked for, unless its moment comes; a peer whose snapshot was
    /// is not asked for one for as long, and each time twice as long up to the second.
    public var heldPause: UInt64 = 60_000
    public var longestHeldPause: UInt64 = 3_600_000
    public var planted: PlantedFaults = []

    public init() {}
}

/// What a replicator is told.
public enum ReplicatorEvent: Sendable {
    /// The store is open: what it has.
    case started(replica: ReplicaID, vector: VersionVector, ends: [LogEnd], floors: VersionVector)
    /// A batch is stored: its entries, in the order in which they were applied. `wanted` are the seqs of own entries
    /// whose senders wait for copies.
    case stored([Entry], wantsStored: Bool)
    /// A batch has failed: applied is what is stored, and after it `kept`, whose outcome is not known yet.
    case failed(kept: [Entry])
    /// There is a link to this replica's node, and its frames follow.
    case linked(ReplicaID)
    case unlinked(ReplicaID)
    case frame(from: ReplicaID, PeerFrame)
    /// What was asked for by `read`; nil where the store couldn't be read.
    case rangeRead(ticket: UInt64, RangeAnswer?)
    case snapshotRead(ticket: UInt64, SnapshotChunk?)
    /// The piece is staged; the next can be asked for.
    case staged
    /// The snapshot is installed: what the store has now.
    case installed(vector: VersionVector, ends: [LogEnd], floors: VersionVector)
    /// The snapshot is not installed, and nothing has changed: it tells of a log that parts here from the one that is stored.
    case snapshotParted(Dot)
    /// A peer's state has taken the place of what was here: `started` follows.
    case reloaded
    case floorsRose(VersionVector)
    /// What the store has that this node shares with others.
    case sharedStore(ends: [LogEnd], floors: VersionVector)
    /// What was asked of it by a want in `askSharedStore`.
    case sharedStoreRead(EntriesRange)
    case tick
}

public struct RangeAnswer: Sendable {
    public var entries: [Entry]
    public var isComplete: Bool
    public var belowFloor: Bool

    public init(entries: [Entry], isComplete: Bool, belowFloor: Bool) {
        self.entries = entries
        self.isComplete = isComplete
        self.belowFloor = belowFloor
    }
}

/// What a replicator wants done, in order.
public enum ReplicatorEffect: Sendable {
    /// Put this into the batch that is being gathered: it is applied.
    case apply(Entry)
    case send(ReplicaID, PeerFrame, bulk: Bool)
    /// Push these entries to all of these peers: the same bytes.
    case push(to: [ReplicaID], [Entry], wantsStored: Bool)
    /// What a node would be sent, for the store that is shared: a want of entries, or of a snapshot, which means that it is
    /// to be read as a whole.
    case askSharedStore(PeerFrame)
    /// Read these ranges; `rangeRead` answers under the ticket.
    case read(ticket: UInt64, [LogRange], bytes: Int)
    case readSnapshot(ticket: UInt64, SnapshotWant)
    case stage(SnapshotChunk)
    /// Store what is staged and this last piece, at once, as soon as no foreign entry is unstored: `installed` answers, or
    /// `snapshotParted`.
    case install(SnapshotChunk, have: VersionVector)
    /// Take what is staged and this last piece in the place of all that is here, whose copy of a log is not the one that
    /// stays. `reloaded`, then `started`, answer.
    case reload(SnapshotChunk)
    case discardStage
    /// The peer has stored the own log so far.
    case peerStored(ReplicaID, seq: UInt64)
    /// A peer knows more of the own log than is stored here, or knows it otherwise: this identity must not go on.
    case ownLogForeign(ReplicaID, seq: UInt64)
    /// The peer's copy of a log and the one here are not the same log.
    case forked(ReplicaID, seq: UInt64, by: LogSource)
    /// This entry is dated too far ahead, or depends on one that is: its log goes no further here before that moment is near.
    case heldAside(Dot, until: HybridTimestamp)
    /// The same of what a peer's snapshot brought: none of it is taken.
    case heldSnapshot(LogSource, until: HybridTimestamp)
    /// The peer broke the protocol.
    case violation(LogSource)
}

public struct ReplicatorCounters: Sendable {
    public var pushed = 0
    public var relayed = 0
    public var pushesSkipped = 0
    public var applied = 0
    /// Entries that came and were here already.
    public var repeats = 0
    public var waited = 0
    public var waiting = 0
    /// Times that entries and snapshots were turned away since they are dated too far ahead.
    public var heldAside = 0
    public var overflowed = 0
    public var expired = 0
    public var wants = 0
    public var wantsTimedOut = 0
    /// Entries that came because they were asked for, and were news.
    public var repaired = 0
    public var rangesServed = 0
    public var digests = 0
    public var summaries = 0
    public var forks = 0
    public var snapshotsInstalled = 0
    /// Snapshots of which the last piece was handed to a peer.
    public var snapshotsServed = 0
    public var snapshotPieces = 0
    public var snapshotsAbandoned = 0
    public var reloads = 0

    public init() {}
}
