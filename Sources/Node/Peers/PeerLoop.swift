import ConvergeGossip
import ConvergeTransport
import ConvergeWire
import Glibc

/// What the loop of the peer links is told once.
struct PeerLoopOptions: Sendable {
    /// Nil where peers talk without encryption: on this machine only.
    var tls: TLSContext?
    /// How long connecting and proving oneself may take, in nanoseconds each.
    var handshakeTimeout: UInt64 = 5_000_000_000
    /// The most connections of strangers that have not proved themselves.
    var pendingLimit = 32
    /// A peer that takes or answers nothing for so long is cut off.
    var silence: Duration = .seconds(10)
    /// How long what was said last may take to leave a link that the core has closed, in nanoseconds.
    var drainTimeout: UInt64 = 2_000_000_000
}

/// The sockets to the other nodes: one thread that dials, accepts, encrypts and carries bytes. What the bytes mean, whom to
/// dial and which link to keep is decided by the core; it hears of a link when both sides have proved that they know the
/// cluster's secret, so whoever does not costs it nothing.
///
/// Bounds: strangers by number and time, what waits to be sent by `LinkQueue`, what waits for the core by `PeerInflow`.
struct PeerLoop: ~Copyable {
    private static let listenerTag = UInt64.max
    private static let mailboxTag = UInt64.max - 1

