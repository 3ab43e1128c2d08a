import ConvergeCRDT
import ConvergeGossip
import ConvergeStorage
import ConvergeWire

/// The way of an entry into the store.
///
/// It is placed at the end of the log and gathered in the batch that is *open*; that one goes to the store as a whole, and is
/// then *on its way*; and when the store has said so, it is *stored*, and what it shows may be handed out.
///
///                                    drop                     drop
///                                     ↑                        ↑
///     place, apply → open → begin → on its way → stored        │
///                                     └→ doubt → in doubt ─────┴→ decide → stored
///
/// Invariants:
///
/// - One batch is on its way at a time. What is open was placed behind it, so it goes after it, and fails with it.
/// - The log's head is before its committed end by as many entries as this replica has in the two batches, and goes back
///   there with them: no number is used for two entries of which one may be stored.
/// - `position` is what is stored of all logs, as far as the store has said. It alone is ever told to anybody.
/// - While a batch is in doubt, it is neither stored nor has it failed, and nothing is begun: the store, opened anew, tells.
///   What stands behind it is answered without it.
/// - Two batches with entries begin no sooner after each other than the pace. What is fixed in the cost of a commit (its
///   sync, its wake-ups, what is pushed for it) is then paid so often at most, and an idle node commits at once.
/// - What was asked about documents behind a batch is answered in any case: with its frames, or, where those are given up,
///   from `interrupted`.
struct CommitPipeline: ~Copyable {
    /// What becomes of the batch that the store was given last.
    enum Flight: Equatable {
        /// The store is idle.
        case none
        case underway
        /// The commit has no outcome: the next opening tells.
        case inDoubt
    }

    /// Nanoseconds.
    private let pace: UInt64
    /// From when on the next batch may begin, in nanoseconds of the monotonic clock.
    private(set) var nextBegin: UInt64 = 0
    /// The end of this replica's log; nil until the store has been opened once.
    private(set) var log: LogHead?
    /// What is committed of all logs.
    private(set) var position = VersionVector()
    private(set) var flight = Flight.none
    /// What is being gathered.
    var open = OpenBatch()
    /// What the store is working on.
    private(set) var inFlight = OpenBatch()
    /// What documents were before the batch in doubt; nil where nothing is.
    private(set) var beforeDoubt: DocumentsBefore?
    /// Questions about documents whose answers were given up with a batch.
    private var interrupted: [DocumentRead] = []

    /// - Parameter pace: nanoseconds that pass at least between the beginnings of two batches; 0: none.
    init(pace: UInt64 = 0) { self.pace = pace }

    // MARK: Gathering

    /// Gives an entry its place at the end of the log, and gathers it.
    /// - Parameters:
    ///   - room: the index of its room, which the batch keeps.
    ///   - applied: what is applied of all logs: what the entry depends on.
    mutating func place(
        _ kind: EntryKind, _ room: UInt32, _ name: Text, _ payload: [UInt8], at timestamp: HybridTimestamp,
        after applied: VersionVector
    ) -> Entry {
        let entry = log!.place(kind, room: name, payload: payload, at: timestamp, after: applied)
        open.batch.entries.append(entry)
        open.rooms.append(room)
        return entry
    }

    /// Appends a frame, or a word, that must not overtake what the batches show: behind what is open, or else behind what is
    /// on its way.
    ///
    /// - Parameters:
    ///   - loop: that of the session it is for, which gets all that goes out before, too: there the session is still where
    ///     it was.
    ///   - room: the index of a room that the batch is to keep until then.
    /// - Returns: false where nothing is to be waited for: nothing was appended.
    mutating func append(
        for loop: Int, keeping room: UInt32?, _ append: (inout FrameBatchBuilder) -> Void
    ) -> Bool {
        if isCarrying { inFlight.frames.include(loop: loop) }
        if !open.isEmpty {
            append(&open.frames)
            if let room { open.rooms.append(room) }
        } else if isCarrying, flight != .inDoubt {
            append(&inFlight.frames)
            if let room { inFlight.rooms.append(room) }
        } else {
            return false
        }
        return true
    }

    /// Counts a command that waits for a batch like those in it; without a batch it does not wait.
    mutating func countWaiting() {
        if !open.isEmpty { open.commands += 1 } else if isCarrying, flight != .inDoubt { inFlight.commands += 1 }
    }

    /// A question whose answer stands behind a batch is kept with it.
    mutating func keep(_ read: DocumentRead) {
        if !open.isEmpty { open.reads.append(read) } else if isCarrying { inFlight.reads.append(read) }
    }

    // MARK: Looking

    /// Something that waits for it must not overtake a batch that is on its way. An empty one, which only shows others that
    /// this node lives, keeps nobody waiting.
    var isCarrying: Bool { flight != .none && !inFlight.isEmpty }

    /// Commands of clients in the two batches.
    var commands: Int { open.commands + inFlight.commands }

