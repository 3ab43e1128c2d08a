import ConvergeCRDT
import ConvergeWire

@testable import ConvergeNode

/// What `Delivery` needs of a loop, made up: sockets that take some frames, readers that answer when they do. What leaves
/// here has left the node, so here it is checked. A connection's number is its index in the world.
struct SimulatedOutlet: Outlet {
    let world: World
    let node: SimulatedNode
    let loop: Int

    private func there(_ connection: UInt32) -> Connection { world.connections[Int(connection)] }

    func connection(of session: SessionID) -> UInt32? {
        session.loop == loop ? node.connections[session].map { UInt32($0.index) } : nil
    }

    func letIn(_ connection: UInt32) -> Bool { there(connection).isOpen }

    func takeCursor(of connection: UInt32) -> ClientCursor? { exchange(&there(connection).resume, for: nil) }

    func takes(_ bytes: Int, _ connection: UInt32) -> Bool { takes(there(connection)) }

    /// Whether what waits for a live session leaves room for a frame.
    private func takes(_ connection: Connection) -> Bool {
        connection.waiting.isEmpty || connection.waiting.count < world.scenario.sendFrames
    }

    func takesPage(_ connection: UInt32) -> Bool {
        // So many frames may wait for a client that gets another page.
        there(connection).isOpen && there(connection).waiting.count < 2
    }

    // MARK: Frames

    func take(_ run: borrowing TurnFrames, from offset: Int, _ moment: RunMoment, _ connection: UInt32) -> Int {
        let there = there(connection)
        var start = offset
        for frame in run.frames where frame.end > offset {
            guard takes(there) else { return start }
            let key = UInt64(run.room) << 32 | UInt64(frame.end)
            let shown = node.loops[loop].parsed[key] ?? ShownFrame(run.bytes.bytes(start..<frame.end))
            node.loops[loop].parsed[key] = shown
            if let shown { world.showLive(shown, frame.dot, to: there, node) }
            start = frame.end
        }
        return start
    }

    func append(_ frame: UnsafeRawBufferPointer, _ kind: FrameKind, to connection: UInt32) {
        let there = there(connection)
        guard let frame = ShownFrame(frame) else { return }
        switch kind {
        case .reply:
            world.checkReply(frame, there, node)
            if frame.type == "unsubscribed" { leave(Text(frame.room), there) }
            world.send(frame, to: there)
        case .live(let dot), .fed(let dot): world.showLive(frame, dot, to: there, node)
        case .page:
            world.checkPage(frame, there, node)
            frame.begunAnew = there.stays[Text(frame.room)]?.resuming?.tell() ?? []
            world.send(frame, to: there)
        }
    }

    /// The session is not subscribed to the room any more.
    private func leave(_ room: Text, _ connection: Connection) {
        connection.stays[room] = nil
        connection.isMember[room] = nil
    }

    func tell(_ notice: DeliveryNotice, of room: Text, to connection: UInt32) {
        let there = there(connection)
        let stamp = world.stamp(node)
        let frame = write(there) { encoder, frame in
            switch notice {
            case .resumed(let recovered, let cursor, let documents, let ref):
                world.noteResumed(room, there, node, recovered: recovered, cursor: cursor, ref: ref)
                encoder.resumed(
                    stamp, room: room, recovered: recovered, cursor: cursor, docs: documents, ref: ref, to: &frame)
            case .standing(let cursor, .joined(let ref)):
                encoder.joined(stamp, room: room, ref: ref, cursor: cursor, to: &frame)
            case .standing(let cursor, .subscribed(let count, let ref)):
                encoder.subscribed(stamp, room: room, count: count, cursor: cursor, ref: ref, to: &frame)
            case .historyIsGone:
                encoder.historyIsGone(stamp, room: room, to: &frame)
            }
        }
        switch notice {
        case .resumed: frame?.begunAnew = there.stays[room]?.resuming?.tell() ?? []
        case .standing(_, .joined): break
        case .standing(_, .subscribed(_, let ref)): world.noteSubscribed(room, there, ref: ref)
        case .historyIsGone(let stay):
            leave(room, there)
            world.counts.overtaken += 1
            world.post(.session(there.session, .subscriptionEnded(room: room, stay: stay)), to: node)
        }
        if let frame { world.send(frame, to: there) }
    }

    func tell(cursors: [(room: Text, cursor: VersionVector)], to connection: UInt32) {
        let stamp = world.stamp(node)
        let frame = write(there(connection)) { encoder, frame in encoder.cursors(stamp, cursors, to: &frame) }
        if let frame { world.send(frame, to: there(connection)) }
    }

    private func write(
        _ connection: Connection, _ encode: (inout ServerFrameEncoder, inout ByteBuffer) -> Void
    ) -> ShownFrame? {
        var encoder = ServerFrameEncoder(connection.session.speaks)
        var frames = FrameBatchBuilder()
        frames.append(to: .session(connection.session)) { encode(&encoder, &$0) }
        let batch = frames.finish()
        return batch.records.first.flatMap { world.read(batch, $0, node) }
    }

    func mark(_ connection: UInt32) { world.markDirty(there(connection)) }

    func ask(_ question: Feed.Question, of room: Text, for connection: UInt32) {
        let limit = question.purpose == .resume ? world.scenario.resumeLimit : world.scenario.feedLimit
        world.giveReader(node, .feed(there(connection).session, question, room: room, limit: limit))
    }

    func end(_ connection: UInt32, _ reason: DeliveryEnd) {
        node.loops[loop].endings.append((Int(connection), reason))
    }

    // MARK: Checks

    func note(_ step: @autoclosure () -> DeliveryStep, of name: @autoclosure () -> Text, _ connection: UInt32) {
        let there = there(connection)
        let room = name()
        if case .entered(let position) = step() {
            if there.session.speaks == .first { there.stays = [:] }
            there.roomName = room
            there.stays[room] = Stay(room, at: position)
            return
        }
        guard let stay = there.stays[room] else {
            world.violate(.wrongFrame, node.index, "client \(there.client) is not in \(room)")
            return
        }
        switch step() {
        case .entered: break
        case .began(let position, let feed):
            stay.stream.forgive(position)
            if let feed, feed.purpose == .resume { stay.resuming?.begin(feed) }
        case .restarted(let position): there.stays[room] = Stay(room, at: position)
        case .offLive:
            world.tell("off live", there, node, 0, "client \(there.client) in \(room)")
            world.counts.takenOff += 1
        case .live: world.tell("live", there, node, 0, "client \(there.client) again in \(room)")
        case .resumes(let feed, let cursor, let former):
            world.tell("resumes", there, node, 0, "client \(there.client) in \(room) from \(feed.cursor.components)")
            stay.resuming = ResumeWatch(
                feed, from: cursor, former: former?.isResuming == true ? stay.resuming : nil)
        case .page(let feed, let page, let decision):
            world.notePage(page, decision, room, there, node)
            if feed.purpose == .resume { stay.resuming?.feed = feed }
        case .level(let feed):
            stay.shownLive = []
            world.checkNamed(feed, stay, there, node)
            // Whoever asks for what it has seen gets it; but not what it was shown live in this stay, even if a failover has
            // taken that since, and it comes back.
            var shown = feed.cursor
            for dot in feed.shown?.through.components ?? []
            where shown[dot.replica] >= feed.shown?.after[dot.replica] ?? .max { shown.advance(to: dot) }
            stay.stream.goOn(from: shown)
        }
    }
}
