// The rooms of a connection of the second generation: how each is subscribed to, and which of them a frame is about.
//
// Invariants: a room is asked for once at a time; a frame goes to the room that it names, an answer without one to the room
// that asked; one room that is refused, or ended by the server, leaves the others as they are.

extension RoomLink {
    /// Asks for a room, from where it has come to.
    mutating func enter(_ place: Int, at now: UInt64, _ effects: inout [Effect]) {
        if !members[place].session.isLive { members[place].session.opened(by: welcome?.node) }
        let ref = newRef()
        members[place].subscription.asked(ref, until: now + options.session.patience.wholeNanoseconds)
        let session = members[place].session
        effects.append(.send(.subscribe(session.room, from: session.cursor, ref: ref)))
    }

    /// Asks for what has waited, and gives a server up that does not answer.
    mutating func subscribeDue(at now: UInt64, _ outbox: inout Outbox, into effects: inout [Effect]) {
        if members.contains(where: { $0.subscription.isOverdue(at: now) }) {
            return drop("the server does not answer", at: now, &outbox, &effects)
        }
        for place in members.indices where members[place].subscription.isDue(at: now) {
            enter(place, at: now, &effects)
        }
    }

    mutating func route(_ event: ChatEvent, at now: UInt64, _ outbox: inout Outbox, into effects: inout [Effect]) {
        switch event {
        case .subscribed(let beginning):
            guard let place = place(of: beginning.room), members[place].subscription.isAnswer(beginning.ref) else {
                return
            }
            members[place].subscription.began()
            pass(event, to: place, at: now, &outbox, &effects)
        case .unsubscribed(let end):
            // Those that were asked for are over here already.
            guard end.ref == nil, let place = place(of: end.room) else { return }
            members[place].session.interrupted(isRecovered: end.isRecovered)
            again(place, end.reason, mayGoOnAtOnce: true, at: now, &effects)
        case .cursors(let cursors):
            for known in cursors {
                if let place = place(of: known.room) { members[place].session.join(known.cursor) }
            }
        case .error(let error): refused(error, at: now, &outbox, &effects)
        default:
            guard let place = event.room.isEmpty ? owner(of: event.ref, outbox) : place(of: event.room) else { return }
            pass(event, to: place, at: now, &outbox, &effects)
        }
    }

    private mutating func pass(
        _ event: ChatEvent, to place: Int, at now: UInt64, _ outbox: inout Outbox, _ effects: inout [Effect]
    ) {
        step(place, at: now, &outbox, &effects) { $0.handle(event, at: now, &$1, into: &$2) }
        guard members.indices.contains(place), members[place].session.phase == .live else { return }
        members[place].subscription.settled()
    }

    private func owner(of ref: String?, _ outbox: Outbox) -> Int? {
        guard let ref else { return nil }
        return members.firstIndex { $0.session.owns(ref, outbox) }
    }

    private mutating func refused(
        _ error: ServerError, at now: UInt64, _ outbox: inout Outbox, _ effects: inout [Effect]
    ) {
        if let place = members.firstIndex(where: { error.ref != nil && $0.subscription.isAnswer(error.ref) }) {
            return notSubscribed(place, error, at: now, &outbox, &effects)
        }
        if error.ref == nil {
            // About nothing that was asked here: whoever it names is told, or everybody.
            let concerned = place(of: error.room).map { [$0] } ?? Array(members.indices)
            for place in concerned { pass(.error(error), to: place, at: now, &outbox, &effects) }
        } else if let place = owner(of: error.ref, outbox) {
            pass(.error(error), to: place, at: now, &outbox, &effects)
        }
    }

    private mutating func notSubscribed(
        _ place: Int, _ error: ServerError, at now: UInt64, _ outbox: inout Outbox, _ effects: inout [Effect]
    ) {
        switch error.code {
        case "invalid_room":
            leave(members[place].session.room, because: .invalidRoomOrUser, at: now, &outbox, into: &effects)
        case "too_many_rooms" where members.count > 1:
            capacity = members.count - 1
            members[place].subscription.connectionLost()
            step(place, at: now, &outbox, &effects) { $0.ended(&$1, into: &$2) }
            moveToEnd(place)
        default: again(place, error.reason, mayGoOnAtOnce: false, at: now, &effects)
        }
    }

    /// Asks for a room once more, at once or after a while.
    private mutating func again(
        _ place: Int, _ reason: String, mayGoOnAtOnce: Bool, at now: UInt64, _ effects: inout [Effect]
    ) {
        let delay = members[place].subscription.failed(
            at: now, options.reconnect.backoff, &generator, mayGoOnAtOnce: mayGoOnAtOnce)
        guard delay > 0 else { return enter(place, at: now, &effects) }
        let state = ConnectionState.waiting(.nanoseconds(Int64(clamping: delay)), reason: reason)
        effects.append(.event(.connection(state), room: members[place].session.room))
    }
}

extension ChatEvent {
    /// Which room it is about; empty where it names none.
    fileprivate var room: String {
        switch self {
        case .message(let line), .system(let line): line.room
        case .users(let list, _): list.room
        case .history(let page): page.room
        case .resumed(let end): end.room
        case .joined(let room, _, _), .documents(_, let room, _): room
        case .document(let event): event.room
        case .subscribed(let beginning): beginning.room
        case .unsubscribed(let end): end.room
        case .error(let error): error.room
        // An ack's room is not read: it has the ref of what it answers.
        case .ack, .welcome, .rooms, .cursors, .unknown: ""
        }
    }
}
