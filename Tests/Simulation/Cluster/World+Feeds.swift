import ConvergeCRDT
import ConvergeWire

@testable import ConvergeNode

/// Members of a room that do not simply get its frames live: slow clients and clients that resume. `Feed` decides, as it
/// does in `ClientLoop`, whose steps these are; pages are read by `FeedReader`.
extension World {
    /// How many frames may wait for a client that gets another page.
    private var lowWater: Int { 2 }

    /// Whether what waits for a live member leaves room for a frame.
    func takesLive(_ connection: Connection) -> Bool {
        connection.waiting.isEmpty || connection.waiting.count < scenario.sendFrames
    }

    func takeOffLive(_ connection: Connection, _ node: SimulatedNode) {
        guard let room = connection.room else { return }
        let loop = connection.session.loop
        var cursor = node.loops[loop].handed(in: room)
        cursor.merge(connection.base)
        trace.note(now, node.index, "off live", UInt64(connection.client), 0, "client \(connection.client)")
        node.loops[loop].remove(connection)
        node.loops[loop].add(connection, fedBy: SimulatedFeed(Feed(catchingUpFrom: cursor)))
        counts.takenOff += 1
        markDirty(connection)
    }

    /// A frame of the room, for those who are fed.
    func offer(_ frame: ShownFrame, _ dot: Dot?, _ room: UInt32, _ node: SimulatedNode, _ loop: Int) {
        for index in node.loops[loop].rooms[room]?.slow ?? [] {
            let connection = connections[index]
            guard let queue = connection.feed else { continue }
            let turn = node.loops[loop].turn
            let position = queue.turn == turn ? nil : node.loops[loop].position
            queue.turn = turn
            switch queue.feed.live(dot, position: position, takenBack: node.loops[loop].takenBack) {
            case .skip: break
            case .hold: hold(frame, dot, queue)
            case .rejoin:
                trace.note(now, node.index, "live", UInt64(connection.client), 0, "client \(connection.client) again")
                connection.base = queue.feed.cursor
                node.loops[loop].remove(connection)
                node.loops[loop].addLive(connection)
            case .show where takesLive(connection):
                showLive(frame, dot, to: connection, node)
            case .show:
                queue.feed.fallBehind(at: node.loops[loop].position)
                trace.note(now, node.index, "off live", UInt64(connection.client), 1, "client \(connection.client)")
                counts.takenOff += 1
                if case .hold = queue.feed.live(dot, position: nil) { hold(frame, dot, queue) }
                markDirty(connection)
            }
        }
    }

    private func hold(_ frame: ShownFrame, _ dot: Dot?, _ queue: SimulatedFeed) {
        if queue.held.count >= scenario.sendFrames {
            queue.feed.overflow()
            queue.held = []
        } else {
            queue.held.append((dot, frame))
        }
    }

    /// The store is open: whoever is here begins behind what was in it.
    func beginAll(_ node: SimulatedNode, _ loop: Int) {
        let position = node.loops[loop].position
        node.loops[loop].turnStart.merge(position)
        for room in node.loops[loop].rooms.keys {
            node.loops[loop].rooms[room]!.since.merge(position)
            for index in node.loops[loop].rooms[room]!.live + node.loops[loop].rooms[room]!.slow {
                connections[index].entered.merge(position)
                connections[index].base.merge(position)
                connections[index].stream.forgive(position)
                connections[index].feed?.begin(at: position, own: node.loops[loop].own)
                markDirty(connections[index])
            }
        }
    }

