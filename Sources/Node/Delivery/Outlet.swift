import ConvergeCRDT
import ConvergeWire

/// What `Delivery` needs of whoever has the connections: a client loop, or the simulation.
///
/// A connection is a number of the outlet's. None of these functions calls the `Delivery` that calls it: what follows from
/// one of them, a connection that ends, say, the outlet does when that has returned.
protocol Outlet: ~Copyable {
    /// The connection of a session that is this outlet's and still there.
    func connection(of session: SessionID) -> UInt32?
    /// The session is in a room from here on; false where it is on its way out.
    mutating func letIn(_ connection: UInt32) -> Bool
    /// The cursor that the session came with. Once.
    mutating func takeCursor(of connection: UInt32) -> ClientCursor?

    /// Whether a frame of so many bytes may be added to what waits for a live session.
    func takes(_ bytes: Int, _ connection: UInt32) -> Bool
    /// Whether so little waits that a page may be read.
    func takesPage(_ connection: UInt32) -> Bool

    /// A run of a room's frames, from an offset on, for a live session.
    /// - Returns: up to where it takes them, which is the end of a frame, or `offset`.
    mutating func take(
        _ run: borrowing TurnFrames, from offset: Int, _ moment: RunMoment, _ connection: UInt32
    ) -> Int
    /// One frame that is sent in any case, behind what waits.
    mutating func append(_ frame: UnsafeRawBufferPointer, _ kind: FrameKind, to connection: UInt32)
    /// Writes and appends a frame that says how a subscription stands.
    mutating func tell(_ notice: DeliveryNotice, of room: Text, to connection: UInt32)
    /// Writes and appends a frame that says where a session stands in several rooms.
    mutating func tell(cursors: [(room: Text, cursor: VersionVector)], to connection: UInt32)
    /// Something has been appended, or a page may be wanted: the connection is to be flushed at the end of the turn.
    mutating func mark(_ connection: UInt32)

    /// Has a page read. The answer goes to `Delivery.take(page:…)`, or `pageFailed`.
    mutating func ask(_ question: Feed.Question, of room: Text, for connection: UInt32)
    /// Ends the connection. It has no subscriptions any more.
    mutating func end(_ connection: UInt32, _ reason: DeliveryEnd)
    /// Watches. Nothing depends on it.
    mutating func note(
        _ step: @autoclosure () -> DeliveryStep, of room: @autoclosure () -> Text, _ connection: UInt32)
}

extension Outlet where Self: ~Copyable {
    @inline(__always)
    mutating func note(
        _ step: @autoclosure () -> DeliveryStep, of room: @autoclosure () -> Text, _ connection: UInt32
    ) {}
}

/// When in a turn a run of frames is passed on: whether it may be sent at once, or is to leave together with more.
enum RunMoment: Sendable {
    /// More may come for the connection.
    case within
    /// Nothing more comes but frames of other rooms.
    case end
    /// Nothing more comes.
    case endOfAll
}

/// In which way a frame is shown.
enum FrameKind: Sendable {
    /// An answer to the session alone.
    case reply
    /// A frame of the room's, as it comes or was held; with the entry that it shows.
    case live(Dot?)
    /// A frame of the room's that is read from the store for a slow session.
    case fed(Dot?)
    /// A page of a resume.
    case page
}

/// What `Delivery` itself says to a session of one of its rooms.
enum DeliveryNotice: Sendable {
    enum Answer: Sendable {
        /// It has joined the room that it is in.
        case joined(ref: Text?)
        /// It is subscribed to the room, in which there are so many users.
        case subscribed(count: Int, ref: Text?)
    }

    /// A resume is over.
    case resumed(recovered: Bool, cursor: VersionVector, documents: [Text], ref: Text?)
    /// Where it stands, which it has asked for.
    case standing(VersionVector, Answer)
    /// Retention has dropped what it had not been sent, so it is not subscribed any more. The core is to hear of that, too:
    /// its number of the subscription is `stay`.
    case historyIsGone(stay: UInt32)
}

enum DeliveryEnd: Sendable {
    /// The session has left.
    case left
    /// Retention has dropped what it had not been sent.
    case historyIsGone
}

/// What has become of a subscription to a room, for those who watch.
enum DeliveryStep: Sendable {
    case entered(at: VersionVector)
    /// The store has been opened, and this is what it has.
    case began(at: VersionVector, Feed?)
    /// It goes on live, behind what was handed out: its cursor could not be used.
    case restarted(at: VersionVector)
    case offLive
    case live
    /// It resumes; what the cursor was taken for stands in the feed.
    case resumes(Feed, from: VersionVector, instead: Feed?)
    /// A page has come, and what became of it; its frames follow.
    case page(Feed, Feed.Page, Feed.PageDecision)
    /// Its resume is over; `resumed` follows.
    case level(Feed)
}

/// What a `Delivery` has counted since it was last asked.
struct DeliveryCounts: Sendable {
    /// Sessions that were taken off the live stream as too slow.
    var takenOff = 0
    /// Subscriptions of the second generation that retention overtook: their connections live.
    var overtaken = 0
    /// Frames that were read from the store for sessions.
    var fed = 0
}
