import ConvergeCRDT
import ConvergeWire

/// Where a node keeps its log, history and documents. One contract, three stores: in memory, SQLite, PostgreSQL.
///
/// A store is a recipe for connections, usable from any thread. All calls block; a node gives the writer and each reader
/// a thread of its own. Every operation ends within the store's timeout.
public protocol Store: Sendable {
    /// What is opened, for logs and status; never a password.
    var summary: String { get }

    /// Opens the one write connection, migrates the schema, settles the node's identity, proves that the store can be
    /// written, and reads what a node needs to go on. The node calls it again, with increasing waits, after any error.
    func openWriter(_ start: WriterStart) throws(StoreError) -> (writer: any StoreWriter, recovered: Recovered)

    /// Opens a read connection, which never waits for the writer, nor the writer for it.
    func openReader() throws(StoreError) -> any StoreReader
}

/// What the node knows when it opens a writer.
public struct WriterStart: Sendable {
    /// Random, another one for each open; becomes the replica's id where the store has none, or has one that must not be
    /// used again.
    public var freshReplica: ReplicaID
    /// Names this machine for good (its machine-id); an identity made on another is not used.
    public var machine: String
    /// Names this run of the machine's kernel (its boot id): after a crash of the machine, writes may be missing.
    public var machineBoot: String
    /// The node's name; with a shared database it tells whose replica is whose.
    public var nodeName: String
    /// The identity that this process held until now, nil for the first open. A store that finds the replica in other
    /// hands, or behind what this process knows to be committed, gives out a new one.
    public var held: Held?
    /// Don't go on under the stored identity whatever it says, because a sync has failed: what was on disk is unknown.
    public var renew: Bool

    public struct Held: Sendable {
        public var replica: ReplicaID
        /// The highest seq known to be committed.
        public var committed: UInt64

        public init(replica: ReplicaID, committed: UInt64) {
            self.replica = replica
            self.committed = committed
        }
    }

    public init(
        freshReplica: ReplicaID, machine: String, machineBoot: String, nodeName: String, held: Held? = nil,
        renew: Bool = false
    ) {
        self.freshReplica = freshReplica
        self.machine = machine
        self.machineBoot = machineBoot
        self.nodeName = nodeName
        self.held = held
        self.renew = renew
    }
}

/// What an opened store says.
public struct Recovered: Sendable {
    public var replica: ReplicaID
    /// How often this replica has been opened by a new process, this one included.
    public var boot: UInt64
    /// For each replica the highest seq stored, one's own log's head among them.
    public var vector: VersionVector
    /// The hash of the own log's last entry; `.zero` for an empty log.
    public var headHash: EntryHash
    /// The highest hybrid timestamp of any entry.
    public var clock: HybridTimestamp
    /// Every document's rows.
    public var documents: [DocumentRow]
    /// For each (room, user) whose last system entry says joined: that entry's words.
    public var attending: [Attendance]
    /// Set where the replica is new though the store was not: what was wrong with the old one.
    public var renewal: RenewalReason?
    /// Rows taken over from a database of the earlier Go server by this open.
    public var adopted: Int

    public init(
        replica: ReplicaID, boot: UInt64, vector: VersionVector = VersionVector(), headHash: EntryHash = .zero,
        clock: HybridTimestamp = .zero, documents: [DocumentRow] = [], attending: [Attendance] = [],
        renewal: RenewalReason? = nil, adopted: Int = 0
    ) {
        self.replica = replica
        self.boot = boot
        self.vector = vector
        self.headHash = headHash
        self.clock = clock
        self.documents = documents
        self.attending = attending
        self.renewal = renewal
        self.adopted = adopted
    }

    /// The own log's last seq; 0 for an empty log.
    public var head: UInt64 { vector[replica] }
}

/// Why a replica was given up for a new one.
public enum RenewalReason: String, Sendable {
    case copied = "the database was made on another machine or as another file"
    case unclean = "the machine went down while writes were not yet synced"
    case syncFailed = "a sync to disk failed"
    case fenced = "another process holds the replica"
    case behind = "the database has less of the log than this node has committed"
}

public struct Attendance: Hashable, Sendable {
    public var room: Text
    public var user: Text
    public var displayName: Text

    public init(room: Text, user: Text, displayName: Text) {
        self.room = room
        self.user = user
        self.displayName = displayName
    }
}

/// One transaction: entries, in the order in which this node applies them, and what follows from them.
public struct Batch: Sendable {
    public var entries: [Entry]
    public var effects: [StoreEffect]

    public init(entries: [Entry] = [], effects: [StoreEffect] = []) {
        self.entries = entries
        self.effects = effects
    }
}

