import ConvergeCRDT
import ConvergeGossip
import ConvergeStorage
import ConvergeWire

/// What clients ask of a core: messages, rooms, users, history, documents.
extension NodeCore {
    mutating func handle(
        _ command: ClientCommand, ref: Text?, from id: SessionID, _ session: Session, at now: UInt64,
        into effects: inout [CoreEffect]
    ) {
        switch command {
        case .message(let message):
            send(message, ref: ref, from: id, at: now, into: &effects)
        case .join(let room):
            join(room, ref: ref, id, at: now, into: &effects)
        case .leave:
            inOrder(for: id) { frames, _ in frames.append(to: .leave(id)) }
        case .rooms(let asked): replyRooms(asked, ref: ref, to: id, at: now)
        case .users(let asked): replyUsers(asked, session, ref: ref, to: id, at: now)
        case .history(let room, let limit, let before):
            // Clients in the wild send 0 for "as usual".
            let asked = limit.flatMap { $0 > 0 ? $0 : nil } ?? Self.usualHistory
            let limit = min(asked, options.historyLimit)
            guard histories[id, default: 0] < Self.historiesAtOnce else {
                refuse(.busy, id, ref: ref, at: now)
                return
            }
            histories[id, default: 0] += 1
            let page = HistoryReader(
                session: id, ref: ref, room: roomName(room, session), before: before, limit: limit,
                position: position)
            effects.append(.read(.history(page)))
        case .resume(let room, let cursor):
            resume(room, cursor, ref: ref, id, at: now, into: &effects)
        case .write(let write): self.write(write, ref: ref, from: id, session, at: now)
        case .read(let asked):
            let document = DocumentID(room: roomName(asked.room, session), kind: asked.kind, name: asked.doc)
            read(.value(document, asked.page), ref: ref, for: id, at: now)
        case .documents(let room): read(.list(room: roomName(room, session)), ref: ref, for: id, at: now)
        case .subscribe(let command): subscribe(command, ref: ref, id, at: now, into: &effects)
        case .unsubscribe(let room): unsubscribe(room, ref: ref, id, at: now, into: &effects)
        }
    }

    /// The room that a command means: the one that it names, or the one that a session of the first generation is in. Who
    /// speaks the second always names one (`SessionMachine`).
    func roomName(_ named: Text?, _ session: Session) -> Text { named ?? rooms.name(of: session.rooms.current) }

    /// The entries of a history reply where the client names no number.
    private static var usualHistory: Int { 50 }

    /// How many histories one session may have asked for at a time: a reply is hundreds of times as long as its request,
    /// and whoever asks without reading must neither fill the memory nor keep the readers from others.
    private static var historiesAtOnce: Int { 32 }

    mutating func historyAnswered(_ id: SessionID) {
        guard let asked = histories[id] else { return }
        histories[id] = asked > 1 ? asked - 1 : nil
    }

    /// A client asks for what it missed: its loop sees to that, from the point on where the session is in the room.
    private mutating func resume(
        _ room: Text?, _ cursor: ClientCursor, ref: Text?, _ id: SessionID, at now: UInt64,
        into effects: inout [CoreEffect]
    ) {
        if queuedCommands >= options.saveBuffer {
            refuse(.busy, id, ref: ref, at: now)
            return
        }
        if let room { move(id, to: room, at: now, into: &effects) }
        guard let session = sessions[id] else { return }
        let request = ResumeRequest(room: session.rooms.current, cursor: cursor, ref: ref)
        inOrder(for: id) { frames, _ in frames.append(to: .resume(id, request)) }
        // What waits behind a batch is bounded like the commands in it.
        pipeline.countWaiting()
    }

    private mutating func replyRooms(_ asked: RoomsCommand, ref: Text?, to id: SessionID, at now: UInt64) {
        var all = presence.rooms()
        var next: Text?
        if id.speaks == .second {
            let prefix = asked.prefix?.string ?? ""
            (all, next) = Self.page(
                all.filter { $0.string.utf8.starts(with: prefix.utf8) }, after: asked.after, limit: asked.limit
            ) { $0 }
        }
        let stamp = stamp(at: now)
        ready.append(to: .session(id)) { encoders[id].rooms(stamp, rooms: all, next: next, ref: ref, to: &$0) }
    }

    private mutating func replyUsers(
        _ asked: UsersCommand, _ session: Session, ref: Text?, to id: SessionID, at now: UInt64
    ) {
        let room = roomName(asked.room, session)
        let limit = id.speaks == .first ? asked.limit.map { max(0, $0) } : nil
        var (count, shown) = presence.occupants(of: room, limit: limit)
        var next: Text?
        if id.speaks == .second {
            (shown, next) = Self.page(shown, after: asked.after, limit: asked.limit, \.user)
        }
        // Until the store is open for the first time this node has no name, and is not among the nodes.
        let members = shown.map {
            MemberSummary(
                user: $0.user, displayName: $0.displayName, sessions: $0.sessions, nodes: $0.nodes)
        }
        let stamp = stamp(at: now)
        ready.append(to: .session(id)) {
            encoders[id].users(
                stamp, room: room, users: shown.map(\.user), count: count, members: asked.detail ? members : nil,
                next: next, ref: ref, to: &$0)
        }
    }

