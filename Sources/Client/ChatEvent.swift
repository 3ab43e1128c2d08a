/// What a server tells a client, by kind.
public enum ChatEvent: Hashable, Sendable {
    /// The session has begun, in this room, as this user.
    case welcome(room: String, userID: String, displayName: String)
    case message(ChatLine)
    /// Somebody joined or left.
    case system(ChatLine)
    case rooms([String], ref: String?)
    case users(room: String, names: [String], ref: String?)
    /// Messages and system events, oldest first.
    case history(room: String, entries: [ChatEvent], ref: String?)
    /// A write is stored durably.
    case ack(ref: String?, id: String, position: String?, isDuplicate: Bool)
    case joined(room: String, ref: String?)
    case error(String, ref: String?)
    case document(DocumentEvent)
    /// A kind that this client doesn't know; newer servers may have such.
    case unknown(type: String, ref: String?)

    /// What the request that this answers was marked with.
    public var ref: String? {
        switch self {
        case .rooms(_, let ref), .users(_, _, let ref), .history(_, _, let ref), .joined(_, let ref),
            .error(_, let ref),
            .unknown(_, let ref):
            ref
        case .ack(let ref, _, _, _): ref
        case .document(let event): event.ref
        case .welcome, .message, .system: nil
        }
    }
}

/// One line of a conversation.
public struct ChatLine: Hashable, Sendable {
    public var id: String
    public var room: String
    public var userID: String
    public var displayName: String
    public var body: String
    /// RFC 3339, UTC.
    public var timestamp: String
    /// Where it stands in history; nil from servers that don't say.
    public var position: String?

    public init(
        id: String = "", room: String, userID: String, displayName: String, body: String, timestamp: String = "",
        position: String? = nil
    ) {
        self.id = id
        self.room = room
        self.userID = userID
        self.displayName = displayName
        self.body = body
        self.timestamp = timestamp
        self.position = position
    }
}

/// A document was changed, or asked for.
public struct DocumentEvent: Hashable, Sendable {
    /// As on the wire: `crdt_orset_added`, `crdt_lww_value` …
    public var type: String
    public var room: String
    public var document: String
    public var userID: String
    public var displayName: String
    public var body: String
    public var items: [String]
    public var ref: String?

    public init(
        type: String, room: String, document: String, userID: String = "", displayName: String = "", body: String = "",
        items: [String] = [], ref: String? = nil
    ) {
        self.type = type
        self.room = room
        self.document = document
        self.userID = userID
        self.displayName = displayName
        self.body = body
        self.items = items
        self.ref = ref
    }
}
