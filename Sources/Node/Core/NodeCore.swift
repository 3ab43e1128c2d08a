import ConvergeCRDT
import ConvergeGossip
import ConvergeStorage
import ConvergeWire

/// What decides on a node: takes one event and the time, hands back effects.
///
/// It owns the way into the store (`CommitPipeline`), the rooms and who is in them, the documents, and routes between these
/// and the cores of the cluster. It has no socket, thread, clock, disk or random source: `CoreThread` runs it in a server, a
/// test runs it by hand.
///
/// The invariant it keeps: a frame that shows an entry is handed out only after the store has said that the entry is
/// durable, and entries are handed out in the order of the log.
struct NodeCore: ~Copyable {
    struct Session {
        let user: Text
        let displayName: Text
        var rooms: SessionRooms
    }

    enum StoreState: Equatable {
        case opening
        case ready
        /// Closed after an error; an attempt to open it is under way. `failures` counts them in a row.
        case unavailable(failures: Int)
    }

    let options: CoreOptions
    var clock = HybridClock()
    /// This node's replica; none until the store has been opened once.
    var replicas: [ReplicaID] = []
    var rooms: Rooms
    var documents: Documents
    var sessions: [SessionID: Session] = [:]
    var keyed = KeyedSends()
    /// How many histories a session has asked for that are not answered yet.
    var histories: [SessionID: Int] = [:]
    var store = StoreState.opening
    /// What the store said last, while it can't be written.
    var storeTrouble: StoreError.Kind?

    /// What is gathered and on its way to the store, and the end of the log.
    var pipeline: CommitPipeline
    var retention = Retention()
    var staging = Staging()
    var shared = SharedStore()
    /// Why this replica is given up, as soon as the writer is idle: peers know its log otherwise than the store does.
    var renewal: RenewalReason?
    /// From when on peers may say so of a replica that is new, in milliseconds of the monotonic clock.
    var doubtsUntil: UInt64 = 0
    /// A peer's state has taken the place of the store's, which is opened anew for that.
    var reloading = false
    var readsAhead = ReadsAhead()
    /// What may leave at the end of this turn.
    var ready = FrameBatchBuilder()
    var readyLoops = LoopSet()

    /// How many loops have stopped reading, and how far stopping has come.
    var stoppedLoops = 0
    var stage = Stage.running
    var frameIDs: FrameIDs
    var encoders = FrameEncoders()
    var counters = CoreCounters()

    /// Milliseconds of a clock that never jumps, as of this turn.
    var monotonic: UInt64 = 0
    /// The same in nanoseconds.
    private var nanoseconds: UInt64 = 0
    var presence: Presence
    var attendance: Attendance
    var replicator: Replicator
    var membership: Membership
    var links: PeerLinks
    var streams: [LinkID: PeerFrameReader] = [:]
    var linkReports = LinkReports()
    var copies = CopyWaits()
    var skews = ClockSkews()
    var entryAges = EntryAges()
    var memberTimes = MemberTimes()
    /// (room, user) whose last event the store is to be asked for at the end of this turn.
    var wantedAttendance: [RoomUser] = []
    var memberNotes = MemberNotes()
    var clockStanding = ClockStanding.right
    /// Wall time less the monotonic clock when the clocks were last looked at, and when the log is next reminded of them.
    var clockOffset: Int64 = 0
    var nextClockReminder: UInt64 = 0
    var nextPruning: UInt64 = 0
    var boot: UInt64 = 0

    init(_ options: CoreOptions) {
        self.options = options
        pipeline = CommitPipeline(pace: options.commitPace)
        rooms = Rooms(loopCount: options.loopCount)
        documents = Documents(limits: options.documents, planted: options.planted)
        frameIDs = FrameIDs(seed: options.frameSeed)
        presence = Presence(options: options.presence)
        attendance = Attendance(options: options.attendance)
        let chain = EntryChain()
        replicator = Replicator(options: options.replicator) { chain.hash(after: $0, $1) }
        let cluster = options.cluster ?? ClusterOptions(name: "", process: options.frameSeed, seed: options.frameSeed)
        membership = Membership(
            name: options.nodeName, address: cluster.address, seeds: cluster.seeds, options: cluster.membership,
            seed: cluster.seed)
        links = PeerLinks(options: cluster.links)
    }

