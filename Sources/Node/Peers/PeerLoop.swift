import ConvergeGossip
import ConvergeTransport
import ConvergeWire
import Glibc

/// The sockets to the other nodes: one thread that dials, accepts, encrypts and carries bytes. What the bytes mean, whom to
/// dial and which link to keep is decided by the core; it hears of a link when both sides have proved that they know the
/// cluster's secret, so whoever does not costs it nothing.
///
/// Bounds: strangers by number and time, what waits to be sent by `LinkQueue`, what waits for the core by `PeerInflow`.
struct PeerLoop: ~Copyable {
    static let listenerTag = UInt64.max
    static let mailboxTag = UInt64.max - 1

    let options: PeerLoopOptions
    let listener: Int32
    let mailbox: Mailbox<PeerMessage>
    let core: Mailbox<CoreEvent>
    let inflow: PeerInflow
    let resolver: AddressResolver
    let counters: PeerCounters
    let poller: Poller
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 16)

    var links: [UInt64: PeerLink] = [:]
    /// How often an address refused the secret that was offered; the next time the other one is. What succeeds is kept.
    var attempts: [Text: Int] = [:]
    /// Those that something was put into in this turn.
    var dirty: [PeerLink] = []
    var nextLink: UInt64 = 1
    var events: [CoreEvent] = []
    var complaints: Complaints
    var now: UInt64
    /// Which strangers that have not proved themselves may be there.
    var gate: StrangerGate
    /// Links that have a deadline.
    var hurried = 0
    var nextCheck: UInt64 = 0
    var isAccepting = false
    var acceptAgainAt: UInt64 = 0
    var isReading = true
    var finishBy: UInt64?

    init(
        options: PeerLoopOptions, listener: Int32, mailbox: Mailbox<PeerMessage>, core: Mailbox<CoreEvent>,
        inflow: PeerInflow, resolver: AddressResolver, counters: PeerCounters, log: Logger, poller: consuming Poller
    ) {
        self.options = options
        self.listener = listener
        self.mailbox = mailbox
        self.core = core
        self.inflow = inflow
        self.resolver = resolver
        self.counters = counters
        self.poller = poller
        complaints = Complaints(log: log)
        gate = StrangerGate(limits: options.strangers)
        now = SystemClock.monotonic()
    }

    deinit { buffer.deallocate() }

    /// The thread's body: ends after `finish`.
    /// - Parameter started: called when nothing can throw any more.
    mutating func run(started: () -> Void) throws(SystemError) {
        try poller.add(mailbox.descriptor, .read, tag: Self.mailboxTag)
        started()
        accept(isOn: true)
        var messages: [PeerMessage] = []
        while true {
            let ready = poller.wait(timeout: hurried > 0 || finishBy != nil || !isAccepting ? 50 : 1_000)
            now = SystemClock.monotonic()
            for index in 0..<ready {
                let event = poller[index]
                switch event.tag {
                case Self.mailboxTag: break
                case Self.listenerTag: acceptWaiting()
                default: if let link = links[event.tag] { handle(event, link) }
                }
            }
            mailbox.drain(into: &messages)
            for message in messages { handle(message) }
            messages.removeAll(keepingCapacity: messages.count < 4_096)
            for link in exchange(&dirty, for: []) { flush(link) }
            if now >= nextCheck { check() }
            post()
            if let finishBy, links.isEmpty || now >= finishBy { break }
        }
        resolver.finish()
    }

    /// Tells the core what came in this turn, and rests if it has fallen behind.
    mutating func post() {
        var bytes = 0
        for case .link(_, .received(let piece)) in events { bytes += piece.count }
        let isTooMuch = bytes > 0 && inflow.add(bytes)
        core.post(contentsOf: &events)
        guard isTooMuch else { return }
        counters.readPauses.add(1)
        read(isOn: false)
    }

    mutating func read(isOn: Bool) {
        isReading = isOn
        for link in links.values where link.phase == .open { updateInterest(link) }
    }

    // MARK: What the core wants

    mutating func handle(_ message: PeerMessage) {
        switch message {
        case .dial(let address): dial(address)
        case .resolved(let address, .success(let found)): connect(address, found[...])
        case .resolved(let address, .failure(let error)):
            fail(address, "the name can't be resolved: \(error.reason)")
        case .send(let id, let frame, let isBulk):
            guard let link = links[id.rawValue], link.phase == .open else { return }
            let isFirst = link.queue.isEmpty
            guard link.queue.append(frame, bulk: isBulk) else {
                counters.overflows.add(1)
                complaints.write("a peer takes too little and is cut off", address: remote(link), at: now)
                lose(link)
                return
            }
            if isFirst { dirty.append(link) }
        case .close(let id):
            guard let link = links[id.rawValue], link.phase == .open else { return }
            link.phase = .draining
            link.deadline = now + options.drainTimeout
            hurried += 1
            counters.links.add(-1)
            dirty.append(link)
        case .readOn:
            read(isOn: true)
        case .finish:
            accept(isOn: false)
            finishBy = now + options.drainTimeout
            for link in Array(links.values) where link.phase == .connecting || link.phase == .handshaking { bury(link) }
        }
    }

    // MARK: Ends

    /// The other side is gone.
    mutating func lose(_ link: PeerLink) {
        switch link.phase {
        case .connecting:
            notConnected(link, "it ended")
            return
        case .handshaking:
            // Whoever offers another secret sees the handshake fail, and so does this side; a port scanner just leaves.
            counters.handshakesFailed.add(1)
            complaints.write("a peer left before it had proved itself", address: remote(link), at: now)
            if let dialled = link.dialled { notProved(dialled) }
        case .open:
            events.append(.link(link.id, .closed))
        case .draining: break
        }
        bury(link)
    }

    /// What came is no TLS of one who knows the secret.
    mutating func refuse(_ link: PeerLink, _ error: TLSError) {
        guard links[link.id.rawValue] != nil else { return }
        if link.phase == .handshaking {
            counters.handshakesFailed.add(1)
            complaints.write("a peer could not prove itself", address: remote(link), error.description, at: now)
            if let dialled = link.dialled { notProved(dialled) }
            // The alert, if there is one, tells the other side why.
            if let cipher = link.cipher {
                var alert: [UInt8] = []
                cipher.takeOutput(into: &alert)
                if !alert.isEmpty { _ = alert.withUnsafeBytes { StreamSocket.send(link.descriptor.raw, $0) } }
            }
        } else if link.phase == .open {
            events.append(.link(link.id, .closed))
        }
        bury(link)
    }

    mutating func notProved(_ address: Text) {
        // Seeds and members are bounded; what is left of old ones goes when there are too many.
        if attempts.count > 4_096 { attempts = [:] }
        attempts[address, default: 0] += 1
        events.append(.dialFailed(address))
    }

    mutating func notConnected(_ link: PeerLink, _ reason: String) {
        let address = link.dialled ?? ""
        let rest = link.alternatives
        bury(link)
        if rest.isEmpty { fail(address, reason) } else { connect(address, rest) }
    }

    mutating func bury(_ link: PeerLink) {
        guard links.removeValue(forKey: link.id.rawValue) != nil else { return }
        if link.phase == .open { counters.links.add(-1) } else { hurried -= 1 }
        if link.dialled == nil { gate.leave(link.id) }
        do throws(SystemError) {
            try poller.remove(link.descriptor.raw)
        } catch {
            preconditionFailure("epoll lost a link: \(error)")
        }
    }

    /// Looks for what takes too long.
    mutating func check() {
        nextCheck = now + 50_000_000
        if !isAccepting, finishBy == nil, now >= acceptAgainAt { accept(isOn: true) }
        guard hurried > 0 else { return }
        for id in links.keys.sorted() {
            guard let link = links[id], link.phase != .open, now >= link.deadline else { continue }
            switch link.phase {
            case .connecting: notConnected(link, "nobody answers")
            case .handshaking:
                counters.strangersRefused.add(1)
                complaints.write("a peer took too long to prove itself", address: remote(link), at: now)
                if let dialled = link.dialled { events.append(.dialFailed(dialled)) }
                bury(link)
            case .draining, .open: bury(link)
            }
        }
    }

    func remote(_ link: PeerLink) -> String {
        link.dialled?.string ?? SocketAddress(remoteOf: link.descriptor.raw)?.host ?? "?"
    }
}
