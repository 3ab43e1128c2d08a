import ConvergeStorage

/// What a core has counted; the shell publishes it after each turn.
struct CoreCounters: Sendable {
    var messages = 0
    var systemEvents = 0
    var documentWrites = 0
    var duplicates = 0
    /// By `Refusal`.
    var refused = [Int](repeating: 0, count: Refusal.allCases.count)
    var batchesFailed = 0
    var pruned = 0
    /// Answers of the store that had something this node had not come to.
    var readsAhead = 0

    var sessions = 0
    var rooms = 0
    var documents = 0
    var saveQueue = 0
    var storeReady = false
    /// Why not, where the store has said so.
    var storeTrouble: StoreError.Kind?
    var clock = ClockStanding.right
    /// How far the latest moment of any entry here is ahead of the wall clock, in milliseconds.
    var clockLead: UInt64 = 0

    /// Entries of other replicas that were applied.
    var entriesReceived = 0
    var peerFramesIn = 0
    var peerFramesOut = 0
    var peerViolations = 0
    var unknownPeerFrames = 0
    var identitiesRenewed = 0
}