    /// Begins: the first effect opens the store.
    mutating func start(into effects: inout [CoreEffect]) {
        var none: [PresenceEffect] = []
        presence.handle(.started(replica: nil, boot: 0), at: monotonic, into: &none)
        effects.append(.openStore(after: .zero, held: nil, renew: false))
    }

    /// Begins a turn: the events that came together follow, then `endTurn`.
    /// - Parameter monotonic: milliseconds of a clock that never jumps.
    mutating func turn(monotonic: UInt64) { turn(nanoseconds: monotonic * 1_000_000) }

    /// - Parameter nanoseconds: of the same clock.
    mutating func turn(nanoseconds: UInt64) {
        self.nanoseconds = max(self.nanoseconds, nanoseconds)
        monotonic = self.nanoseconds / 1_000_000
    }

    /// Takes one event. `endTurn` must follow when those that came together have been taken.
    /// - Parameter now: wall time in milliseconds.
    mutating func handle(_ event: CoreEvent, at now: UInt64, into effects: inout [CoreEffect]) {
        lookForJump(at: now, into: &effects)
        switch event {
        case .session(let session, let event): handle(event, of: session, at: now, into: &effects)
        case .store(let event): handle(event, at: now, into: &effects)
        case .keysFound(let ids, let found): handleFound(ids, found, at: now, into: &effects)
        case .historyAnswered(let session): historyAnswered(session)
        case .readAhead(let read): readAhead(read, into: &effects)
        case .link(let link, let event): handle(event, of: link, at: now, into: &effects)
        case .dialFailed(let address): dialFailed(address, at: now, into: &effects)
        case .rangeRead(let ticket, let read):
            let answer = (try? read.get()).map {
                RangeAnswer(entries: $0.entries, isComplete: $0.isComplete, belowFloor: $0.belowFloor)
            }
            replicate(.rangeRead(ticket: ticket, answer), at: now, into: &effects)
        case .snapshotRead(let ticket, let chunk):
            replicate(.snapshotRead(ticket: ticket, try? chunk.get()), at: now, into: &effects)
        case .attendanceRead(let keys, let records): attendanceRead(keys, records, at: now)
        case .headsRead(let heads): headsRead(heads, at: now, into: &effects)
        case .sharedRead(let number, let read): sharedRead(number, read, at: now, into: &effects)
        case .redact(let target, let room): redact(target, in: room, at: now)
        case .tick: tick(at: now, into: &effects)
        case .loopStopped: stoppedLoops += 1
        }
    }

    /// Ends a turn: what has been gathered goes to the store if that is idle, what is ready goes to the loops, and the
    /// effects of the whole turn stand in their order.
    mutating func endTurn(at now: UInt64, into effects: inout [CoreEffect]) {
        answerRepeatsAhead(at: now, into: &effects)
        flushPresence(at: now, into: &effects)
        correctDueAttendance(at: now)
        giveWriterWork(at: now, into: &effects)
        if !wantedAttendance.isEmpty {
            effects.append(.read(.attendance(exchange(&wantedAttendance, for: []))))
        }
        let wanted = keyed.takeWanted()
        if !wanted.isEmpty { effects.append(.read(.keys(wanted))) }
        deliverReady(into: &effects)
        passReads(into: &effects)
        counters.rooms = rooms.occupied
        counters.sessions = sessions.count
        counters.documents = documents.documentCount
        counters.saveQueue = queuedCommands + keyed.held
        counters.storeReady = store == .ready
        counters.storeTrouble = storeTrouble
        advanceStopping(at: now, into: &effects)
        effects.putInOrder()
    }