    /// Bytes of frames in them.
    var byteCount: Int { open.frames.byteCount + inFlight.frames.byteCount }

    /// Whether the batch on its way has this entry.
    func carries(_ dot: Dot) -> Bool { flight != .none && inFlight.batch.entries.contains { $0.dot == dot } }

    /// The end of this replica's log as the store has confirmed it.
    var committedEnd: Dot? { log.map { Dot(replica: $0.replica, seq: $0.committedSeq) } }

    /// The end of this replica's log as anybody may have been shown it; nil until the store has been opened.
    /// - Parameter isShared: others read the store: what is on its way they may have read there, before it is known here to
    ///   be stored.
    func shownEnd(isShared: Bool) -> Dot? {
        guard var end = committedEnd else { return nil }
        if isShared, flight != .none {
            for entry in inFlight.batch.entries where entry.dot.replica == end.replica {
                end = Dot(replica: end.replica, seq: max(end.seq, entry.dot.seq))
            }
        }
        return end
    }

    // MARK: To the store

    /// Whether the pace allows a batch now.
    func mayBegin(at now: UInt64) -> Bool { now >= nextBegin }

    /// What is open goes on its way.
    /// - Parameters:
    ///   - notes: effects that belong to no entry, and go with it.
    ///   - now: nanoseconds of the monotonic clock.
    /// - Returns: what the store is to be given.
    mutating func begin(with notes: [StoreEffect], at now: UInt64) -> Batch {
        precondition(flight == .none, "a batch beside another")
        nextBegin = now + pace
        open.batch.effects.append(contentsOf: notes)
        inFlight = takeOpen()
        flight = .underway
        return inFlight.batch
    }

    /// An empty batch goes on its way, at no pace; what is open waits.
    mutating func beginEmpty() -> Batch {
        precondition(flight == .none, "a batch beside another")
        flight = .underway
        return inFlight.batch
    }

    /// What was on its way is stored: the log's committed end and `position` are behind it.
    /// - Returns: the batch, to be shown.
    mutating func stored() -> OpenBatch {
        precondition(flight == .underway, "nothing is on its way")
        let batch = takeInFlight()
        for entry in batch.batch.entries {
            position.advance(to: entry.dot)
            if entry.dot.replica == log!.replica { log!.commit(entry) }
        }
        return batch
    }

    // MARK: Failure

    /// The commit has no outcome. Of a batch without entries nothing is to be known.
    ///
    /// Whether it is stored may be open for long. Where sessions are is not, and stays in order; nor need those wait who only
    /// asked how documents stand.
    /// - Parameter moves: is given what the batch says of where sessions are.
    /// - Returns: false where nothing can be in doubt.
    mutating func doubt(moves: inout FrameBatchBuilder) -> Bool {
        guard isCarrying else { return false }
        flight = .inDoubt
        moves.takeMoves(of: &inFlight.frames)
        interrupted.append(contentsOf: inFlight.takeReads())
        return true
    }

    /// The store says what it has of the batch in doubt: the whole, or nothing. It is then on its way again, to be taken as
    /// stored or as dropped.
    /// - Returns: nil where nothing is in doubt.
    mutating func decide(by vector: VersionVector) -> Bool? {
        guard flight == .inDoubt else { return nil }
        flight = .underway
        // All of its entries: another node may have stored some of them, where the store is shared.
        return inFlight.batch.entries.allSatisfy { vector.covers($0.dot) }
    }

    /// Gives up what is open.
    mutating func takeOpen() -> OpenBatch { exchange(&open, for: OpenBatch()) }

    /// Gives up what is on its way.
    mutating func takeInFlight() -> OpenBatch {
        flight = .none
        return exchange(&inFlight, for: OpenBatch())
    }

    /// The log goes back to its committed end, unless what is on its way, or in doubt, may yet be stored.
    mutating func rollBack() {
        if flight == .none { log?.rollBack() }
    }

    /// Questions whose batch was given up.
    mutating func interrupt(_ reads: [DocumentRead]) { interrupted.append(contentsOf: reads) }

    /// The questions that are to be answered anew, now that `documents` are rolled back.
    mutating func takeInterrupted(_ documents: borrowing Documents) -> [DocumentRead] {
        beforeDoubt = flight == .inDoubt ? documents.beforeUnsettled : nil
        return exchange(&interrupted, for: [])
    }

    // MARK: Another log

    /// The store has another log, or another end of it, than was known. What it has counts.
    mutating func restart(_ log: LogHead) { self.log = log }

    /// The store has so much of all logs now, and not by batches.
    mutating func jump(to vector: VersionVector) { position = vector }

    /// Planted: what is on its way is shown as if it were stored.
    mutating func takeFrames() -> FrameBatchBuilder { exchange(&inFlight.frames, for: FrameBatchBuilder()) }
}
