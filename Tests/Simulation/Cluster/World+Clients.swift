import ConvergeCRDT
import ConvergeWire

@testable import ConvergeNode

/// What clients do: they come, write, ask, move between rooms and nodes, lose connections, and repeat what was not answered.
extension World {
    func act(_ client: Client) {
        if let library = client.library { return act(client, library) }
        if let many = client.many { return act(client, many) }
        if !isHealed || now < healedAt + .seconds(2) {
            schedule(.clientActs(client.index), after: clientChoices.within(1...(2 * scenario.actEvery)))
        }
        guard let connection = client.connection, connection.isReadable else {
            connect(client)
            return
        }
        guard connection.isOpen else { return }
        for command in choose(client) { send(command.0, ref: command.1, client, connection) }
    }

    private func connect(_ client: Client) {
        client.connection = nil
        let before = connections.last { $0.client == client.index }?.node
        let node = before.map { clientChoices.chance(40) ? $0 : clientChoices.below(nodes.count) }
        open(client, at: nodes[node ?? clientChoices.below(nodes.count)])
    }

    /// A connection to a node that is up, which does not know of it yet.
    func openConnection(
        _ client: Client, _ node: SimulatedNode, speaking generation: ProtocolGeneration = .first
    ) -> Connection {
        node.slots += 1
        let session = SessionID(
            loop: Int(node.slots) % node.loops.count, slot: node.slots, generation: UInt32(node.life),
            speaking: generation)
        let connection = Connection(
            index: connections.count, client: client.index, node: node.index, life: node.life, session: session)
        connections.append(connection)
        node.connections[session] = connection
        client.connection = connection
        return connection
    }

    /// Opens a session, where the node is up.
    func open(_ client: Client, at node: SimulatedNode) {
        guard node.isUp, node.pausedUntil <= now else { return }
        let connection = openConnection(client, node)
        beginStay(client, connection)
        trace.note(
            now, node.index, "comes", UInt64(client.index), connection.session.rawValue,
            "client \(client.index) (\(client.user)) into \(client.room)")
        post(
            .session(connection.session, .entered(user: client.user, displayName: client.user, room: client.room)),
            to: node)
        for (index, sent) in client.unacknowledged.enumerated() {
            let ref = newRef(client, sent)
            let message = MessageCommand(
                room: sent.room, body: Array(sent.body.utf8), key: sent.key, after: sent.after)
            client.room = sent.room
            send(.message(message), ref: ref, client, connection)
            if index == client.unacknowledged.count - 1 { client.unacknowledged = [] }
        }
    }

    // MARK: What to do next

    private func choose(_ client: Client) -> [(ClientCommand, String?)] {
        switch clientChoices.weighted([30, 14, 6, 5, 5, 3, 3, 8, 10, 6, 8, 3, 5, 6, 2, 8, 2, 8, 2, 1]) {
        case 0: return [say(client)]
        case 1: return [say(client, keyed: true)]
        case 2: return (0..<(2 + clientChoices.below(12))).map { _ in say(client, keyed: clientChoices.chance(20)) }
        case 3: return [say(client, in: randomRoom())]
        case 4:
            client.room = randomRoom()
            return [join(client)]
        case 5:
            return [
                (
                    .users(UsersCommand(room: randomRoom(), detail: clientChoices.chance(50))),
                    newRef(client, sent(.ask, client))
                )
            ]
        case 6: return [(.rooms(RoomsCommand()), newRef(client, sent(.ask, client)))]
        case 7: return [history(client)]
        case 8:
            return [
                write(client) {
                    .write(.init(.orSet, doc: randomDocument(), .init(.add, key: randomElement()), after: $0))
                }
            ]
        case 9:
            return [
                write(client) {
                    .write(.init(.orSet, doc: randomDocument(), .init(.remove, key: randomElement()), after: $0))
                }
            ]
        case 10:
            let value: Text? = clientChoices.chance(25) ? nil : Text("v\(clientChoices.below(1_000))")
            if scenario.hasMaps, mapChoices.chance(70) {
                let field: Text = ["f", "g"][mapChoices.below(2)]
                let map = DocumentWrite(value == nil ? .remove : .set, key: field, value: value)
                return [write(client) { .write(.init(.map, doc: randomDocument(), map, after: $0)) }]
            }
            return [write(client) { .write(.init(.register, doc: randomDocument(), .setting(value), after: $0)) }]
        case 11: return [(.read(.init(.orSet, doc: randomDocument())), newRef(client, sent(.ask, client)))]
        case 12: return [(.read(.init(.register, doc: randomDocument())), newRef(client, sent(.ask, client)))]
        case 13:
            breakOff(client)
            return []
        case 14: return [(.leave, nil)]
        case 15:
            var sent = sent(.count, client)
            sent.amount = clientChoices.below(9) - 4
            let add = DocumentWrite(.increment, amount: Int64(sent.amount))
            return [(.write(.init(.counter, doc: randomDocument(), add)), newRef(client, sent))]
        case 17:
            resumeSomewhere(client)
            return []
        case 18:
            slowDown(client)
            return []
        case 19:
            writeUnknownKind(client)
            return []
        default: return [(.read(.init(.counter, doc: randomDocument())), newRef(client, sent(.ask, client)))]
        }
    }

