import ConvergeWire

/// Something that happened in one of the rooms that a client follows.
public struct ClientEvent: Hashable, Sendable {
    /// The room's name, as it was joined.
    public let room: String
    public let event: RoomEvent

    public init(room: String, event: RoomEvent) {
        self.room = room
        self.event = event
    }
}

/// Something that happened in a room. Each message comes once, by its id, in the order in which the room was shown it,
/// through any number of reconnects; where something may be missing, `resumed` says so in its place.
public enum RoomEvent: Hashable, Sendable {
    case connection(ConnectionState)
    /// - Parameter isMissed: it was said while there was no connection.
    case message(ChatLine, isMissed: Bool)
    /// Somebody came (`joined` is true) or went (false).
    case presence(ChatLine, joined: Bool?, isMissed: Bool)
    /// The connection is back. `missed` lines have been shown since it came; where `recovered` is false there may be more
    /// that were not, before whatever follows. `documents` are the names of those that changed meanwhile.
    case resumed(recovered: Bool, missed: Int, documents: [String])
    case document(DocumentEvent)
    /// What became of a message of one's own.
    case sending(key: String, SendState)
    /// How long the server took to answer a ping.
    case latency(Duration)
    /// An `error` frame that answers no request of this client's.
    case complaint(String)
}

/// How a room's connection stands.
public enum ConnectionState: Hashable, Sendable {
    /// - Parameter attempt: from 1, counted since there last was a lasting connection.
    case connecting(ServerURL, attempt: Int)
    /// - Parameter node: the replica that serves it, as 16 hexadecimal digits. Nil at first; it is told anew when that is
    ///   known: at once where the server says it, else when a message of one's own has been acknowledged.
    case live(ServerURL, node: String?, userID: String, displayName: String)
    case waiting(Duration, reason: String)
    /// For good: the room was left, or no further attempt makes sense.
    case ended(EndReason)
}

/// Why a room is followed no more.
public enum EndReason: Hashable, Sendable {
    /// `leave()` or `close()`.
    case left
    /// The token was refused, and a fresh one, too.
    case unauthorized
    /// The server takes no such room, or no such user: a name is too long.
    case invalidRoomOrUser

    /// In words.
    public var message: String {
        switch self {
        case .left: "left"
        case .unauthorized: "unauthorized: the token is missing, expired, or signed with another secret"
        case .invalidRoomOrUser: "the server refused the room or the user: a name is too long"
        }
    }
}

/// What has become of a message.
public enum SendState: Hashable, Sendable {
    /// It waits here.
    case queued
    /// It is on its way. If the connection breaks it is `queued` again.
    case sent
    /// It is durable; nothing follows this.
    case stored(Receipt)
    /// The server does not take it, and why; nothing follows this.
    case refused(String)

    /// Nothing follows.
    public var isFinal: Bool {
        switch self {
        case .queued, .sent: false
        case .stored, .refused: true
        }
    }
}

/// Why a message could not be sent, or was not stored.
public enum SendFailure: Error, Hashable, Sendable {
    /// As many wait as may.
    case full
    /// Longer than `Options.maxBodyBytes`.
    case tooLarge
    /// The client is closed, or the room left.
    case closed
    /// There is no connection just now: for writes to documents, which don't wait for one.
    case notConnected
    /// The connection broke before the answer: nobody can say whether it was stored. For writes to documents.
    case connectionLost
    /// The server's answer.
    case refused(String)
    /// The file of unsent messages can't be written.
    case outbox(String)
    /// The task that waited was cancelled; the message goes its way.
    case cancelled

    /// In words.
    public var message: String {
        switch self {
        case .full: "too many messages wait to be sent"
        case .tooLarge: "the message is too large"
        case .closed: "closed"
        case .notConnected: "not connected"
        case .connectionLost: "the connection was lost before the answer"
        case .refused(let reason): reason
        case .outbox(let reason): "the file of unsent messages can't be written: \(reason)"
        case .cancelled: "cancelled"
        }
    }
}

/// Why a question was not answered.
public enum RequestFailure: Error, Hashable, Sendable {
    case notConnected
    /// The connection broke before the answer.
    case connectionLost
    /// The server's answer.
    case refused(String)
    /// As many requests wait as may.
    case tooMany
    case closed
    /// The task that waited was cancelled.
    case cancelled

    /// In words.
    public var message: String {
        switch self {
        case .notConnected: "not connected"
        case .connectionLost: "the connection was lost before the answer"
        case .refused(let reason): reason
        case .tooMany: "too many requests wait for an answer"
        case .closed: "closed"
        case .cancelled: "cancelled"
        }
    }
}

/// A page of a room's history.
public struct HistoryPage: Hashable, Sendable {
    public enum Entry: Hashable, Sendable {
        case message(ChatLine)
        case presence(ChatLine, joined: Bool?)

        public var line: ChatLine {
            switch self {
            case .message(let line), .presence(let line, _): line
            }
        }
    }

    public var room: String
    /// Oldest first.
    public var entries: [Entry]
    /// Where to go on: hand it to `history(before:)` for the page before this one. Nil where nothing is before.
    public var older: Position?

    public init(room: String, entries: [Entry], older: Position?) {
        self.room = room
        self.entries = entries
        self.older = older
    }

    /// - Parameter limit: what was asked for; a page with fewer entries, and fewer than the server's limit, is the first.
    init(_ frame: HistoryFrame) {
        room = frame.room
        entries = frame.entries.compactMap { entry in
            switch entry {
            case .message(let line): .message(line)
            case .system(let line): .presence(line, joined: line.isJoining)
            default: nil
            }
        }
        older = entries.first?.line.position
        if let limit = frame.limit, entries.count < limit { older = nil }
    }
}
