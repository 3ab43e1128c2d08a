import ConvergeCRDT
import ConvergeGossip
import ConvergeStorage
import ConvergeWire

/// Everything that can happen to a node's core.
enum CoreEvent: Sendable {
    case session(SessionID, SessionEvent)
    case store(StoreEvent)
    /// Where the ids that were asked for stand; a failed look-up says why.
    case keysFound([MessageID], Result<[MessageID: Position], StoreError>)
    /// Some seconds have passed: time for what is done now and then.
    case tick
    /// A history that this session asked for has been answered, or has failed.
    case historyAnswered(SessionID)
    /// What was read for a session is ahead of what had been handed out when it was asked for.
    case readAhead(ReadAhead)
    /// A loop has stopped reading for good: from it nothing comes any more but departures.
    case loopStopped

    case link(LinkID, LinkEvent)
    /// Nobody answers at this address.
    case dialFailed(Text)
    /// What a peer wants of the logs, or of a snapshot, has been read for it.
    case rangeRead(ticket: UInt64, Result<RangeRead, StoreError>)
    case snapshotRead(ticket: UInt64, Result<SnapshotChunk, StoreError>)
    case attendanceRead([RoomUser], Result<[AttendanceRecord], StoreError>)
    /// How far the logs are in a store that other nodes write, too; nil where none does.
    case headsRead(Result<StoreHeads?, StoreError>)
    /// What others wrote into the store has been read for this node itself.
    case sharedRead(number: UInt64, Result<RangeRead, StoreError>)
    /// The payload of this entry of this room is to be erased, on every node.
    case redact(Dot, room: Text)
}

/// What becomes of a link to another node. Its bytes come in any pieces.
enum LinkEvent: Sendable {
    /// It is there: by our dial of this address, or, where that is nil, by the other side's.
    case opened(dialled: Text?)
    case received([UInt8])
    case closed
}

/// What a loop tells of one of its sessions. A session is entered once, and once left.
enum SessionEvent: Sendable {
    case entered(user: Text, displayName: Text, room: Text)
    /// One of the second generation has, which is in no room yet.
    case arrived(SessionName, user: Text, displayName: Text)
    case command(ref: Text?, ClientCommand)
    /// Retention has overtaken it in this room: its subscription of this number is over.
    case subscriptionEnded(room: Text, stay: UInt32)
    case left
}

/// What the storage writer tells.
enum StoreEvent: Sendable {
    case opened(Recovered)
    case openFailed(StoreError)
    /// The batch on its way is durable.
    case committed
    case pruned(Pruned)
    /// The piece of a snapshot is where nobody sees it.
    case staged
    /// The snapshot is what the store has now.
    case installed(Recovered)
    /// It is not: it tells of a log that parts here from the one that is stored.
    case parted(Dot)
    /// A peer's state has taken the place of what was in the store, with what was only there on top.
    case reloaded(Recovered)
    /// Nothing of the batch is stored, or, after `unknownOutcome`, the next `opened` tells. The writer has closed.
    case failed(StoreError)
}

/// What a core wants done. A turn hands its effects out in the order in which they are to be carried out (`EffectOrder.swift`).
enum CoreEffect: Sendable {
    /// Open the store's write connection, after a wait.
    case openStore(after: Duration, held: WriterStart.Held?, renew: Bool)
    /// Store this durably; one batch is on its way at a time.
    case commit(Batch)
    /// Drop what is too old; like a commit, one thing at a time.
    case prune(Pruning)
    case read(ReadRequest)
    /// Keep a piece of a snapshot where nobody sees it; what is there of an older one goes first, if so said.
    case stage(SnapshotChunk, discardingFirst: Bool)
    /// Store the snapshot of which this is the last piece, unless its logs part from those that are stored.
    case install(SnapshotChunk, have: VersionVector, discardingFirst: Bool)
    /// Store it in the place of all that is there.
    case reload(SnapshotChunk, discardingFirst: Bool)

    /// Try to open a link to this address.
    case dial(Text)
    /// Send these bytes over a link; bulk waits for all that is not.
    case send(LinkID, [UInt8], bulk: Bool)
    /// Close it when what was sent before has gone. Nothing comes of it any more, not even that it is closed.
    case closeLink(LinkID)

    /// Hand these frames to these loops.
    case deliver(FrameBatch, LoopSet)
    /// Hand a session's loop what a reader has read for it.
    case pass(LoopMessage, to: SessionID)
    case report(CoreReport)
    /// All loops have stopped reading, and what was taken is stored, or can't be: close every connection.
    case closeSessions
    /// And after that every session has left: the end.
    case finished
}

/// What a reader thread is asked for.
enum ReadRequest: Sendable {
    case history(HistoryReader)
    case keys([MessageID])
    /// A page of what a session has not been shown of a room, of at most `limit` entries.
    case feed(SessionID, Feed.Question, room: Text, limit: Int)
    case range(ticket: UInt64, [LogRange], bytes: Int)
    case snapshot(ticket: UInt64, SnapshotWant)
    case attendance([RoomUser])
    case heads
    /// What others wrote into the store and this node has not applied yet.
    case shared(number: UInt64, [LogRange], bytes: Int)
}

/// Something that an operator should read in the log.
enum CoreReport: Sendable, Equatable {
    case storeOpened(replica: ReplicaID, head: UInt64, boot: UInt64, adopted: Int)
    case identityRenewed(RenewalReason)
    case storeUnavailable(StoreError, retryIn: Duration)
    /// Others on the machine could open the store's files, and can't any more.
    case filesTightened
    /// They can open this one, which is not this user's to change.
    case filesExposed(String)
    case peerLinked(ReplicaID, name: Text, address: Text)
    case peerUnlinked(ReplicaID, name: Text)
    case memberChanged(ReplicaID, name: Text, MemberState)
    /// A faulty member's node goes on under another replica.
    case memberReplaced(ReplicaID, name: Text, by: ReplicaID)
    case memberForgotten(ReplicaID, name: Text)
    /// Peers have more of this replica's log than its store, or have it otherwise: it goes on under a new identity.
    case ownLogForeign(by: ReplicaID, seq: UInt64)
    /// Another process uses this replica: this one goes on under a new identity.
    case twin
    /// A peer says so of a replica that can't be another's: it is not believed.
    case renewalDoubted
    /// A peer's copy of a log and the one here are not the same log.
    case forked(ReplicaID, seq: UInt64, by: LogSource)
    /// A peer broke the protocol; the link to it is closed.
    case peerViolation(String)
    case snapshotInstalled(floors: VersionVector)
    /// This node's copy of a log was not the one that stays: it has taken over a peer's state.
    case reloaded
    /// This node's clock is so many milliseconds from what its peers' median says: it refuses to write.
    case clockSkewed(Int64)
    /// What this node has stored is dated so many milliseconds ahead of its clock, and what it writes would be, too.
    case clockAhead(UInt64, refuses: Bool)
    case clockMended
    /// An entry that is dated too far ahead: its log goes no further here before that moment is near.
    case heldAside(Dot, until: HybridTimestamp)
    /// The same of a peer's snapshot: none of it is taken.
    case heldSnapshot(by: LogSource, until: HybridTimestamp)
}
