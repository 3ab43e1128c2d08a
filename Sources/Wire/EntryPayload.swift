import ConvergeCRDT

/// The payload of a `message` entry.
public struct MessagePayload: Hashable, Sendable {
    /// Set where the message was sent with a key; otherwise its id is its dot.
    public var id: MessageID?
    public var user: Text
    public var displayName: Text
    /// UTF-8.
    public var body: [UInt8]

    public init(id: MessageID? = nil, user: Text, displayName: Text, body: [UInt8]) {
        self.id = id
        self.user = user
        self.displayName = displayName
        self.body = body
    }
}

/// The payload of a `system` entry: a user came into a room or left it.
public struct SystemPayload: Hashable, Sendable {
    public enum Event: UInt8, Sendable {
        case joined = 1
        case left = 2
    }

    public var event: Event
    /// Set where the event is numbered: nodes that write the same event of (room, user) give it the same id. Otherwise its
    /// id is its dot.
    public var id: MessageID?
    public var user: Text
    public var displayName: Text
    /// Which event of (room, user) this is, counted from 1 (see `AttendanceRecord`); 0 where the events aren't numbered. An
    /// event with a number has an id.
    public var number: UInt64

    public init(event: Event, id: MessageID? = nil, user: Text, displayName: Text, number: UInt64 = 0) {
        self.event = event
        self.id = id
        self.user = user
        self.displayName = displayName
        self.number = number
    }
}

/// The payload of a `redaction` entry: the payload of the entry at `target` is to be erased. Its header stays.
public struct RedactionPayload: Hashable, Sendable {
    public var target: Dot

    public init(target: Dot) { self.target = target }
}
