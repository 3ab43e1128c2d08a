import ConvergeCRDT
import ConvergeWire

/// What need not be kept any more. Where a log can be served from, entry by entry, is behind its floor.
///
/// Entries that are too old go from the beginning of each log, all of them. Entries that everybody has are *folded*:
/// what they say is in the documents, so the entry can go, while messages, system events and kinds that this build does
/// not know stay below the floor, where history still shows them. The *horizon* of a log is the last of its shown messages
/// and system events that went by age.
public struct Pruning: Hashable, Sendable {
    /// Entries that stand before this go.
    public var entriesBefore: HybridTimestamp
    /// Ids of messages that were sent with a key are forgotten if the message stands before this.
    public var keysBefore: HybridTimestamp
    /// Each log is folded up to here. A document's change that this build can't read ends it before that change.
    public var foldThrough: VersionVector
    /// The most entries of each log that one call looks at, and the most ids that it drops, so that nobody waits long.
    public var limit: Int

    public init(
        entriesBefore: HybridTimestamp, keysBefore: HybridTimestamp, foldThrough: VersionVector = VersionVector(),
        limit: Int
    ) {
        self.entriesBefore = entriesBefore
        self.keysBefore = keysBefore
        self.foldThrough = foldThrough
        self.limit = limit
    }
}

/// What one call of `StoreWriter.prune` did.
public struct Pruned: Hashable, Sendable {
    /// Entries and ids.
    public var dropped: Int
    /// The floors of all logs now.
    public var floors: VersionVector
    /// The limit ended the work: there may be more.
    public var hasMore: Bool

    public init(dropped: Int, floors: VersionVector, hasMore: Bool) {
        self.dropped = dropped
        self.floors = floors
        self.hasMore = hasMore
    }
}
