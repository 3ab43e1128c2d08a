import ConvergeCRDT
import ConvergeStorage
import ConvergeWire

@testable import ConvergeNode

/// The client loops of a node: frames go to whom they are for. What leaves here has left the node, so here it is checked.
extension World {
    func deliver(_ batch: FrameBatch, _ wanted: LoopSet, _ node: SimulatedNode) {
        for loop in node.loops.indices where wanted.contains(loop) { wake(node, loop, .frames(batch)) }
    }

    func wake(_ node: SimulatedNode, _ loop: Int, _ message: LoopMessage) {
        node.loops[loop].inbox.append(message)
        wake(node, loop)
    }

    private func wake(_ node: SimulatedNode, _ loop: Int) {
        guard !node.loops[loop].isAwake else { return }
        node.loops[loop].isAwake = true
        schedule(.loopWakes(node.index, life: node.life, loop: loop), after: scheduling.within(5...400))
    }

    /// One turn of a loop: it takes what has come for it, then sends.
    func loopWakes(_ node: SimulatedNode, _ loop: Int) {
        if delayed(node, .loopWakes(node.index, life: node.life, loop: loop)) { return }
        node.loops[loop].isAwake = false
        node.loops[loop].beginTurn()
        let messages = node.loops[loop].inbox
        node.loops[loop].inbox = []
        for message in messages {
            switch message {
            case .frames(let batch, _): handOut(batch, node, loop)
            case .feed(let session, let ask, let frames, let page):
                if let connection = here(session, loop, node) { takePage(page, ask, frames, connection, node) }
            case .feedFailed(let session, let ask):
                if let connection = here(session, loop, node) { pageFailed(ask, connection) }
            case .admit, .stopReading, .finish: break
            }
        }
        // Flushing may ask for pages, and nothing else.
        let dirty = node.loops[loop].dirty
        node.loops[loop].dirty = []
        for index in dirty { flush(connections[index], node) }
    }

    private func handOut(_ batch: FrameBatch, _ node: SimulatedNode, _ loop: Int) {
        node.loops[loop].position.merge(batch.position)
        if let own = batch.own { node.loops[loop].own = own }
        for record in batch.records {
            let frame = read(batch, record, node)
            switch record.target {
            case .room(let room):
                if let frame { show(frame, record.dot, room, node, loop) }
                if let dot = record.dot { node.loops[loop].position.advance(to: dot) }
            case .unshown(let room, let twin):
                guard let dot = record.dot else { continue }
                if node.loops[loop].rooms[room]?.isEmpty == false { noteUnshown(dot, twin, room, node, loop) }
                node.loops[loop].position.advance(to: dot)
            case .session(let session):
                guard let frame, let connection = here(session, loop, node) else { continue }
                checkReply(frame, connection, node)
                send(frame, to: connection)
            case .enter(let session, let room, let name):
                guard let connection = here(session, loop, node) else { continue }
                enter(connection, room, name, node, loop)
                if let frame { send(frame, to: connection) }
                if let cursor = connection.resume {
                    connection.resume = nil
                    resume(connection, from: cursor, ref: nil, node)
                }
            case .begin: beginAll(node, loop)
            case .setBack: setBack(to: batch.position, node, loop)
            case .catchUp(let room): feedAll(room, node, loop)
            case .resume(let session, let request):
                guard let connection = here(session, loop, node), connection.room == request.room else { continue }
                if let cursor = request.cursor {
                    resume(connection, from: cursor, ref: request.ref, node)
                } else {
                    tellStanding(connection, ref: request.ref, node)
                }
            case .leave(let session):
                guard let connection = here(session, loop, node) else { continue }
                tellClient(connection, after: clientChoices.within(500...5_000))
                lose(connection)
            }
        }
    }