    /// The store has less than was handed out.
    func setBack(to left: VersionVector, _ node: SimulatedNode, _ loop: Int) {
        let position = node.loops[loop].position
        for room in node.loops[loop].rooms.keys {
            for index in node.loops[loop].rooms[room]!.live { connections[index].base.merge(position) }
            for index in node.loops[loop].rooms[room]!.slow {
                connections[index].feed?.feed.setBack(from: position)
                connections[index].feed?.held = []
                markDirty(connections[index])
            }
            let since = node.loops[loop].rooms[room]!.since
            node.loops[loop].rooms[room]!.since = since.limited(to: left)
        }
        node.loops[loop].takenBack.merge(position)
        node.loops[loop].position = position.limited(to: left)
        node.loops[loop].turnStart = node.loops[loop].turnStart.limited(to: left)
        trace.note(now, node.index, "set back", 0, 0, "from \(position.components) to \(left.components)")
    }

    /// The store has got entries of a room that were never handed out: everybody in it is fed.
    func feedAll(_ room: UInt32, _ node: SimulatedNode, _ loop: Int) {
        let position = node.loops[loop].position
        for index in node.loops[loop].rooms[room]?.slow ?? [] {
            guard let queue = connections[index].feed else { continue }
            if queue.feed.isLevel {
                queue.feed.fallBehind(at: position)
            } else {
                queue.feed.overflow()
                queue.held = []
            }
            markDirty(connections[index])
        }
        for index in node.loops[loop].rooms[room]?.live ?? [] {
            var cursor = position
            cursor.merge(node.loops[loop].rooms[room]?.since ?? VersionVector())
            cursor.merge(connections[index].base)
            node.loops[loop].remove(connections[index])
            node.loops[loop].add(connections[index], fedBy: SimulatedFeed(Feed(catchingUpFrom: cursor)))
            markDirty(connections[index])
        }
    }

    // MARK: Resuming

    func resume(_ connection: Connection, from cursor: ClientCursor, ref: Text?, _ node: SimulatedNode) {
        let loop = connection.session.loop
        let position = node.loops[loop].position
        guard case .at(let cursor) = cursor else {
            if connection.feed != nil {
                node.loops[loop].remove(connection)
                node.loops[loop].addLive(connection)
                connection.entered = position
                connection.base = position
                connection.shownLive = []
                connection.stream.begin(connection.roomName, at: position)
            }
            let handed = node.loops[loop].handed(connection)
            sendResumed(connection, node, recovered: false, cursor: handed, documents: [], ref: ref)
            return
        }
        let shown = Feed.Shown(
            since: connection.entered, position: node.loops[loop].handed(connection), feed: connection.feed?.feed,
            cursor: cursor,
            unshown: unshown(connection, node).except(connection.fedUnshown),
            planted: scenario.planted)
        trace.note(
            now, node.index, "resumes", UInt64(connection.client), 0,
            "client \(connection.client) in \(connection.roomName) from \(cursor.components)")
        let former = connection.feed
        node.loops[loop].remove(connection)
        // Planted: as if the log were known, and were endless.
        let endless = Dot(replica: node.loops[loop].own?.replica ?? ReplicaID(rawValue: 0), seq: .max)
        let isTrusted =
            scenario.planted.has(node.loops[loop].own == nil ? .pagesBeforeOpening : .ownCursorTrusted)
        let feed = Feed(resumingFrom: cursor, shown: shown, own: isTrusted ? endless : node.loops[loop].own)
        node.loops[loop].add(connection, fedBy: SimulatedFeed(feed, asked: cursor, ref: ref, former: former))
        markDirty(connection)
    }

    private func unshown(_ connection: Connection, _ node: SimulatedNode) -> UnshownEvents {
        connection.room.flatMap { node.loops[connection.session.loop].rooms[$0]?.unshown } ?? UnshownEvents()
    }

    /// The loop's own frame, through the real encoder.
    private func sendResumed(
        _ connection: Connection, _ node: SimulatedNode, recovered: Bool, cursor: VersionVector, documents: [Text],
        ref: Text?, begunAnew: Set<ReplicaID> = []
    ) {
        counts.resumes += 1
        if !recovered { counts.resumesNotRecovered += 1 }
        trace.note(
            now, node.index, "resumed", UInt64(connection.client), recovered ? 1 : 0,
            "client \(connection.client) \(ref?.string ?? "-") in \(connection.roomName) to \(cursor.components)"
                + (recovered ? "" : ", not recovered"))
        sendOwn(connection, node, begunAnew: begunAnew) { encoder, stamp, frame in
            encoder.resumed(
                stamp, room: connection.roomName, recovered: recovered, cursor: cursor, docs: documents, ref: ref,
                to: &frame)
        }
    }

