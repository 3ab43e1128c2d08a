import ConvergeGossip
import ConvergeStorage
import ConvergeWire

/// Sessions of the second generation: in many rooms, or in none.
///
/// The order is that of sessions of the first: what says where a session is stands behind what is on its way to the store, so
/// that nobody is out of a room before the messages that were sent to it before have come.
extension NodeCore {
    mutating func arrive(_ id: SessionID, _ name: SessionName, user: Text, displayName: Text, at now: UInt64) {
        encoders.came(id)
        sessions[id] = Session(user: user, displayName: displayName, rooms: SessionRooms())
        let stamp = stamp(at: now)
        let limits = options.welcome
        let node = log?.replica
        ready.append(to: .welcome(id)) {
            encoders[id].welcome(
                stamp, name, user: user, displayName: displayName, node: node, limits: limits, to: &$0)
        }
    }

    mutating func subscribe(
        _ command: SubscribeCommand, ref: Text?, _ id: SessionID, at now: UInt64, into effects: inout [CoreEffect]
    ) {
        guard let session = sessions[id] else { return }
        let former = rooms.index(of: command.room).flatMap { session.rooms[$0] }
        if former == nil, session.rooms.count >= options.welcome.rooms {
            refuse(.tooManyRooms, id, ref: ref, at: now)
            return
        }
        // What waits behind a batch is bounded like the commands in it, and being seen to come makes an entry.
        if queuedCommands >= options.saveBuffer {
            refuse(.busy, id, ref: ref, at: now)
            return
        }
        let isMember = command.member ?? former?.isMember ?? true
        let comes = isMember && former?.isMember != true
        let room = rooms.open(command.room)
        rooms.retain(room)  // until the session is counted for it
        let stay = sessions[id]!.rooms.begin(room, isMember: isMember)
        if former == nil { rooms.enter(room, loop: id.loop) }
        let isCounted = !comes || presence.isPresent(room: command.room, user: session.user)
        let request = SubscribeRequest(
            room: room, name: command.room, stay: stay.number,
            count: presence.occupants(of: command.room, limit: 0).count + (isCounted ? 0 : 1), cursor: command.cursor,
            ref: ref)
        inOrder(for: id, retaining: room) { frames, _ in frames.append(to: .subscribe(id, request)) }
        pipeline.countWaiting()
        let entries = pipeline.open.batch.entries.count
        if comes {
            come(room, session.user, session.displayName, at: now, into: &effects)
        } else if !isMember, former?.isMember == true {
            inform(.left(room: command.room, user: session.user), hosted: true, at: now, into: &effects)
        }
        rooms.release(room)
        if pipeline.open.batch.entries.count > entries { pipeline.open.commands += 1 }
    }

    mutating func unsubscribe(
        _ name: Text, ref: Text?, _ id: SessionID, at now: UInt64, into effects: inout [CoreEffect]
    ) {
        guard let session = sessions[id] else { return }
        guard let room = rooms.index(of: name), let stay = session.rooms[room] else {
            refuse(.notSubscribed, id, ref: ref, at: now)
            return
        }
        if queuedCommands >= options.saveBuffer {
            refuse(.busy, id, ref: ref, at: now)
            return
        }
        let stamp = stamp(at: now)
        inOrder(for: id, retaining: room) { frames, encoders in
            frames.append(to: .unsubscribe(id, room: room)) {
                encoders[id].unsubscribed(stamp, room: name, ref: ref, to: &$0)
            }
        }
        pipeline.countWaiting()
        end(stay, of: session, id, at: now, into: &effects)
    }

    /// Its loop has ended a subscription, unless another has begun since.
    mutating func subscriptionEnded(
        _ name: Text, stay number: UInt32, of id: SessionID, at now: UInt64, into effects: inout [CoreEffect]
    ) {
        guard let session = sessions[id], let room = rooms.index(of: name), let stay = session.rooms[room],
            stay.number == number, !options.planted.has(.overtakenStays)
        else { return }
        end(stay, of: session, id, at: now, into: &effects)
    }

    private mutating func end(
        _ stay: SessionRooms.Stay, of session: Session, _ id: SessionID, at now: UInt64,
        into effects: inout [CoreEffect]
    ) {
        let entries = pipeline.open.batch.entries.count
        sessions[id]?.rooms.end(stay.room)
        leave(stay, of: session, id, at: now, into: &effects)
        if pipeline.open.batch.entries.count > entries { pipeline.open.commands += 1 }
    }
}
