import ConvergeCRDT
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
    /// A loop has stopped reading for good: from it nothing comes any more but departures.
    case loopStopped
}

/// What a loop tells of one of its sessions. A session is entered once, and once left.
enum SessionEvent: Sendable {
    case entered(user: Text, displayName: Text, room: Text)
    case command(ref: Text?, ClientCommand)
    case left
}

/// What the storage writer tells.
enum StoreEvent: Sendable {
    case opened(Recovered)
    case openFailed(StoreError)
    /// The batch on its way is durable.
    case committed
    /// The pruning is done; it dropped so many entries or ids.
    case pruned(Int)
    /// Nothing of the batch is stored, or, after `unknownOutcome`, the next `opened` tells. The writer has closed.
    case failed(StoreError)
}

/// What a core wants done, in order.
enum CoreEffect: Sendable {
    /// Open the store's write connection, after a wait.
    case openStore(after: Duration, held: WriterStart.Held?, renew: Bool)
    /// Store this durably; one batch is on its way at a time.
    case commit(Batch)
    /// Drop what is too old; like a commit, one thing at a time.
    case prune(Pruning)
    case read(ReadRequest)
    /// Hand these frames to these loops.
    case deliver(FrameBatch, LoopSet)
    case report(CoreReport)
    /// All loops have stopped reading, and what was taken is stored, or can't be: close every connection.
    case closeSessions
    /// And after that every session has left: the end.
    case finished
}

/// What a reader thread is asked for.
enum ReadRequest: Sendable {
    case history(SessionID, ref: Text?, room: Text, before: Position?, limit: Int)
    case keys([MessageID])
    /// A page of what a session has not been shown of a room, of at most `limit` entries.
    case feed(SessionID, Feed.Question, room: Text, limit: Int)
}

/// Something that an operator should read in the log.
enum CoreReport: Sendable, Equatable {
    case storeOpened(replica: ReplicaID, head: UInt64, boot: UInt64, adopted: Int)
    case identityRenewed(RenewalReason)
    case storeUnavailable(StoreError, retryIn: Duration)
}
