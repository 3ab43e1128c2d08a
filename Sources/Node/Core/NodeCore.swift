import ConvergeCRDT
import ConvergeGossip
import ConvergeStorage
import ConvergeWire

/// What a core is told once, at its making.
struct CoreOptions: Sendable {
    var nodeName: Text
    var loopCount: Int
    var saveBuffer: Int
    var historyLimit: Int
    var systemEvents: SystemEvents
    /// How long entries are kept, in milliseconds; 0 for ever.
    var retention: UInt64 = 0
    /// How long the key of a send is remembered at least, in milliseconds.
    var keyWindow: UInt64 = 0
    var documents = DocumentLimits()
    /// How many of the newest entries of each log stay as they are, whoever has them: for clients that resume, and for
    /// peers that are a little behind. Older document writes that everybody has are folded into their documents.
    var foldTail: UInt64 = 10_000
    var attendance = AttendanceOptions()
    var presence = PresenceOptions()
    var replicator = ReplicatorOptions()
    /// Nil where the node is alone.
    var cluster: ClusterOptions?
    var planted: PlantedFaults = []
    /// A random number that no other process has: the first half of the ids of frames that are not stored.
    var frameSeed: UInt64
}

/// What decides on a node: takes one event and the time, hands back effects.
///
/// It owns the head of the log, the rooms and who is in them, the documents, and what is on its way to the store. It has
/// no socket, thread, clock, disk or random source: `CoreThread` runs it in a server, a test runs it by hand.
///
/// The invariant it keeps: a frame that shows an entry is handed out only after the store has said that the entry is
/// durable, and entries are handed out in the order of the log.
struct NodeCore: ~Copyable {
    struct Session {
        let user: Text
        let displayName: Text
        var room: UInt32
    }

    enum StoreState: Equatable {
        case opening
        case ready
        /// Closed after an error; an attempt to open it is under way. `failures` counts them in a row.
        case unavailable(failures: Int)
    }

    let options: CoreOptions
    var clock = HybridClock()
    var log: LogHead?
    /// This node's replica; none until the store has been opened once.
    var replicas: [ReplicaID] = []
    var rooms: Rooms
    var documents: Documents
    var sessions: [SessionID: Session] = [:]
    var keyed = KeyedSends()
    /// How many histories a session has asked for that are not answered yet.
    var histories: [SessionID: Int] = [:]
    var store = StoreState.opening

    /// What is being gathered, what the store is working on, and what may leave at the end of this turn.
    var open = OpenBatch()
    var inFlight = OpenBatch()
    var committing = false
    var retention = Retention()
    var staging = Staging()
    var shared = SharedStore()
    /// Why this replica is given up, as soon as the writer is idle: peers know its log otherwise than the store does.
    var renewal: RenewalReason?
    /// From when on peers may say so of a replica that is new, in milliseconds of the monotonic clock.
    var doubtsUntil: UInt64 = 0
    /// A peer's state has taken the place of the store's, which is opened anew for that.
    var reloading = false
    var ready = FrameBatchBuilder()
    var readyLoops = LoopSet()
    /// The batch on its way has an unknown outcome: the next opening tells.
    var inDoubt = false

    /// How many loops have stopped reading, and how far stopping has come.
    var stoppedLoops = 0
    var stage = Stage.running
    var frameIDs: FrameIDs
    var encoder = ServerFrameEncoder()
    /// What is committed of all logs.
    var position = VersionVector()
    var counters = CoreCounters()

    /// Milliseconds of a clock that never jumps, as of this turn.
    var monotonic: UInt64 = 0
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
    /// Members to be stored, or forgotten, with the next batch.
    var remembered: [StoreEffect] = []
    var clockIsTolerable = true
    var nextPruning: UInt64 = 0
    var boot: UInt64 = 0

    init(_ options: CoreOptions) {
        self.options = options
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
        presence.handle(.started(replica: ReplicaID(rawValue: 0), boot: 0), at: monotonic, into: &none)
        effects.append(.openStore(after: .zero, held: nil, renew: false))
    }

    /// Begins a turn: the events that came together follow, then `endTurn`.
    /// - Parameter monotonic: milliseconds of a clock that never jumps.
    mutating func turn(monotonic: UInt64) { self.monotonic = max(self.monotonic, monotonic) }

