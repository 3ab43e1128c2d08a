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
    public var turn: UInt64

    public init(event: Event, id: MessageID? = nil, user: Text, displayName: Text, turn: UInt64 = 0) {
        self.event = event
        self.id = id
        self.user = user
        self.displayName = displayName
        self.turn = turn
    }
}

/// The payload of a `redaction` entry: the payload of the entry at `target` is to be erased. Its header stays.
public struct RedactionPayload: Hashable, Sendable {
    public var target: Dot

    public init(target: Dot) { self.target = target }
}

/// The payload of a `document` entry: one delta, and who made it.
public struct DocumentPayload: Hashable, Sendable {
    public var name: Text
    public var user: Text
    public var displayName: Text
    public var delta: DocumentDelta

    public init(name: Text, user: Text, displayName: Text, delta: DocumentDelta) {
        self.name = name
        self.user = user
        self.displayName = displayName
        self.delta = delta
    }
}

/// What a document entry changes. The dot of an addition and the time of a register's write are the entry's own.
public enum DocumentDelta: Hashable, Sendable {
    /// OR-Set: the element is in the set by this entry's dot, which takes the place of the dots in `replacing`.
    case add(element: Text, replacing: [Dot])
    /// OR-Set: of the element's dots, those that the writer had seen are gone.
    case remove(element: Text, observed: [Dot])
    /// LWW register: the value as of this entry; nil is a cleared register.
    case set(value: Text?)
    /// Counter: the totals of this entry's replica as of this entry. `amount` is what the entry itself added to them, to be
    /// shown; the counter is made of the totals alone, which say the same however often they are taken up.
    case count(amount: Int64, totals: CounterTotals)

    /// The most that one write may add to a counter or take from it: what every client's JSON holds exactly.
    public static let largestAmount: Int64 = 1 << 53

    public var kind: DocumentKind {
        switch self {
        case .add, .remove: .orSet
        case .set: .register
        case .count: .counter
        }
    }
}

extension CounterTotals {
    /// The highest that either total may be.
    public static let limit: UInt64 = 1 << 62
}

/// Documents of one name and different kinds are different documents.
public enum DocumentKind: UInt8, Hashable, Sendable {
    case orSet = 1
    case register = 2
    case counter = 3
}

/// Names one document on a node.
public struct DocumentID: Hashable, Sendable {
    public var room: Text
    public var kind: DocumentKind
    public var name: Text

    public init(room: Text, kind: DocumentKind, name: Text) {
        self.room = room
        self.kind = kind
        self.name = name
    }
}
