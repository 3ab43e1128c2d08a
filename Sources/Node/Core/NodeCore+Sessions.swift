import ConvergeGossip
import ConvergeStorage
import ConvergeWire

/// Who comes, who goes, and, of the first generation, who changes the room. The rooms of the second:
/// NodeCore+Subscriptions.swift.
extension NodeCore {
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
            encoders.came(session)
            sessions[session] = Session(user: user, displayName: displayName, rooms: SessionRooms(room))
            let stamp = stamp(at: now)
            ready.append(to: .enter(session, room: room, name: name), cursor: true) {
                encoders[.first].welcome(stamp, room: name, user: user, displayName: displayName, to: &$0)
            }
            enter(room, session, user: user, displayName: displayName, at: now, into: &effects)
        case .arrived(let name, let user, let displayName):
            arrive(session, name, user: user, displayName: displayName, at: now)
        case .subscriptionEnded(let room, let stay):
            subscriptionEnded(room, stay: stay, of: session, at: now, into: &effects)
        case .left:
            guard let left = sessions.removeValue(forKey: session) else { return }
            if sessions.isEmpty { sessions = [:] }  // gives back what many have taken
            encoders.left(session)
            for stay in left.rooms.stays { leave(stay, of: left, session, at: now, into: &effects) }
        case .command(let ref, let command):
            guard let asking = sessions[session] else { return }
            handle(command, ref: ref, from: session, asking, at: now, into: &effects)
        }
    }

    mutating func enter(
        _ room: UInt32, _ session: SessionID, user: Text, displayName: Text, at now: UInt64,
        into effects: inout [CoreEffect]
    ) {
        rooms.enter(room, loop: session.loop)
        come(room, user, displayName, at: now, into: &effects)
    }

    /// A user is there to be seen, by one more session.
    mutating func come(
        _ room: UInt32, _ user: Text, _ displayName: Text, at now: UInt64, into effects: inout [CoreEffect]
    ) {
        let event = PresenceEvent.entered(room: rooms.name(of: room), user: user, displayName: displayName)
        inform(event, hosted: true, at: now, into: &effects)
        // Whoever was thought to be here already, on a node that may be gone, is here now for certain.
        if options.systemEvents == .stored {
            correct(RoomUser(room: rooms.name(of: room), user: user), hosted: true, at: now)
        }
    }

    /// The session is out of one of its rooms.
    mutating func leave(
        _ stay: SessionRooms.Stay, of session: Session, _ id: SessionID, at now: UInt64,
        into effects: inout [CoreEffect]
    ) {
        let room = stay.room
        rooms.retain(room)  // until its entry has its own hold on the index
        rooms.leave(room, loop: id.loop)
        if stay.isMember {
            inform(.left(room: rooms.name(of: room), user: session.user), hosted: true, at: now, into: &effects)
        }
        rooms.release(room)
    }

    /// A client asks to be in a room; in its own room nothing happens.
    mutating func join(
        _ name: Text, ref: Text?, _ id: SessionID, at now: UInt64, into effects: inout [CoreEffect]
    ) {
        guard let session = sessions[id] else { return }
        let moves = rooms.name(of: session.rooms.current) != name
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
        guard let session = sessions[id], let stay = session.rooms.stays.first else { return }
        guard rooms.name(of: stay.room) != name else {
            if let ref {
                let request = ResumeRequest(room: stay.room, cursor: nil, ref: ref)
                inOrder(for: id) { frames, _ in frames.append(to: .resume(id, request)) }
            }
            return
        }
        let entries = pipeline.open.batch.entries.count
        let room = rooms.open(name)
        rooms.retain(room)
        sessions[id]?.rooms.current = room
        tellRoom(room, name, to: id, ref: ref, at: now)  // first: who moves is not told of leaving
        leave(stay, of: session, id, at: now, into: &effects)
        enter(room, id, user: session.user, displayName: session.displayName, at: now, into: &effects)
        rooms.release(room)
        if pipeline.open.batch.entries.count > entries { pipeline.open.commands += 1 }
    }

    /// Tells the session's loop where it is from here on, and the client, where it asked.
    ///
    /// That stands behind what is on its way to the store, so that nobody leaves a room before the messages it sent there
    /// have come back to it. The room keeps its index until it has been told.
    mutating func tellRoom(_ room: UInt32, _ name: Text, to id: SessionID, ref: Text?, at now: UInt64) {
        let stamp = stamp(at: now)
        let target = FrameRecord.Target.enter(id, room: room, name: name)
        inOrder(for: id, retaining: room) { frames, encoders in
            guard let ref else {
                frames.append(to: target)
                return
            }
            frames.append(to: target, cursor: true) { encoders[.first].joined(stamp, room: name, ref: ref, to: &$0) }
        }
    }

    /// Appends to what goes out last: behind the batch that is gathered, the one on its way, or what is ready.
    mutating func inOrder(
        for session: SessionID, retaining room: UInt32? = nil,
        _ append: (inout FrameBatchBuilder, inout FrameEncoders) -> Void
    ) {
        guard pipeline.append(for: session.loop, keeping: room, { append(&$0, &encoders) }) else {
            append(&ready, &encoders)
            return
        }
        if let room { rooms.retain(room) }
    }

    /// Answers with an `error` frame.
    mutating func refuse(_ refusal: Refusal, _ session: SessionID, ref: Text?, at now: UInt64) {
        counters.refused[refusal.rawValue] &+= 1
        let stamp = stamp(at: now)
        ready.append(to: .session(session)) {
            encoders[session].error(stamp, refusal.code, hint: refusal.hint, ref: ref, to: &$0)
        }
    }

    /// The id and time of a frame that shows no entry.
    mutating func stamp(at now: UInt64) -> FrameStamp { FrameStamp(id: frameIDs.next(), milliseconds: now) }
}
