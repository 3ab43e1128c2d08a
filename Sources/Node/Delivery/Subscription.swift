import ConvergeCRDT
import ConvergeWire

/// One session in one room: live, fed, or resuming. 56 bytes, since a connection may have very many.
struct Subscription: ~Copyable {
    /// Whose it is, and of which audience.
    var connection = Subscription.none
    var room = Subscription.none
    /// Its place in the room's list: of live ones, or of slow ones where it has a queue.
    var index: UInt32 = 0
    /// The connection's other subscriptions.
    var next = Subscription.none
    var previous = Subscription.none
    /// Up to where it has got this turn's frames of its room; counts only if `turn` is the present one.
    var turn: UInt32 = 0
    var turnOffset: UInt32 = 0
    /// The core's number for it, by which it tells a session's subscriptions to one room apart.
    var stay: UInt32 = 0
    /// It does not get its room's frames live, or not all of them.
    var queue: FeedQueue?
    var standing = Standing(at: .init())

    static let none = UInt32.max
}

/// What `Delivery` keeps of a connection.
struct Place {
    /// The first of its subscriptions.
    var first = Subscription.none
    /// A page is being read for it, whoever wants that still. One at a time is read for a connection, whatever it asks for.
    var isRead = false
    /// The subscription that the page is for; none where it is gone meanwhile.
    var asker = Subscription.none
    /// The subscription behind which the next page is looked for: so feeds of one connection take turns.
    var lastAsker = Subscription.none
    /// What had been handed out when the session was last told its cursors.
    var told = VersionVector()
}

/// A room as one outlet sees it: who of its connections is subscribed to it. Each generation of the protocol has one of its
/// own (an *audience*), since its frames are other bytes.
struct DeliveryRoom: ~Copyable {
    struct Member {
        var subscription: UInt32
        var connection: UInt32
    }

    var name: Text = ""
    /// What had been handed out of all logs when the room's first member here came in.
    var since = VersionVector()
    /// What came since then and was not shown.
    var unshown = UnshownEvents()
    /// Those that get frames as they come.
    var live: [Member] = []
    /// Those that are fed from the store.
    var slow: [Member] = []
    /// This turn's frames, while there are some: an index into `Delivery.turns`.
    var frames: Int32 = -1
    /// The last turn in which a live member was ahead of the others in the turn's frames.
    var aheadTurn: UInt32 = 0

    var isEmpty: Bool { live.isEmpty && slow.isEmpty }
}
