import ConvergeCRDT
import ConvergeGossip

/// What a subscription has been shown, as far as that is not simply what its loop has handed out: all arithmetic with
/// cursors that `Delivery` does is here.
///
/// Three vectors meet. `position` is what the loop has been handed of all logs, which grows within a turn. The room's
/// `since` is what that was when its first member here came in: before it, no frame of the room was kept for anybody.
/// And the subscription has its own `base`: it came later than others, or pages of a resume have shown it more.
///
/// The invariant: of the room's entries that the loop has been handed, the subscription has been shown those that neither
/// `entered` covers nor the feed has still to show, but for those in the room's `UnshownEvents`.
struct Standing: Sendable {
    /// What had been handed out live when it came into its room, or the cursor with which it had resumed there since.
    private(set) var entered: VersionVector
    /// What it is not to be fed, whatever this turn began with: it was there before, or pages have shown it, or it was handed
    /// out before the store went back.
    private(set) var base: VersionVector

    /// Of a subscription that begins, live, where `position` has been handed out.
    init(at position: VersionVector) {
        entered = position
        base = position
    }

    /// The store has been opened: what it has was there before.
    mutating func begin(at position: VersionVector) {
        entered.merge(position)
        base.merge(position)
    }

    /// A resume is over: what is in `cursor` pages have shown or, where it could not be answered, is nobody's to be shown.
    mutating func resumed(to cursor: VersionVector) {
        entered = cursor
        base = cursor
    }

    /// Its feed is over: it has been shown what is in `cursor`, whatever this turn began with.
    mutating func rejoin(at cursor: VersionVector) { base = cursor }

    /// The store goes back: what has been handed out by now is not shown again when it comes back.
    mutating func keep(_ position: VersionVector) { base.merge(position) }

    /// Whether this entry, which comes back, has been handed out to it.
    func hasBeenHanded(_ dot: Dot) -> Bool { base.covers(dot) }

    // MARK: Cursors

    /// What has been handed out to it, or is not to be, where `position` has been handed out.
    func handed(at position: VersionVector) -> VersionVector { position.merged(with: base) }

    /// Where a subscription goes on that is taken off the live stream: it has been sent what was handed out before this
    /// turn, and these frames of the turn.
    /// - Parameters:
    ///   - turnStart: what had been handed out when the turn began. That may be before what the turn's batches stand on:
    ///     whoever was fed up to there has that already, as its `base` says.
    ///   - since: the room's.
    ///   - sent: the entries of this turn whose frames it has been sent, and those among them that the room was not shown:
    ///     from the store it would be shown them, under the id of what it has been shown in their place.
    func offLive(
        turnStart: VersionVector, since: VersionVector, sent: [Dot], planted: PlantedFaults
    ) -> VersionVector {
        var cursor = turnStart
        cursor.merge(since)
        if !planted.has(.baseLeftOut) { cursor.merge(base) }
        for dot in sent { cursor.advance(to: dot) }
        return cursor
    }

    /// Where a live subscription goes on whose room the store has got more of than was handed out.
    func caughtUp(at position: VersionVector, since: VersionVector) -> VersionVector {
        var cursor = position
        cursor.merge(since)
        cursor.merge(base)
        return cursor
    }

    /// What a session that resumes from `cursor` has been shown live in this stay.
    /// - Parameter events: of the room, what neither it nor this session was shown.
    func shown(
        at position: VersionVector, feed: Feed?, cursor: VersionVector, unshown events: UnshownEvents,
        planted: PlantedFaults
    ) -> Feed.Shown {
        Feed.Shown(
            since: entered, position: position, feed: feed, cursor: cursor, unshown: events,
            planted: planted)
    }
}
