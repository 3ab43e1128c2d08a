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
            world.send(frame, to: there)
        case .live(let dot), .fed(let dot): world.showLive(frame, dot, to: there, node)
        case .page:
            world.checkPage(frame, there, node)
            frame.begunAnew = there.resuming?.tell() ?? []
            world.send(frame, to: there)
        }
    }

    func tell(_ notice: DeliveryNotice, of room: Text, to connection: UInt32) {
        let there = there(connection)
        var encoder = ServerFrameEncoder()
        var frames = FrameBatchBuilder()
        let stamp = world.stamp(node)
        frames.append(to: .session(there.session)) { frame in
            switch notice {
            case .resumed(let recovered, let cursor, let documents, let ref):
                world.noteResumed(there, node, recovered: recovered, cursor: cursor, ref: ref)
                encoder.resumed(
                    stamp, room: room, recovered: recovered, cursor: cursor, docs: documents, ref: ref, to: &frame)
            case .joined(let cursor, let ref):
                encoder.joined(stamp, room: room, ref: ref, cursor: cursor, to: &frame)
            }
        }
        let batch = frames.finish()
        for record in batch.records {
            guard let frame = world.read(batch, record, node) else { continue }
            if case .resumed = notice { frame.begunAnew = there.resuming?.tell() ?? [] }
            world.send(frame, to: there)
        }
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

    func note(_ step: @autoclosure () -> DeliveryStep, _ connection: UInt32) {
        let there = there(connection)
        switch step() {
        case .entered(let room, let position):
            there.roomName = room
            there.shownLive = []
            there.resuming = nil
            there.stream.begin(room, at: position)
        case .began(let position, let feed):
            there.stream.forgive(position)
            if let feed, feed.purpose == .resume { there.resuming?.begin(feed) }
        case .restarted(let position):
            there.shownLive = []
            there.resuming = nil
            there.stream.begin(there.roomName, at: position)
        case .offLive:
            world.tell("off live", there, node, 0, "client \(there.client)")
            world.counts.takenOff += 1
        case .live: world.tell("live", there, node, 0, "client \(there.client) again")
        case .resumes(let feed, let cursor, let former):
            world.tell(
                "resumes", there, node, 0, "client \(there.client) in \(there.roomName) from \(feed.cursor.components)")
            there.resuming = ResumeWatch(
                feed, from: cursor, former: former?.isResuming == true ? there.resuming : nil)
        case .page(let feed, let page, let decision):
            world.notePage(page, decision, there, node)
            if feed.purpose == .resume { there.resuming?.feed = feed }
        case .level(let feed):
            there.shownLive = []
            world.checkNamed(feed, there, node)
            // Whoever asks for what it has seen gets it; but not what it was shown live in this stay, even if a failover has
            // taken that since, and it comes back.
            var shown = feed.cursor
            for dot in feed.shown?.through.components ?? []
            where shown[dot.replica] >= feed.shown?.after[dot.replica] ?? .max { shown.advance(to: dot) }
            there.stream.goOn(from: shown)
        }
    }
}
