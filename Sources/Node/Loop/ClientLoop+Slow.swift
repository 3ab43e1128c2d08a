import ConvergeCRDT
import ConvergeTransport
import ConvergeWire

/// Members of a room that do not simply get its frames live: slow clients, which are taken off the live stream when they
/// are too far behind and fed from the store as fast as they drain, and clients that resume. `Feed` decides; here are the
/// bytes. Who is fed stands in the room's list of slow members, so that live delivery knows nothing of it.
extension ClientLoop {
    /// Below this many waiting bytes a client gets its next page.
    private static var lowWater: Int { 64 << 10 }

    /// Takes a member off the live stream; the frames of its room from `offset` on are what it has not been sent.
    mutating func takeOffLive(_ slot: UInt32, _ frames: UnsafeMutablePointer<TurnFrames>, from offset: Int) {
        var cursor = turnStart
        cursor.merge(rooms[frames.pointee.room].pointee.since)
        // A turn may begin before what its batches stand on: who has been fed up to there has that already.
        cursor.merge(connections[slot].pointee.base)
        for frame in frames.pointee.frames where frame.end <= offset {
            if let dot = frame.dot { cursor.advance(to: dot) }
        }
        removeMember(slot)
        addSlowMember(slot, FeedQueue(Feed(catchingUpFrom: cursor)))
        metrics.slowTakenOff.add(1)
        markDirty(slot)
    }

    /// A frame of the room, on its way to the live members.
    mutating func offer(_ bytes: UnsafeRawBufferPointer, dot: Dot?, toSlowMembersOf room: UInt32) {
        // Downwards, because a member that comes back live gives its place to the last.
        var index = rooms[room].pointee.slow.count
        while index > 0 {
            index -= 1
            let slot = rooms[room].pointee.slow[index]
            guard let queue = connections[slot].pointee.feed else { continue }
            // Vectors are compared once a turn: until then the frame is looked at for itself.
            let isNewTurn = queue.turn != turn
            queue.turn = turn
            switch queue.feed.live(dot, position: isNewTurn ? position : nil, takenBack: takenBack) {
            case .skip: break
            case .hold: queue.hold(bytes, limit: options.sendBytes)
            case .rejoin:
                connections[slot].pointee.base = queue.feed.cursor
                removeMember(slot)
                addMember(slot)
            case .show where fits(bytes.count, slot):
                append(bytes, toSlow: slot)
                markDirty(slot)
            case .show:
                queue.feed.fallBehind(at: position)
                metrics.slowTakenOff.add(1)
                if case .hold = queue.feed.live(dot, position: nil) { queue.hold(bytes, limit: options.sendBytes) }
                markDirty(slot)
            }
        }
    }

    private func fits(_ bytes: Int, _ slot: UInt32) -> Bool {
        let connection = connections[slot]
        return connection.pointee.backlog == 0
            || (connection.pointee.output.frames < options.sendFrames
                && connection.pointee.backlog + bytes <= options.sendBytes)
    }

    // MARK: Resuming

    /// Shows the session what it has missed of its room. What it is fed now is broken off.
    mutating func resume(_ slot: UInt32, from cursor: ClientCursor, ref: Text?) {
        let connection = connections[slot]
        guard connection.pointee.phase == .chat, connection.pointee.room != Connection.nowhere else { return }
        // What the room has gathered for it is behind it; that may be too much, and make it a slow one.
        if connection.pointee.feed == nil { catchUp(slot) }
        guard case .at(let cursor) = cursor else {
            if connection.pointee.feed != nil {
                removeMember(slot)
                addMember(slot)
                connection.pointee.entered = position
                connection.pointee.base = position
            }
            sendResumed(slot, recovered: false, cursor: handed(slot), documents: [], ref: ref)
            return
        }
        let shown = Feed.Shown(
            since: connection.pointee.entered, position: handed(slot), feed: connection.pointee.feed?.feed,
            cursor: cursor,
            unshown: rooms[connection.pointee.room].pointee.unshown.except(connection.pointee.fedUnshown))
        removeMember(slot)
        addSlowMember(slot, FeedQueue(Feed(resumingFrom: cursor, shown: shown, own: own), ref: ref))
        markDirty(slot)  // flushed, it asks for the first page
    }

