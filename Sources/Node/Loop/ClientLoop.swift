import ConvergeCRDT
import ConvergeTransport
import ConvergeWire
import Glibc

/// What a loop is told once.
struct LoopOptions: Sendable {
    var index: Int
    var limits: SessionLimits
    var webSocket: WebSocketMachine.Limits
    var echo: WebSocketMachine.Limits
    var sendFrames: Int
    /// Bytes that may wait for one client: past them it is taken off the live stream, and not read from.
    var sendBytes = 512 << 10
    /// Bytes of replies that may wait for one client, which asks for more than it reads; past them it is closed.
    var replyBytes = 32 << 20
    /// The most entries in one page of a resume.
    var historyLimit = 200
    var coreBacklog: Int
    /// What clients are told when the node stops.
    var stopCode = CloseCode.goingAway
    var writeWait: UInt64
    var pongWait: UInt64
    var pingPeriod: UInt64
    var readTimeout: UInt64
    var writeTimeout: UInt64
    var idleTimeout: UInt64
    /// How often sessions of the second generation are told where they stand in quiet rooms.
    var cursorPeriod: UInt64 = 600_000_000_000
    var frameSeed: UInt64
    /// Proxies that are believed where a client is.
    var trustedProxies: [IPRange] = []
    /// What clients are shown; nil where they speak without TLS.
    var certificate: ServedCertificate?
}

/// An event loop: one thread with its share of the clients, everything about them in one value that only it touches.
///
/// A turn: wait, read what can be read, take what the core sends, then send. What goes to whom is decided by `Delivery`, whose
/// `Outlet` a loop is: a room's frames of one turn go to each member in one `send`; what a socket does not take waits in that
/// connection's queue. Nothing here blocks. What clients ask goes to the core in one post a turn.
struct ClientLoop: ~Copyable {
    static let listenerTag = UInt64.max
    static let mailboxTag = UInt64.max - 1

