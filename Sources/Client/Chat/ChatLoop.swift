import ConvergeTransport
import ConvergeWire

/// Where tokens come from.
enum TokenSource: Sendable {
    /// Nil: the servers want none.
    case fixed(String?)
    case asked(@Sendable () async throws -> String?)
}

/// The client's thread: it reads, writes, waits and asks the clocks; what to do is decided by `RoomLinks` and what it has.
///
/// Invariants: nothing in it blocks but the one wait (resolving, connecting and shaking hands are done by threads of
/// their own, at most `connectors` at once); where a listener's queue is full, the sockets that feed it are not read; the
/// events of a room are handed out in order. Connecting and reading are in `ChatLoop+Connections.swift`.
final class ChatLoop {
    private enum Reply {
        case answer(Promise<RoomAnswer, RequestFailure>)
        case write(SendTracker)
    }

    static let connectors = 4

    let hub: ClientHub
    let urls: [ServerURL]
    let tokenSource: TokenSource
    private let outboxFile: OutboxFile?
    var links: RoomLinks
    /// The connections, by the links that they are of.
    var connections: [Int: LoopLink] = [:]
    private var rooms: [String: LoopRoom] = [:]
    var outbox: Outbox
    var tokens = TokenHolder()
    private var trackers: [String: SendTracker] = [:]
    private var replies: [Int: Reply] = [:]
    private var nextReply = 0
    var connects: [(link: Int, number: Int, server: Int)] = []
    var connecting = 0
    private var events: [ClientEvent] = []
    /// Keys of messages that need not be kept any longer.
    private var finished: [String] = []
    private var isFileFailing = false
    private var readiness = Readiness()
    private var closing: [Promise<Void, RequestFailure>] = []
    private var isClosing = false

    init(
        hub: ClientHub, urls: [ServerURL], token: TokenSource,
        outboxFile: OutboxFile?, waiting: [UnsentMessage]
    ) {
        self.hub = hub
        self.urls = urls
        tokenSource = token
        self.outboxFile = outboxFile
        var generator = SeededGenerator(seed: SecureRandom.word())
        var linkOptions = RoomLink.Options()
        linkOptions.reconnect = hub.options.reconnect
        linkOptions.session = hub.options.session
        links = RoomLinks(urls: urls, options: linkOptions, generator: SeededGenerator(seed: generator.next()))
        var options = hub.options.outbox
        // Counted already where they are sent.
        options.limit = .max
        outbox = Outbox(options: options, generator: SeededGenerator(seed: generator.next()))
        for message in waiting { outbox.restore(message) }
    }

