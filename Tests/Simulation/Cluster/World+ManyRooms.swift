import ConvergeCRDT
import ConvergeTestSupport
import ConvergeWire

@testable import ConvergeNode

/// Clients of the second generation: they subscribe to rooms and leave them, resume several side by side, write where they
/// are not, and hold each room's frames against what they are owed of it.
extension World {
    func addManyRoomsClients() {
        for number in 0..<scenario.manyRoomsClients {
            let index = clients.count
            let client = Client(index: index, user: userNames[number % scenario.users], room: roomNames[0])
            client.many = ManyRoomsClient(index: index, seed: scenario.seed)
            clients.append(client)
            schedule(.clientActs(index), after: .milliseconds(400))
        }
    }

    private func anyRoom(_ many: ManyRoomsClient) -> Text { roomNames[many.choices.below(scenario.rooms)] }

    // MARK: What it does

    func act(_ client: Client, _ many: ManyRoomsClient) {
        if !isHealed || now < healedAt + .seconds(2) {
            schedule(.clientActs(client.index), after: many.choices.within(1...scenario.actEvery))
        }
        guard let connection = client.connection, connection.isReadable else { return comeBack(client, many) }
        guard connection.isOpen else { return }
        let room = anyRoom(many)
        switch many.choices.weighted([30, 16, 8, 8, 10, 6, 5, 5, 3, 2]) {
        case 0: say(client, many, in: room, connection)
        case 1: subscribe(client, many, to: room, connection)
        case 2: unsubscribe(client, many, from: room, connection)
        case 3:
            // All at once, and live frames between the pages.
            for room in roomNames.prefix(scenario.rooms) { subscribe(client, many, to: room, connection) }
        case 4: write(client, many, in: room, connection)
        case 5:
            var sent = sent(.history, client, in: room)
            sent.known = known(to: nodes[connection.node])
            send(
                .history(room: room, limit: 1 + many.choices.below(60), before: nil), ref: newRef(client, sent), client,
                connection)
        case 6:
            send(
                .users(UsersCommand(room: room, detail: true)), ref: newRef(client, sent(.ask, client, in: room)),
                client, connection)
        case 7: breakOff(client)
        case 8:
            if !isHealed {
                connection.slowUntil = min(now + many.choices.within(500_000...8_000_000), scenario.duration)
            }
        default: send(.leave, ref: nil, client, connection)
        }
    }

    private func comeBack(_ client: Client, _ many: ManyRoomsClient) {
        client.connection = nil
        let node = nodes[many.choices.below(nodes.count)]
        guard node.isUp, node.pausedUntil <= now else { return }
        let connection = openConnection(client, node, speaking: .second)
        trace.note(
            now, node.index, "comes", UInt64(client.index), connection.session.rawValue,
            "client \(client.index) (\(client.user)), for many rooms")
        post(
            .session(
                connection.session,
                .arrived(SessionName(high: 0, low: 0), user: client.user, displayName: client.user)), to: node)
        for room in many.wanted.sorted() { subscribe(client, many, to: room, connection) }
        for sent in exchange(&client.unacknowledged, for: []) {
            let message = MessageCommand(
                room: sent.room, body: Array(sent.body.utf8), key: sent.key, after: sent.after)
            send(.message(message), ref: newRef(client, sent), client, connection)
        }
    }

    private func sent(_ deed: Client.Sent.Deed, _ client: Client, in room: Text) -> Client.Sent {
        Client.Sent(deed: deed, room: room, sentAt: now)
    }

    private func say(_ client: Client, _ many: ManyRoomsClient, in room: Text, _ connection: Connection) {
        for _ in 0..<(many.choices.chance(20) ? 6 : 1) {
            verdict.messages += 1
            var sent = sent(.message, client, in: room)
            sent.body = "m\(verdict.messages)"
            sent.after = many.choices.chance(50) ? client.highest : nil
            if many.choices.chance(40) { sent.key = Text("k\(verdict.messages)") }
            let message = MessageCommand(
                room: room, body: Array(sent.body.utf8), key: sent.key, after: sent.after,
                copies: many.choices.chance(5) ? 2 : nil)
            send(.message(message), ref: newRef(client, sent), client, connection)
        }
    }

    private func write(_ client: Client, _ many: ManyRoomsClient, in room: Text, _ connection: Connection) {
        let write = DocumentWrite(many.choices.chance(60) ? .add : .remove, key: ["x", "y"][many.choices.below(2)])
        send(
            .write(.init(.orSet, doc: documentNames[many.choices.below(2)], write, room: room)),
            ref: newRef(client, sent(.write, client, in: room)), client, connection)
    }

    /// With its cursor, or from here on; or, where it is there already, to be seen or not.
    private func subscribe(_ client: Client, _ many: ManyRoomsClient, to room: Text, _ connection: Connection) {
        guard client.views[room]?.hasBegun == true, many.choices.chance(80) else {
            let isNew = client.views[room]?.hasBegun != true && many.choices.chance(20)
            if isNew { client.views[room, default: RoomView()].askForAll() }
            return subscribe(client, many, to: room, connection, resumes: isNew)
        }
        subscribe(client, many, to: room, connection, resumes: true, isUsable: !many.choices.chance(4))
    }

