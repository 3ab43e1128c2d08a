import ConvergeCRDT
import ConvergeWire

/// Slow clients: taken off the live stream when they are too far behind, fed from the store as fast as they drain, and
/// put back when nothing is missing between the two.
extension ClientLoop {
    /// Below this many waiting bytes a slow client gets its next page.
    private static var lowWater: Int { 64 << 10 }

    /// Takes a member off the live stream; the frames of its room from `offset` on are what it has not been sent.
    mutating func takeOffLive(_ slot: UInt32, _ frames: UnsafeMutablePointer<TurnFrames>, from offset: Int) {
        var cursor = turnStart
        for frame in frames.pointee.frames where frame.end <= offset {
            if let dot = frame.dot { cursor.advance(to: dot) }
        }
        removeMember(slot)
        addSlowMember(slot, from: cursor)
        metrics.slowTakenOff.add(1)
        markDirty(slot)
    }

    /// Asks the store for the next page if there is room for it.
    mutating func askForFeed(_ slot: UInt32) {
        let connection = connections[slot]
        guard let feed = connection.pointee.feed, !feed.reading, connection.pointee.phase == .chat,
            connection.pointee.backlog < Self.lowWater
        else { return }
        feed.reading = true
        feed.overflowed = false
        let room = connection.pointee.room
        readers.submit(.feed(id(of: slot), room: room, name: rooms[room].pointee.name, cursor: feed.cursor))
    }

    mutating func continueFeed(
        _ session: SessionID, room: UInt32, _ page: FrameBatch, reached: VersionVector, level: Bool
    ) {
        guard let slot = slot(of: session), let feed = connections[slot].pointee.feed,
            connections[slot].pointee.room == room
        else { return }
        let connection = connections[slot]
        for record in page.records { connection.pointee.waiting.append(page.bytes(of: record)) }
        connection.pointee.waitingFrames += page.records.count
        counts.framesOut += page.records.count
        metrics.slowFed.add(page.records.count)
        feed.cursor = reached
        feed.reading = false
        if level, !feed.overflowed {
            var start = 0
            for (end, dot) in feed.heldFrames {
                if dot.map({ !reached.covers($0) }) ?? true {
                    connection.pointee.waiting.append(feed.held.bytes(start..<end))
                    connection.pointee.waitingFrames += 1
                    counts.framesOut += 1
                }
                start = end
            }
            removeMember(slot)
            addMember(slot)
        } else {
            feed.forget()
        }
        markDirty(slot)
    }

    /// The store could not be read: tries again when the next timer or frame comes by.
    mutating func retryFeed(_ session: SessionID, room: UInt32) {
        guard let slot = slot(of: session), let feed = connections[slot].pointee.feed else { return }
        feed.reading = false
        feed.forget()
        feed.retryAt = now + 250_000_000
        schedule(slot)
    }
}
