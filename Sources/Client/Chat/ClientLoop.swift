import ConvergeTransport
import ConvergeWire

/// One followed room in the client's thread: its core and the connection that it has just now.
final class LoopRoom {
    let desk: RoomDesk
    var core: FollowedRoom
    /// What is to be said first on the connection that is being made.
    var handshake: ClientHandshake?
    var connection: ChatConnection?
    /// What happened in this turn.
    var events: [RoomEvent] = []
    var isPaused = false
    /// Where in `Readiness` its socket is; nil where it has none.
    var place: Int?
    /// How many look at each document.
    var lookers: [DocumentKey: Int] = [:]

    init(desk: RoomDesk, core: FollowedRoom) {
        self.desk = desk
        self.core = core
    }

    /// Ends the connection.
    func hangUp() {
        handshake = nil
        connection?.hangUp()
        connection = nil
    }
}

/// Where tokens come from.
enum TokenSource: Sendable {
    /// Nil: the servers want none.
    case fixed(String?)
    case asked(@Sendable () async throws -> String?)
}

/// The client's thread: it reads, writes, waits and asks the clocks; what to do is decided by the rooms' cores.
///
/// Invariants: nothing in it blocks but the one wait (resolving, connecting and shaking hands are done by threads of
/// their own, at most `connectors` at once); where a listener's queue is full, the sockets that feed it are not read; the
/// events of a room are handed out in order.
final class ClientLoop {
    private enum Reply {
        case answer(Promise<RoomAnswer, RequestFailure>)
        case write(SendTracker)
    }

    private static let connectors = 4

