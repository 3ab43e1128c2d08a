import ConvergeCRDT
import ConvergeWire

@testable import ConvergeNode

/// What clients do with their cursors: they come back with one in the URL, resume by a frame, in this room or another, twice,
/// break that off, or begin anew; and they hold what they are shown against what they are owed.
extension World {
    // MARK: Coming

    /// A client comes, and may say what it has been shown of its room.
    func beginStay(_ client: Client, _ connection: Connection) {
        connection.anchor.expected = client.room
        guard client.views[client.room]?.hasBegun == true else { return }
        checkOwed(client, client.room, connection)
        switch feedChoices.below(20) {
        case 0..<10:
            let cursor = client.views[client.room]!.cursor
            verdict.refs += 1
            client.views[client.room]!.ask(nil, order: verdict.refs)
            connection.resume = .at(cursor)
            connection.given = cursor
        case 10:
            verdict.refs += 1
            client.views[client.room]!.ask(nil, order: verdict.refs, isUsable: false)
            connection.resume = .unusable
        case 11..<17: break
        default: client.views[client.room] = nil  // it has forgotten all
        }
    }

    // MARK: Doing

    func resumeSomewhere(_ client: Client) {
        guard let connection = client.connection else { return }
        let room = feedChoices.chance(70) ? client.room : randomRoom()
        if client.views[room]?.hasBegun != true {
            guard feedChoices.chance(50) else { return }
            client.views[room, default: RoomView()].askForAll()
        } else if feedChoices.chance(10), client.views[room]?.isResuming == false {
            client.views[room]!.askForAll()
        }
        resume(client, in: room, connection, isUsable: !feedChoices.chance(4))
        if feedChoices.chance(15) { resume(client, in: room, connection) }
        guard feedChoices.chance(25) else { return }
        // It goes on before it has all.
        if feedChoices.chance(50) {
            client.room = randomRoom()
            let (command, ref) = join(client)
            send(command, ref: ref, client, connection)
        } else {
            breakOff(client)
        }
    }

    func resume(_ client: Client, in room: Text, _ connection: Connection, isUsable: Bool = true) {
        guard client.views[room] != nil else { return }
        checkOwed(client, room, connection)
        let isThere = connection.anchor.room == room && !mayHaveMoved(client)
        client.room = room
        var sent = sent(.resume, client)
        sent.mayMove = !isThere
        let ref = newRef(client, sent)
        connection.anchor.expected = room
        let cursor = client.views[room]!.cursor
        client.pending[ref]!.known = cursor
        client.views[room]!.ask(ref, order: verdict.refs, isUsable: isUsable)
        let named = isThere && feedChoices.chance(50) ? nil : room
        send(.resume(room: named, cursor: isUsable ? .at(cursor) : .unusable), ref: ref, client, connection)
    }

    func slowDown(_ client: Client) {
        guard !isHealed else { return }
        client.connection?.slowUntil = min(now + feedChoices.within(500_000...8_000_000), scenario.duration)
    }

    func writeUnknownKind(_ client: Client) {
        guard scenario.hasNewerNodes, let connection = client.connection else { return }
        let node = nodes[connection.node]
        guard node.isUp, node.life == connection.life else { return }
        node.unknownWrites.append(client.room)
        post(.tick, to: node)
    }

    private func mayHaveMoved(_ client: Client) -> Bool { client.pending.contains { $0.value.mayMove } }

    /// A message that names a room may move its writer there, and nobody says so.
    func movesSilently(to room: Text, _ client: Client, _ connection: Connection) {
        if connection.anchor.expected == room, !mayHaveMoved(client) { return }
        connection.anchor.moves += 1
        connection.anchor.room = nil
        connection.anchor.expected = room
        for ref in client.pending.keys where client.pending[ref]!.deed == .resume { client.pending[ref]!.mayEnd = true }
    }

    // MARK: Reading

    /// Follows what a frame says of the room's entries.
    func follow(_ frame: ShownFrame, _ client: Client, _ connection: Connection) {
        guard client.user != "watch" else { return }
        let room = Text(frame.room)
        var wrong: String?
        switch frame.type {
        case "welcome": begin(room, at: frame, client, connection)
        case "resumed" where frame.ref == nil:
            wrong = client.views[room]?.resumed(frame, before: connection.before)
            resumed(in: room, order: 0, moves: 0, client, connection)
            readNamed(frame, beyond: connection.given, client, connection)
        case "history" where frame.isResume:
            wrong = client.views[room]?.page(frame)
            for entry in frame.history ?? [] { if let position = entry.position { connection.saw(position, client) } }
            if wrong == nil { checkOwed(client, room, connection) }
        default:
            guard frame.dot != nil else { return }
            wrong = client.views[room, default: RoomView()].live(frame, isAnchored: connection.anchor.room == room)
        }
        // Of a log that was written twice the number does not say which entry was shown before.
        if let dot = frame.dot, ledger.forked.contains(dot) { return }
        if let wrong { violate(.resume, connection.node, "\(wrong) (client \(client.index) in \(room))") }
    }