    func randomRoom() -> Text { roomNames[clientChoices.below(scenario.rooms)] }
    func randomDocument() -> Text { documentNames[clientChoices.below(2)] }
    func randomElement() -> Text { ["x", "y", "z"][clientChoices.below(3)] }

    func join(_ client: Client) -> (ClientCommand, String?) {
        var sent = sent(.join, client)
        sent.mayMove = true
        client.connection?.anchor.expected = client.room
        return (.join(room: client.room), newRef(client, sent))
    }

    func sent(_ deed: Client.Sent.Deed, _ client: Client) -> Client.Sent {
        Client.Sent(deed: deed, room: client.room, sentAt: now)
    }

    func newRef(_ client: Client, _ sent: Client.Sent) -> String {
        verdict.refs += 1
        let ref = "r\(verdict.refs)"
        var sent = sent
        sent.order = verdict.refs
        sent.moves = client.connection?.anchor.moves ?? 0
        sent.read = client.connection?.highest
        client.pending[ref] = sent
        return ref
    }

    func say(_ client: Client, keyed: Bool = false, in room: Text? = nil) -> (ClientCommand, String?) {
        verdict.messages += 1
        if let room { client.room = room }
        var sent = sent(.message, client)
        sent.body = "m\(verdict.messages)"
        sent.after = clientChoices.chance(50) ? client.highest : nil
        var named = room
        if keyed {
            sent.key = Text("k\(verdict.messages)")
            named = client.room  // the key's message must be the same wherever it is repeated
            // The same user's other sessions may send it at the same time.
            if clientChoices.chance(20), let twin = clients.first(where: { $0 !== client && $0.user == client.user }) {
                twin.unacknowledged.append(sent)
            }
        }
        let message = MessageCommand(
            room: named, body: Array(sent.body.utf8), key: sent.key, after: sent.after,
            copies: clientChoices.chance(5) ? 1 + clientChoices.below(3) : nil)
        return (.message(message), newRef(client, sent))
    }

    private func write(_ client: Client, _ command: (Position?) -> ClientCommand) -> (ClientCommand, String?) {
        var sent = sent(.write, client)
        sent.after = clientChoices.chance(50) ? client.highest : nil
        return (command(sent.after), newRef(client, sent))
    }

    private func history(_ client: Client) -> (ClientCommand, String?) {
        let page = client.page?.room == client.room ? client.page?.before : nil
        let before = clientChoices.chance(50) ? page : nil
        var sent = sent(.history, client)
        if let connection = client.connection { sent.known = known(to: nodes[connection.node]) }
        return (
            .history(room: client.room, limit: 1 + clientChoices.below(60), before: before), newRef(client, sent)
        )
    }

    func send(_ command: ClientCommand, ref: String?, _ client: Client, _ connection: Connection) {
        guard connection.isOpen else { return }
        if case .message(let message) = command, let room = message.room { movesSilently(to: room, client, connection) }
        trace.note(
            now, connection.node, "asks", UInt64(client.index), UInt64(connection.index),
            "client \(client.index) \(ref ?? "-") \(Describe.command(command))")
        post(.session(connection.session, .command(ref: ref.map { Text($0) }, command)), to: nodes[connection.node])
    }

    // MARK: Connections that go

    /// The client loses its connection; the node notices at once, later, or much later.
    func breakOff(_ client: Client) {
        guard let connection = client.connection else { return }
        if client.library != nil { return breakOff(client, connection) }
        // What it has just sent is lost on the way.
        if clientChoices.chance(50) { _ = say(client, keyed: true) }
        trace.note(now, connection.node, "breaks", UInt64(client.index), 0, "client \(client.index)")
        let wait =
            clientChoices.chance(70) ? clientChoices.within(100...5_000) : clientChoices.within(5_000...8_000_000)
        schedule(.connectionLost(connection.index), after: wait)
        forget(connection, client)
    }

    /// The node has closed a connection: the client hears of it.
    func tellClient(_ connection: Connection, after wait: Microseconds) {
        // What is on its way still comes, or is lost with it.
        let client = clients[connection.client]
        guard client.connection === connection else { return }
        forget(connection, client)
    }

    private func forget(_ connection: Connection, _ client: Client) {
        connection.isReadable = false
        connection.inFlight = []
        client.connection = nil
        for room in client.views.keys { client.views[room]!.endResumes() }
        client.many?.connectionEnded()
        let lost = client.pending.sorted { $0.key < $1.key }
        client.pending = [:]
        for (_, sent) in lost where sent.key != nil { client.unacknowledged.append(sent) }
        for (_, sent) in lost where sent.key == nil { verdict.leftOpen(sent) }
    }

    // MARK: What clients read

