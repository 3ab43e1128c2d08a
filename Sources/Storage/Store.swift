import ConvergeCRDT
import ConvergeWire

/// Where a node keeps its log, history and documents. One contract, three stores: in memory, SQLite, PostgreSQL.
///
/// A store is a recipe for connections, usable from any thread. All calls block; a node gives the writer and each reader
/// a thread of its own. Every operation ends within the store's timeout.
public protocol Store: Sendable {
    /// What is opened, for logs and status; never a password.
    var summary: String { get }

    /// Opens the one write connection, migrates the schema, chooses the node's identity, proves that the store can be
    /// written, and reads what a node needs to go on. The node calls it again, with increasing waits, after any error.
    func openWriter(_ start: WriterStart) throws(StoreError) -> (writer: any StoreWriter, recovered: Recovered)

    /// Opens a read connection, which never waits for the writer, nor the writer for it.
    func openReader() throws(StoreError) -> any StoreReader

    /// What it takes on this machine's disk; nil where that can't be said, or is elsewhere. Cheap.
    func sizes() -> StoreSizes?
}

extension Store {
    public func sizes() -> StoreSizes? { nil }
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
    /// Don't go on under the stored identity whatever it says: because a sync has failed, after which what is on disk is
    /// unknown, or for what `held` says.
    public var renew: Bool
    /// How many of those who have left `Recovered` tells of at most.
    public var attendanceLimit: Int

    public struct Held: Sendable {
        public var replica: ReplicaID
        /// The highest seq known to be committed.
        public var committed: UInt64
        /// What is known to be committed of all logs. In a store that others write, too, less of it tells that the
        /// database went back in time.
        public var vector: VersionVector
        /// Why it is given up, where `renew` is set and it isn't for a failed sync.
        public var givenUp: RenewalReason?

        public init(replica: ReplicaID, committed: UInt64, vector: VersionVector = VersionVector()) {
            self.replica = replica
            self.committed = committed
            self.vector = vector
        }
    }

    public init(
        freshReplica: ReplicaID, machine: String, machineBoot: String, nodeName: String, held: Held? = nil,
        renew: Bool = false, attendanceLimit: Int = 262_144
    ) {
        self.freshReplica = freshReplica
        self.machine = machine
        self.machineBoot = machineBoot
        self.nodeName = nodeName
        self.held = held
        self.renew = renew
        self.attendanceLimit = attendanceLimit
    }

    var reasonToRenew: RenewalReason { held?.givenUp ?? .syncFailed }
}

public protocol StoreWriter: AnyObject {
    /// Stores the whole batch durably, or nothing of it. Entries of one replica must follow on from its head without a
    /// gap. Where others write into the store, too, entries of other replicas may be there already: they are left as they
    /// are, and so is what followed from them. After any error the writer is closed and opened anew; after `unknownOutcome` the recovered head tells.
    func append(_ batch: Batch) throws(StoreError)

    /// Drops what is too old and folds what everybody has, in one transaction. Documents, attendance and the heads of the
    /// logs stay. After any error the writer is closed and opened anew, as after `append`.
    func prune(_ pruning: Pruning) throws(StoreError) -> Pruned

    /// Keeps a piece of a snapshot where nobody sees it. A writer that is opened anew may have forgotten what was staged:
    /// the snapshot then begins anew. After any error the writer is closed and opened anew.
    func stage(_ chunk: SnapshotChunk) throws(StoreError)

    /// Forgets all that is staged.
    func discardStage() throws(StoreError)

    /// Where a log parts from the one here of which what is staged and the final piece tell: then the snapshot must not be
    /// installed (SnapshotFork.swift says why). Nil where none does, as far as can be told, and where a fork could not be
    /// mended (`Recovered.canReload`). After any error the writer is closed and opened anew.
    func fork(in final: SnapshotChunk) throws(StoreError) -> Dot?

    /// Takes over, in one transaction, what is staged and the final piece of its snapshot, and forgets the stage. What
    /// is here and what the snapshot tells are joined (SnapshotJoin.swift says how), so nothing that is here is lost.
    /// Gives what opening the store would, afterwards.
    ///
    /// - Parameter have: what `SnapshotWant.have` was throughout the snapshot.
    ///
    /// Throws `failed` for a piece that is not final, or where the store does not cover `have`. After any error the
    /// writer is closed and opened anew.
    func install(_ final: SnapshotChunk, have: VersionVector) throws(StoreError) -> Recovered

