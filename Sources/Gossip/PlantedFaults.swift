/// Mistakes that the simulation makes on purpose, to see that it finds them.
///
/// Only debug builds and the simulator's own have them; in a release `has` is the constant false and costs nothing.
public struct PlantedFaults: OptionSet, Hashable, Sendable {
    public let rawValue: UInt64

    public init(rawValue: UInt64) { self.rawValue = rawValue }

    @inline(__always)
    package func has(_ fault: PlantedFaults) -> Bool {
        #if SIMULATION
            contains(fault)
        #else
            false
        #endif
    }
}

// Logs.
extension PlantedFaults {
    /// Entries are applied as soon as they are the next of their log, whatever they depend on.
    public static let deliveryWithoutDependencies = PlantedFaults(rawValue: 1 << 0)
    /// After a failed batch the log goes on behind what was not stored.
    public static let reusedSequence = PlantedFaults(rawValue: 1 << 1)
    /// Only its origin repairs a log.
    public static let noThirdNodeRepair = PlantedFaults(rawValue: 1 << 2)
    /// Repair sends one log after the other.
    public static let logByLogRepair = PlantedFaults(rawValue: 1 << 3)
    /// The clock pays no heed to `after`.
    public static let clockIgnoresAfter = PlantedFaults(rawValue: 1 << 4)
    /// The clock does not follow the entries that are received.
    public static let clockIgnoresPeers = PlantedFaults(rawValue: 1 << 5)
    /// What was placed after a failed batch is kept.
    public static let keptAfterFailure = PlantedFaults(rawValue: 1 << 6)
    /// A commit of unknown outcome is taken for a failed one.
    public static let unknownTakenAsFailed = PlantedFaults(rawValue: 1 << 7)
    /// A node whose peers know more of its log than itself goes on under its identity.
    public static let clonedIdentityKept = PlantedFaults(rawValue: 1 << 8)
    /// What found no place among those that wait is never asked for again.
    public static let overflowForgotten = PlantedFaults(rawValue: 1 << 9)
    /// An entry of a kind that this build does not know is not stored.
    public static let unknownKindDropped = PlantedFaults(rawValue: 1 << 10)
    /// Who asked about documents behind a batch is refused when that fails.
    public static let readsRefused = PlantedFaults(rawValue: 1 << 11)
    /// Entries and snapshots that are dated far ahead are taken like any other.
    public static let futureTaken = PlantedFaults(rawValue: 1 << 12)
    /// What a batch shows is handed out as soon as the disk has been given it.
    public static let shownWithCommit = PlantedFaults(rawValue: 1 << 13)
}

// Documents and snapshots.
extension PlantedFaults {
    /// A remove takes away every dot of its element.
    public static let removeByElement = PlantedFaults(rawValue: 1 << 16)
    /// A counter's delta is taken for an increment.
    public static let countersAsIncrements = PlantedFaults(rawValue: 1 << 17)
    /// Clearing a register takes away the write that it saw.
    public static let observedRemoveRegister = PlantedFaults(rawValue: 1 << 18)
    /// Each chunk of a snapshot is installed when it comes.
    public static let snapshotByChunk = PlantedFaults(rawValue: 1 << 19)
    /// One chunk of a snapshot is lost, and nobody notices.
    public static let lostChunk = PlantedFaults(rawValue: 1 << 20)
    /// A document that a snapshot does not have is emptied.
    public static let unsentDocumentEmptied = PlantedFaults(rawValue: 1 << 21)
    /// A snapshot's dots are merged without what its vector says was removed.
    public static let snapshotWithoutContext = PlantedFaults(rawValue: 1 << 22)
    /// Folding does not wait for the members that lack an entry.
    public static let foldedEarly = PlantedFaults(rawValue: 1 << 23)
    /// A log whose end is folded at the snapshot's server counts as the server's own, whatever its asker has.
    public static let uncomparedJoined = PlantedFaults(rawValue: 1 << 24)
}

