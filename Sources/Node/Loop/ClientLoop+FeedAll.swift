import ConvergeCRDT

/// The store has got entries of a room that were never handed out, by a snapshot: whoever is in the room is fed from the
/// store from where it is, like a slow client, and comes back live when nothing is missing any more.
extension ClientLoop {
    /// The store has been opened: who came before has been shown nothing of what is in it, and is not owed it. Who resumes
    /// has waited for this, and is.
    mutating func beginAll() {
        turnStart.merge(position)
        for room in 0..<UInt32(rooms.count) where !rooms[room].pointee.isEmpty {
            rooms[room].pointee.since.merge(position)
            for slot in rooms[room].pointee.members {
                connections[slot].pointee.entered.merge(position)
                connections[slot].pointee.base.merge(position)
            }
            for slot in rooms[room].pointee.slow {
                connections[slot].pointee.entered.merge(position)
                connections[slot].pointee.base.merge(position)
                connections[slot].pointee.feed?.feed.begin(at: position, own: own)
                markDirty(slot)
            }
        }
    }

    mutating func feedAll(_ room: UInt32) {
        guard room < rooms.count else { return }
        // Those who are fed already: what they have read may be from before, so none of it is the end.
        for slot in rooms[room].pointee.slow {
            guard let queue = connections[slot].pointee.feed else { continue }
            if queue.feed.isLevel { queue.feed.fallBehind(at: position) } else { queue.overflow() }
            markDirty(slot)
        }
        while let slot = rooms[room].pointee.members.last {
            catchUp(slot)
            // Not live any more where that was too much for it.
            guard connections[slot].pointee.feed == nil else { continue }
            var cursor = position
            cursor.merge(rooms[room].pointee.since)
            cursor.merge(connections[slot].pointee.base)
            removeMember(slot)
            addSlowMember(slot, FeedQueue(Feed(catchingUpFrom: cursor)))
            markDirty(slot)
        }
    }
}