    /// Takes over, in one transaction, what is staged and the final piece of a snapshot that was asked for as by an empty
    /// store, in the place of all that is here; then puts what was only here on top (OwnSide.swift says how). For a store
    /// whose copy of a log is not the one that stays. Members stay. Gives what opening the store would, afterwards: the
    /// own log may have another end then, and must in that case not be gone on with.
    ///
    /// Throws `failed` for a piece that is not final, or where others write to the store, too
    /// (`Recovered.canReload`). After any error the writer is closed and opened anew.
    func reload(_ final: SnapshotChunk) throws(StoreError) -> Recovered

    /// Closes cleanly: the next open need not doubt what was synced.
    func close()
}

extension StoreWriter {
    public func fork(in final: SnapshotChunk) throws(StoreError) -> Dot? { nil }
}

/// Entries of another namespace than 0 are kept, and served by `entries(of:)`, `range` and `snapshot` alone. A `limit`
/// below 1 gives nothing.
///
/// A store may be ahead of its node: others write into it, or a commit's answer is still on its way. What is read *within* a
/// vector leaves out what is beyond that; nil is all that is there. It is not in each case what a store that covers just the
/// vector has: of two entries with one id the later stays hidden where the earlier one is beyond it.
public protocol StoreReader: AnyObject {
    /// The newest `limit` shown messages and system events of `room` within `bound` that stand before `before`, oldest
    /// first.
    func history(
        room: Text, before: Position?, limit: Int, within bound: VersionVector?
    ) throws(StoreError) -> [Entry]

    /// Shown entries of `room` within `bound`, of every kind, that `cursor` does not cover, in order of position, at most
    /// `limit`; `through` is what the store covered when it looked (one consistent view).
    func entries(
        room: Text, after cursor: VersionVector, limit: Int, within bound: VersionVector?
    ) throws(StoreError) -> (entries: [Entry], through: VersionVector)

    /// The entries of `replica` from `seq` on, without gaps, at most `limit`. Nothing comes
    /// where `seq` is not above the log's floor, whatever is retained below it.
    func entries(of replica: ReplicaID, from seq: UInt64, limit: Int) throws(StoreError) -> [Entry]

    /// The entries of these ranges that are here, in a causal order: see `RangeRead`.
    ///
    /// - Parameter bytes: about how many bytes of entries come at most; where there is an entry, at least one does.
    func range(_ ranges: [LogRange], limit bytes: Int) throws(StoreError) -> RangeRead

    /// The next piece of a snapshot, read at one moment: see `SnapshotWant`. A document is never divided: one that is
    /// larger than the limit is a piece of its own.
    func snapshot(_ want: SnapshotWant) throws(StoreError) -> SnapshotChunk

    /// Where the messages with these ids (sent with a key) stand; ids that are not there are left out.
    func positions(of ids: [MessageID]) throws(StoreError) -> [MessageID: Position]

    /// For each replica the highest seq of a shown message or system event that is not here any more: it was dropped
    /// because of its age, here or by the server of a snapshot. A cursor that does not cover this may lack entries that
    /// nobody can read here; one that does lacks none. Never above the log's floor, which folding raises, too.
    func horizon() throws(StoreError) -> VersionVector

    /// The documents of `room` that an entry beyond `cursor` affected, in order of (kind, name), at most `limit`: also
    /// those whose entries are gone, and those that are empty now.
    func documents(of room: Text, beyond cursor: VersionVector, limit: Int) throws(StoreError) -> [DocumentID]

    /// The last system events of these (room, user), in the order asked; those that never had one are left out.
    func attendance(of seats: [(room: Text, user: Text)]) throws(StoreError) -> [AttendanceRecord]

    /// The hash of one entry; nil where it is not here and is not the last of its log either.
    func hash(of dot: Dot) throws(StoreError) -> EntryHash?

    /// How far each log is, in a store that other nodes write, too; nil in one that only this node writes.
    func heads() throws(StoreError) -> StoreHeads?
}

extension StoreReader {
    /// `history` of all that is there.
    public func history(room: Text, before: Position?, limit: Int) throws(StoreError) -> [Entry] {
        try history(room: room, before: before, limit: limit, within: nil)
    }

    /// `entries` of all that is there.
    public func entries(room: Text, after cursor: VersionVector, limit: Int) throws(StoreError)
        -> (entries: [Entry], through: VersionVector)
    {
        try entries(room: room, after: cursor, limit: limit, within: nil)
    }
}

/// When a commit is on the disk.
public enum SyncMode: String, Hashable, Sendable {
    /// Before it is reported: it survives a crash of the machine.
    case full
    /// Some time later: it survives a crash of the process, and a crash of the machine costs the last commits.
    case normal
}