    /// Takes one event. `endTurn` must follow when those that came together have been taken.
    /// - Parameter now: wall time in milliseconds.
    mutating func handle(_ event: CoreEvent, at now: UInt64, into effects: inout [CoreEffect]) {
        switch event {
        case .session(let session, let event): handle(event, of: session, at: now, into: &effects)
        case .store(let event): handle(event, at: now, into: &effects)
        case .keysFound(let ids, let found): handleFound(ids, found, at: now, into: &effects)
        case .historyAnswered(let session): historyAnswered(session)
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

    /// Ends a turn: what has been gathered goes to the store if that is idle, what is ready goes to the loops.
    mutating func endTurn(at now: UInt64, into effects: inout [CoreEffect]) {
        flushPresence(at: now, into: &effects)
        settleDueAttendance(at: now)
        giveWriterWork(at: now, into: &effects)
        if !wantedAttendance.isEmpty {
            effects.append(.read(.attendance(exchange(&wantedAttendance, for: []))))
        }
        let wanted = keyed.takeWanted()
        if !wanted.isEmpty { effects.append(.read(.keys(wanted))) }
        deliverReady(into: &effects)
        counters.rooms = rooms.occupied
        counters.sessions = sessions.count
        counters.documents = documents.documentCount
        counters.saveQueue = queuedCommands + keyed.held
        counters.storeReady = store == .ready
        advanceStopping(at: now, into: &effects)
    }

    /// The store's writer does one thing at a time: the next batch, or some pruning between two.
    private mutating func giveWriterWork(at now: UInt64, into effects: inout [CoreEffect]) {
        guard store == .ready, !committing, !retention.isPruning, !staging.isBusy else { return }
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
        if stoppedLoops == 0,
            let pruning = retention.next(
                keeping: options.retention, keys: options.keyWindow, folding: foldable, batchWaits: !open.isEmpty)
        {
            effects.append(.prune(pruning))
        } else if !open.isEmpty || !remembered.isEmpty {
            open.batch.effects.append(contentsOf: exchange(&remembered, for: []))
            effects.append(.commit(open.batch))
            shared.commits(open.batch, of: log?.replica, at: monotonic)
            inFlight = takeOpen()
            committing = true
            retention.batchPassed()
        }
    }

    enum Stage { case running, closing, finished }

    /// When no loop reads any more and what was taken is stored (or can't be), the sessions are closed; when the last has
    /// left and that is stored, too, it is over.
    private mutating func advanceStopping(at now: UInt64, into effects: inout [CoreEffect]) {
        guard stoppedLoops == options.loopCount, stage != .finished else { return }
        switch store {
        case .ready:
            if committing || retention.isPruning || !open.isEmpty || keyed.waiting > 0 { return }
        case .unavailable(let failures):
            // A batch in doubt gets one try to be settled. Who waits for it longer learns by the close that nothing is
            // known.
            if inDoubt, failures == 0 { return }
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
        effects.append(.deliver(frames.finish(position: position ?? self.position), loops))
    }

    var queuedCommands: Int { open.commands + inFlight.commands }

    // MARK: Sessions

    mutating func handle(
        _ event: SessionEvent, of session: SessionID, at now: UInt64, into effects: inout [CoreEffect]
    ) {
        if keyed.waiting > 0, keyed.isBlocked(session) {
            if case .command(let ref, _) = event, queuedCommands + keyed.held >= options.saveBuffer {
                refuse(.busy, session, ref: ref, at: now)
            } else if !keyed.hold(event, of: session), case .command(let ref, _) = event {
                refuse(.busy, session, ref: ref, at: now)
            }
            return
        }
        switch event {
        case .entered(let user, let displayName, let name):
            let room = rooms.open(name)
            sessions[session] = Session(user: user, displayName: displayName, room: room)
            let stamp = stamp(at: now)
            ready.append(to: .enter(session, room: room, name: name), cursor: true) {
                encoder.welcome(stamp, room: name, user: user, displayName: displayName, to: &$0)
            }
            enter(room, session, user: user, displayName: displayName, at: now, into: &effects)
        case .left:
            guard let left = sessions.removeValue(forKey: session) else { return }
            if sessions.isEmpty { sessions = [:] }  // gives back what many have taken
            leave(left, session, at: now, into: &effects)
        case .command(let ref, let command):
            guard let asking = sessions[session] else { return }
            handle(command, ref: ref, from: session, asking, at: now, into: &effects)
        }
    }

    private mutating func enter(
        _ room: UInt32, _ session: SessionID, user: Text, displayName: Text, at now: UInt64,
        into effects: inout [CoreEffect]
    ) {
        rooms.enter(room, loop: session.loop)
        let event = PresenceEvent.entered(room: rooms.name(of: room), user: user, displayName: displayName)
        inform(event, hosted: true, at: now, into: &effects)
        // Whoever was thought to be here already, on a node that may be gone, is here now for certain.
        if options.systemEvents == .stored {
            settle(RoomUser(room: rooms.name(of: room), user: user), hosted: true, at: now)
        }
    }

    private mutating func leave(
        _ session: Session, _ id: SessionID, at now: UInt64, into effects: inout [CoreEffect]
    ) {
        let name = rooms.name(of: session.room)
        rooms.retain(session.room)  // until its entry has its own hold on the index
        rooms.leave(session.room, loop: id.loop)
        inform(.left(room: name, user: session.user), hosted: true, at: now, into: &effects)
        rooms.release(session.room)
    }

    /// A client asks to be in a room; in its own room nothing happens.
    mutating func join(
        _ name: Text, ref: Text?, _ id: SessionID, at now: UInt64, into effects: inout [CoreEffect]
    ) {
        guard let session = sessions[id] else { return }
        let moves = rooms.name(of: session.room) != name
        // Moving makes entries, like a message: it waits in the same queue, and is refused by the same bound.
        if moves, options.systemEvents == .stored, queuedCommands >= options.saveBuffer {
            refuse(.busy, id, ref: ref, at: now)
            return
        }
        move(id, to: name, ref: ref, at: now, into: &effects)
    }

    /// Puts a session into a room, unless it is there. A `ref` is answered, either way.
    mutating func move(
        _ id: SessionID, to name: Text, ref: Text? = nil, at now: UInt64, into effects: inout [CoreEffect]
    ) {
        guard var session = sessions[id] else { return }
        guard rooms.name(of: session.room) != name else {
            if let ref {
                let request = ResumeRequest(room: session.room, cursor: nil, ref: ref)
                inOrder(for: id) { frames, _ in frames.append(to: .resume(id, request)) }
            }
            return
        }
        let entries = open.batch.entries.count
        let room = rooms.open(name)
        rooms.retain(room)
        let left = session
        session.room = room
        sessions[id] = session
        admit(id, to: room, name, ref: ref, at: now)  // first: who moves is not told of leaving
        leave(left, id, at: now, into: &effects)
        enter(room, id, user: session.user, displayName: session.displayName, at: now, into: &effects)
        rooms.release(room)
        if open.batch.entries.count > entries { open.commands += 1 }
    }

    /// Tells the session's loop where it is from here on, and the client, where it asked.
    ///
    /// That stands behind what is on its way to the store, so that nobody leaves a room before the messages it sent there
    /// have come back to it. The room keeps its index until it has been told.
    private mutating func admit(_ id: SessionID, to room: UInt32, _ name: Text, ref: Text?, at now: UInt64) {
        let stamp = stamp(at: now)
        let target = FrameRecord.Target.enter(id, room: room, name: name)
        inOrder(for: id, retaining: room) { frames, encoder in
            guard let ref else {
                frames.append(to: target)
                return
            }
            frames.append(to: target, cursor: true) { encoder.joined(stamp, room: name, ref: ref, to: &$0) }
        }
    }

    /// Appends to what goes out last: behind the batch that is gathered, the one on its way, or what is ready.
    mutating func inOrder(
        for session: SessionID, retaining room: UInt32? = nil,
        _ append: (inout FrameBatchBuilder, inout ServerFrameEncoder) -> Void
    ) {
        // The session's loop gets all that goes out before, too: it is still where it was.
        if committing { inFlight.frames.include(loop: session.loop) }
        if !open.isEmpty {
            append(&open.frames, &encoder)
            if let room { open.rooms.append(room) }
        } else if committing, !inDoubt {
            append(&inFlight.frames, &encoder)
            if let room { inFlight.rooms.append(room) }
        } else {
            append(&ready, &encoder)
            return
        }
        if let room { rooms.retain(room) }
    }

    /// Answers with an `error` frame.
    mutating func refuse(_ refusal: Refusal, _ session: SessionID, ref: Text?, at now: UInt64) {
        counters.refused &+= 1
        let stamp = stamp(at: now)
        ready.append(to: .session(session)) { encoder.error(stamp, reason: refusal.text, ref: ref, to: &$0) }
    }

    /// The id and time of a frame that shows no entry.
    mutating func stamp(at now: UInt64) -> FrameStamp { FrameStamp(id: frameIDs.next(), milliseconds: now) }
}

/// Why a command was not carried out: the text of its `error` frame.
enum Refusal: Sendable {
    case busy
    case storageUnavailable
    case documentFull
    case counterOverflow
    case historyUnavailable
    case clockSkewed

    init(_ refusal: DocumentRefusal) {
        switch refusal {
        case .documentFull: self = .documentFull
        case .counterOverflow: self = .counterOverflow
        }
    }

    var text: Text {
        switch self {
        case .busy: "busy"
        case .storageUnavailable: "storage unavailable"
        case .documentFull: "document full"
        case .counterOverflow: "counter overflow"
        case .historyUnavailable: "history unavailable"
        case .clockSkewed: "clock out of bounds"
        }
    }
}

/// Ids for frames that are not stored: unique as long as no two processes share the seed.
struct FrameIDs {
    private let seed: UInt64
    private var count: UInt64 = 0

    init(seed: UInt64) { self.seed = seed }

    mutating func next() -> MessageID {
        count += 1
        return MessageID(high: seed, low: count)
    }
}

/// What a core has counted; the shell publishes it after each turn.
struct CoreCounters: Sendable {
    var messages = 0
    var systemEvents = 0
    var documentWrites = 0
    var duplicates = 0
    var refused = 0
    var batchesFailed = 0
    var pruned = 0

    var sessions = 0
    var rooms = 0
    var documents = 0
    var saveQueue = 0
    var storeReady = false

    /// Entries of other replicas that were applied.
    var entriesReceived = 0
    var peerFramesIn = 0
    var peerFramesOut = 0
    var peerViolations = 0
    var unknownPeerFrames = 0
    var identitiesRenewed = 0
}
