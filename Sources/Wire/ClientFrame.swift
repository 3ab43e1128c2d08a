import ConvergeCRDT

/// What a client asks for: one text frame, read.
///
/// Lengths of rooms, bodies and elements are not judged here but by the session, which knows the limits; a `ref` or
/// `key` that is too long is no valid frame.
public struct ClientFrame: Hashable, Sendable {
    /// Comes back with the direct reply or error.
    public var ref: Text?
    public var command: ClientCommand

    public init(ref: Text? = nil, command: ClientCommand) {
        self.ref = ref
        self.command = command
    }

    /// The most bytes of a `ref` or a `key`.
    public static let tagLimit = 64
}

/// `room` is nil where the frame names none: in the first generation the session's current one is meant.
public enum ClientCommand: Hashable, Sendable {
    case message(MessageCommand)
    /// `room` is empty where the frame names none.
    case join(room: Text)
    case leave
    case rooms(RoomsCommand)
    case users(UsersCommand)
    /// The newest `limit` entries, or the newest that stand before `before`.
    case history(room: Text?, limit: Int?, before: Position?)
    /// What `room` has that the client has not been shown, and live frames after it.
    case resume(room: Text?, cursor: ClientCursor)
    case write(DocumentWriteCommand)
    case read(DocumentReadCommand)
    /// The documents of a room.
    case documents(room: Text?)
    /// Of the second generation.
    case subscribe(SubscribeCommand)
    case unsubscribe(room: Text)
}

/// Which rooms with somebody in them are asked for. In the first generation all.
public struct RoomsCommand: Hashable, Sendable {
    /// What their names begin with.
    public var prefix: Text?
    /// What the page before said was `next`.
    public var after: Text?
    public var limit: Int?

    public init(prefix: Text? = nil, after: Text? = nil, limit: Int? = nil) {
        self.prefix = prefix
        self.after = after
        self.limit = limit
    }
}

/// Who is in a room is asked for; in the current one where none is named.
public struct UsersCommand: Hashable, Sendable {
    public var room: Text?
    public var detail: Bool
    public var after: Text?
    public var limit: Int?

    public init(room: Text? = nil, detail: Bool = false, after: Text? = nil, limit: Int? = nil) {
        self.room = room
        self.detail = detail
        self.after = after
        self.limit = limit
    }
}

/// A session is to be shown a room from here on, or stands in it otherwise than before.
public struct SubscribeCommand: Hashable, Sendable {
    public var room: Text
    /// What it has been shown of the room: what it missed comes first.
    public var cursor: ClientCursor?
    /// Others see it there; nil: as it is, and for a new one they do.
    public var member: Bool?

    public init(room: Text, cursor: ClientCursor? = nil, member: Bool? = nil) {
        self.room = room
        self.cursor = cursor
        self.member = member
    }
}

public struct MessageCommand: Hashable, Sendable {
    public var room: Text?
    /// UTF-8; empty where the frame has none.
    public var body: [UInt8]
    /// Makes the send idempotent.
    public var key: Text?
    /// The highest position that the client has seen.
    public var after: Position?
    /// On how many nodes it is to be stored before the ack.
    public var copies: Int?

    public init(
        room: Text? = nil, body: [UInt8], key: Text? = nil, after: Position? = nil, copies: Int? = nil
    ) {
        self.room = room
        self.body = body
        self.key = key
        self.after = after
        self.copies = copies
    }
}

/// A write to a document of a room; of the current one where none is named.
public struct DocumentWriteCommand: Hashable, Sendable {
    public var room: Text?
    public var kind: DocumentKind
    public var doc: Text
    public var write: DocumentWrite
    public var key: Text?
    public var after: Position?
    public var copies: Int?

    public init(
        _ kind: DocumentKind, doc: Text, _ write: DocumentWrite, room: Text? = nil, key: Text? = nil,
        after: Position? = nil, copies: Int? = nil
    ) {
        self.room = room
        self.kind = kind
        self.doc = doc
        self.write = write
        self.key = key
        self.after = after
        self.copies = copies
    }
}

/// What a document of a room stands at is asked for; of the current one where none is named.
public struct DocumentReadCommand: Hashable, Sendable {
    public var room: Text?
    public var kind: DocumentKind
    public var doc: Text
    /// Which part of it, in a `doc_value`; nil for the whole, in the frame that the kind has.
    public var page: DocumentPage?

    public init(_ kind: DocumentKind, doc: Text, room: Text? = nil, page: DocumentPage? = nil) {
        self.room = room
        self.page = page
        self.kind = kind
        self.doc = doc
    }
}

/// Why a frame was not understood; `ref` is the frame's, where that much could be read.
public enum ClientFrameError: Error, Hashable, Sendable {
    case invalidMessage(ref: Text?)
    case unknownType(Text, ref: Text?)

    public var ref: Text? {
        switch self {
        case .invalidMessage(let ref), .unknownType(_, let ref): ref
        }
    }

    public var code: ErrorCode {
        switch self {
        case .invalidMessage: .invalidMessage
        case .unknownType: .unknownType
        }
    }

    /// What the code is about.
    public var detail: Text? {
        switch self {
        case .invalidMessage: nil
        case .unknownType(let type, _): type
        }
    }
}