    let options: PeerLoopOptions
    let listener: Int32
    let mailbox: Mailbox<PeerMessage>
    let core: Mailbox<CoreEvent>
    let inflow: PeerInflow
    let resolver: AddressResolver
    let counters: PeerCounters
    let poller: Poller
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 16)

    var links: [UInt64: PeerLink] = [:]
    /// How often an address refused the secret that was offered; the next time the other one is. What succeeds is kept.
    private var attempts: [Text: Int] = [:]
    /// Those that something was put into in this turn.
    private var dirty: [PeerLink] = []
    private var nextLink: UInt64 = 1
    private var events: [CoreEvent] = []
    private var complaints: Complaints
    private var now: UInt64
    /// Strangers that have not proved themselves.
    private var pending = 0
    /// Links that have a deadline.
    private var hurried = 0
    private var nextCheck: UInt64 = 0
    private var isAccepting = false
    private var acceptAgainAt: UInt64 = 0
    private var isReading = true
    private var finishBy: UInt64?

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
        now = SystemClock.monotonic()
    }

    deinit { buffer.deallocate() }

    /// The thread's body: ends after `finish`.
    mutating func run() throws(SystemError) {
        try poller.add(mailbox.descriptor, .read, tag: Self.mailboxTag)
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
    private mutating func post() {
        var bytes = 0
        for case .link(_, .received(let piece)) in events { bytes += piece.count }
        let isTooMuch = bytes > 0 && inflow.add(bytes)
        core.post(contentsOf: &events)
        guard isTooMuch else { return }
        counters.readPauses.add(1)
        read(isOn: false)
    }

    private mutating func read(isOn: Bool) {
        isReading = isOn
        for link in links.values where link.phase == .open { updateInterest(link) }
    }

    // MARK: What the core wants

    private mutating func handle(_ message: PeerMessage) {
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

    // MARK: Dialling

    private mutating func dial(_ address: Text) {
        guard finishBy == nil else { return }
        guard let target = ListenAddress(address.string), target.port > 0 else {
            fail(address, "it is no host:port")
            return
        }
        if let literal = SocketAddress.literal(host: target.host, port: target.port) {
            connect(address, [literal])
        } else {
            resolver.resolve(address, host: target.host, port: target.port)
        }
    }

    private mutating func connect(_ address: Text, _ candidates: ArraySlice<SocketAddress>) {
        guard finishBy == nil else { return }
        var rest = candidates.prefix(4)
        while let candidate = rest.popFirst() {
            guard options.tls != nil || candidate.isLoopback else {
                fail(address, "without a secret only this machine may be dialled")
                return
            }
            do throws(SystemError) {
                let descriptor = try StreamSocket.connect(to: candidate)
                let link = PeerLink(
                    id: takeID(), descriptor: descriptor, dialled: address, alternatives: rest, phase: .connecting,
                    deadline: now + options.handshakeTimeout)
                try poller.add(link.descriptor.raw, .write, tag: link.id.rawValue)
                link.interest = .write
                links[link.id.rawValue] = link
                hurried += 1
                return
            } catch {
                if rest.isEmpty { fail(address, "\(error)") }
            }
        }
        if candidates.isEmpty { fail(address, "the name has no address") }
    }

    private mutating func fail(_ address: Text, _ reason: String) {
        counters.dialsFailed.add(1)
        complaints.debug("a peer can't be reached", address: address.string, reason)
        events.append(.dialFailed(address))
    }

    private mutating func takeID() -> LinkID {
        defer { nextLink += 1 }
        return LinkID(rawValue: nextLink)
    }

    // MARK: Accepting

    private mutating func accept(isOn: Bool) {
        guard isOn != isAccepting else { return }
        do throws(SystemError) {
            if isOn { try poller.add(listener, .read, tag: Self.listenerTag) } else { try poller.remove(listener) }
            isAccepting = isOn
        } catch {
            complaints.write("peers can't be accepted", address: "", "\(error)", at: now)
            acceptAgainAt = now + 100_000_000
        }
    }

    private mutating func acceptWaiting() {
        for _ in 0..<16 {
            switch StreamSocket.accept(from: listener) {
            case .accepted(let raw): take(FileDescriptor(owning: raw))
            case .none: return
            case .exhausted(let error):
                complaints.write("accepting peers rests", address: "", "\(error)", at: now)
                accept(isOn: false)
                acceptAgainAt = now + 100_000_000
                return
            }
        }
    }

    private mutating func take(_ descriptor: consuming FileDescriptor) {
        if pending >= options.pendingLimit { refuseOldestStranger() }
        let link = PeerLink(
            id: takeID(), descriptor: descriptor, dialled: nil, alternatives: [], phase: .handshaking,
            deadline: now + options.handshakeTimeout)
        do throws(SystemError) {
            try poller.add(link.descriptor.raw, .read, tag: link.id.rawValue)
        } catch {
            complaints.write("a peer can't be accepted", address: "", "\(error)", at: now)
            return
        }
        link.interest = .read
        links[link.id.rawValue] = link
        hurried += 1
        pending += 1
        connected(link)
    }

    /// There are too many: whoever has had the longest time to prove itself goes. So strangers that just sit there do not
    /// keep out a peer, which needs some milliseconds.
    private mutating func refuseOldestStranger() {
        let strangers = links.values.filter { $0.phase == .handshaking && $0.dialled == nil }
        guard let oldest = strangers.min(by: { $0.id < $1.id }) else { return }
        counters.strangersRefused.add(1)
        complaints.write(
            "too many connections to the peers' port have not proved themselves: the oldest is closed",
            address: remote(oldest), at: now)
        bury(oldest)
    }

    /// TCP is there: now the secret, or at once the core.
    private mutating func connected(_ link: PeerLink) {
        StreamSocket.watch(link.descriptor.raw, timeout: options.silence, unsent: 128 << 10)
        guard let tls = options.tls else {
            opened(link)
            return
        }
        link.phase = .handshaking
        link.deadline = now + options.handshakeTimeout
        do throws(TLSError) {
            let attempt = link.dialled.flatMap { attempts[$0] } ?? 0
            let cipher = try LinkCipher(tls, isServer: link.dialled == nil, attempt: attempt)
            link.cipher = cipher
            try cipher.begin()
            dirty.append(link)
        } catch {
            refuse(link, error)
        }
    }

    private mutating func opened(_ link: PeerLink) {
        hurried -= 1
        if link.dialled == nil { pending -= 1 }
        link.phase = .open
        counters.links.add(1)
        updateInterest(link)
        events.append(.link(link.id, .opened(dialled: link.dialled)))
    }

    // MARK: Bytes

    private mutating func handle(_ event: Poller.Event, _ link: PeerLink) {
        if link.phase == .connecting {
            guard event.writable || event.hangup else { return }
            if let failure = StreamSocket.connectFailure(link.descriptor.raw) {
                notConnected(link, "\(failure)")
            } else {
                connected(link)
            }
            return
        }
        if event.readable || event.hangup { receive(link) }
        if event.writable, links[link.id.rawValue] != nil { flush(link) }
    }

    private mutating func receive(_ link: PeerLink) {
        switch StreamSocket.receive(link.descriptor.raw, into: buffer) {
        case .moved(let count):
            counters.bytesIn.add(count)
            take(UnsafeRawBufferPointer(rebasing: buffer[..<count]), link)
        case .wouldBlock: break
        case .closed: lose(link)
        }
    }

    private mutating func take(_ bytes: UnsafeRawBufferPointer, _ link: PeerLink) {
        guard let cipher = link.cipher else {
            if link.phase == .open { events.append(.link(link.id, .received(Array(bytes)))) }
            return
        }
        do throws(TLSError) {
            let isEstablished = try cipher.receive(bytes)
            if link.phase == .handshaking, isEstablished { opened(link) }
            dirty.append(link)  // it may have something to answer
            guard isEstablished else { return }
            // All has been taken out of the buffer: what was in it comes back decrypted.
            while true {
                let count = try cipher.decrypt(into: buffer)
                guard count > 0 else { return }
                if link.phase == .open { events.append(.link(link.id, .received(Array(buffer[..<count])))) }
            }
        } catch {
            refuse(link, error)
        }
    }

    private mutating func flush(_ link: PeerLink) {
        guard links[link.id.rawValue] != nil, link.phase != .connecting else { return }
        do throws(TLSError) {
            guard try link.flush(counters) else {
                lose(link)
                return
            }
        } catch {
            refuse(link, error)
            return
        }
        if link.phase == .draining, link.isIdle { bury(link) } else { updateInterest(link) }
    }

    private mutating func updateInterest(_ link: PeerLink) {
        var interest: Poller.Interest = []
        if isReading || link.phase != .open { interest.insert(.read) }
        if link.phase == .connecting || !link.isIdle { interest.insert(.write) }
        guard interest != link.interest else { return }
        do throws(SystemError) {
            try poller.modify(link.descriptor.raw, interest, tag: link.id.rawValue)
            link.interest = interest
        } catch {
            // Only a descriptor that is not there can fail here, and this one is the link's own.
            preconditionFailure("epoll lost a link: \(error)")
        }
    }

    // MARK: Ends

    /// The other side is gone.
    private mutating func lose(_ link: PeerLink) {
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
    private mutating func refuse(_ link: PeerLink, _ error: TLSError) {
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

    private mutating func notProved(_ address: Text) {
        // Seeds and members are bounded; what is left of old ones goes when there are too many.
        if attempts.count > 4_096 { attempts = [:] }
        attempts[address, default: 0] += 1
        events.append(.dialFailed(address))
    }

    private mutating func notConnected(_ link: PeerLink, _ reason: String) {
        let address = link.dialled ?? ""
        let rest = link.alternatives
        bury(link)
        if rest.isEmpty { fail(address, reason) } else { connect(address, rest) }
    }

    private mutating func bury(_ link: PeerLink) {
        guard links.removeValue(forKey: link.id.rawValue) != nil else { return }
        if link.phase == .open { counters.links.add(-1) } else { hurried -= 1 }
        if link.phase == .handshaking || link.phase == .connecting, link.dialled == nil { pending -= 1 }
        do throws(SystemError) {
            try poller.remove(link.descriptor.raw)
        } catch {
            preconditionFailure("epoll lost a link: \(error)")
        }
    }

    /// Looks for what takes too long.
    private mutating func check() {
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

    private func remote(_ link: PeerLink) -> String {
        link.dialled?.string ?? SocketAddress(remoteOf: link.descriptor.raw)?.host ?? "?"
    }
}