    /// The store's writer does one thing at a time: the next batch, or some pruning between two.
    private mutating func giveWriterWork(at now: UInt64, into effects: inout [CoreEffect]) {
        guard store == .ready, pipeline.flight == .none, !retention.isPruning, !staging.isBusy else { return }
        if let renewal {
            renew(renewal, at: now, into: &effects)
            return
        }
        if staging.isReloading { suspend(at: now, into: &effects) }
        if keepUpWithSharedStore(at: now, into: &effects) { return }
        if let work = staging.next(foreignWaits: replicator.hasUnstoredForeign) {
            effects.append(work)
            return
        }
        // A node that stops leaves the rest to its next run.
        let foldable = retention.isDue ? foldable() : VersionVector()
        if stoppedLoops == 0, clockIsTolerable,
            let pruning = retention.next(
                keeping: options.retention, keys: options.keyWindow, folding: foldable,
                batchWaits: !pipeline.open.isEmpty)
        {
            effects.append(.prune(pruning))
        } else if hasOpenBatch, pipeline.mayBegin(at: nanoseconds) {
            let batch = pipeline.begin(with: memberNotes.take(), at: nanoseconds)
            effects.append(.commit(batch))
            shared.commits(batch, of: log?.replica, at: monotonic)
            retention.batchPassed()
            if options.planted.has(.shownWithCommit) { deliverUnstored(into: &effects) }
        }
    }

    private var hasOpenBatch: Bool { !pipeline.open.isEmpty || !memberNotes.isEmpty }

    /// When the next turn is due though nothing happens, in nanoseconds of the monotonic clock: a batch waits for its pace.
    var nextCommit: UInt64? {
        let waits =
            store == .ready && pipeline.flight == .none && hasOpenBatch && !retention.isPruning && !staging.isBusy
        return waits ? pipeline.nextBegin : nil
    }

    /// Planted: gives the frames of the batch out beside it.
    private mutating func deliverUnstored(into effects: inout [CoreEffect]) {
        let frames = pipeline.takeFrames()
        var loops = frames.loops
        frames.forEachRoom { room in loops.formUnion(rooms.loops(in: room)) }
        effects.append(.deliver(frames.finish(position: position, own: ownEnd), loops))
    }

    enum Stage { case running, closing, finished }

    /// When no loop reads any more and what was taken is stored (or can't be), the sessions are closed; when the last has
    /// left and that is stored, too, it is over.
    private mutating func advanceStopping(at now: UInt64, into effects: inout [CoreEffect]) {
        guard stoppedLoops == options.loopCount, stage != .finished else { return }
        switch store {
        case .ready:
            if pipeline.flight != .none || retention.isPruning || !pipeline.open.isEmpty || keyed.waiting > 0 { return }
        case .unavailable(let failures):
            // A batch in doubt gets one try to be decided. Who waits for it longer learns by the close that nothing is
            // known.
            if pipeline.flight == .inDoubt, failures == 0 { return }
        case .opening: break
        }
        if stage == .running {
            stage = .closing
            effects.append(.closeSessions)
        }
        if stage == .closing, sessions.isEmpty {
            leaveCluster(at: now, into: &effects)
            stage = .finished
            effects.append(.finished)
        }
    }

    /// Hands out what is ready.
    /// - Parameter position: what had been handed out before, where that is not all that is committed.
    mutating func deliverReady(from position: VersionVector? = nil, into effects: inout [CoreEffect]) {
        guard !ready.isEmpty else { return }
        var loops = readyLoops
        loops.formUnion(ready.loops)
        let frames = exchange(&ready, for: FrameBatchBuilder())
        readyLoops = LoopSet()
        effects.append(.deliver(frames.finish(position: position ?? self.position, own: ownEnd), loops))
    }

    /// The end of this replica's log; nil until the store has been opened once.
    var log: LogHead? { pipeline.log }

    /// What is committed of all logs.
    var position: VersionVector { pipeline.position }

    /// The end of this replica's log as anybody may have been shown it; nil until the store has been opened.
    var ownEnd: Dot? { pipeline.shownEnd(isShared: shared.isShared) }

    var queuedCommands: Int { pipeline.commands }
}
