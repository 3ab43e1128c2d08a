import ConvergeCRDT
import ConvergeStorage
import ConvergeWire

@testable import ConvergeNode

/// A core run by hand: what it wants of the store waits until the test lets it happen, and what it hands out is looked at
/// as a loop and its clients would.
///
/// It checks at every delivery what must always hold, and keeps what didn't in `violations`: a frame that shows an entry
/// shows one that is stored; a session gets frames of the room it is in and of no other; the loops of all whom a frame
/// concerns get it; frames of entries come in the order of the log; the bytes are one whole frame each.
final class CoreUnderTest {
    var core: NodeCore
    /// Opened next where the test puts another in its place.
    var store: MemoryStore
    let loopCount: Int
    var now: UInt64 = 1_700_000_000_000

    /// What the core waits for.
    private(set) var opening: (after: Duration, held: WriterStart.Held?, renew: Bool)?
    private(set) var committing: Batch?
    private(set) var pruning: Pruning?
    private(set) var reads: [ReadRequest] = []
    /// What loops have been passed of what was read.
    private(set) var passed: [(message: LoopMessage, session: SessionID)] = []

    private(set) var reports: [CoreReport] = []
    private(set) var batches: [Batch] = []
    private(set) var sessionsClosed = false
    private(set) var finished = false
    private(set) var violations: [String] = []
    /// Sessions that the core has let go.
    private(set) var dismissed: [SessionID] = []
    /// What loops have been told to resume.
    private(set) var resumes: [(session: SessionID, request: ResumeRequest)] = []
    /// Where the loops have been told that all begin.
    private(set) var begun: [VersionVector] = []
    /// What the loops have been told to go back to, all of them.
    private(set) var setBacks: [VersionVector] = []
    /// Looks at what goes out, before it does.
    var onDelivery: ((FrameBatch, LoopSet) -> Void)?

    private var writer: (any StoreWriter)?
    private var frames: [SessionID: [ShownFrame]] = [:]
    private var places: [SessionID: (room: UInt32, name: Text)] = [:]
    private var subscribed: [SessionID: [UInt32: Text]] = [:]
    /// What loops have been told of subscriptions.
    private(set) var subscriptions: [(session: SessionID, request: SubscribeRequest)] = []
    private var connected: Set<SessionID> = []
    private var lastShown: Position?
    private var slots: UInt32 = 0
    private var opens: UInt64 = 0

    init(
        store: MemoryStore = MemoryStore(), loops: Int = 2, saveBuffer: Int = 64,
        systemEvents: SystemEvents = .stored, elementsPerDocument: Int = 1_000, retention: UInt64 = 0,
        commitPace: UInt64 = 0, opened: Bool = true
    ) {
        self.store = store
        loopCount = loops
        var options = CoreOptions(
            nodeName: "n1", loopCount: loops, saveBuffer: saveBuffer, historyLimit: 200, systemEvents: systemEvents,
            frameSeed: 77)
        options.documents.elementsPerDocument = elementsPerDocument
        options.retention = retention
        options.commitPace = commitPace
        core = NodeCore(options)
        var effects: [CoreEffect] = []
        core.start(into: &effects)
        perform(effects)
        if opened { open() }
    }

    // MARK: Events

    /// One turn: these events together.
    func turn(_ events: CoreEvent...) { turn(events) }

    func turn(_ events: [CoreEvent]) {
        var effects: [CoreEffect] = []
        core.turn(monotonic: now)
        for event in events { core.handle(event, at: now, into: &effects) }
        core.endTurn(at: now, into: &effects)
        perform(effects)
    }

    /// A new session's event; its loop is `slot % loops`.
    func newSession(speaking generation: ProtocolGeneration = .first) -> SessionID {
        slots += 1
        let id = SessionID(loop: Int(slots) % loopCount, slot: slots, generation: 1, speaking: generation)
        connected.insert(id)
        return id
    }

    func enter(_ user: Text, _ room: Text = "lobby") -> SessionID {
        let id = newSession()
        turn(.session(id, .entered(user: user, displayName: user, room: room)))
        return id
    }

    /// A session of the second generation, in no room.
    func arrive(_ user: Text) -> SessionID {
        let id = newSession(speaking: .second)
        turn(.session(id, .arrived(SessionName(high: 1, low: 2), user: user, displayName: user)))
        return id
    }

    /// The connection goes: the loop hands it nothing any more from now on.
    func leave(_ session: SessionID) { turn(gone(session)) }

    func gone(_ session: SessionID) -> CoreEvent {
        connected.remove(session)
        places[session] = nil
        subscribed[session] = nil
        return .session(session, .left)
    }

    func send(_ session: SessionID, _ command: ClientCommand, ref: Text? = nil) {
        turn(.session(session, .command(ref: ref, command)))
    }

