import ConvergeCRDT
import ConvergeWire

/// Slow clients: taken off the live stream when they are too far behind, fed from the store as fast as they drain, and
/// put back when nothing is missing between the two.
///
/// The store may be ahead of what this loop has been handed: what it committed a moment ago is in a page and comes live as
/// well. So a client that has all pages stays off the live stream until the first frame that no page had.
extension ClientLoop {
    /// Below this many waiting bytes a slow client gets its next page.
    private static var lowWater: Int { 64 << 10 }

    /// Takes a member off the live stream; the frames of its room from `offset` on are what it has not been sent.
    mutating func takeOffLive(_ slot: UInt32, _ frames: UnsafeMutablePointer<TurnFrames>, from offset: Int) {
        var cursor = turnStart
        cursor.merge(rooms[frames.pointee.room].pointee.since)
        for frame in frames.pointee.frames where frame.end <= offset {
            if let dot = frame.dot { cursor.advance(to: dot) }
        }
        removeMember(slot)
        addSlowMember(slot, from: cursor)
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
            guard let feed = connections[slot].pointee.feed else { continue }
            guard let level = feed.level else {
                feed.hold(bytes, dot: dot, limit: options.sendBytes)
                continue
            }
            if let dot, level.covers(dot) { continue }
            removeMember(slot)
            addMember(slot)
        }
    }

    /// Asks the store for the next page if there is room for it.
    mutating func askForFeed(_ slot: UInt32) {
        let connection = connections[slot]
        guard let feed = connection.pointee.feed, feed.level == nil, !feed.reading, connection.pointee.phase == .chat,
            connection.pointee.backlog < Self.lowWater
        else { return }
        asks += 1
        feed.ask = asks
        feed.overflowed = false
        let room = rooms[connection.pointee.room].pointee.name
        readers.submit(.feed(id(of: slot), ask: feed.ask, room: room, cursor: feed.cursor))
    }

    mutating func continueFeed(
        _ session: SessionID, ask: UInt64, _ page: FrameBatch, reached: VersionVector, level: Bool
    ) {
        guard let slot = slot(of: session), let feed = connections[slot].pointee.feed, feed.ask == ask else { return }
        for record in page.records { append(page.bytes(of: record), toSlow: slot) }
        metrics.slowFed.add(page.records.count)
        feed.cursor = reached
        feed.ask = 0
        if level, !feed.overflowed {
            endFeed(slot, feed)
        } else {
            feed.forget()
        }
        markDirty(slot)
    }

    /// Nothing is missing any more but what is held here: that is sent, and the client waits for the first frame beyond.
    private mutating func endFeed(_ slot: UInt32, _ feed: Feed) {
        var level = feed.cursor
        var start = 0
        for (end, dot) in feed.heldFrames {
            if dot.map({ !level.covers($0) }) ?? true {
                append(feed.held.bytes(start..<end), toSlow: slot)
                if let dot { level.advance(to: dot) }
            }
            start = end
        }
        feed.forget()
        feed.level = level
    }

    private mutating func append(_ bytes: UnsafeRawBufferPointer, toSlow slot: UInt32) {
        connections[slot].pointee.waiting.append(bytes)
        connections[slot].pointee.waitingFrames += 1
        counts.framesOut += 1
    }

    /// The store could not be read: asks again a little later.
    mutating func retryFeed(_ session: SessionID, ask: UInt64) {
        guard let slot = slot(of: session), let feed = connections[slot].pointee.feed, feed.ask == ask else { return }
        feed.ask = 0
        feed.forget()
        feed.retryAt = now + 250_000_000
        schedule(slot)
    }
}