    func read(_ connection: Connection) {
        connection.isReading = false
        let client = clients[connection.client]
        guard connection.isReadable, client.connection === connection else { return }
        let isSlow = connection.slowUntil > now
        let count = isSlow ? min(1 + feedChoices.below(2), connection.inFlight.count) : connection.inFlight.count
        let frames = connection.inFlight.prefix(count)
        connection.inFlight.removeFirst(count)
        if !connection.inFlight.isEmpty {
            connection.isReading = true
            schedule(.clientReads(connection.index), after: feedChoices.within(20_000...500_000))
        }
        for frame in frames { take(frame, client, connection) }
        drained(connection)
    }

    private func take(_ frame: ShownFrame, _ client: Client, _ connection: Connection) {
        if let library = client.library { return take(frame, client, library, connection) }
        if let many = client.many { return take(frame, client, many, connection) }
        if let position = frame.position { connection.saw(position, client) }
        if frame.type == "message", let dot = frame.dot, let position = frame.position {
            client.seen.append(
                .init(room: Text(frame.room), dot: dot, position: position, body: frame.body, time: now))
            if client.seen.count > 400 { client.seen.removeFirst(200) }
        }
        follow(frame, client, connection)
        guard let ref = frame.ref else { return }
        guard let sent = client.pending.removeValue(forKey: ref) else {
            violate(.answers, connection.node, "\(ref) is answered twice, or was never asked by client \(client.index)")
            return
        }
        if client.user == "watch" { answers[ref] = frame }
        switch frame.type {
        case "ack": acknowledged(frame, sent, client, connection)
        case "error":
            refused(frame, sent, client)
            if sent.deed == .ask, frame.body == "storage unavailable" {
                violate(
                    .answers, connection.node,
                    "\(ref) asked for what is in memory, and was refused for the store's sake")
            }
            if sent.mayMove || sent.deed == .resume { notMoved(ref, sent, client, connection) }
        case "joined": joined(frame, sent, client, connection)
        case "resumed": resumed(frame, sent, client, connection)
        case "history": read(history: frame, sent, client, connection)
        case _ where sent.named != nil: read(document: frame, sent, client, connection)
        default: break
        }
    }

    func acknowledged(_ frame: ShownFrame, _ sent: Client.Sent, _ client: Client, _ connection: Connection) {
        guard let position = frame.position else {
            violate(.answers, connection.node, "an ack without a position")
            return
        }
        if frame.isDuplicate { counts.duplicates += 1 } else { counts.acknowledged += 1 }
        if let after = sent.after, position <= after, !frame.isDuplicate {
            let wall = nodes[connection.node].clock.wall(at: sent.sentAt)
            if after.timestamp.milliseconds < wall + HybridClock.lead {
                violate(.after, connection.node, "\(position.text) after \(after.text)")
            }
        }
        if let read = sent.read, position <= read, !frame.isDuplicate {
            violate(.after, connection.node, "\(position.text), and its writer had read \(read.text) here")
        }
        if sent.deed == .count { verdict.counted(position.dot, sent.amount) }
        guard sent.deed == .message else { return }
        verdict.acknowledged(
            Acknowledged(
                body: sent.body, room: Text(frame.room), id: frame.id, position: position, key: sent.key,
                user: client.user, node: connection.node, time: now, isDuplicate: frame.isDuplicate)
        ).map { violate(.keys, connection.node, $0) }
    }

    func refused(_ frame: ShownFrame, _ sent: Client.Sent, _ client: Client) {
        counts.refused += 1
        guard sent.deed == .message else { return }
        if sent.key != nil {
            if clientChoices.chance(80) { client.unacknowledged.append(sent) }
        } else {
            verdict.refused(sent)
        }
    }

    /// A page must be in order, each entry once, and have what this client has been shown live of its time.
    func read(history frame: ShownFrame, _ sent: Client.Sent, _ client: Client, _ connection: Connection) {
        let page = frame.history ?? []
        let room = Text(frame.room)
        var last: Position?
        for entry in page {
            guard let position = entry.position else {
                violate(.history, connection.node, "an entry without a position")
                return
            }
            if let last, position <= last {
                violate(.history, connection.node, "\(position.text) after \(last.text)")
            }
            last = position
            connection.saw(position, client)
        }
        guard let first = page.first?.position, let last else { return }
        client.page = (room, first)
        // On another node, or after a disk was lost, what was shown need not be there yet.
        guard scenario.retention == 0 else { return }
        // What came while the page was on its way need not be in it.
        for seen in client.seen
        where seen.room == room && seen.time < sent.sentAt && seen.position >= first && seen.position <= last {
            guard let record = ledger[seen.dot], record.mustShow, sent.known.covers(seen.dot),
                !ledger.hasForked(seen.dot.replica), !ledger.mayHaveDied(seen.dot), !mayComeBack(seen.dot)
            else { continue }
            if !page.contains(where: { $0.dot == seen.dot }), !ledger.isForked(within: record.past) {
                violate(.history, connection.node, "\(seen.dot) \(seen.body) was shown and is not in history")
            }
        }
    }
}
