extension ChatScreen {
    /// - Parameter now: wall time, in milliseconds since 1970.
    mutating func handle(_ event: ScreenEvent, at now: Int64, into effects: inout [ScreenEffect]) {
        self.now = now
        switch event {
        case .connecting(let name, let server):
            with(name) { $0.connection = .connecting(server: server) }
        case .live(let name, let server, let node, let userID, let displayName):
            live(name, server, node, userID, displayName, &effects)
        case .waiting(let name, let until, let reason, let isTokenRefused):
            with(name) { room in
                if room.isLive || room.lostSince == nil { room.lostSince = now }
                room.connection = .waiting(until: until, reason: reason)
                room.latency = nil
            }
            if isTokenRefused { tokenRefused(name) }
        case .ended(let name, let reason):
            guard let index = index(of: name) else { return }
            rooms[index].connection = .ended(reason: reason)
            rooms[index].latency = nil
            rooms[index].lostSince = rooms[index].lostSince ?? now
            note(reason, isError: true, in: index)
        case .message(let name, let message, let isMissed):
            received(message, in: name, isMissed: isMissed, &effects)
        case .presence(let name, let event, let joined, let isMissed):
            presence(event, joined, in: name, isMissed: isMissed)
        case .resumed(let name, let recovered, _):
            guard let index = index(of: name) else { return }
            let since = rooms[index].lostSince
            rooms[index].lostSince = nil
            if !recovered, !rooms[index].conversation.isEmpty {
                add(.gap, at: now, to: index)
            } else if let since, now - since >= 1_000 {
                // Nothing was missed; that is worth saying, too.
                note("connected again after \((now - since) / 1_000) s; nothing was missed", in: index)
            }
            effects.append(.members(room: name))
        case .document(let name, let change):
            guard let index = index(of: name) else { return }
            add(.note(Self.words(change), isError: false), at: change.milliseconds, to: index)
            if !rooms[index].documents.contains(change.document) { rooms[index].documents.append(change.document) }
        case .unsent(let name, let tag, _, let body):
            with(name) { $0.unsent.append(.init(tag: tag, body: body, milliseconds: now)) }
        case .sending(let name, let tag, let progress): sending(name, tag, progress)
        case .latency(let name, let milliseconds): with(name) { $0.latency = milliseconds }
        case .history(let name, let answer): history(answer, of: name, &effects)
        case .members(let name, let members, let count):
            with(name) { room in
                room.members = Array(members.prefix(Self.memberLimit)).sorted { $0.userID < $1.userID }
                room.memberCount = max(count, members.count)
            }
        case .roomList(let names):
            knownRooms = names
            guard wantsRoomList else { return }
            wantsRoomList = false
            note("rooms (\(names.count)): \(names.joined(separator: ", "))")
        case .roomListFailed(let reason):
            guard wantsRoomList else { return }
            wantsRoomList = false
            note("the rooms can't be listed: \(reason)", isError: true)
        case .documentList(let name, let documents):
            guard let index = index(of: name) else { return }
            rooms[index].documents = Set(documents.map(\.name)).sorted()
            let list = documents.map(\.words).joined(separator: ", ")
            note(
                documents.isEmpty
                    ? "no documents yet: /doc tags add alpha makes one" : "documents (\(documents.count)): \(list)",
                in: index)
        case .nodes(let names, let limit):
            nodeNames.learn(names)
            bodyLimit.tell(limit)
        case .note(let name, let text): note(text, in: index(of: name))
        case .failed(let name, let text): note(text, isError: true, in: name.flatMap { index(of: $0) })
        }
    }

    private mutating func with(_ name: String, _ change: (inout RoomState) -> Void) {
        guard let index = index(of: name) else { return }
        change(&rooms[index])
    }

    private mutating func live(
        _ name: String, _ server: String, _ node: String?, _ userID: String, _ displayName: String,
        _ effects: inout [ScreenEffect]
    ) {
        guard let index = index(of: name) else { return }
        self.userID = userID
        self.displayName = displayName
        rooms[index].connection = .live(server: server, node: node)
        rooms[index].isTokenRefused = false
        if nodeNames.wants(server, for: node, at: now) { effects.append(.lookUp(server: server)) }
        effects.append(.members(room: name))
        // The first time there is nothing to resume from: what was said before is history.
        if rooms[index].older == .unknown, rooms[index].conversation.oldestPosition == nil {
            rooms[index].older = .asked
            rooms[index].lostSince = nil
            effects.append(.rooms)
            effects.append(.history(room: name, before: nil, limit: 100))
        }
        if rooms[index].older == .unavailable { rooms[index].older = .unknown }
        goOnOlder(index, &effects)
    }