    private func noteUnshown(_ dot: Dot, _ twin: Dot?, _ room: UInt32, _ node: SimulatedNode, _ loop: Int) {
        node.loops[loop].rooms[room]!.unshown.note(dot, twin: twin)
        guard !scenario.planted.has(.fedEventForgotten) else { return }
        let unshown = node.loops[loop].rooms[room]!.unshown
        for index in node.loops[loop].rooms[room]!.slow where connections[index].feed?.feed.hasFed(dot) == true {
            connections[index].fedUnshown = unshown.among(connections[index].fedUnshown + [dot])
        }
    }

    /// The frame of a record as a client will read it; nil where there is none.
    func read(_ batch: FrameBatch, _ record: FrameRecord, _ node: SimulatedNode) -> ShownFrame? {
        let bytes = batch.bytes(of: record)
        guard !bytes.isEmpty else { return nil }
        guard let frame = ShownFrame(bytes) else {
            violate(.wrongFrame, node.index, "not one frame: \(String(decoding: bytes, as: UTF8.self))")
            return nil
        }
        if let dot = record.dot { check(frame, shows: dot, node) }
        return frame
    }

    private func show(_ frame: ShownFrame, _ dot: Dot?, _ room: UInt32, _ node: SimulatedNode, _ loop: Int) {
        offer(frame, dot, room, node, loop)
        let comesBack = dot.map(node.loops[loop].takenBack.covers) ?? false
        for index in node.loops[loop].rooms[room]?.live ?? [] {
            let connection = connections[index]
            if let dot, comesBack, connection.base.covers(dot) { continue }
            if takesLive(connection) {
                showLive(frame, dot, to: connection, node)
            } else {
                takeOffLive(connection, node)
            }
        }
        node.loops[loop].noteShown(dot, in: room)
    }

    /// A frame that goes to a member of its room as it comes.
    func showLive(_ frame: ShownFrame, _ dot: Dot?, to connection: Connection, _ node: SimulatedNode) {
        if frame.room != connection.roomName.string {
            violate(.wrongFrame, node.index, "a frame of \(frame.room) in \(connection.roomName)")
        }
        checkLive(dot, connection, node)
        // Of a log that was written twice it may be the other entry.
        let isForked = dot.map(ledger.forked.contains) ?? false
        if let dot, !connection.shownLive.insert(dot).inserted, !isForked {
            violate(.resume, node.index, "\(dot) is shown live twice to client \(connection.client)")
        }
        // Who comes back after a failover took it is told that it begins before it.
        if let dot, !connection.everShown[connection.roomName, default: []].insert(dot).inserted, !isForked,
            !mayComeBack(dot)
        {
            violate(
                .resume, node.index,
                "\(dot) is shown again, live, to client \(connection.client), which has left and entered")
        }
        send(frame, to: connection)
    }

    private func enter(
        _ connection: Connection, _ room: UInt32, _ name: Text, _ node: SimulatedNode, _ loop: Int
    ) {
        guard connection.room != room else { return }
        node.loops[loop].remove(connection)
        let position = node.loops[loop].position
        if node.loops[loop].rooms[room]?.isEmpty ?? true { node.loops[loop].rooms[room] = .init(since: position) }
        connection.room = room
        connection.roomName = name
        connection.entered = position
        connection.fedUnshown = []
        connection.base = position
        connection.shownLive = []
        node.loops[loop].addLive(connection)
        connection.stream.begin(name, at: position)
    }

    /// A session's connection, where it is this loop's.
    private func here(_ session: SessionID, _ loop: Int, _ node: SimulatedNode) -> Connection? {
        session.loop == loop ? node.connections[session] : nil
    }

    // MARK: Sockets

    /// Appends a frame to what waits for a client.
    func send(_ frame: ShownFrame, to connection: Connection) {
        counts.deliveries += 1
        guard connection.isOpen else { return }
        connection.waiting.append(frame)
        markDirty(connection)
    }

    func markDirty(_ connection: Connection) {
        let node = nodes[connection.node]
        guard node.life == connection.life else { return }
        let loop = connection.session.loop
        if !node.loops[loop].dirty.contains(connection.index) { node.loops[loop].dirty.append(connection.index) }
    }

