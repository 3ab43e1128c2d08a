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

/// `room` is nil where the frame names none: the session's current one is meant.
public enum ClientCommand: Hashable, Sendable {
    case message(MessageCommand)
    /// `room` is empty where the frame names none.
    case join(room: Text)
    case leave
    case rooms
    case users(room: Text?, detail: Bool, limit: Int?)
    /// The newest `limit` entries, or the newest that stand before `before`.
    case history(room: Text?, limit: Int?, before: Position?)
    /// What `room` has that the client has not been shown, and live frames after it.
    case resume(room: Text?, cursor: ClientCursor)
    case setAdd(DocumentWriteCommand)
    case setRemove(DocumentWriteCommand)
    case registerSet(DocumentWriteCommand)
    case setValues(doc: Text)
    case registerGet(doc: Text)
    case counterAdd(CounterAddCommand)
    case counterGet(doc: Text)
    /// The documents of the current room.
    case documents
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

/// A write to a document of the current room.
public struct DocumentWriteCommand: Hashable, Sendable {
    public var doc: Text
    /// The element or the register's value. Nil only in `registerSet`, where it clears the register.
    public var value: Text?
    public var key: Text?
    public var after: Position?
    public var copies: Int?

    public init(doc: Text, value: Text?, key: Text? = nil, after: Position? = nil, copies: Int? = nil) {
        self.doc = doc
        self.value = value
        self.key = key
        self.after = after
        self.copies = copies
    }
}

/// An addition to a counter of the current room.
public struct CounterAddCommand: Hashable, Sendable {
    public var doc: Text
    /// At most `DocumentDelta.largestAmount`, or its opposite.
    public var amount: Int64
    public var key: Text?
    public var after: Position?
    public var copies: Int?

    public init(doc: Text, amount: Int64, key: Text? = nil, after: Position? = nil, copies: Int? = nil) {
        self.doc = doc
        self.amount = amount
        self.key = key
        self.after = after
        self.copies = copies
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

    /// The text of the `error` frame that answers it.
    public var reason: Text {
        switch self {
        case .invalidMessage: "invalid message"
        case .unknownType(let type, _): Text("unknown type: " + type.string)
        }
    }
}