    private func subscribe(
        _ client: Client, _ many: ManyRoomsClient, to room: Text, _ connection: Connection, resumes: Bool,
        isUsable: Bool = true, changesMember: Bool = true
    ) {
        many.wanted.insert(room)
        var sent = sent(.subscribe, client, in: room)
        sent.isMember = changesMember ? many.choices.chance(75) : nil
        let cursor = resumes ? client.views[room]?.cursor : nil
        sent.known = cursor ?? VersionVector()
        let ref = newRef(client, sent)
        if cursor != nil {
            checkOwed(client, room, connection)
            client.views[room]!.ask(ref, order: verdict.refs, isUsable: isUsable)
        }
        let command = SubscribeCommand(
            room: room, cursor: cursor.map { isUsable ? .at($0) : .unusable }, member: sent.isMember)
        send(.subscribe(command), ref: ref, client, connection)
    }

    private func unsubscribe(_ client: Client, _ many: ManyRoomsClient, from room: Text, _ connection: Connection) {
        many.wanted.remove(room)
        send(.unsubscribe(room: room), ref: newRef(client, sent(.unsubscribe, client, in: room)), client, connection)
    }

    // MARK: What it reads

    func take(_ frame: ShownFrame, _ client: Client, _ many: ManyRoomsClient, _ connection: Connection) {
        if let position = frame.position { connection.saw(position, client) }
        let room = Text(frame.room)
        var wrong: String?
        switch frame.type {
        case "resumed":
            wrong = client.views[room]?.resumed(frame, before: connection.before)
            many.standings[room] = .live
            if wrong == nil { checkOwed(client, room, connection) }
        case "history" where frame.isResume:
            wrong = client.views[room]?.page(frame)
            for entry in frame.history ?? [] { if let position = entry.position { connection.saw(position, client) } }
            if wrong == nil { checkOwed(client, room, connection) }
        case "cursors":
            for (room, cursor) in frame.cursors ?? [:] {
                let room = Text(room)
                guard case .live? = many.standings[room], client.views[room]?.isResuming == false else { continue }
                client.views[room]!.told(cursor)
                checkOwed(client, room, connection)
            }
        case "unsubscribed" where frame.ref == nil: many.standings[room] = nil
        default:
            guard frame.dot != nil else { break }
            let isLive = if case .live? = many.standings[room] { true } else { false }
            wrong = client.views[room, default: RoomView()].live(frame, isAnchored: isLive)
        }
        if let wrong, frame.dot.map(ledger.forked.contains) != true {
            violate(.resume, connection.node, "\(wrong) (client \(client.index) in \(room))")
        }
        guard let ref = frame.ref, frame.type != "resumed" else { return }
        guard let sent = client.pending.removeValue(forKey: ref) else {
            violate(.answers, connection.node, "\(ref) is answered twice, or was never asked by client \(client.index)")
            return
        }
        takeAnswer(frame, ref, sent, client, many, connection)
    }

    private func takeAnswer(
        _ frame: ShownFrame, _ ref: String, _ sent: Client.Sent, _ client: Client, _ many: ManyRoomsClient,
        _ connection: Connection
    ) {
        let room = sent.room
        switch frame.type {
        case "ack": acknowledged(frame, sent, client, connection)
        case "subscribed":
            guard let cursor = frame.cursor, Text(frame.room) == room else {
                violate(.answers, connection.node, "\(ref), subscribed to \(frame.room), asked was \(room)")
                return
            }
            if client.views[room]?.isAsked(ref) == true {
                // Pages follow, and the end of the resume.
                many.standings[room] = .adrift
            } else if many.standings[room] == nil {
                many.standings[room] = client.views[room]?.isResuming == true ? .adrift : .live
                if client.views[room]?.isResuming != true {
                    client.views[room, default: RoomView()].begin(at: cursor)
                    client.views[room]!.excuse(connection.before)
                }
            }
        case "unsubscribed":
            many.standings[room] = nil
            client.views[room]?.endResumes(before: sent.order)
        case "history": read(history: frame, sent, client, connection)
        case "error":
            refused(frame, sent, client)
            guard sent.deed == .subscribe, client.views[room]?.isAsked(ref) == true else { break }
            client.views[room]!.refused(ref)
            // What it wanted before it goes on it has not got.
            if many.standings[room] != nil { many.standings[room] = .adrift }
        default: break
        }
    }

    /// A session is subscribed to a room: whether it is seen there is what it has asked for.
    func noteSubscribed(_ room: Text, _ connection: Connection, ref: Text?) {
        let asked = ref.flatMap { clients[connection.client].pending[$0.string] }
        connection.isMember[room] = asked?.isMember ?? connection.isMember[room] ?? true
    }

    // MARK: In the end

    /// Resumes each of its rooms once more.
    func resumeEverywhere(_ client: Client, _ many: ManyRoomsClient, _ connection: Connection) {
        for room in many.standings.keys.sorted() where client.views[room]?.hasBegun == true {
            guard client.views[room]?.isResuming == false else { continue }
            subscribe(client, many, to: room, connection, resumes: true, changesMember: false)
        }
    }

    /// What it still waits for, or was never shown though it follows the room.
    func check(_ client: Client, _ many: ManyRoomsClient, _ connection: Connection, _ wrong: (String) -> Void) {
        for (ref, sent) in client.pending.sorted(by: { $0.value.order < $1.value.order })
        where sent.deed == .subscribe || sent.deed == .unsubscribe {
            wrong("\(ref), about its subscription to \(sent.room), has no answer")
        }
        for (room, standing) in many.standings.sorted(by: { $0.key < $1.key }) {
            guard let view = client.views[room] else { continue }
            if view.isResuming { wrong("its resume in \(room) has no end") }
            if case .live = standing, scenario.retention == 0,
                let missing = view.missing(in: room, ledger, through: nodes[connection.node].disk.vector)
            {
                wrong("in \(room) \(missing)")
            }
        }
    }
}
