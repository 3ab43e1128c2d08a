import ConvergeCRDT
import ConvergeStorage
import ConvergeWire

@testable import ConvergeNode

/// The client loops of a node: frames go to whom they are for. What leaves here has left the node, so here it is checked.
extension World {
    func deliver(_ batch: FrameBatch, _ wanted: LoopSet, _ node: SimulatedNode) {
        for loop in node.loops.indices where wanted.contains(loop) { wake(node, loop, .frames(batch)) }
    }

    func makeLoops() -> [SimulatedLoop] { (0..<scenario.loops).map { _ in SimulatedLoop(scenario) } }

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
    func loopWakes(_ node: SimulatedNode, _ number: Int) {
        if delayed(node, .loopWakes(node.index, life: node.life, loop: number)) { return }
        let loop = node.loops[number]
        var outlet = SimulatedOutlet(world: self, node: node, loop: number)
        loop.isAwake = false
        loop.parsed = [:]
        loop.delivery.beginTurn()
        for message in exchange(&loop.inbox, for: []) {
            switch message {
            case .frames(let batch, _):
                for record in batch.records { read(batch, record, node) }
                loop.delivery.deliver(batch, to: &outlet)
                carryOutEndings(of: loop)
            case .feed(let session, let ask, let frames, let page):
                guard let connection = here(session, number, node) else { continue }
                for record in frames.records { read(frames, record, node) }
                loop.delivery.take(page: page, ask, frames, for: UInt32(connection.index), to: &outlet)
                carryOutEndings(of: loop)
            case .feedFailed(let session, let ask):
                guard let connection = here(session, number, node),
                    loop.delivery.pageFailed(ask, for: UInt32(connection.index))
                else { continue }
                connection.retryAt = now + 250_000
                schedule(.feedRetries(connection.index), after: 250_000)
            case .beginSessions, .stopReading, .finish: break
            }
        }
        tellCursors(node, number, loop, &outlet)
        loop.delivery.flush(to: &outlet)
        carryOutEndings(of: loop)
        // Flushing may ask for pages, and nothing else.
        for index in exchange(&loop.dirty, for: []) { flush(connections[index], node) }
    }

    /// Now and then sessions of the second generation are told where they stand.
    private func tellCursors(
        _ node: SimulatedNode, _ number: Int, _ loop: SimulatedLoop, _ outlet: inout SimulatedOutlet
    ) {
        guard scenario.manyRoomsClients > 0, cursorChoices.chance(3) else { return }
        for connection in connections
        where connection.isOpen && connection.session.speaks == .second
            && node.connections[connection.session] === connection
            && connection.session.loop == number
        {
            loop.delivery.tellCursors(UInt32(connection.index), &outlet)
        }
    }

    /// Closes the connections that delivery has found to be over.
    private func carryOutEndings(of loop: SimulatedLoop) {
        for (index, reason) in exchange(&loop.endings, for: []) {
            if case .historyIsGone = reason { counts.closedAsSlow += 1 }
            tellClient(connections[index], after: clientChoices.within(500...5_000))
            lose(connections[index])
        }
    }

    /// The store could not be read for it: it is asked again.
    func retryFeed(_ connection: Connection) {
        let node = nodes[connection.node]
        guard connection.isOpen, node.life == connection.life, node.isUp, let due = connection.retryAt, due <= now
        else {
            return
        }
        if delayed(node, .feedRetries(connection.index)) { return }
        connection.retryAt = nil
        askForPage(connection, node)
    }

    private func askForPage(_ connection: Connection, _ node: SimulatedNode) {
        var outlet = SimulatedOutlet(world: self, node: node, loop: connection.session.loop)
        node.loops[connection.session.loop].delivery.askForPage(UInt32(connection.index), &outlet)
    }

    /// The frame of a record as a client will read it; nil where there is none.
    @discardableResult
    func read(_ batch: FrameBatch, _ record: FrameRecord, _ node: SimulatedNode) -> ShownFrame? {
        if !record.second.isEmpty { read(batch.bytes(of: record, for: .second), record, node) }
        let bytes = batch.bytes(of: record)
        return bytes.isEmpty ? nil : read(bytes, record, node)
    }

    @discardableResult
    private func read(_ bytes: UnsafeRawBufferPointer, _ record: FrameRecord, _ node: SimulatedNode) -> ShownFrame? {
        guard let frame = ShownFrame(bytes) else {
            violate(.wrongFrame, node.index, "not one frame: \(String(decoding: bytes, as: UTF8.self))")
            return nil
        }
        if let dot = record.dot { check(frame, shows: dot, node) }
        return frame
    }

    /// A frame that goes to a session in its room as it comes.
    func showLive(_ frame: ShownFrame, _ dot: Dot?, to connection: Connection, _ node: SimulatedNode) {
        defer { send(frame, to: connection) }
        guard let stay = connection.stays[Text(frame.room)] else {
            violate(.wrongFrame, node.index, "a frame of \(frame.room), where client \(connection.client) is not")
            return
        }
        checkLive(dot, stay, connection, node)
        // Of a log that was written twice it may be the other entry.
        let isForked = dot.map(ledger.forked.contains) ?? false
        if let dot, !stay.shownLive.insert(dot).inserted, !isForked {
            violate(.resume, node.index, "\(dot) is shown live twice to client \(connection.client)")
        }
        // Who comes back after a failover took it is told that it begins before it.
        if let dot, !connection.everShown[stay.room, default: []].insert(dot).inserted, !isForked,
            !mayComeBack(dot)
        {
            violate(
                .resume, node.index,
                "\(dot) is shown again, live, to client \(connection.client), which has left and entered")
        }
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
        let node = nodes[connection.node]
        guard connection.isOpen, node.life == connection.life, node.isUp else { return }
        guard
            !connection.waiting.isEmpty || node.loops[connection.session.loop].delivery.isFed(UInt32(connection.index))
        else { return }
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
        askForPage(connection, node)
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

    private func checkLive(_ dot: Dot?, _ stay: Stay, _ connection: Connection, _ node: SimulatedNode) {
        guard let dot, let record = ledger[dot], !ledger.forked.contains(dot),
            !ledger.isForked(within: record.past)
        else {
            if let dot { stay.stream.forgive(VersionVector([dot])) }
            return
        }
        if let (rule, words) = stay.stream.take(dot, record, ledger) {
            violate(rule, node.index, "\(words) (client \(connection.client) in \(stay.room))")
        }
    }

    /// An ack leaves only when what it promises is on this node's disk.
    func checkReply(_ frame: ShownFrame, _ connection: Connection, _ node: SimulatedNode) {
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
        node.loops[connection.session.loop].delivery.forget(UInt32(connection.index))
        post(.session(connection.session, .left), to: node)
    }
}
