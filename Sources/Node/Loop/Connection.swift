import ConvergeCRDT
import ConvergeTransport
import ConvergeWire

/// One client's socket and where it stands. A loop has thousands of them in a slab: what few of them need is in boxes.
struct Connection: ~Copyable {
    enum Phase: UInt8 {
        case free
        /// Reads a request, or waits for the next one.
        case http
        /// Has asked for a session, before the store has been opened for the first time: not answered, and not read from.
        case waiting
        /// Upgraded; the core has been told and has not yet let the session into its room.
        case entering
        case chat
        case echo
        /// We have sent a close frame and wait for the other side's.
        case closing
        /// All is sent and our direction ended; what still comes is thrown away until the other side ends, too.
        case lingering
        /// To be taken down at the end of the turn.
        case dead
    }

    var descriptor: Int32 = -1
    var generation: UInt32 = 0
    var phase = Phase.free
    var wantsWrite = false
    /// Not read from while it takes nothing of what waits for it.
    var readPaused = false
    /// In the loop's list of connections to flush at the end of the turn.
    var dirty = false
    /// A close frame is among what waits; nothing may follow it.
    var closeSent = false
    /// After the last byte has left: end our direction.
    var endAfterFlush = false

    /// The room it is in, `Connection.nowhere` for none, and its place among the room's live members.
    var room = Connection.nowhere
    var memberIndex: UInt32 = 0
    /// Up to where it has got this turn's frames of its room; counts only if `turn` is the present one.
    var turn: UInt32 = 0
    var turnOffset: UInt32 = 0

    /// What waits to be sent.
    var output = OutgoingQueue()

    /// Where clients speak TLS.
    var tls: ConnectionTLS?
    var webSocket = WebSocketMachine(role: .server)
    var http: RequestParser?
    /// In the phase `waiting`: what it has asked for.
    var asked: AskedSession?
    /// It does not get its room's frames live, or not all of them.
    var feed: FeedQueue?
    /// A page is being read for it.
    var isRead = false
    /// What it has been shown of the room it enters first.
    var resume: ClientCursor?
    /// What had been handed out live when it came into its room, or when it had resumed there.
    var entered = VersionVector()
    /// Events that the room was not shown and this session has been fed, in this stay.
    var fedUnshown: [Dot] = []
    /// What it is not to be fed, whatever this turn began with: it was there before, or pages have shown it, or it was
    /// handed out before the store went back.
    var base = VersionVector()

    /// Monotonic nanoseconds: when bytes last came; when bytes last left, or began to wait; when the next ping is due;
    /// when the present phase ends by itself.
    var heard: UInt64 = 0
    var progressed: UInt64 = 0
    var nextPing: UInt64 = 0
    var deadline: UInt64 = .max

    static let nowhere = UInt32.max

    var backlog: Int { output.count }
    var isOpen: Bool { phase != .free && phase != .dead }
    /// The core knows of its session, and must be told of the end.
    var sessionKnown = false
    /// Whose session that is, for the log.
    var story: SessionStory?
}

/// A session that has been granted and not begun: the answer is made when the store has been opened.
final class AskedSession {
    let accept: [UInt8]
    let session: Admission.Session
    /// What came behind the request, of the one read that it was in; clients send nothing before they have their answer.
    let rest: [UInt8]

    init(accept: [UInt8], _ session: Admission.Session, rest: [UInt8]) {
        self.accept = accept
        self.session = session
        self.rest = rest
    }
}

/// The bytes that go with a `Feed`, which decides about them.
final class FeedQueue {
    var feed: Feed
    /// The `ref` of a resume that is not over.
    var ref: Text?
    /// The live frames that the feed holds: where each ends in `bytes`.
    private(set) var bytes = ByteBuffer()
    private(set) var ends: [Int] = []
    /// The turn in which the feed was last told how far the live frames are.
    var turn: UInt32 = 0
    /// When to ask again after the store could not be read; `.max` for no such time.
    var retryAt = UInt64.max

    init(_ feed: Feed, ref: Text? = nil) {
        self.feed = feed
        self.ref = ref
    }

    /// Keeps a frame that the feed holds; gives all up where they become more than `limit` bytes.
    func hold(_ frame: UnsafeRawBufferPointer, limit: Int) {
        if bytes.count + frame.count > limit {
            overflow()
        } else {
            bytes.append(frame)
            ends.append(bytes.count)
        }
    }

    /// See `Feed.setBack`, which holds nothing after it.
    func setBack(from position: VersionVector) {
        feed.setBack(from: position)
        keep([])
    }

    /// Gives up what is held.
    func overflow() {
        feed.overflow()
        keep([])
    }

    /// Keeps those with these numbers and forgets the others.
    func keep(_ numbers: [Int]) {
        var kept = ByteBuffer()
        ends = numbers.map { number in
            kept.append(self[number])
            return kept.count
        }
        bytes = kept
    }

    subscript(number: Int) -> UnsafeRawBufferPointer {
        bytes.bytes((number == 0 ? 0 : ends[number - 1])..<ends[number])
    }
}
