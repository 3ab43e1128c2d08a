import ConvergeCRDT

/// A store that has less than it had: a standby that lacks the last commits has taken the database's place. What of the
/// logs is gone may come back with a node that has it in a store of its own. Some sessions have been shown it and must not be
/// again; others have come since, or have resumed from what the store has now, and must be.
///
/// The invariant: `position` is what the store has of what was handed out, so whoever comes begins there. And each live
/// subscription's standing covers what it had been shown by then and `position` does not cover any more; of what
/// `takenBack` covers it is shown only what its standing does not.
extension Delivery where O: ~Copyable {
    mutating func setBack(to left: VersionVector, _ outlet: inout O) {
        for room in 0..<UInt32(subscriptions.rooms.count) where !subscriptions.rooms[room].pointee.isEmpty {
            let there = subscriptions.rooms[room]
            // Downwards, because one that does not take what the turn has gathered is taken off the list.
            var index = there.pointee.live.count
            while index > 0 {
                index -= 1
                let subscription = there.pointee.live[index].subscription
                catchUp(subscription: subscription, &outlet)
                let it = subscriptions[subscription]
                if it.pointee.queue == nil { it.pointee.standing.keep(position) }
            }
            for member in there.pointee.slow {
                subscriptions[member.subscription].pointee.queue?.setBack(from: position)
                outlet.mark(member.connection)
            }
            there.pointee.since = there.pointee.since.limited(to: left)
        }
        goBack(to: left)
    }

    /// What a live subscription has been handed, or is not to be.
    func handed(_ subscription: UInt32) -> VersionVector {
        guard !takenBack.isEmpty, subscriptions[subscription].pointee.queue == nil else { return position }
        return subscriptions[subscription].pointee.standing.handed(at: position)
    }

    /// Calls `body` for each live subscription of the room that has been shown this entry, which comes back.
    mutating func forMembers(of room: UInt32, shown dot: Dot, _ body: (inout Delivery, UInt32) -> Void) {
        var index = subscriptions.rooms[room].pointee.live.count
        while index > 0 {
            index -= 1
            let subscription = subscriptions.rooms[room].pointee.live[index].subscription
            if subscriptions[subscription].pointee.standing.hasBeenHanded(dot) { body(&self, subscription) }
        }
    }
}