    /// Told once for each time: what can be done about it.
    private mutating func tokenRefused(_ name: String) {
        guard let index = index(of: name), !rooms[index].isTokenRefused else { return }
        rooms[index].isTokenRefused = true
        note(
            settings.hasTokenCommand
                ? "the token is refused, and so is a fresh one: it is asked for again, less and less often; /reconnect asks at once"
                : "the token is refused, and CONVERGE_TOKEN is read only at the start: leave, and come again with another "
                    + "(with token-command in the file a fresh one is asked for)", isError: true, in: index)
    }

    private func names(_ message: ScreenMessage) -> Bool {
        message.userID != userID && Mentions.contains(anyOf: [userID, displayName], in: message.body)
    }

    private mutating func received(
        _ message: ScreenMessage, in name: String, isMissed: Bool, _ effects: inout [ScreenEffect]
    ) {
        guard let index = index(of: name), !rooms[index].conversation.contains(id: message.id) else { return }
        let isOwn = message.userID == userID
        // Seen is stored: what was sent comes back as the room shows it, at its place among the others'.
        if isOwn, let place = rooms[index].unsent.firstIndex(where: { $0.body == message.body }) {
            rooms[index].unsent.remove(at: place)
        }
        if isMissed { caughtUp(index) }
        let mentions = names(message)
        let serial = rooms[index].conversation.endSerial
        rooms[index].conversation.append(message, mentions: mentions)
        trim(index)
        if !isOwn { rooms[index].spoke(message.name) }
        let isRead = index == current && rooms[index].anchor == nil
        if !isRead, !isOwn {
            rooms[index].unread += 1
            if mentions { rooms[index].mentions += 1 }
            if rooms[index].unreadSerial == nil || rooms[index].unread == 1 { rooms[index].unreadSerial = serial }
        }
        guard !isOwn, !isMissed else { return }
        switch settings.bell {
        case .off: break
        case .mentions: if mentions { ring(&effects) }
        case .all: ring(&effects)
        }
    }

    /// Marks where what was missed begins; once for each loss.
    private mutating func caughtUp(_ index: Int) {
        if let since = rooms[index].lostSince {
            rooms[index].conversation.append(.caughtUp(since: since, count: 0), at: since)
            rooms[index].lostSince = nil
        }
        rooms[index].conversation.countCaughtUp()
    }

    private mutating func presence(
        _ event: ScreenMessage, _ joined: Bool?, in name: String, isMissed: Bool
    ) {
        guard let index = index(of: name) else { return }
        switch joined {
        case true?: rooms[index].came(ScreenMember(userID: event.userID, name: event.name))
        case false?: rooms[index].went(event.userID)
        case nil: break
        }
        rooms[index].conversation.append(presence: event, joined: joined)
        trim(index)
    }

    private mutating func sending(_ name: String, _ tag: Int, _ progress: SendProgress) {
        guard let index = index(of: name),
            let place = rooms[index].unsent.firstIndex(where: { $0.tag == tag })
        else { return }
        switch progress {
        case .sent: break
        case .refused(let reason):
            refused(rooms[index].unsent.remove(at: place), reason, in: index)
        case .stored(let id, let position, let milliseconds):
            // The acknowledgement came, and the room has not shown it: it stands where it was stored all the same.
            let unsent = rooms[index].unsent.remove(at: place)
            bodyLimit.stored(unsent.body.utf8.count)
            rooms[index].conversation.append(
                ScreenMessage(
                    id: id, userID: userID, name: displayName, body: unsent.body,
                    milliseconds: milliseconds ?? unsent.milliseconds, position: position),
                mentions: false)
            trim(index)
        }
    }

    private static func words(_ change: DocumentChange) -> String {
        switch change.kind {
        case .added(let value): return "\(change.name) added \"\(value)\" to \(change.document)"
        case .removed(let value): return "\(change.name) removed \"\(value)\" from \(change.document)"
        case .set(let value): return "\(change.name) set \(change.document) to \"\(value)\""
        case .cleared: return "\(change.name) cleared \(change.document)"
        case .counted(let amount, let value):
            let sign = amount >= 0 ? "+" : ""
            return "\(change.name) counted \(change.document) \(sign)\(amount)\(value.map { ", now \($0)" } ?? "")"
        case .put(let field): return "\(change.name) put \(field) into \(change.document)"
        case .dropped(let field): return "\(change.name) dropped \(field) from \(change.document)"
        }
    }
}