    private let hub: ClientHub
    private let urls: [ServerURL]
    private let tokenSource: TokenSource
    private let outboxFile: OutboxFile?
    private var rooms: [LoopRoom] = []
    private var outbox: Outbox
    private var tokens = TokenHolder()
    private var trackers: [String: SendTracker] = [:]
    private var replies: [Int: Reply] = [:]
    private var nextReply = 0
    private var connects: [(room: Int, number: Int, server: Int)] = []
    private var connecting = 0
    private var events: [ClientEvent] = []
    /// Keys of messages that need not be kept any longer.
    private var finished: [String] = []
    private var isFileFailing = false
    private var readiness = Readiness()
    private var generator: SeededGenerator
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
        generator = SeededGenerator(seed: SecureRandom.word())
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
            for room in rooms {
                if room.isPaused { room.core.paused(at: now) }
                step(room, at: now) { room, effects in room.core.tick(at: now, &outbox, into: &effects) }
            }
            startConnecting()
            for room in rooms where !(room.connection?.flush() ?? true) { broken(room, buffer, at: now) }
            handOut()
            if isClosing { return finish() }
            wait(at: now)
            let later = SystemClock.monotonic()
            for room in rooms {
                guard let place = room.place, !room.isPaused else { continue }
                if readiness.isReadable(place) || room.connection?.mayHaveMore ?? false {
                    receive(room, buffer, at: later)
                }
            }
        }
    }

    private func wait(at now: UInt64) {
        let isFull = hub.events.isFull
        var wait = UInt64.max
        readiness.clear()
        let waker = readiness.add(hub.wakeUp.descriptor, reads: true, writes: false)
        for room in rooms {
            room.isPaused = isFull || room.desk.isFull
            let tick = room.core.nextTick(outbox)
            if tick < .max { wait = min(wait, tick > now ? tick - now : 0) }
            room.place = nil
            guard let descriptor = room.connection?.descriptor else { continue }
            let writes = room.connection?.wantsWrite ?? false
            room.place = readiness.add(descriptor, reads: !room.isPaused, writes: writes)
            if !room.isPaused, room.connection?.mayHaveMore ?? false { wait = 0 }
        }
        readiness.wait(nanoseconds: wait)
        if readiness.isReadable(waker) { hub.wakeUp.silence() }
    }

    // MARK: Messages

    private func room(_ id: Int) -> LoopRoom? { rooms.first { $0.desk.id == id } }

    private func handle(_ message: LoopMessage, at now: UInt64) {
        switch message {
        case .join(let desk): join(desk, at: now)
        case .leave(let id):
            guard let room = room(id) else { return }
            step(room, at: now) { room, effects in room.core.leave(at: now, &outbox, into: &effects) }
        case .reconnect(let id):
            guard let room = room(id) else { return }
            step(room, at: now) { room, effects in room.core.reconnect(at: now, &outbox, into: &effects) }
        case .send(let message, let tracker):
            outbox.restore(message)
            trackers[message.key] = tracker
            guard let room = rooms.first(where: { $0.desk.name == message.room }) else { return }
            tell(room, .sending(key: message.key, .queued))
            step(room, at: now) { room, effects in room.core.pump(at: now, &outbox, into: &effects) }
        case .ask(let request, let id, let promise):
            let asked = id.map { room($0) } ?? rooms.first { $0.core.isLive }
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
            step(room, at: now) { room, effects in room.core.follow(key, into: &effects) }
        case .unfollow(let id, let key):
            guard let room = room(id), let count = room.lookers[key] else { return }
            room.lookers[key] = count > 1 ? count - 1 : nil
            if count == 1 { room.core.unfollow(key) }
        case .unsent(let promise):
            promise.resolve(.success(outbox.rooms.flatMap { outbox.messages(in: $0) }))
        case .token(let token, let failed): take(token, failed: failed, at: now)
        case .connected(let id, let number, let box): connected(id, number, box, at: now)
        case .connectFailed(let id, let number, let reason):
            connecting -= 1
            guard let room = room(id) else { return }
            step(room, at: now) { room, effects in
                room.core.connectFailed(number, reason, at: now, into: &effects)
            }
        case .close(let promise):
            closing.append(promise)
            isClosing = true
        }
    }

    private func join(_ desk: RoomDesk, at now: UInt64) {
        var options = FollowedRoom.Options()
        options.reconnect = hub.options.reconnect
        options.session = hub.options.session
        // Rooms begin with the same server: a client's sessions are on one node as long as that is there.
        let core = FollowedRoom(
            room: desk.name, urls: urls, options: options, generator: SeededGenerator(seed: generator.next()))
        let room = LoopRoom(desk: desk, core: core)
        rooms.append(room)
        for message in outbox.messages(in: desk.name) { tell(room, .sending(key: message.key, .queued)) }
        step(room, at: now) { room, effects in room.core.start(at: now, into: &effects) }
    }

    private func ask(_ room: LoopRoom, _ request: RoomRequest, _ reply: Reply, at now: UInt64) {
        nextReply += 1
        replies[nextReply] = reply
        step(room, at: now) { room, effects in
            room.core.request(nextReply, request, outbox, into: &effects)
        }
    }

    // MARK: Connections

    private func take(_ token: String?, failed: Bool, at now: UInt64) {
        let waiting = failed ? tokens.failed() : tokens.came(token)
        for id in waiting {
            guard let room = room(id) else { continue }
            step(room, at: now) { room, effects in
                if failed {
                    // Not its own words: somebody may have put the token into them.
                    room.core.tokenFailed("the token could not be had", at: now, into: &effects)
                } else {
                    room.core.take(token: tokens.number, at: now, into: &effects)
                }
            }
        }
    }

    private func wantToken(_ room: LoopRoom, refused: Int?, at now: UInt64) {
        let seconds = Double(SystemClock.wallMilliseconds()) / 1_000
        let (isThere, mustAsk) = tokens.want(for: room.desk.id, refused: refused, at: seconds)
        if isThere {
            step(room, at: now) { room, effects in
                room.core.take(token: tokens.number, at: now, into: &effects)
            }
        } else if mustAsk {
            switch tokenSource {
            case .fixed(let token): hub.post(.token(token, failed: false))
            case .asked(let ask):
                // Every room waits for it.
                Task(priority: .high) { [hub] in
                    do {
                        hub.post(.token(try await ask(), failed: false))
                    } catch {
                        hub.post(.token(nil, failed: true))
                    }
                }
            }
        }
    }

    private func connect(_ room: LoopRoom, _ number: Int, _ server: Int, _ cursor: String?, at now: UInt64) {
        let key = Base64.encode(SecureRandom.bytes(16))
        var sha1 = Digester.sha1()
        let accept = Base64.encode(
            (key + Array(UpgradeRequest.acceptSuffix.description.utf8)).withUnsafeBytes { sha1.hash($0) })
        guard
            let handshake = ClientHandshake(
                url: urls[server], room: room.desk.name, cursor: cursor, token: tokens.token, key: key, accept: accept)
        else {
            step(room, at: now) { room, effects in
                room.core.connectFailed(
                    number, "the token has characters that no token has", at: now, into: &effects)
            }
            return
        }
        room.handshake = handshake
        connects.append((room.desk.id, number, server))
    }

    /// Starts as many of the waiting connections as may be made at once.
    private func startConnecting() {
        while connecting < Self.connectors, !connects.isEmpty {
            let (id, number, server) = connects.removeFirst()
            guard let room = room(id), room.core.number == number else { continue }
            connecting += 1
            let (url, options) = (urls[server], hub.options)
            do throws(SystemError) {
                let thread = try WorkerThread(name: "chat-connect") { [hub] in
                    do throws(ServerLink.Failure) {
                        let link = try ServerLink.connect(
                            to: url, authorityFile: options.authorityFile, timeout: options.connectTimeout)
                        hub.post(.connected(room: id, number: number, LinkBox(link)))
                    } catch {
                        hub.post(.connectFailed(room: id, number: number, reason: error.message))
                    }
                }
                thread.detach()
            } catch {
                hub.post(.connectFailed(room: id, number: number, reason: error.description))
            }
        }
    }

    private func connected(_ id: Int, _ number: Int, _ box: LinkBox, at now: UInt64) {
        connecting -= 1
        guard let room = room(id), room.core.connected(number, at: now), let handshake = room.handshake else { return }
        room.handshake = nil
        guard let link = box.take() else { return }
        room.connection = ChatConnection(ConnectionMachine(handshake: handshake), over: link)
    }

    private func receive(_ room: LoopRoom, _ buffer: UnsafeMutableRawBufferPointer, at now: UInt64) {
        let number = room.core.number
        guard let happened = room.connection?.receive(buffer) ?? nil else { return }
        room.core.heard(at: now)
        step(room, at: now) { room, effects in
            for event in happened { room.core.handle(event, of: number, at: now, &outbox, into: &effects) }
        }
    }

    /// The socket takes nothing any more: what it still has to say comes first.
    private func broken(_ room: LoopRoom, _ buffer: UnsafeMutableRawBufferPointer, at now: UInt64) {
        let number = room.core.number
        for _ in 0..<16 where room.core.number == number { receive(room, buffer, at: now) }
        guard room.core.number == number, let happened = room.connection?.endOfStream() else { return }
        step(room, at: now) { room, effects in
            for event in happened { room.core.handle(event, of: number, at: now, &outbox, into: &effects) }
        }
    }

    // MARK: Effects

    private func step(_ room: LoopRoom, at now: UInt64, _ body: (LoopRoom, inout [FollowedRoom.Effect]) -> Void) {
        var effects: [FollowedRoom.Effect] = []
        body(room, &effects)
        for effect in effects { carryOut(effect, room, at: now) }
    }

    private func carryOut(_ effect: FollowedRoom.Effect, _ room: LoopRoom, at now: UInt64) {
        switch effect {
        case .wantToken(let refused): wantToken(room, refused: refused, at: now)
        case .connect(let number, let server, let cursor): connect(room, number, server, cursor, at: now)
        case .send(let command): room.connection?.send(command)
        case .ping(let number): room.connection?.ping(number)
        case .close: room.hangUp()
        case .event(let event): tell(room, event)
        case .answer(let id, let answer): reply(id, .success(answer))
        case .failed(let id, let failure): reply(id, .failure(failure))
        case .sending(let key, let state): sending(key, state)
        case .document(let key, let content): room.desk.put(key, content)
        case .end: end(room)
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
    private func end(_ room: LoopRoom) {
        // Its messages stay, for when it is joined again; whoever waits for them waits for nothing now.
        for message in outbox.messages(in: room.desk.name) { trackers.removeValue(forKey: message.key)?.fail(.closed) }
        rooms.removeAll { $0 === room }
        hub.forget(room.desk)
        room.desk.put(room.events)
        room.events = []
        room.desk.end()
    }

    private func handOut() {
        hub.events.put(events)
        events.removeAll(keepingCapacity: true)
        for room in rooms {
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
            for room in rooms {
                tell(room, .complaint("stored messages can't be taken out of the outbox's file: \(error.reason)"))
            }
        }
    }

    // MARK: The end

    private func finish() {
        let now = SystemClock.monotonic()
        for room in rooms {
            step(room, at: now) { room, effects in room.core.leave(at: now, &outbox, into: &effects) }
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