    /// Answers a join of the room that the session is in: with what it has been shown, which may be less than the others have.
    mutating func tellStanding(_ slot: UInt32, ref: Text?) {
        let connection = connections[slot]
        guard connection.pointee.phase == .chat, connection.pointee.room != Connection.nowhere else { return }
        if connection.pointee.feed == nil { catchUp(slot) }
        let cursor = connection.pointee.feed?.feed.standing(at: position) ?? handed(slot)
        let stamp = FrameStamp(id: frameIDs.next(), milliseconds: SystemClock.wallMilliseconds())
        var text = ByteBuffer()
        encoder.joined(stamp, room: rooms[connection.pointee.room].pointee.name, ref: ref, cursor: cursor, to: &text)
        reply(slot) { WebSocketFrame.append(.text, text.bytes, to: &$0) }
    }

    private mutating func sendResumed(
        _ slot: UInt32, recovered: Bool, cursor: VersionVector, documents: [Text], ref: Text?
    ) {
        let stamp = FrameStamp(id: frameIDs.next(), milliseconds: SystemClock.wallMilliseconds())
        let room = rooms[connections[slot].pointee.room].pointee.name
        var text = ByteBuffer()
        encoder.resumed(
            stamp, room: room, recovered: recovered, cursor: cursor, docs: documents, ref: ref, to: &text)
        connections[slot].pointee.output.append { WebSocketFrame.append(.text, text.bytes, to: &$0) }
        counts.framesOut += 1
        markDirty(slot)
    }

    // MARK: Pages

    /// Asks the store for the next page if there is room for it. One at a time is read for a client, whatever it asks for.
    mutating func askForFeed(_ slot: UInt32) {
        let connection = connections[slot]
        guard let queue = connection.pointee.feed, !connection.pointee.isRead, connection.pointee.phase == .chat,
            connection.pointee.backlog < Self.lowWater, let question = queue.feed.ask(asks + 1, at: position)
        else { return }
        asks += 1
        connection.pointee.isRead = true
        let limit = question.purpose == .resume ? max(1, options.historyLimit) : StorageReaders.feedLength
        let room = rooms[connection.pointee.room].pointee.name
        readers.submit(.feed(id(of: slot), question, room: room, limit: limit))
    }

    mutating func continueFeed(_ session: SessionID, ask: UInt64, _ frames: FrameBatch, _ page: Feed.Page) {
        guard let slot = slot(of: session) else { return }
        connections[slot].pointee.isRead = false
        guard let queue = connections[slot].pointee.feed else { return }
        let decision = queue.feed.read(page, ask)
        if decision == .lost {
            closeAsSlow(slot, "history is gone")
            return
        }
        if decision != .ignore {
            for record in frames.records { append(frames.bytes(of: record), toSlow: slot) }
            if queue.feed.purpose == .catchUp {
                let unshown = rooms[connections[slot].pointee.room].pointee.unshown
                let fed = connections[slot].pointee.fedUnshown + unshown.among(frames.records.lazy.map(\.dot))
                connections[slot].pointee.fedUnshown = unshown.among(fed)
            }
            metrics.slowFed.add(frames.records.count)
        }
        switch decision {
        case .ignore, .lost: break
        case .more(let held): queue.keep(held)
        case .level(let show):
            if queue.feed.purpose == .resume {
                connections[slot].pointee.entered = queue.feed.cursor
                connections[slot].pointee.base = queue.feed.cursor
                sendResumed(
                    slot, recovered: queue.feed.recovered, cursor: queue.feed.cursor,
                    documents: queue.feed.changedDocuments, ref: queue.ref)
            }
            for number in show { append(queue[number], toSlow: slot) }
            queue.keep([])
        }
        markDirty(slot)
    }

    private mutating func append(_ bytes: UnsafeRawBufferPointer, toSlow slot: UInt32) {
        connections[slot].pointee.output.append(bytes)
        counts.framesOut += 1
    }

    /// The store could not be read: asks again a little later.
    mutating func retryFeed(_ session: SessionID, ask: UInt64) {
        guard let slot = slot(of: session) else { return }
        connections[slot].pointee.isRead = false
        guard let queue = connections[slot].pointee.feed else { return }
        if case .more(let held) = queue.feed.readFailed(ask) { queue.keep(held) }
        queue.retryAt = now + 250_000_000
        schedule(slot)
    }
}