    /// Of a sorted list what stands behind `after`, a page of it, and what leads to the next.
    private static func page<Element>(
        _ all: [Element], after: Text?, limit: Int?, _ name: (Element) -> Text
    ) -> ([Element], next: Text?) {
        let rest = after.map { after in all.drop { name($0) <= after } } ?? all[...]
        let limit = min(limit.flatMap { $0 > 0 ? $0 : nil } ?? usualPage, largestPage)
        let page = Array(rest.prefix(limit))
        return (page, page.count < rest.count ? page.last.map(name) : nil)
    }

    /// The names on a page where the client asks for no number of them, and the most that it gets.
    private static var usualPage: Int { 100 }
    private static var largestPage: Int { 1_000 }

    /// Whether a write can be taken now; if not, the refusal has been sent.
    mutating func canTakeWrite(from id: SessionID, ref: Text?, at now: UInt64) -> Bool {
        if store != .ready {
            refuse(.storageUnavailable, id, ref: ref, at: now)
            return false
        }
        if !clockIsTolerable {
            refuse(.clockSkewed, id, ref: ref, at: now)
            return false
        }
        if queuedCommands + keyed.held >= options.saveBuffer {
            refuse(.busy, id, ref: ref, at: now)
            return false
        }
        return true
    }

    // MARK: Messages

    private mutating func send(
        _ message: MessageCommand, ref: Text?, from id: SessionID, at now: UInt64, into effects: inout [CoreEffect]
    ) {
        if id.speaks == .first {
            // Before moving, which makes entries, too.
            if queuedCommands + keyed.held + (message.room == nil ? 0 : 1) >= options.saveBuffer {
                refuse(.busy, id, ref: ref, at: now)
                return
            }
            if let room = message.room { move(id, to: room, at: now, into: &effects) }
        }
        guard let session = sessions[id], canTakeWrite(from: id, ref: ref, at: now) else { return }
        guard let key = message.key else {
            place(message, id: nil, ref: ref, from: id, session, at: now)
            return
        }
        let isPlanted = options.planted.has(.idsDifferForKey)
        let messageID = log!.messageID(
            room: roomName(message.room, session), user: isPlanted ? options.nodeName : session.user, key: key)
        if keyed.isPlaced(messageID) {
            keyed.wait(for: messageID, id, ref: ref, copies: message.copies)
        } else {
            keyed.ask(for: messageID, id, .command(ref: ref, .message(message)))
        }
    }

    private mutating func place(
        _ message: MessageCommand, id messageID: MessageID?, ref: Text?, from id: SessionID, _ session: Session,
        at now: UInt64
    ) {
        let payload = MessagePayload(
            id: messageID, user: session.user, displayName: session.displayName, body: message.body)
        let name = roomName(message.room, session)
        let room = rooms.open(name)
        let entry = place(.message, room, name, payload.encoded, after: message.after, at: now)
        pipeline.open.commands += 1
        pipeline.open.waiting.append((id, ref))
        if let messageID {
            keyed.place(messageID)
            pipeline.open.keys.append(messageID)
            pipeline.open.batch.effects.append(.key(messageID, position: entry.position))
        }
        let frameID = messageID ?? MessageID(entry.dot)
        pipeline.open.frames.append(toRoom: room, dot: entry.dot, by: &encoders) { encoder, frame in
            message.body.withUnsafeBytes { body in
                encoder.message(
                    id: frameID, room: name, user: session.user, displayName: session.displayName, body: body,
                    position: entry.position, to: &frame)
            }
        }
        acknowledge(
            entry.position, after: message.after, room: name, frameID, copies: message.copies, ref: ref, id)
        counters.messages &+= 1
    }

    /// Answers a write that has a `ref`, with its batch.
    mutating func acknowledge(
        _ position: Position, after: Position?, room: Text, _ id: MessageID, copies: Int?, ref: Text?,
        _ session: SessionID
    ) {
        guard let ref else { return }
        var ack = Acknowledgement(id: id, room: room, position: position)
        ack.isAfter = after.map { $0 < position } ?? true
        if let wanted = copies {
            ack.copies = 1
            let canWait = self.copies.count + pipeline.open.copies.count < CopyWaits.limit
            if wanted > 1, options.cluster != nil, canWait {
                pipeline.open.copies.append(
                    CopyWaits.Wait(
                        session: session, ref: ref, acknowledgement: ack, wanted: wanted,
                        deadline: monotonic + options.cluster!.copiesWait))
                return
            }
        }
        pipeline.open.frames.append(to: .session(session)) { encoders[session].ack(ack, ref: ref, to: &$0) }
    }