    func joined(_ frame: ShownFrame, _ sent: Client.Sent, _ client: Client, _ connection: Connection) {
        guard client.user != "watch" else { return }
        let room = Text(frame.room)
        // Whatever it resumed in other rooms before is over; and where it did that, it has been away, which ends what it had
        // resumed here before.
        let away = client.pending.values.filter { $0.mayMove && $0.order < sent.order && $0.room != room }
        if let last = away.map(\.order).max() {
            connection.anchor.room = nil
            client.views[room]?.endResumes(before: last)
            client.pending = client.pending.filter { $0.value.deed != .resume || $0.value.order >= last }
        }
        for other in client.views.keys where other != room { client.views[other]!.endResumes(before: sent.order) }
        client.pending = client.pending.filter {
            $0.value.deed != .resume || $0.value.order > sent.order || $0.value.room == room
        }
        guard sent.moves == connection.anchor.moves else {
            connection.anchor.room = nil
            return
        }
        // In the room that it is in nothing happens.
        if connection.anchor.room == room || client.views[room]?.isResuming == true { return }
        begin(room, at: frame, client, connection)
    }

    /// The client is in a room from here on.
    private func begin(_ room: Text, at frame: ShownFrame, _ client: Client, _ connection: Connection) {
        guard let cursor = frame.cursor else {
            violate(.resume, connection.node, "\(frame.type) without a cursor")
            return
        }
        guard frame.type != "welcome" || connection.anchor.moves == 0 else { return }
        if client.views[room]?.isResuming == true { return }
        if client.views[room]?.hasBegun == true, frame.type == "welcome" || feedChoices.chance(80) {
            // Until it has resumed, what comes live does not count.
            connection.anchor.room = nil
            if feedChoices.chance(75) { resume(client, in: room, connection) }
            return
        }
        connection.anchor.room = room
        client.views[room, default: RoomView()].begin(at: cursor)
        client.views[room]!.excuse(connection.before)
    }

    func resumed(_ frame: ShownFrame, _ sent: Client.Sent, _ client: Client, _ connection: Connection) {
        let room = Text(frame.room)
        if room != sent.room { violate(.resume, connection.node, "resumed in \(room), asked was \(sent.room)") }
        if let wrong = client.views[room]?.resumed(frame, before: connection.before) {
            violate(.resume, connection.node, "\(wrong) (client \(client.index) in \(room))")
        }
        resumed(in: room, order: sent.order, moves: sent.moves, client, connection)
        readNamed(frame, beyond: sent.known, client, connection)
    }

    private func resumed(in room: Text, order: Int, moves: Int, _ client: Client, _ connection: Connection) {
        // What was asked before is replaced, or was over when it moved.
        for other in client.views.keys { client.views[other]!.endResumes(before: order) }
        client.pending = client.pending.filter { $0.value.deed != .resume || $0.value.order > order }
        connection.anchor.room = moves == connection.anchor.moves ? room : nil
        checkOwed(client, room, connection)
    }

    /// The node has not done what would have moved the client.
    func notMoved(_ ref: String, _ sent: Client.Sent, _ client: Client, _ connection: Connection) {
        if sent.deed == .resume {
            client.views[sent.room]?.refused(ref)
            // What it wanted before it goes on it has not got.
            if connection.anchor.room == sent.room { connection.anchor.room = nil }
        }
        if sent.mayMove, connection.anchor.expected == sent.room {
            connection.anchor.expected = mayHaveMoved(client) ? nil : connection.anchor.room
        }
    }

    // MARK: Checks

    func checkOwed(_ client: Client, _ room: Text, _ connection: Connection) {
        guard let missing = client.views[room]?.missing(in: room, ledger) else { return }
        violate(.resume, connection.node, "\(missing) (client \(client.index) in \(room))")
    }

    /// In the end: everybody resumes once more where they are, which must bring nothing twice and leave nothing out.
    func resumeEverywhere() {
        for client in clients where client.user != "watch" {
            if let many = client.many, let connection = client.connection, connection.isOpen, connection.isReadable {
                resumeEverywhere(client, many, connection)
                continue
            }
            guard let connection = client.connection, connection.isOpen, connection.isReadable,
                let view = client.views[connection.roomName], view.hasBegun,
                !view.isResuming || !client.pending.contains(where: { $0.value.deed == .resume && !$0.value.mayEnd })
            else { continue }
            resume(client, in: connection.roomName, connection)
        }
    }

    /// What clients still wait for, or were never shown though they follow their room.
    func checkClients() -> [Problem] {
        var problems: [Problem] = []
        for client in clients where client.user != "watch" {
            guard let connection = client.connection, connection.isOpen, connection.isReadable else { continue }
            func wrong(_ words: String) {
                problems.append(
                    Problem(rule: .resume, node: connection.node, words: "client \(client.index): \(words)"))
            }
            if let many = client.many {
                check(client, many, connection, wrong)
                continue
            }
            for (ref, sent) in client.pending.sorted(by: { $0.value.order < $1.value.order })
            where sent.deed == .resume && !sent.mayEnd {
                wrong("\(ref), a resume in \(sent.room), has no answer")
            }
            guard let room = connection.anchor.room, let view = client.views[room] else { continue }
            if view.isResuming { wrong("its resume in \(room) has no end") }
            if scenario.retention == 0,
                let missing = view.missing(in: room, ledger, through: nodes[connection.node].disk.vector)
            {
                wrong("in \(room) \(missing)")
            }
        }
        return problems
    }
}

extension Client {
    /// What was on the disk before its node had opened it came before, and will not come.
    func excuse(_ vector: VersionVector, _ connection: Connection) {
        if connection === self.connection { library?.excuse(vector) }
        if let many, connection === self.connection {
            for case (let room, .live) in many.standings { views[room]?.excuse(vector) }
        }
        guard connection === self.connection, let room = connection.anchor.room else { return }
        views[room]?.excuse(vector)
    }
}