/// A change to the store's tables beside the log, decided by the node and made in the same transaction.
public enum StoreEffect: Hashable, Sendable {
    /// The message at `position` was sent with a key and has this id. The earliest position stays.
    case key(MessageID, position: Position)
    /// The entry is in the log but is not shown: a twin of a keyed message, a write that changed nothing.
    case hide(Dot)
    /// An OR-Set gains `element` under `dot` and loses the dots in `replacing`.
    case insert(DocumentID, element: Text, dot: Dot, timestamp: HybridTimestamp, replacing: [Dot])
    /// An OR-Set loses these dots of `element`.
    case delete(DocumentID, element: Text, dots: [Dot])
    /// A register takes `value`, unless what it holds is later by (timestamp, replica).
    case write(DocumentID, value: Text?, dot: Dot, timestamp: HybridTimestamp)
    /// The highest seq of a replica that affected the document.
    case touch(DocumentID, Dot)
    /// The last system entry for (room, user), at `position`; an earlier position never replaces a later one.
    case attendance(Attendance, joined: Bool, position: Position)
}

/// What is too old to be kept. A log loses entries from its beginning only; where it then begins is its floor.
public struct Pruning: Hashable, Sendable {
    /// Entries that stand before this go.
    public var entriesBefore: HybridTimestamp
    /// Ids of messages that were sent with a key are forgotten if the message stands before this.
    public var keysBefore: HybridTimestamp
    /// The most entries of each log, and the most ids, that one call drops, so that nobody waits long for it.
    public var limit: Int

    public init(entriesBefore: HybridTimestamp, keysBefore: HybridTimestamp, limit: Int) {
        self.entriesBefore = entriesBefore
        self.keysBefore = keysBefore
        self.limit = limit
    }
}

public protocol StoreWriter: AnyObject {
    /// Stores the whole batch durably, or nothing of it. Entries of one replica must follow on from its head without a
    /// gap. After any error the writer is closed and opened anew; after `unknownOutcome` the recovered head tells.
    func append(_ batch: Batch) throws(StoreError)

    /// Drops what is too old, in one transaction, and says how many entries and ids that were; fewer than `pruning.limit`
    /// mean that there are no more. Documents, attendance and the heads of the logs stay. After any error the writer is closed and
    /// opened anew, as after `append`.
    func prune(_ pruning: Pruning) throws(StoreError) -> Int

    /// Closes cleanly: the next open need not doubt what was synced.
    func close()
}

/// Entries of another namespace than 0 are kept, and served by `entries(of:)` alone. A `limit` below 1 gives nothing.
public protocol StoreReader: AnyObject {
    /// The newest `limit` shown messages and system events of `room` that stand before `before`, oldest first.
    func history(room: Text, before: Position?, limit: Int) throws(StoreError) -> [Entry]

    /// Shown entries of `room`, of every kind, that `cursor` does not cover, in order of position, at most `limit`;
    /// `through` is what the store covered when it looked (one consistent view).
    func entries(room: Text, after cursor: VersionVector, limit: Int) throws(StoreError)
        -> (entries: [Entry], through: VersionVector)

    /// The entries of `replica` from `seq` on, without gaps, at most `limit`. Nothing comes
    /// where `seq` is below the log's floor.
    func entries(of replica: ReplicaID, from seq: UInt64, limit: Int) throws(StoreError) -> [Entry]

    /// Where the messages with these ids (sent with a key) stand; ids that are not there are left out.
    func positions(of ids: [MessageID]) throws(StoreError) -> [MessageID: Position]

    /// For each replica the highest seq that has been dropped because of its age; a cursor that does not cover this may lack
    /// entries that nobody can read any more.
    func prunedThrough() throws(StoreError) -> VersionVector
}

/// When a commit is on the disk.
public enum SyncMode: String, Hashable, Sendable {
    /// Before it is reported: it survives a crash of the machine.
    case full
    /// Some time later: it survives a crash of the process, and a crash of the machine costs the last commits.
    case normal
}

/// What can be wrong with a store. The world's fault, always: a node reports it, degrades, and tries again.
public enum StoreError: Error, Hashable, Sendable {
    /// Another process holds the database, for longer than the timeout.
    case locked(String)
    case full(String)
    case readOnly(String)
    case corrupt(String)
    /// Made by a newer version of this program; `found` and `known` are schema versions.
    case newer(found: Int, known: Int)
    /// Can't be opened or reached.
    case unreachable(String)
    case timeout(String)
    /// The connection broke while a commit was on its way: it may have happened.
    case unknownOutcome(String)
    /// The replica's row has another epoch than this process's: someone else has taken the replica over.
    case fenced(String)
    /// A sync to disk failed: what is stored is unknown, and this replica must not go on.
    case syncFailed(String)
    /// Anything else the database said.
    case failed(String)

    /// One line for logs: what was wrong and what to do about it. Never contains a password or a message's body.
    public var message: String {
        switch self {
        case .locked(let what): "the database is locked by another process: \(what)"
        case .full(let what): "the disk or the database is full: \(what)"
        case .readOnly(let what): "the database can't be written: \(what)"
        case .corrupt(let what): "the database is damaged, or not a database: \(what)"
        case .newer(let found, let known):
            "the database has schema version \(found), this build knows \(known): use a newer converge"
        case .unreachable(let what): "the database can't be reached: \(what)"
        case .timeout(let what): "the database took too long: \(what)"
        case .unknownOutcome(let what): "the connection was lost during a commit: \(what)"
        case .fenced(let what): "another process uses this node's replica: \(what)"
        case .syncFailed(let what): "a sync to disk failed: \(what)"
        case .failed(let what): what
        }
    }
}