    let options: LoopOptions
    let listener: Int32
    let mailbox: Mailbox<LoopMessage>
    let core: Mailbox<CoreEvent>
    let readers: StorageReaders
    let metrics: Metrics
    let log: Logger
    let poller: Poller
    let readBuffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 16)

    /// Where what clients have sealed is opened; empty without TLS.
    let plaintext: UnsafeMutableRawBufferPointer

    var connections = Slab<Connection> { Connection() }
    var freeSlots: [UInt32] = []
    var open = 0
    /// Who gets what. At an address of its own, since what it decides is carried out by the loop that it is part of.
    let delivery: UnsafeMutablePointer<Delivery<ClientLoop>>
    /// Connections that delivery has found to be over, until it has returned.
    var endings: [(slot: UInt32, why: Ending)] = []
    /// From when what this turn sends was received: one for each batch.
    var delivered: [UInt64] = []
    var dirty: [UInt32] = []
    var graveyard: [UInt32] = []
    var outgoing: [CoreEvent] = []
    var timers: TimerWheel
    var fired: [UInt32] = []
    var counts = LoopCounts()
    var frameIDs: FrameIDs
    var encoders = FrameEncoders()
    var admission: Admission
    var session: SessionMachine

    /// The time of this turn, in monotonic nanoseconds.
    var now: UInt64

    var accepting = false
    var acceptAgainAt: UInt64 = .max
    /// Connections accepted while events wait in line, as tags.
    var newcomers: [UInt64] = []
    /// When a failed handshake is worth a line again.
    var handshakeLogAt: UInt64 = 0
    var reading = true
    var finishing = false
    /// The store has been opened once, or could not be: sessions begin.
    var sessionsHaveBegun = false
    /// What others can cause, and an operator should read, is kept to some lines.
    var complaints = LineBudget.strangers

    init(
        options: LoopOptions, listener: Int32, mailbox: Mailbox<LoopMessage>, core: Mailbox<CoreEvent>,
        readers: StorageReaders, metrics: Metrics, log: Logger, admission: consuming Admission, poller: consuming Poller
    ) {
        self.options = options
        self.listener = listener
        self.mailbox = mailbox
        self.core = core
        self.readers = readers
        self.metrics = metrics
        self.log = log
        self.admission = admission
        delivery = .allocate(capacity: 1)
        delivery.initialize(to: Delivery(heldBytes: options.sendBytes))
        plaintext = .allocate(byteCount: options.certificate == nil ? 0 : 64 << 10, alignment: 16)
        session = SessionMachine(limits: options.limits)
        frameIDs = FrameIDs(seed: options.frameSeed)
        now = SystemClock.monotonic()
        timers = TimerWheel(resolution: 50_000_000, now: now)
        self.poller = poller
    }

    deinit {
        readBuffer.deallocate()
        plaintext.deallocate()
        delivery.deinitialize(count: 1)
        delivery.deallocate()
    }

    /// The thread's body: ends after `finish`.
    mutating func run() {
        resumeAccepting()
        var messages: [LoopMessage] = []
        while !(finishing && open == 0) {
            let ready = poller.wait(timeout: pause())
            now = SystemClock.monotonic()
            delivery.pointee.beginTurn()
            var mail = false
            for index in 0..<ready {
                let event = poller[index]
                switch event.tag {
                case Self.mailboxTag: mail = true
                case Self.listenerTag: acceptWaiting()
                default: handle(event)
                }
            }
            if ready == poller.capacity { welcomeNewcomers() } else if !newcomers.isEmpty { newcomers = [] }
            if mail {
                mailbox.drain(into: &messages)
                for message in messages {
                    handle(message)
                    // What one turn gathers is bounded: a burst leaves in several turns.
                    if delivery.pointee.turnBytes > Self.turnLimit {
                        flushTurn()
                        delivery.pointee.beginTurn()
                    }
                }
                messages.removeAll(keepingCapacity: messages.count < 4_096)
            }
            runTimers()
            flushTurn()
            core.post(contentsOf: &outgoing, since: now)
            measureDelivery()
            bury()
            counts.publish(to: metrics, loop: options.index, connections: open)
        }
    }

    /// Bytes of rooms' frames that are gathered before they are sent.
    private static let turnLimit = 1 << 20

    private mutating func measureDelivery() {
        guard !delivered.isEmpty else { return }
        let sent = SystemClock.monotonic()
        for received in delivered { metrics.deliverySeconds.observe(Int(clamping: sent - min(received, sent))) }
        delivered.removeAll(keepingCapacity: delivered.count < 1_024)
    }

    private func pause() -> Int32 {
        var wait = timers.wait(from: now) ?? -1
        if acceptAgainAt != .max { wait = wait < 0 ? 100 : min(wait, 100) }
        return wait
    }

    private mutating func handle(_ event: Poller.Event) {
        let slot = UInt32(truncatingIfNeeded: event.tag)
        let connection = connections[slot]
        guard connection.pointee.generation == UInt32(event.tag >> 32), connection.pointee.isOpen else { return }
        if event.writable { flush(slot) }
        guard connection.pointee.isOpen else { return }
        if event.readable && !connection.pointee.readPaused {
            read(slot)
        } else if event.hangup {
            lose(slot)
        }
    }

    private mutating func handle(_ message: LoopMessage) {
        switch message {
        case .frames(let batch, let received):
            let delivery = delivery
            delivery.pointee.deliver(batch, to: &self)
            carryOutEndings()
            if let received { delivered.append(received) }
        case .feed(let session, let ask, let frames, let page):
            takePage(page, ask, frames, for: session)
        case .feedFailed(let session, let ask):
            retryPage(ask, for: session)
        case .beginSessions:
            beginSessions()
        case .stopReading:
            stopReading()
        case .finish:
            finish()
        }
    }

    // MARK: Stopping

    private mutating func stopReading() {
        reading = false
        pauseAccepting()
        acceptAgainAt = .max
        for slot in 0..<UInt32(connections.count) where connections[slot].pointee.isOpen { updateInterest(slot) }
        outgoing.append(.loopStopped)
    }

    private mutating func finish() {
        finishing = true
        reading = true  // for the other sides' close frames
        for slot in 0..<UInt32(connections.count) {
            switch connections[slot].pointee.phase {
            case .free, .dead: continue
            case .http, .waiting: kill(slot, .outOfTime)
            case .unidentified, .entering, .chat, .echo: close(slot, options.stopCode, "server stopping")
            case .closing, .lingering: break
            }
            if connections[slot].pointee.isOpen {
                connections[slot].pointee.deadline = now + 2_000_000_000
                schedule(slot)
                updateInterest(slot)
            }
        }
    }

    // MARK: Taking down

    /// Marks a connection as gone; what it holds is given back at the end of the turn.
    mutating func kill(_ slot: UInt32, _ end: SessionEnd) {
        let connection = connections[slot]
        guard connection.pointee.isOpen else { return }
        connection.pointee.phase = .dead  // first: nothing is gathered for it any more
        endSession(slot, end)
        graveyard.append(slot)
    }

    /// Tells the core that the session is over and takes it out of its room.
    mutating func endSession(_ slot: UInt32, _ end: SessionEnd) {
        let connection = connections[slot]
        delivery.pointee.forget(slot)
        guard connection.pointee.sessionKnown else { return }
        connection.pointee.sessionKnown = false
        logEnd(slot, end)
        outgoing.append(.session(id(of: slot), .left))
    }

    private mutating func logEnd(_ slot: UInt32, _ end: SessionEnd) {
        guard let story = connections[slot].pointee.story else { return }
        connections[slot].pointee.story = nil
        guard log.writes(.info) else { return }
        var fields = [
            LogField("session", id(of: slot).description), LogField("user", story.user),
            LogField("client", story.client), LogField("after", Self.rounded(now - min(story.began, now))),
            LogField("by", end.side.rawValue), LogField("reason", end.reason),
        ]
        if let code = end.code { fields.append(LogField("code", code.rawValue)) }
        log.write(.info, "session closed", fields)
    }

    /// To milliseconds: more would be noise.
    private static func rounded(_ nanoseconds: UInt64) -> Duration { .milliseconds(nanoseconds / 1_000_000) }

    private mutating func bury() {
        guard !graveyard.isEmpty else { return }
        for slot in graveyard {
            let connection = connections[slot]
            Glibc.close(connection.pointee.descriptor)
            timers.cancel(slot)
            let generation = connection.pointee.generation
            connection.pointee = Connection()
            connection.pointee.generation = generation &+ 1
            freeSlots.append(slot)
            open -= 1
        }
        graveyard.removeAll(keepingCapacity: graveyard.count < 1_024)
        if !accepting, reading, acceptAgainAt != .max { resumeAccepting() }
    }

    func id(of slot: UInt32) -> SessionID {
        let connection = connections[slot]
        return SessionID(
            loop: options.index, slot: slot, generation: connection.pointee.generation,
            speaking: connection.pointee.speaks)
    }

    /// The slot of a session that is still there. A batch goes to several loops: most of its sessions are others'.
    func slot(of session: SessionID) -> UInt32? {
        guard session.loop == options.index, session.slot < connections.count else { return nil }
        let connection = connections[session.slot]
        return connection.pointee.generation == session.generation && connection.pointee.isOpen ? session.slot : nil
    }
}

/// What a loop has counted since it last published.
struct LoopCounts {
    var framesIn = 0
    var framesOut = 0
    var bytesIn = 0
    var bytesOut = 0
    private var connections = 0

    mutating func publish(to metrics: Metrics, loop: Int, connections open: Int) {
        if framesIn > 0 { metrics.framesIn.add(framesIn) }
        if framesOut > 0 { metrics.framesOut.add(framesOut) }
        if bytesIn > 0 { metrics.bytesIn.add(bytesIn) }
        if bytesOut > 0 { metrics.bytesOut.add(bytesOut) }
        if open != connections {
            metrics.connections.add(open - connections)
            metrics.loopConnections[loop].set(open)
        }
        self = LoopCounts()
        connections = open
    }
}
