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
    public var id: MessageID?
    public var user: Text
    public var displayName: Text

    public init(event: Event, id: MessageID? = nil, user: Text, displayName: Text) {
        self.event = event
        self.id = id
        self.user = user
        self.displayName = displayName
    }
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

    public var kind: DocumentKind {
        switch self {
        case .add, .remove: .orSet
        case .set: .register
        }
    }
}

/// OR-Sets and registers of one name are different documents.
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
