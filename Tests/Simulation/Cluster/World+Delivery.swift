import ConvergeCRDT
import ConvergeStorage
import ConvergeWire

@testable import ConvergeNode

/// The client loops of a node: frames go to whom they are for. What leaves here has left the node, so here it is checked.
extension World {
    func deliver(_ batch: FrameBatch, _ wanted: LoopSet, _ node: SimulatedNode) {
        for loop in node.loops.indices where wanted.contains(loop) { wake(node, loop, batch) }
    }

    func wake(_ node: SimulatedNode, _ loop: Int, _ batch: FrameBatch) {
        node.loops[loop].inbox.append(batch)
        guard !node.loops[loop].isAwake else { return }
        node.loops[loop].isAwake = true
        schedule(.loopWakes(node.index, life: node.life, loop: loop), after: scheduling.within(5...400))
    }

    func loopWakes(_ node: SimulatedNode, _ loop: Int) {
        if delayed(node, .loopWakes(node.index, life: node.life, loop: loop)) { return }
        node.loops[loop].isAwake = false
        let batches = node.loops[loop].inbox
        node.loops[loop].inbox = []
        for batch in batches { handOut(batch, node, loop) }
    }

    private func handOut(_ batch: FrameBatch, _ node: SimulatedNode, _ loop: Int) {
        node.positions[loop].merge(batch.position)
        for record in batch.records {
            let bytes = batch.bytes(of: record)
            var frame: ShownFrame?
            if !bytes.isEmpty {
                frame = ShownFrame(bytes)
                if frame == nil {
                    violate(.wrongFrame, node.index, "not one frame: \(String(decoding: bytes, as: UTF8.self))")
                }
            }
            if let dot = record.dot, let frame { check(frame, shows: dot, node) }
            switch record.target {
            case .room(let room):
                let members = node.loops[loop].rooms[room] ?? []
                for index in members {
                    guard let frame else { continue }
                    let connection = connections[index]
                    if frame.room != connection.roomName.string {
                        violate(.wrongFrame, node.index, "a frame of \(frame.room) in \(connection.roomName)")
                    }
                    if let dot = record.dot, connection.fed.covers(dot) { continue }
                    checkLive(record.dot, connection, node)
                    send(frame, to: connection)
                }
                if let dot = record.dot { node.positions[loop].advance(to: dot) }
            case .session(let session):
                guard let frame, let connection = here(session, loop, node) else { continue }
                checkReply(frame, connection, node)
                send(frame, to: connection)
            case .enter(let session, let room, let name):
                guard let connection = here(session, loop, node) else { continue }
                if connection.room != room {
                    if let old = connection.room { node.loops[loop].leave(connection.index, room: old) }
                    connection.room = room
                    connection.roomName = name
                    node.loops[loop].enter(connection.index, room: room)
                    connection.stream.begin(name, at: node.positions[loop])
                }
                if let frame { send(frame, to: connection) }
            case .catchUp(let room):
                for index in node.loops[loop].rooms[room] ?? [] {
                    connections[index].fed.merge(node.disk.vector)
                    connections[index].stream.forgive(node.disk.vector)
                }
            case .resume:
                break  // the clients here begin anew
            case .leave(let session):
                guard let connection = here(session, loop, node) else { continue }
                tellClient(connection, after: clientChoices.within(500...5_000))
                lose(connection)
            }
        }
    }

    /// A session's connection, where it is this loop's.
    private func here(_ session: SessionID, _ loop: Int, _ node: SimulatedNode) -> Connection? {
        session.loop == loop ? node.connections[session] : nil
    }

    private func send(_ frame: ShownFrame, to connection: Connection) {
        counts.deliveries += 1
        guard connection.isOpen, connection.isReadable else { return }
        connection.inFlight.append(frame)
        guard !connection.isReading else { return }
        connection.isReading = true
        schedule(.clientReads(connection.index), after: clientChoices.within(50...3_000))
    }

    // MARK: Checks

    /// A frame that shows an entry: the entry must be on this node's disk, and be what the frame says.
    private func check(_ frame: ShownFrame, shows dot: Dot, _ node: SimulatedNode) {
        trace.note(now, node.index, "shows", dot.replica.rawValue, dot.seq, "\(dot) \(frame.type) \(frame.body)")
        guard node.disk.vector.covers(dot), let record = ledger[dot] else {
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

    private func checkLive(_ dot: Dot?, _ connection: Connection, _ node: SimulatedNode) {
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
        if !node.disk.vector.covers(position.dot), counts.reloads == 0 {
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
        if let room = connection.room { node.loops[connection.session.loop].leave(connection.index, room: room) }
        post(.session(connection.session, .left), to: node)
    }
}