    /// Who joins the room that it is in is told what it has been shown.
    func tellStanding(_ connection: Connection, ref: Text?, _ node: SimulatedNode) {
        let position = node.loops[connection.session.loop].position
        let cursor =
            connection.feed?.feed.standing(at: position) ?? node.loops[connection.session.loop].handed(connection)
        sendOwn(connection, node) { encoder, stamp, frame in
            encoder.joined(stamp, room: connection.roomName, ref: ref, cursor: cursor, to: &frame)
        }
    }

    private func sendOwn(
        _ connection: Connection, _ node: SimulatedNode, begunAnew: Set<ReplicaID> = [],
        _ encode: (inout ServerFrameEncoder, FrameStamp, inout ByteBuffer) -> Void
    ) {
        var encoder = ServerFrameEncoder()
        var frames = FrameBatchBuilder()
        let stamp = stamp(node)
        frames.append(to: .session(connection.session)) { encode(&encoder, stamp, &$0) }
        let batch = frames.finish()
        for record in batch.records {
            guard let frame = read(batch, record, node) else { continue }
            frame.begunAnew = begunAnew
            send(frame, to: connection)
        }
    }

    // MARK: Pages

    /// Asks the store for the next page if there is room for it.
    func askForFeed(_ connection: Connection, _ node: SimulatedNode) {
        let loop = connection.session.loop
        guard let queue = connection.feed, !connection.isRead, connection.isOpen,
            connection.waiting.count < lowWater,
            let question = queue.feed.ask(node.loops[loop].asks + 1, at: node.loops[loop].position)
        else { return }
        node.loops[loop].asks += 1
        connection.isRead = true
        let limit = question.purpose == .resume ? scenario.resumeLimit : scenario.feedLimit
        giveReader(node, .feed(connection.session, question, room: connection.roomName, limit: limit))
    }

    func takePage(
        _ page: Feed.Page, _ ask: UInt64, _ frames: FrameBatch, _ connection: Connection, _ node: SimulatedNode
    ) {
        connection.isRead = false
        guard let queue = connection.feed else { return }
        let purpose = queue.feed.purpose
        let decision = queue.feed.read(page, ask)
        trace.note(
            now, node.index, "page", UInt64(connection.client), UInt64(frames.records.count),
            "for client \(connection.client) in \(connection.roomName) to \(page.reached.components)"
                + "\(page.isLevel ? ", level" : "")\(decision == .ignore ? ", too late" : "")"
                + (decision == .lost ? ", some is gone" : ""))
        if decision == .lost {
            counts.closedAsSlow += 1
            tellClient(connection, after: clientChoices.within(500...5_000))
            lose(connection)
            return
        }
        if decision != .ignore {
            counts.pages += 1
            if purpose == .catchUp {
                let unshown = unshown(connection, node)
                let fed = connection.fedUnshown + unshown.among(frames.records.lazy.map(\.dot))
                connection.fedUnshown = unshown.among(fed)
            }
            for record in frames.records {
                guard let frame = read(frames, record, node) else { continue }
                if purpose == .resume {
                    checkPage(frame, queue, connection, node)
                    frame.begunAnew = queue.tell()
                    send(frame, to: connection)
                } else {
                    showLive(frame, record.dot, to: connection, node)
                }
            }
        }
        switch decision {
        case .ignore, .lost: break
        case .more(let held): queue.held = held.map { queue.held[$0] }
        case .level(let show):
            if queue.feed.purpose == .resume {
                connection.entered = queue.feed.cursor
                connection.base = queue.feed.cursor
                connection.shownLive = []
                checkNamed(queue, connection, node)
                // Whoever asks for what it has seen gets it.
                connection.stream.goOn(from: queue.feed.cursor)
                sendResumed(
                    connection, node, recovered: queue.feed.recovered, cursor: queue.feed.cursor,
                    documents: queue.feed.changedDocuments, ref: queue.ref, begunAnew: queue.tell())
            }
            let held = queue.held
            queue.held = []
            for number in show { showLive(held[number].frame, held[number].dot, to: connection, node) }
        }
        markDirty(connection)
    }

