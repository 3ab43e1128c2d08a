// Which rooms a link has, and what their users want of them.
//
// Invariants: `places` says of each room where in `members` it is; a room's session leaves the link whole, with its cursor and
// what it has shown, or is over; a link without rooms wants no connection.

extension RoomLink {
    // MARK: Which rooms it has

    /// Takes a room in; where it is waiting to connect, it waits no longer.
    mutating func add(_ session: RoomSession, at now: UInt64, into effects: inout [Effect]) {
        places[session.room] = members.count
        members.append(Member(session: session))
        if reconnect.isConnecting || phase == .live {
            let state = ConnectionState.connecting(urls[reconnect.server], attempt: reconnect.attempt)
            effects.append(.event(.connection(state), room: session.room))
        }
        if isShared, members.count <= capacity { enter(members.count - 1, at: now, &effects) }
        drive(.retry, at: now, &effects)
    }

    /// Gives back the rooms that its connection does not carry.
    mutating func takeSurplus() -> [RoomSession] {
        guard members.count > capacity else { return [] }
        let surplus = members[capacity...].map(\.session)
        members.removeLast(surplus.count)
        for session in surplus { places[session.room] = nil }
        return surplus
    }

    /// Gives back all its rooms, and wants nothing more.
    mutating func dissolve(at now: UInt64, _ outbox: inout Outbox, into effects: inout [Effect]) -> [RoomSession] {
        gone(at: now, &outbox, &effects)
        let sessions = members.map(\.session)
        members = []
        places = [:]
        effects.append(.close)
        drive(.stop, at: now, &effects)
        return sessions
    }

    /// Puts a room behind the others: it is the first that does not fit.
    mutating func moveToEnd(_ place: Int) {
        members.append(members.remove(at: place))
        for (place, member) in members.enumerated() { places[member.session.room] = place }
    }

    /// Ends a room, whatever of it is unsent; with its last one the link ends.
    mutating func leave(
        _ room: String, because reason: EndReason = .left, at now: UInt64, _ outbox: inout Outbox,
        into effects: inout [Effect]
    ) {
        guard let place = places[room] else { return }
        step(place, at: now, &outbox, &effects) { $0.ended(&$1, into: &$2) }
        if isShared, members[place].subscription.isAtServer {
            effects.append(.send(.unsubscribe(room, ref: newRef())))
        }
        members.remove(at: place)
        places[room] = nil
        for place in members.indices.dropFirst(place) { places[members[place].session.room] = place }
        if members.isEmpty {
            gone(at: now, &outbox, &effects)
            effects.append(.close)
            drive(.stop, at: now, &effects)
        }
        effects.append(.event(.connection(.ended(reason)), room: room))
        effects.append(.end(reason, room: room))
    }

    // MARK: What the user wants

    mutating func request(
        _ id: Int, _ request: RoomRequest, in room: String, at now: UInt64, _ outbox: inout Outbox,
        into effects: inout [Effect]
    ) {
        guard let place = places[room] else { return effects.append(.failed(id, .closed)) }
        step(place, at: now, &outbox, &effects) { $0.request(id, request, $1, into: &$2) }
    }

    /// Somebody does not want to wait: the next attempt is made now, and a connection that stands is made anew.
    mutating func reconnect(_ room: String, at now: UInt64, _ outbox: inout Outbox, into effects: inout [Effect]) {
        if let place = places[room], isShared, !members[place].subscription.isAtServer {
            return enter(place, at: now, &effects)
        }
        if phase == .live { drop("a new connection was asked for", at: now, &outbox, &effects) }
        drive(.retry, at: now, &effects)
    }

    /// Messages have been put into the outbox.
    mutating func pump(_ room: String, at now: UInt64, _ outbox: inout Outbox, into effects: inout [Effect]) {
        guard let place = places[room] else { return }
        step(place, at: now, &outbox, &effects) { $0.pump(at: now, &$1, into: &$2) }
    }

    mutating func follow(
        _ key: DocumentKey, in room: String, at now: UInt64, _ outbox: inout Outbox, into effects: inout [Effect]
    ) {
        guard let place = places[room] else { return }
        // One too many is never asked for: its value stays unknown.
        step(place, at: now, &outbox, &effects) { session, _, effects in _ = session.follow(key, into: &effects) }
    }

    mutating func unfollow(_ key: DocumentKey, in room: String) {
        if let place = places[room] { members[place].session.unfollow(key) }
    }
}