    /// The store has looked up ids: their sends go on, and after them what their sessions sent since.
    mutating func handleFound(
        _ ids: [MessageID], _ found: Result<[MessageID: Position], StoreError>, at now: UInt64,
        into effects: inout [CoreEffect]
    ) {
        for id in ids {
            let found = found.map { $0[id] }
            if case .success(let position?) = found, !replicator.applied.covers(position.dot),
                !options.planted.has(.readBeyondApplied)
            {
                // Another node has put it into the store since this one last looked.
                counters.readsAhead &+= 1
                keyed.wait(for: id, at: position, until: monotonic + Self.patienceForRepeats)
                shared.hurry()
            } else {
                answer(id, found, at: now, into: &effects)
            }
        }
        if keyed.aheadCount > 0 { lookIntoSharedStore(into: &effects) }
    }

    /// Milliseconds that the repeat of a message waits for this node to apply that message.
    private static var patienceForRepeats: UInt64 { 5_000 }

    /// Repeats of what has been applied by now are answered; those that have waited too long are refused.
    mutating func answerRepeatsAhead(at now: UInt64, into effects: inout [CoreEffect]) {
        guard keyed.aheadCount > 0 else { return }
        for (id, position) in keyed.takeDue(
            applied: replicator.applied, at: monotonic, givingUp: store != .ready)
        {
            let found: Result<Position?, StoreError> =
                if let position { .success(position) } else { .failure(.timeout("not applied in time")) }
            answer(id, found, at: now, into: &effects)
        }
    }

    private mutating func answer(
        _ id: MessageID, _ found: Result<Position?, StoreError>, at now: UInt64, into effects: inout [CoreEffect]
    ) {
        for (session, events) in keyed.answered(id) {
            guard case .command(let ref, .message(let message))? = events.first else { continue }
            answerKeyed(id, message, found, ref: ref, from: session, at: now)
            for (at, event) in events.enumerated().dropFirst() {
                if keyed.isBlocked(session) {
                    keyed.holdAgain(events[at...], of: session)
                    break
                }
                handle(event, of: session, at: now, into: &effects)
            }
        }
    }

    private mutating func answerKeyed(
        _ messageID: MessageID, _ message: MessageCommand, _ found: Result<Position?, StoreError>, ref: Text?,
        from id: SessionID, at now: UInt64
    ) {
        guard let session = sessions[id] else { return }
        switch found {
        case .failure:
            refuse(.storageUnavailable, id, ref: ref, at: now)
        case .success(let position?):
            counters.duplicates &+= 1
            if let ref {
                let room = roomName(message.room, session)
                repeated(messageID, position, room: room, id, copies: message.copies, ref: ref)
            }
        case .success(nil) where keyed.isPlaced(messageID):
            keyed.wait(for: messageID, id, ref: ref, copies: message.copies)
        case .success(nil):
            guard canTakeWrite(from: id, ref: ref, at: now) else { return }
            place(message, id: messageID, ref: ref, from: id, session, at: now)
        }
    }

    /// Answers a repeat of what is stored: like the first send where it asks for copies, with the number that there are.
    mutating func repeated(
        _ messageID: MessageID, _ position: Position, room: Text, _ session: SessionID, copies wanted: Int?, ref: Text
    ) {
        var ack = Acknowledgement(id: messageID, room: room, position: position, isDuplicate: true)
        if let wanted {
            let count = copies(of: position.dot)
            ack.copies = count
            if count < wanted, let cluster = options.cluster, copies.canTakeRepeat {
                copies.addRepeat(
                    CopyWaits.Wait(
                        session: session, ref: ref, acknowledgement: ack, wanted: wanted,
                        deadline: monotonic + cluster.copiesWait))
                return
            }
        }
        ready.append(to: .session(session)) { encoders[session].ack(ack, ref: ref, to: &$0) }
    }

    // MARK: The log

    /// Gives an entry its place and puts it into the open batch. The store must be ready.
    mutating func place(
        _ kind: EntryKind, _ room: UInt32, _ name: Text, _ payload: [UInt8], after: Position?, at now: UInt64
    ) -> Entry {
        if let after, !options.planted.has(.clockIgnoresAfter) {
            clock.observe(after.timestamp, wall: now, limit: HybridClock.lead)
        }
        let entry = pipeline.place(
            kind, room, name, payload, at: clock.tick(wall: now), after: replicator.applied)
        replicator.place(entry)
        rooms.retain(room)
        return entry
    }
}
