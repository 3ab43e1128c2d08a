import ConvergeCRDT

/// What an entry is about. Kinds this build does not know are kept, stored and passed on, never interpreted.
public struct EntryKind: RawRepresentable, Hashable, Sendable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let message = EntryKind(rawValue: 1)
    public static let system = EntryKind(rawValue: 2)
    public static let document = EntryKind(rawValue: 3)
    /// Erases the payload of another entry.
    public static let redaction = EntryKind(rawValue: 4)

    /// Whether this build knows what entries of the kind say.
    public var isKnown: Bool { (Self.message.rawValue...Self.redaction.rawValue).contains(rawValue) }
}

/// 128 bits that chain a replica's log: each entry's hash covers the hash before it.
public struct EntryHash: Hashable, Sendable {
    public var high: UInt64
    public var low: UInt64

    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// The hash before a replica's first entry.
    public static let zero = EntryHash(high: 0, low: 0)
}

/// One durable event of one replica's log: a message, a system event, a document write.
///
/// `seq` has no gaps, so a log is a prefix that grows; the state of a node is a function of how much of each log it has.
/// The header (all but the payload) stays when a payload is erased, so that nobody's log gets a hole.
public struct Entry: Hashable, Sendable {
    /// The version of the header's layout that this build writes.
    public static let formatVersion: UInt8 = 1

    public var dot: Dot
    public var timestamp: HybridTimestamp
    public var kind: EntryKind
    /// One for now: 0. Room for several tenants on one cluster.
    public var namespace: UInt8 = 0
    public var flags: Flags = []
    /// How far its replica had got with the *other* replicas' logs, as changes since that replica's entry before.
    public var dependencies: [Dot] = []
    public var room: Text
    public var payload: [UInt8]
    public var hash: EntryHash = .zero

    public struct Flags: OptionSet, Hashable, Sendable {
        public let rawValue: UInt8
        public init(rawValue: UInt8) { self.rawValue = rawValue }

        /// The payload has been erased; the hash still covers the payload that was.
        public static let redacted = Flags(rawValue: 1)
    }

    public init(dot: Dot, timestamp: HybridTimestamp, kind: EntryKind, room: Text, payload: [UInt8]) {
        self.dot = dot
        self.timestamp = timestamp
        self.kind = kind
        self.room = room
        self.payload = payload
    }

    public var position: Position { Position(timestamp: timestamp, dot: dot) }
}

/// Where an entry stands in history: ordered by (hybrid timestamp, replica, seq), the same on every node.
public struct Position: Hashable, Comparable, Sendable {
    public var timestamp: HybridTimestamp
    public var dot: Dot

    public init(timestamp: HybridTimestamp, dot: Dot) {
        self.timestamp = timestamp
        self.dot = dot
    }

    public static func < (a: Position, b: Position) -> Bool {
        a.timestamp == b.timestamp ? a.dot < b.dot : a.timestamp < b.timestamp
    }

    /// Bounds for looking things up: no entry stands before the one or behind the other.
    public static func beginning(of moment: HybridTimestamp) -> Position {
        Position(timestamp: moment, dot: Dot(replica: ReplicaID(rawValue: .min), seq: .min))
    }
    public static var end: Position {
        Position(timestamp: HybridTimestamp(rawValue: .max), dot: Dot(replica: ReplicaID(rawValue: .max), seq: .max))
    }
}

/// The `id` of a frame: 128 bits, written as 32 lowercase hexadecimal digits.
///
/// A message sent with a key has the first 128 bits of SHA-256 over (room, user, key), so that the same send has the
/// same id on whichever node it is repeated; every other entry has its dot.
public struct MessageID: Hashable, Sendable {
    public var high: UInt64
    public var low: UInt64

    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    public init(_ dot: Dot) { self.init(high: dot.replica.rawValue, low: dot.seq) }
}
