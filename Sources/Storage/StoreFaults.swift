/// Mistakes that a simulation plants into a store in memory, to see that it finds them. A store on a disk has none.
public struct StoreFaults: Hashable, Sendable {
    /// Of two messages with one key both are shown.
    public var keepsTwins = false
    /// A document that a snapshot does not have is emptied.
    public var emptiesUnsent = false
    /// The documents of each piece of a snapshot are installed when it comes.
    public var installsByChunk = false
    /// Documents are joined without what the two sides have seen: what one side lacks is always news.
    public var ignoresSnapshotContext = false
    /// The first piece of each snapshot that has more than one is lost, and nobody notices.
    public var dropsChunk = false
    /// Entries of kinds that this build does not know are folded, and gone.
    public var foldsUnknownKinds = false
    /// In a shared database a batch goes in under whatever epoch the replica's row has.
    public var ignoresEpoch = false
    /// What follows from an entry that is in a shared database already is done once more.
    public var repeatsEffects = false
    /// Entries are handed out by position alone, also before what they depend on.
    public var rangesByPosition = false

    /// A snapshot is joined with what is here though it tells of another copy of a log.
    public var joinsForks = false

    public init(
        keepsTwins: Bool = false, emptiesUnsent: Bool = false, installsByChunk: Bool = false,
        ignoresSnapshotContext: Bool = false, dropsChunk: Bool = false, foldsUnknownKinds: Bool = false
    ) {
        self.keepsTwins = keepsTwins
        self.emptiesUnsent = emptiesUnsent
        self.installsByChunk = installsByChunk
        self.ignoresSnapshotContext = ignoresSnapshotContext
        self.dropsChunk = dropsChunk
        self.foldsUnknownKinds = foldsUnknownKinds
    }
}
