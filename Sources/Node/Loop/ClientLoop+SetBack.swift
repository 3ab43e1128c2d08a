import ConvergeCRDT

/// A store that has less than it had: a standby that lacks the last commits has taken the database's place. What of the
/// logs is gone may come back with a node that has it in a store of its own. Some sessions have been shown it and must not be
/// again; others have come since, or have resumed from what the store has now, and must be.
///
/// The invariant: `position` is what the store has of what was handed out, so whoever comes begins there. And each live
/// member's `base` covers what it had been shown by then and `position` does not cover any more; of what `takenBack` covers
/// it is shown only what its `base` doesn't.
extension ClientLoop {
    mutating func setBack(to left: VersionVector) {
        for room in 0..<UInt32(rooms.count) where !rooms[room].pointee.isEmpty {
            // Downwards, because one that does not take what the turn has gathered is taken off the list.
            var index = rooms[room].pointee.members.count
            while index > 0 {
                index -= 1
                let slot = rooms[room].pointee.members[index]
                catchUp(slot)
                if connections[slot].pointee.feed == nil { connections[slot].pointee.base.merge(position) }
            }
            for slot in rooms[room].pointee.slow {
                guard let queue = connections[slot].pointee.feed else { continue }
                queue.setBack(from: position)
                markDirty(slot)
            }
            rooms[room].pointee.since = rooms[room].pointee.since.limited(to: left)
        }
        takenBack.merge(position)
        position = position.limited(to: left)
        turnStart = turnStart.limited(to: left)
    }

    /// What a live member has been handed, or is not to be.
    func handed(_ slot: UInt32) -> VersionVector {
        guard !takenBack.isEmpty, connections[slot].pointee.feed == nil else { return position }
        return position.merged(with: connections[slot].pointee.base)
    }

    /// Calls `body` for each live member of the room that has been shown this entry, which comes back.
    mutating func forMembers(of room: UInt32, shown dot: Dot, _ body: (inout ClientLoop, UInt32) -> Void) {
        var index = rooms[room].pointee.members.count
        while index > 0 {
            index -= 1
            let slot = rooms[room].pointee.members[index]
            if connections[slot].pointee.base.covers(dot) { body(&self, slot) }
        }
    }

    /// What the room has gathered so far in this turn is not for this member, or has been queued for it.
    mutating func passOver(_ slot: UInt32, _ frames: UnsafeMutablePointer<TurnFrames>) {
        connections[slot].pointee.turn = turn
        connections[slot].pointee.turnOffset = UInt32(frames.pointee.bytes.count)
    }
}
