import ConvergeCRDT

// What the frames of the second generation say of subscriptions.

/// A room has been subscribed to.
public struct Subscribed: Hashable, Sendable {
    public var room: String
    /// From where its live frames begin.
    public var cursor: VersionVector?
    public var ref: String?

    public init(room: String, cursor: VersionVector?, ref: String? = nil) {
        self.room = room
        self.cursor = cursor
        self.ref = ref
    }
}

/// A room is subscribed to no longer.
public struct Unsubscribed: Hashable, Sendable {
    public var room: String
    /// Why, where the server itself ended it.
    public var reason: String
    /// False: something may be missing after the last frame that came.
    public var isRecovered: Bool
    /// Of the command that asked for it; nil where the server itself ended it.
    public var ref: String?

    public init(room: String, reason: String = "", isRecovered: Bool = true, ref: String? = nil) {
        self.room = room
        self.reason = reason
        self.isRecovered = isRecovered
        self.ref = ref
    }
}

/// How far a session has been shown a room.
public struct RoomCursor: Hashable, Sendable {
    public var room: String
    public var cursor: VersionVector

    public init(room: String, cursor: VersionVector) {
        self.room = room
        self.cursor = cursor
    }
}
