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
        /// Upgraded, of the second generation; its first frame is to say who it is.
        case unidentified
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
    /// How often its place in the slab has been used.
    var generation: UInt32 = 0
    var phase = Phase.free
    /// The generation of the protocol.
    var speaks = ProtocolGeneration.first
    var wantsWrite = false
    /// Not read from while it takes nothing of what waits for it.
    var readPaused = false
    /// In the loop's list of connections to flush at the end of the turn.
    var dirty = false
    /// A close frame is among what waits; nothing may follow it.
    var closeSent = false
    /// Bytes that have come since we began to close it, and were thrown away.
    var discarded = 0
    /// After the last byte has left: end our direction.
    var endAfterFlush = false

    /// What waits to be sent.
    var output = OutgoingQueue()

    /// Where clients speak TLS.
    var tls: ConnectionTLS?
    var webSocket = WebSocketMachine(role: .server)
    var http: RequestParser?
    /// In the phase `waiting`: what it has asked for.
    var asked: AskedSession?
    /// What it has been shown of the room it enters first.
    var resume: ClientCursor?

    /// Monotonic nanoseconds: when bytes last came; when bytes last left, or began to wait; when the next ping is due;
    /// when the present phase ends by itself; when to ask again after the store could not be read.
    var heard: UInt64 = 0
    var progressed: UInt64 = 0
    var nextPing: UInt64 = 0
    var deadline: UInt64 = .max
    var retryAt: UInt64 = .max
    /// When the session, of the second generation, is told where it stands.
    var nextCursors: UInt64 = .max

    var backlog: Int { output.count }
    var isOpen: Bool { phase != .free && phase != .dead }
    /// The core knows of its session, and must be told of the end.
    var sessionKnown = false
    /// Whose session that is, for the log.
    var story: SessionStory?
}

/// A session that has been granted and not begun: the answer is made when the store has been opened.
final class AskedSession {
    let handshake: Admission.Handshake
    /// Nil where its first frame is to say whose it is.
    let session: Admission.Session?
    /// What came behind the request, of the one read that it was in; clients send nothing before they have their answer.
    let rest: [UInt8]

    init(_ handshake: Admission.Handshake, _ session: Admission.Session?, rest: [UInt8]) {
        self.handshake = handshake
        self.session = session
        self.rest = rest
    }
}
