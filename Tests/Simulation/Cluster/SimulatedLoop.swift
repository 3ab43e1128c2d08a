import ConvergeCRDT
import ConvergeWire

@testable import ConvergeNode

/// A client loop: what it has been told and has not taken yet, and the real `Delivery`, whose outlet is `SimulatedOutlet`.
final class SimulatedLoop {
    var inbox: [LoopMessage] = []
    var isAwake = false
    var delivery: Delivery<SimulatedOutlet>
    /// Connections to be flushed at the end of the turn.
    var dirty: [Int] = []
    /// Connections that delivery has found to be over, until it has returned.
    var endings: [(connection: Int, reason: DeliveryEnd)] = []
    /// This turn's frames as clients will read them, by room and end, so that each is read once for all its sessions.
    var parsed: [UInt64: ShownFrame] = [:]

    init(_ scenario: Scenario) {
        // Frames are a few hundred bytes long.
        delivery = Delivery(heldBytes: scenario.sendFrames * 300, planted: scenario.planted)
    }
}

extension Delivery where O: ~Copyable {
    /// Whether there are subscriptions of the connection that are fed. O(its subscriptions).
    func isFed(_ connection: UInt32) -> Bool {
        var subscription = subscriptions.first(of: connection)
        while subscription != Subscription.none {
            if subscriptions[subscription].pointee.queue != nil { return true }
            subscription = subscriptions[subscription].pointee.next
        }
        return false
    }
}

/// What a resume was given, and what its pages have shown: for the checks.
final class ResumeWatch {
    /// The feed as it was when it was last told of.
    var feed: Feed
    /// The cursor that it was given, as far as that could be.
    private(set) var given: VersionVector
    /// Of these logs the cursor could not be what it said: what its client has dropped for it comes again.
    private(set) var doubted: Set<ReplicaID> = []
    /// Those that its client has not been told of yet.
    private var untold: Set<ReplicaID> = []
    var paged: Set<Dot> = []

    /// - Parameters:
    ///   - asked: the cursor that it came with.
    ///   - former: what it takes the place of: what that was to show again, this one is.
    init(_ feed: Feed, from asked: VersionVector, former: ResumeWatch?) {
        self.feed = feed
        given = asked
        judge()
        if let former { doubted.formUnion(former.doubted) }
    }

    /// What the feed does not take at its word.
    private func judge() {
        let logs = given.components.lazy.filter { self.feed.cursor[$0.replica] < $0.seq }.map(\.replica)
        doubted.formUnion(logs)
        untold.formUnion(logs)
        given = feed.cursor
    }

    /// The logs that begin anew with what is sent now.
    func tell() -> Set<ReplicaID> {
        defer { untold = [] }
        return untold
    }

    /// The store has been opened: what the cursor says can be judged now.
    func begin(_ feed: Feed) {
        let waited = self.feed.asked == 0 && paged.isEmpty
        self.feed = feed
        if waited { judge() }
    }
}

/// One session in one room, for the checks: what its stream was, and what it was shown live since it came or had resumed.
final class Stay {
    let room: Text
    var stream = SessionStream()
    var shownLive: Set<Dot> = []
    var resuming: ResumeWatch?

    init(_ room: Text, at cursor: VersionVector) {
        self.room = room
        stream.begin(room, at: cursor)
    }
}

/// One client's connection to one node.
final class Connection {
    let index: Int
    let client: Int
    let node: Int
    let life: Int
    let session: SessionID
    /// The node knows of it.
    var isOpen = true
    /// The client knows of it.
    var isReadable = true

    // What the node's loop keeps.
    /// What it has been shown of the room it enters first.
    var resume: ClientCursor?
    /// What its socket does not take yet.
    var waiting: [ShownFrame] = []
    /// When to ask again after the store could not be read.
    var retryAt: Microseconds?

    // For the checks.
    /// Its rooms: one, or in the second generation any number.
    var stays: [Text: Stay] = [:]
    /// The room of a session of the first generation.
    var roomName: Text = ""
    /// Whether others see it in its rooms, where it is of the second.
    var isMember: [Text: Bool] = [:]

    // On the way.
    /// In the socket.
    var inFlight: [ShownFrame] = []
    var isReading = false
    /// Until then the client takes little.
    var slowUntil: Microseconds = 0
    /// What the node's disk had when it was opened, where the client came before.
    var before = VersionVector()
    /// The client's own: what may be credited to a room's cursor; the highest position that was read here; where a
    /// resume in the URL began.
    var anchor = Anchor()
    var highest: Position?
    var given = VersionVector()
    /// What was shown here of each room, in all its stays there, for the checks.
    var everShown: [Text: Set<Dot>] = [:]

    init(index: Int, client: Int, node: Int, life: Int, session: SessionID) {
        self.index = index
        self.client = client
        self.node = node
        self.life = life
        self.session = session
    }

    /// Whether others see it in the room.
    func isSeen(in room: Text) -> Bool {
        session.speaks == .first ? roomName == room : isMember[room] == true && stays[room] != nil
    }
}
