import ConvergeCRDT
import ConvergeWire

@testable import ConvergeNode

/// What a client loop keeps: which of its connections are in which room, who of them is live and who is fed, and how far it
/// has been handed the logs. What it does with that is in `World+Delivery` and `World+Feeds`, as in `ClientLoop`.
struct SimulatedLoop {
    var inbox: [LoopMessage] = []
    var isAwake = false
    var rooms: [UInt32: Room] = [:]
    /// Connections to be flushed at the end of the turn.
    var dirty: [Int] = []
    /// What it has been handed of all logs; and how far that was when the turn began.
    var position = VersionVector()
    var turnStart = VersionVector()
    /// What it had been handed before the store went back.
    var takenBack = VersionVector()
    /// The end of the node's own log; nil while its store was never open.
    var own: Dot?
    var turn: UInt32 = 0
    /// Counts pages that were asked of the store.
    var asks: UInt64 = 0

    struct Room {
        /// What the loop had been handed when the room's first member here came in.
        var since = VersionVector()
        /// What came since then and was not shown.
        var unshown = UnshownEvents()
        /// Connections that get frames as they come, and those that are fed.
        var live: [Int] = []
        var slow: [Int] = []
        /// The entries that were shown in this turn.
        var turn: UInt32 = 0
        var dots: [Dot] = []

        var isEmpty: Bool { live.isEmpty && slow.isEmpty }
    }

    mutating func beginTurn() {
        turn += 1
        turnStart = position
        if position.covers(takenBack) { takenBack = VersionVector() }
    }

    /// What a live member has been handed, or is not to be.
    func handed(_ connection: Connection) -> VersionVector {
        takenBack.isEmpty || connection.feed != nil ? position : position.merged(with: connection.base)
    }

    mutating func remove(_ connection: Connection) {
        guard let room = connection.room else { return }
        if connection.feed == nil {
            rooms[room]?.live.removeAll { $0 == connection.index }
        } else {
            rooms[room]?.slow.removeAll { $0 == connection.index }
        }
        connection.feed = nil
    }

    mutating func addLive(_ connection: Connection) {
        guard let room = connection.room else { return }
        rooms[room, default: Room()].live.append(connection.index)
    }

    mutating func add(_ connection: Connection, fedBy feed: SimulatedFeed) {
        guard let room = connection.room else { return }
        connection.feed = feed
        rooms[room, default: Room()].slow.append(connection.index)
    }

    /// A frame of the room is on its way to its members.
    mutating func noteShown(_ dot: Dot?, in room: UInt32) {
        guard let dot else { return }
        if rooms[room]?.turn != turn {
            rooms[room]?.turn = turn
            rooms[room]?.dots = []
        }
        rooms[room]?.dots.append(dot)
    }

    /// What a live member of the room has been handed by now.
    func handed(in room: UInt32) -> VersionVector {
        guard let there = rooms[room] else { return turnStart }
        var cursor = turnStart
        cursor.merge(there.since)
        if there.turn == turn { for dot in there.dots { cursor.advance(to: dot) } }
        return cursor
    }
}

/// The frames that go with a `Feed`, which decides about them.
final class SimulatedFeed {
    var feed: Feed
    /// The `ref` of a resume that is not over.
    let ref: Text?
    /// The live frames that it holds.
    var held: [(dot: Dot?, frame: ShownFrame)] = []
    /// The turn in which it was last told how far the live frames are.
    var turn: UInt32 = 0
    /// When to ask again after the store could not be read.
    var retryAt: Microseconds?
    /// The cursor that a resume was given, and what its pages have shown.
    private(set) var given: VersionVector
    /// Of these logs the cursor could not be what it said: what its client has dropped for it comes again.
    private(set) var doubted: Set<ReplicaID> = []
    /// Those that its client has not been told of yet.
    private var untold: Set<ReplicaID> = []
    var paged: Set<Dot> = []

    /// - Parameter former: what a resume takes the place of: what that was to show again, this one is.
    /// - Parameter asked: the cursor that a resume came with.
    init(_ feed: Feed, asked: VersionVector? = nil, ref: Text? = nil, former: SimulatedFeed? = nil) {
        self.feed = feed
        self.ref = ref
        given = asked ?? feed.cursor
        judge()
        if let former, former.feed.isResuming { doubted.formUnion(former.doubted) }
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
    func begin(at position: VersionVector, own: Dot?) {
        let waits = feed.asked == 0 && paged.isEmpty
        feed.begin(at: position, own: own)
        if waits { judge() }
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
    var room: UInt32?
    var roomName: Text = ""
    /// What had been handed out live when it came into its room, or when it had resumed there.
    var entered = VersionVector()
    /// Events that the room was not shown, and it has been fed.
    var fedUnshown: [Dot] = []
    /// What it is not to be fed, whatever this turn began with.
    var base = VersionVector()
    var feed: SimulatedFeed?
    /// A page is being read for it.
    var isRead = false
    /// What it has been shown of the room it enters first.
    var resume: ClientCursor?
    /// What its socket does not take yet.
    var waiting: [ShownFrame] = []
    /// What its stream was, and what it was shown live since it came or had resumed: for the checks.
    var stream = SessionStream()
    var shownLive: Set<Dot> = []

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
}
