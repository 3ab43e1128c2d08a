import ConvergeCRDT
import ConvergeWire

/// What a server tells a client, by kind: one frame each (docs/protocol.md, "What a client gets").
public enum ChatEvent: Hashable, Sendable {
    /// The session has begun.
    case welcome(Welcome)
    case message(ChatLine)
    /// Somebody joined or left.
    case system(ChatLine)
    /// - Parameter next: where the next page goes on; nil where this is the last.
    case rooms([String], next: String? = nil, ref: String?)
    case users(MemberList, ref: String?)
    /// Messages and system events, oldest first: asked for, or a page of a resume.
    case history(HistoryFrame)
    /// The end of a resume: live frames follow.
    case resumed(Resumed)
    /// A write is stored durably.
    case ack(Receipt, ref: String?)
    case joined(room: String, cursor: VersionVector?, ref: String?)
    /// Second generation: the room's frames follow, those that were missed first.
    case subscribed(Subscribed)
    /// Second generation: no more of the room's frames follow.
    case unsubscribed(Unsubscribed)
    /// Second generation: what of its rooms a session has been shown, at least.
    case cursors([RoomCursor])
    case documents([DocumentName], room: String, ref: String?)
    case error(ServerError)
    case document(DocumentEvent)
    /// A kind that this client doesn't know; newer servers may have such.
    case unknown(type: String, ref: String?)

    /// What the request that this answers was marked with.
    public var ref: String? {
        switch self {
        case .rooms(_, _, let ref), .users(_, let ref), .ack(_, let ref), .joined(_, _, let ref),
            .documents(_, _, let ref), .unknown(_, let ref):
            ref
        case .history(let page): page.ref
        case .resumed(let end): end.ref
        case .subscribed(let beginning): beginning.ref
        case .unsubscribed(let end): end.ref
        case .error(let error): error.ref
        case .document(let event): event.ref
        case .welcome, .message, .system, .cursors: nil
        }
    }
}

/// The beginning of a session: as whom, and in the first generation in which room, and from where its live frames begin.
public struct Welcome: Hashable, Sendable {
    /// Empty in the second generation.
    public var room: String
    public var userID: String
    public var displayName: String
    /// Nil from servers that can't resume, and in the second generation.
    public var cursor: VersionVector?
    /// The replica that serves, as 16 hexadecimal digits; nil in the first generation, and while it is not known.
    public var node: String?
    /// How many rooms a session may have at once; nil where the server does not say.
    public var roomLimit: Int?

    public init(
        room: String = "", userID: String, displayName: String, cursor: VersionVector? = nil, node: String? = nil,
        roomLimit: Int? = nil
    ) {
        self.room = room
        self.userID = userID
        self.displayName = displayName
        self.cursor = cursor
        self.node = node
        self.roomLimit = roomLimit
    }
}

/// A `history` frame: the answer to a request, or a page of a resume.
public struct HistoryFrame: Hashable, Sendable {
    public var room: String
    /// `.message` and `.system`, oldest first.
    public var entries: [ChatEvent]
    /// The most entries that the server gives on a page; nil from servers that don't say.
    public var limit: Int?
    public var ref: String?
    /// A page of a resume: nobody's answer.
    public var isResume: Bool
    /// Of a resume's page: what the client has been shown with it.
    public var cursor: VersionVector?
    /// Of a resume's page: documents whose changes it passed over.
    public var documents: [String]
    /// False where it is known already that something may be missing.
    public var isRecovered: Bool

    public init(
        room: String, entries: [ChatEvent], limit: Int? = nil, ref: String? = nil, isResume: Bool = false,
        cursor: VersionVector? = nil, documents: [String] = [], isRecovered: Bool = true
    ) {
        self.room = room
        self.entries = entries
        self.limit = limit
        self.ref = ref
        self.isResume = isResume
        self.cursor = cursor
        self.documents = documents
        self.isRecovered = isRecovered
    }
}

/// The end of a resume.
public struct Resumed: Hashable, Sendable {
    public var room: String
    /// False: a message or system event may be missing before this.
    public var isRecovered: Bool
    public var cursor: VersionVector?
    /// The documents that changed meanwhile.
    public var documents: [String]
    public var ref: String?

    public init(
        room: String, isRecovered: Bool, cursor: VersionVector?, documents: [String] = [], ref: String? = nil
    ) {
        self.room = room
        self.isRecovered = isRecovered
        self.cursor = cursor
        self.documents = documents
        self.ref = ref
    }
}

/// What a server says of a write that is stored.
public struct Receipt: Hashable, Sendable {
    /// The entry's id: the same wherever it is shown.
    public var id: String
    /// Where it stands in history; nil from servers that don't say.
    public var position: Position?
    /// When it was stored: RFC 3339, UTC.
    public var timestamp: String
    /// On how many nodes it was stored then, where that was asked for.
    public var copies: Int?
    /// It was stored before, by an earlier send with the same key.
    public var isDuplicate: Bool

    public init(
        id: String, position: Position? = nil, timestamp: String = "", copies: Int? = nil, isDuplicate: Bool = false
    ) {
        self.id = id
        self.position = position
        self.timestamp = timestamp
        self.copies = copies
        self.isDuplicate = isDuplicate
    }
}

/// Who is in a room.
public struct MemberList: Hashable, Sendable {
    public var room: String
    /// User ids, sorted; no more than the limit that was asked for.
    public var userIDs: [String]
    /// How many users there are, beyond any limit.
    public var count: Int
    /// The same users with what is known of them, where that was asked for.
    public var members: [Member]
    /// Where the next page goes on; nil where this is the last.
    var next: String?

    public init(room: String, userIDs: [String], count: Int? = nil, members: [Member] = []) {
        self.room = room
        self.userIDs = userIDs
        self.count = count ?? userIDs.count
        self.members = members
    }
}

/// A user in a room.
public struct Member: Hashable, Sendable {
    public var userID: String
    public var displayName: String
    /// How often connected.
    public var sessions: Int
    /// The replicas that these sessions are on, as 16 hexadecimal digits.
    public var nodes: [String]

    public init(userID: String, displayName: String, sessions: Int = 1, nodes: [String] = []) {
        self.userID = userID
        self.displayName = displayName
        self.sessions = sessions
        self.nodes = nodes
    }
}