    /// The client has read: its socket takes more.
    func drained(_ connection: Connection) {
        guard connection.isOpen, !connection.waiting.isEmpty || connection.feed != nil else { return }
        let node = nodes[connection.node]
        guard node.life == connection.life, node.isUp else { return }
        markDirty(connection)
        wake(node, connection.session.loop)
    }

    private func flush(_ connection: Connection, _ node: SimulatedNode) {
        guard connection.isOpen else { return }
        let count = min(connection.waiting.count, max(0, scenario.socketFrames - connection.inFlight.count))
        if connection.isReadable, count > 0 {
            connection.inFlight += connection.waiting.prefix(count)
            if !connection.isReading {
                connection.isReading = true
                schedule(.clientReads(connection.index), after: clientChoices.within(50...3_000))
            }
        }
        // What is sent to a client that is gone is lost, without a word.
        connection.waiting.removeFirst(connection.isReadable ? count : connection.waiting.count)
        if connection.feed != nil { askForFeed(connection, node) }
    }

    // MARK: Checks

    /// A frame that shows an entry: the entry must be on this node's disk, and be what the frame says.
    func check(_ frame: ShownFrame, shows dot: Dot, _ node: SimulatedNode) {
        trace.note(now, node.index, "shows", dot.replica.rawValue, dot.seq, "\(dot) \(frame.type) \(frame.body)")
        guard node.disk.committed.covers(dot), let record = ledger[dot] else {
            violate(.shownNotStored, node.index, "\(dot), of which the disk has \(node.disk.vector[dot.replica])")
            return
        }
        let entry = record.entry
        if frame.position != entry.position || frame.dot != dot || frame.room != entry.room.string {
            if !ledger.forked.contains(dot) {
                violate(
                    .wrongFrame, node.index,
                    "the frame of \(dot) says \(frame.room) \(String(describing: frame.position))")
            }
        }
        if frame.type == "message", !ledger.redacted.contains(dot), !ledger.forked.contains(dot) {
            let payload = entry.payload.withUnsafeBytes { try? MessagePayload(decoding: $0) }
            if payload?.body.elementsEqual(frame.body.utf8) != true {
                violate(.wrongFrame, node.index, "the frame of \(dot) shows \(frame.body)")
            }
        }
    }

    func checkLive(_ dot: Dot?, _ connection: Connection, _ node: SimulatedNode) {
        guard let dot, let record = ledger[dot], !ledger.forked.contains(dot),
            !ledger.isForked(within: record.past)
        else {
            if let dot { connection.stream.forgive(VersionVector([dot])) }
            return
        }
        if let (rule, words) = connection.stream.take(dot, record, ledger) {
            violate(rule, node.index, "\(words) (client \(connection.client) in \(connection.roomName))")
        }
    }

    /// An ack leaves only when what it promises is on this node's disk.
    private func checkReply(_ frame: ShownFrame, _ connection: Connection, _ node: SimulatedNode) {
        guard frame.type == "ack", let position = frame.position else { return }
        // After a reload its entry may stand under another name.
        if !node.disk.committed.covers(position.dot), counts.reloads == 0 {
            violate(.shownNotStored, node.index, "an ack of \(position.dot)")
        }
        if let copies = frame.copies {
            let holding = disks.count { $0.most.covers(position.dot) }
            if copies > holding {
                violate(.answers, node.index, "\(copies) copies of \(position.dot), there are \(holding)")
            }
        }
    }

    // MARK: Connections

    /// The node learns that a client is gone.
    func lose(_ connection: Connection) {
        guard connection.isOpen else { return }
        connection.isOpen = false
        let node = nodes[connection.node]
        guard node.life == connection.life, node.isUp else { return }
        node.connections[connection.session] = nil
        node.loops[connection.session.loop].remove(connection)
        post(.session(connection.session, .left), to: node)
    }
}