    func say(_ session: SessionID, _ body: String, key: Text? = nil, ref: Text? = nil, room: Text? = nil) {
        send(session, .say(body, key: key, room: room), ref: ref)
    }

    // MARK: The store

    /// Lets the store be opened; false where that failed.
    @discardableResult
    func open() -> Bool {
        guard let opening else { return false }
        self.opening = nil
        opens += 1
        let start = WriterStart(
            freshReplica: ReplicaID(rawValue: 0xA0 + opens), machine: "m", machineBoot: "b", nodeName: "n1",
            held: opening.held, renew: opening.renew)
        do throws(StoreError) {
            let (writer, recovered) = try store.openWriter(start)
            self.writer = writer
            turn(.store(.opened(recovered)))
            return true
        } catch {
            turn(.store(.openFailed(error)))
            return false
        }
    }

    /// Lets the batch on its way be stored, or fail as the store has it.
    func commit() {
        guard let batch = committing, let writer else { return }
        committing = nil
        do throws(StoreError) {
            try writer.append(batch)
            turn(.store(.committed))
        } catch {
            self.writer = nil
            turn(.store(.failed(error)))
        }
    }

    /// Lets a step of pruning happen, or fail.
    func prune() {
        guard let old = pruning, let writer else { return }
        pruning = nil
        do throws(StoreError) {
            turn(.store(.pruned(try writer.prune(old))))
        } catch {
            self.writer = nil
            turn(.store(.failed(error)))
        }
    }

    /// Lets the readers answer what they have been asked; with an error where one is given.
    func answerReads(_ error: StoreError? = nil) {
        let asked = reads
        reads = []
        for case .keys(let ids) in asked {
            let found = error.map { .failure($0) } ?? Result.success((try? reader.positions(of: ids)) ?? [:])
            turn(.keysFound(ids, found))
        }
    }

    /// Lets everything happen that the core waits for.
    func settle() {
        var rounds = 0
        while committing != nil || pruning != nil || !reads.isEmpty || opening != nil, rounds < 1_000 {
            answerReads()
            commit()
            prune()
            open()
            rounds += 1
        }
    }

    var reader: any StoreReader {
        do throws(StoreError) { return try store.openReader() } catch { preconditionFailure("\(error)") }
    }

    /// The bodies of a room's messages and system events in history.
    func history(_ room: Text = "lobby") -> [String] {
        let entries = (try? reader.history(room: room, before: nil, limit: 10_000)) ?? []
        var encoder = ServerFrameEncoder()
        return entries.map { entry in
            var text = ByteBuffer()
            try? encoder.appendFrame(of: entry, to: &text)
            var frame = ByteBuffer()
            WebSocketFrame.append(.text, text.bytes, to: &frame)
            return ShownFrame(frame.bytes)?.body ?? "?"
        }
    }

    /// The node's replica; nil before the store was opened.
    var replica: ReplicaID? { core.replicas.first }

    /// The whole log of the present replica, as stored.
    var log: [Entry] { (try? reader.entries(of: replica ?? .nobody, from: 1, limit: .max)) ?? [] }

    // MARK: What clients see

    /// What a session has been shown since this was last asked.
    func shown(_ session: SessionID) -> [ShownFrame] { frames.removeValue(forKey: session) ?? [] }

    func words(_ session: SessionID) -> [String] { shown(session).map(\.description) }

    func forgetShown() { frames = [:] }

    func room(of session: SessionID) -> Text? { places[session]?.name }

    // MARK: Effects

    private func perform(_ effects: [CoreEffect]) {
        if !effects.areInOrder { violations.append("effects out of their order") }
        for effect in effects {
            switch effect {
            case .openStore(let after, let held, let renew):
                if opening != nil { violations.append("opened twice") }
                opening = (after, held, renew)
            case .commit(let batch):
                if committing != nil || pruning != nil { violations.append("a batch beside other work") }
                if batch.entries.isEmpty { violations.append("an empty batch") }
                committing = batch
                batches.append(batch)
            case .prune(let old):
                if pruning != nil || committing != nil { violations.append("pruning beside other work") }
                pruning = old
            case .read(let request): reads.append(request)
            case .deliver(let batch, let loops): deliver(batch, loops)
            case .pass(let message, let session): passed.append((message, session))
            case .report(let report): reports.append(report)
            case .closeSessions: sessionsClosed = true
            case .finished: finished = true
            case .stage, .install, .reload, .dial, .send, .closeLink: violations.append("a node alone wants a peer")
            }
        }
    }