    /// The store could not be read: it is asked again a little later.
    func pageFailed(_ ask: UInt64, _ connection: Connection) {
        connection.isRead = false
        guard let queue = connection.feed else { return }
        if case .more(let held) = queue.feed.readFailed(ask) { queue.held = held.map { queue.held[$0] } }
        queue.retryAt = now + 250_000
        schedule(.feedRetries(connection.index), after: 250_000)
    }

    func retryFeed(_ connection: Connection) {
        let node = nodes[connection.node]
        guard node.life == connection.life, node.isUp, let due = connection.feed?.retryAt, due <= now else { return }
        if delayed(node, .feedRetries(connection.index)) { return }
        connection.feed?.retryAt = nil
        askForFeed(connection, node)
    }

    /// The end of a resume names every document that was changed beyond its cursor and was not shown live.
    private func checkNamed(_ queue: SimulatedFeed, _ connection: Connection, _ node: SimulatedNode) {
        let feed = queue.feed
        guard feed.recovered, !ledger.isForked(within: feed.cursor) else { return }
        let named = Set(feed.changedDocuments)
        for end in feed.cursor.components where end.seq > queue.given[end.replica] {
            for record in ledger.records(of: end.replica).prefix(Int(end.seq))
                .dropFirst(Int(queue.given[end.replica]))
            {
                let entry = record.entry
                // What a failover took is gone from the document, too.
                guard entry.kind == .document, entry.namespace == 0, entry.room == connection.roomName,
                    !mayComeBack(entry.dot), feed.shown?.covers(entry.dot) != true,
                    let payload = entry.payload.withUnsafeBytes({ try? DocumentPayload(decoding: $0) }),
                    !named.contains(payload.name)
                else { continue }
                violate(
                    .resume, node.index,
                    "\(entry.dot) changed \(payload.name), which is not named (client \(connection.client) in "
                        + "\(connection.roomName))")
            }
        }
    }

    /// A page of a resume has what its cursor does not cover and the session was not shown, each entry once and in order.
    private func checkPage(
        _ frame: ShownFrame, _ queue: SimulatedFeed, _ connection: Connection, _ node: SimulatedNode
    ) {
        func wrong(_ words: String) {
            violate(.resume, node.index, "\(words) (client \(connection.client) in \(connection.roomName))")
        }
        if frame.room != connection.roomName.string { wrong("a page of \(frame.room)") }
        var last: Position?
        for entry in frame.history ?? [] {
            guard let dot = entry.dot, let position = entry.position else {
                wrong("an entry without a place")
                return
            }
            check(entry, shows: dot, node)
            if let last, position <= last { wrong("\(dot) stands behind \(last.dot)") }
            last = position
            if queue.given.covers(dot) { wrong("\(dot) is on a page, and the cursor covers it") }
            // Which of very many system events were not shown is not remembered: all of those may come again.
            let mayComeAgain =
                entry.type == "system" && queue.feed.shown?.unsure.covers(dot) ?? false
                || queue.doubted.contains(dot.replica)
            if connection.shownLive.contains(dot), !mayComeAgain {
                wrong("\(dot) is on a page, and was shown live")
            }
            if !queue.paged.insert(dot).inserted { wrong("\(dot) is on two pages") }
            connection.everShown[connection.roomName, default: []].insert(dot)
        }
    }
}