// Messages, joined and left, resume.
extension PlantedFaults {
    /// A twin of a key stays in history.
    public static let twinKept = PlantedFaults(rawValue: 1 << 32)
    /// The id of a send with a key depends on the node.
    public static let idsDifferForKey = PlantedFaults(rawValue: 1 << 33)
    /// Each node writes joined and left as it sees them, under no common number.
    public static let attendanceDecidedLocally = PlantedFaults(rawValue: 1 << 34)
    /// What the loop has handed out counts as shown to a session, also what it handed out to other rooms' members.
    public static let oneCursorForAllRooms = PlantedFaults(rawValue: 1 << 35)
    /// A page of history that was asked for brings a cursor.
    public static let cursorAdvancedByHistory = PlantedFaults(rawValue: 1 << 36)
    /// A message that was received is handed out before it is stored.
    public static let shownBeforeStored = PlantedFaults(rawValue: 1 << 37)
    /// History, pages and repeats are read from the store whatever this node has applied of it.
    public static let readBeyondApplied = PlantedFaults(rawValue: 1 << 39)
    /// What waits in the turn in which the store opens is handed out as if what the store has had been handed out before.
    public static let handedOutByOpening = PlantedFaults(rawValue: 1 << 40)
    /// Pages are read before the node knows what it has, and what they lack is not owed.
    public static let pagesBeforeOpening = PlantedFaults(rawValue: 1 << 41)
    /// A cursor is taken at its word for the log of the node that answers, too.
    public static let ownCursorTrusted = PlantedFaults(rawValue: 1 << 42)
    /// A redaction is not passed on.
    public static let redactionForgotten = PlantedFaults(rawValue: 1 << 38)
    /// An event that a session was fed before it came live, and was not shown, is fed to it again.
    public static let fedEventForgotten = PlantedFaults(rawValue: 1 << 44)
    /// What the loops have handed out stays so where the store was opened with less.
    public static let handedOutStays = PlantedFaults(rawValue: 1 << 45)
    /// A slow client is fed from what has been handed out when it is found slow, not from when the turn began.
    public static let standingTakenLate = PlantedFaults(rawValue: 1 << 54)
    /// Whoever is taken off the live stream is fed from where the room is, though pages have shown it more.
    public static let baseLeftOut = PlantedFaults(rawValue: 1 << 55)
    /// A page is taken that was read for another feed, or before the store was open.
    public static let latePageTaken = PlantedFaults(rawValue: 1 << 56)
    /// Of the live frames that were held for a page the first is not shown.
    public static let heldFrameDropped = PlantedFaults(rawValue: 1 << 57)
    /// A page of one of a session's rooms is taken for that of another.
    public static let feedsMixed = PlantedFaults(rawValue: 1 << 58)
    /// A session that its loop has taken out of a room stays in the room for the core.
    public static let overtakenStays = PlantedFaults(rawValue: 1 << 59)
    /// Joined and left are written also while the node refuses to write for its clock.
    public static let attendanceIgnoresClock = PlantedFaults(rawValue: 1 << 43)
}

// Presence and membership.
extension PlantedFaults {
    /// What a node's sessions were stays when it comes back with fewer.
    public static let presenceNotCleared = PlantedFaults(rawValue: 1 << 48)
    /// A presence delta is applied wherever its owner's part stands.
    public static let presenceDeltaAnywhere = PlantedFaults(rawValue: 1 << 49)
    /// The sessions of a faulty node are still shown.
    public static let faultyStillPresent = PlantedFaults(rawValue: 1 << 50)
    /// A node that is suspected does not say that it lives.
    public static let noRefutation = PlantedFaults(rawValue: 1 << 51)
    /// An address is given up after a few tries.
    public static let dialGivenUp = PlantedFaults(rawValue: 1 << 52)
    /// A node that doesn't answer is never suspected.
    public static let neverSuspected = PlantedFaults(rawValue: 1 << 53)
}