    private func deliver(_ batch: FrameBatch, _ loops: LoopSet) {
        onDelivery?(batch, loops)
        for record in batch.records {
            let frame = read(batch.bytes(of: record))
            let compact = read(batch.bytes(of: record, for: .second))
            if let dot = record.dot { check(dot, frame, compact) }
            switch record.target {
            case .room(let room):
                for (session, rooms) in subscribed where rooms[room] != nil {
                    if !loops.contains(session.loop) { violations.append("loop \(session.loop) misses a frame") }
                    if compact?.room != rooms[room]?.string { violations.append("a wrong frame in \(rooms[room]!)") }
                    show(compact, to: session)
                }
                for (session, place) in places where place.room == room {
                    if !loops.contains(session.loop) { violations.append("loop \(session.loop) misses a frame") }
                    if frame?.room != place.name.string {
                        violations.append("a frame of \(frame?.room ?? "nothing") in \(place.name)")
                    }
                    show(frame, to: session)
                }
            case .session(let session):
                if !loops.contains(session.loop) { violations.append("loop \(session.loop) misses a reply") }
                show(frame, to: session)
            case .enter(let session, let room, let name):
                if !loops.contains(session.loop) { violations.append("loop \(session.loop) misses an entry") }
                if connected.contains(session) { places[session] = (room, name) }
                show(frame, to: session)
            case .welcome(let session):
                if !loops.contains(session.loop) { violations.append("loop \(session.loop) misses a session") }
                show(frame, to: session)
            case .subscribe(let session, let request):
                if !loops.contains(session.loop) { violations.append("loop \(session.loop) misses a subscription") }
                if connected.contains(session) {
                    subscribed[session, default: [:]][request.room] = request.name
                    subscriptions.append((session, request))
                }
            case .unsubscribe(let session, let room):
                if !loops.contains(session.loop) { violations.append("loop \(session.loop) misses an end") }
                subscribed[session]?[room] = nil
                show(frame, to: session)
            case .leave(let session):
                dismissed.append(session)
            case .resume(let session, let request):
                if !loops.contains(session.loop) { violations.append("loop \(session.loop) misses a resume") }
                if connected.contains(session), places[session]?.room != request.room {
                    violations.append("a resume of another room")
                }
                resumes.append((session, request))
            case .unshown: violations.append("a node alone has a twin")
            case .begin: begun.append(batch.position)
            case .setBack:
                setBacks.append(batch.position)
                for loop in 0..<loopCount where !loops.contains(loop) { violations.append("loop \(loop) goes on") }
            case .catchUp:
                if setBacks.isEmpty { violations.append("a node alone has a snapshot") }
            }
        }
    }

    private func show(_ frame: ShownFrame?, to session: SessionID) {
        guard let frame, connected.contains(session) else { return }
        frames[session, default: []].append(frame)
    }

    private func read(_ bytes: UnsafeRawBufferPointer) -> ShownFrame? {
        if bytes.isEmpty { return nil }
        let frame = ShownFrame(bytes)
        if frame == nil { violations.append("not one frame: \([UInt8](bytes))") }
        return frame
    }

    /// Nobody may be there whom it could be written for.
    private func check(_ dot: Dot, _ frame: ShownFrame?, _ compact: ShownFrame?) {
        let stored = try? reader.entries(of: dot.replica, from: dot.seq, limit: 1).first
        if stored == nil { violations.append("shown but not stored: \(dot)") }
        if let frame, frame.seq != Int(dot.seq) { violations.append("the frame of \(dot) says \(frame.seq ?? -1)") }
        for frame in [frame, compact] {
            if let frame, frame.position != stored?.position {
                violations.append("the frame of \(dot) has no position")
            }
        }
        guard let position = stored?.position else { return }
        if let lastShown, position <= lastShown { violations.append("\(position.text) after \(lastShown.text)") }
        lastShown = position
    }
}

extension ClientCommand {
    static func say(
        _ body: String, key: Text? = nil, room: Text? = nil, after: Position? = nil
    ) -> ClientCommand {
        .message(MessageCommand(room: room, body: Array(body.utf8), key: key, after: after))
    }

    static func add(_ element: Text, doc: Text = "d") -> ClientCommand {
        .write(DocumentWriteCommand(.orSet, doc: doc, .init(.add, key: element)))
    }

    static func remove(_ element: Text, doc: Text = "d") -> ClientCommand {
        .write(DocumentWriteCommand(.orSet, doc: doc, .init(.remove, key: element)))
    }

    static func count(_ amount: Int64, doc: Text = "d") -> ClientCommand {
        .write(DocumentWriteCommand(.counter, doc: doc, .init(.increment, amount: amount)))
    }

    static func set(_ value: Text?, doc: Text = "d") -> ClientCommand {
        .write(DocumentWriteCommand(.register, doc: doc, .setting(value)))
    }
}