    func run() {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 16)
        defer { buffer.deallocate() }
        while true {
            let now = SystemClock.monotonic()
            for message in hub.take() { handle(message, at: now) }
            for (id, connection) in connections where connection.isPaused {
                step(id, at: now) { link, _, _ in link.paused(at: now) }
            }
            act(at: now) { links, outbox, effects in links.tick(at: now, &outbox, into: &effects) }
            startConnecting()
            flush(buffer, at: now)
            handOut()
            if isClosing { return finish() }
            wait(at: now)
            let later = SystemClock.monotonic()
            for link in connections.values {
                guard let place = link.place, !link.isPaused else { continue }
                if readiness.isReadable(place) || link.connection?.mayHaveMore ?? false {
                    receive(link, buffer, at: later)
                }
            }
        }
    }

    private func wait(at now: UInt64) {
        let isFull = hub.events.isFull
        let tick = links.nextTick(outbox)
        var wait = tick == .max ? UInt64.max : tick > now ? tick - now : 0
        readiness.clear()
        let waker = readiness.add(hub.wakeUp.descriptor, reads: true, writes: false)
        let heldUp = Set(rooms.values.filter { $0.desk.isFull }.compactMap { links.home(of: $0.desk.name) })
        for link in connections.values {
            link.place = nil
            guard let descriptor = link.connection?.descriptor else { continue }
            link.isPaused = isFull || heldUp.contains(link.id)
            let writes = link.connection?.wantsWrite ?? false
            link.place = readiness.add(descriptor, reads: !link.isPaused, writes: writes)
            if !link.isPaused, link.connection?.mayHaveMore ?? false { wait = 0 }
        }
        readiness.wait(nanoseconds: wait)
        if readiness.isReadable(waker) { hub.wakeUp.silence() }
    }

    // MARK: Messages

    private func room(_ id: Int) -> LoopRoom? { rooms.values.first { $0.desk.id == id } }

    private func handle(_ message: LoopMessage, at now: UInt64) {
        switch message {
        case .join(let desk): join(desk, at: now)
        case .leave(let id):
            guard let name = room(id)?.desk.name else { return }
            act(at: now) { links, outbox, effects in links.leave(name, at: now, &outbox, into: &effects) }
        case .reconnect(let id):
            step(room(id), at: now) { link, room, outbox, effects in
                link.reconnect(room, at: now, &outbox, into: &effects)
            }
        case .send(let message, let tracker):
            outbox.restore(message)
            trackers[message.key] = tracker
            guard let room = rooms[message.room] else { return }
            tell(room, .sending(key: message.key, .queued))
            step(room, at: now) { link, room, outbox, effects in
                link.pump(room, at: now, &outbox, into: &effects)
            }
        case .ask(let request, let id, let promise):
            let asked = id.map { room($0) } ?? links.liveRoom.flatMap { rooms[$0] }
            guard let asked else { return promise.resolve(.failure(id == nil ? .notConnected : .closed)) }
            ask(asked, request, .answer(promise), at: now)
        case .write(let request, let id, let tracker):
            guard let room = room(id) else { return tracker.fail(.closed) }
            tracker.tell(.sent)
            ask(room, request, .write(tracker), at: now)
        case .follow(let id, let key):
            guard let room = room(id) else { return }
            room.lookers[key, default: 0] += 1
            guard room.lookers[key] == 1 else { return }
            step(room, at: now) { link, room, outbox, effects in
                link.follow(key, in: room, at: now, &outbox, into: &effects)
            }
        case .unfollow(let id, let key):
            guard let room = room(id), let count = room.lookers[key] else { return }
            room.lookers[key] = count > 1 ? count - 1 : nil
            guard count == 1 else { return }
            step(room, at: now) { link, room, _, _ in link.unfollow(key, in: room) }
        case .unsent(let promise):
            promise.resolve(.success(outbox.rooms.flatMap { outbox.messages(in: $0) }))
        case .token(let token, let failed): take(token, failed: failed, at: now)
        case .connected(let id, let number, let box): connected(id, number, box, at: now)
        case .connectFailed(let id, let number, let reason):
            connecting -= 1
            step(id, at: now) { link, _, effects in link.connectFailed(number, reason, at: now, into: &effects) }
        case .close(let promise):
            closing.append(promise)
            isClosing = true
        }
    }

    private func join(_ desk: RoomDesk, at now: UInt64) {
        let room = LoopRoom(desk: desk)
        rooms[desk.name] = room
        for message in outbox.messages(in: desk.name) { tell(room, .sending(key: message.key, .queued)) }
        act(at: now) { links, outbox, effects in links.join(desk.name, at: now, &outbox, into: &effects) }
    }

    private func ask(_ room: LoopRoom, _ request: RoomRequest, _ reply: Reply, at now: UInt64) {
        nextReply += 1
        replies[nextReply] = reply
        let id = nextReply
        step(room, at: now) { link, room, outbox, effects in
            link.request(id, request, in: room, at: now, &outbox, into: &effects)
        }
    }

    // MARK: Effects

    /// Lets the links do something, and does what they want.
    private func act(at now: UInt64, _ body: (inout RoomLinks, inout Outbox, inout [RoomLinks.Effect]) -> Void) {
        var effects: [RoomLinks.Effect] = []
        body(&links, &outbox, &effects)
        for effect in effects { carryOut(effect.effect, of: effect.link, at: now) }
    }

    /// Lets one link do something.
    func step(_ id: Int, at now: UInt64, _ body: (inout RoomLink, inout Outbox, inout [RoomLink.Effect]) -> Void) {
        act(at: now) { links, outbox, effects in links.step(id, at: now, &outbox, into: &effects, body) }
    }

    /// Lets the link that a room is on do something for it.
    private func step(
        _ room: LoopRoom?, at now: UInt64,
        _ body: (inout RoomLink, String, inout Outbox, inout [RoomLink.Effect]) -> Void
    ) {
        guard let name = room?.desk.name, let id = links.home(of: name) else { return }
        step(id, at: now) { link, outbox, effects in body(&link, name, &outbox, &effects) }
    }

    private func carryOut(_ effect: RoomLink.Effect, of id: Int, at now: UInt64) {
        switch effect {
        case .wantToken(let refused): wantToken(id, refused: refused, at: now)
        case .connect(let number, let server, let room, let cursor):
            connect(id, number, server, room, cursor, at: now)
        case .send(let command): connections[id]?.connection?.send(command)
        case .ping(let number): connections[id]?.connection?.ping(number)
        case .close: connections.removeValue(forKey: id)?.hangUp()
        case .event(let event, let room): if let room = rooms[room] { tell(room, event) }
        case .answer(let id, let answer): reply(id, .success(answer))
        case .failed(let id, let failure): reply(id, .failure(failure))
        case .sending(let key, let state): sending(key, state)
        case .document(let key, let content, let room): rooms[room]?.desk.put(key, content)
        case .end(_, let room): end(room)
        }
    }

    private func tell(_ room: LoopRoom, _ event: RoomEvent) {
        room.events.append(event)
        events.append(ClientEvent(room: room.desk.name, event: event))
    }

    private func sending(_ key: String, _ state: SendState) {
        if state.isFinal {
            finished.append(key)
            hub.unsent.subtract(1, ordering: .relaxed)
            trackers.removeValue(forKey: key)?.tell(state)
        } else {
            trackers[key]?.tell(state)
        }
    }

    private func reply(_ id: Int, _ result: Result<RoomAnswer, RequestFailure>) {
        switch (replies.removeValue(forKey: id), result) {
        case (.answer(let promise), _): promise.resolve(result)
        case (.write(let tracker), .success(.stored(let receipt))): tracker.tell(.stored(receipt))
        case (.write(let tracker), .failure(.refused(let reason))): tracker.tell(.refused(reason))
        case (.write(let tracker), .failure(.notConnected)), (.write(let tracker), .failure(.tooMany)):
            tracker.fail(.notConnected)
        case (.write(let tracker), .failure(.closed)): tracker.fail(.closed)
        case (.write(let tracker), _): tracker.fail(.connectionLost)
        case (nil, _): break
        }
    }

    /// The room is over: nothing happens in it any more.
    private func end(_ name: String) {
        guard let room = rooms.removeValue(forKey: name) else { return }
        // Its messages stay, for when it is joined again; whoever waits for them waits for nothing now.
        for message in outbox.messages(in: room.desk.name) { trackers.removeValue(forKey: message.key)?.fail(.closed) }
        hub.forget(room.desk)
        room.desk.put(room.events)
        room.events = []
        room.desk.end()
    }

    private func handOut() {
        hub.events.put(events)
        events.removeAll(keepingCapacity: true)
        for room in rooms.values {
            room.desk.put(room.events)
            room.events.removeAll(keepingCapacity: true)
        }
        forgetFinished()
    }

    /// What can't be taken out of the file is tried again, no more than the file has; each room is told once. In a next life
    /// it would be sent again, and its key would be known.
    private func forgetFinished() {
        do throws(OutboxFile.Failure) {
            try outboxFile?.remove(finished)
            finished.removeAll(keepingCapacity: true)
            isFileFailing = false
        } catch {
            guard !isFileFailing else { return }
            isFileFailing = true
            for room in rooms.values {
                tell(room, .complaint("stored messages can't be taken out of the outbox's file: \(error.reason)"))
            }
        }
    }

    // MARK: The end

    private func finish() {
        let now = SystemClock.monotonic()
        for name in rooms.keys {
            act(at: now) { links, outbox, effects in links.leave(name, at: now, &outbox, into: &effects) }
        }
        handOut()
        for message in hub.close() {
            switch message {
            case .send(_, let tracker), .write(_, _, let tracker): tracker.fail(.closed)
            case .ask(_, _, let promise): promise.resolve(.failure(.closed))
            case .unsent(let promise): promise.resolve(.failure(.closed))
            case .join(let desk): desk.end()
            case .close(let promise): closing.append(promise)
            case .leave, .reconnect, .follow, .unfollow, .token, .connected, .connectFailed: break
            }
        }
        for tracker in trackers.values { tracker.fail(.closed) }
        for id in replies.keys { reply(id, .failure(.closed)) }
        hub.events.end()
        outboxFile?.release()
        for promise in closing { promise.resolve(.success(())) }
    }
}
