/// What the screen is told, and what it wants done. The shell turns the client library's events into the first and carries
/// out the second; the screen itself knows no network.
enum ScreenEvent: Hashable, Sendable {
    case connecting(room: String, server: String)
    /// - Parameter node: the replica that serves, where it is known.
    case live(room: String, server: String, node: String?, userID: String, name: String)
    /// It is tried again at this moment (milliseconds since 1970).
    /// - Parameter isTokenRefused: a fresh token was refused, too.
    case waiting(room: String, until: Int64, reason: String, isTokenRefused: Bool = false)
    /// It won't be tried again.
    case ended(room: String, reason: String)
    /// - Parameter isMissed: written while the connection was down.
    case message(room: String, ScreenMessage, isMissed: Bool)
    /// Somebody came or went.
    case presence(room: String, ScreenMessage, joined: Bool?, isMissed: Bool)
    /// All that was missed has come, or, where `recovered` is false, perhaps not all.
    case resumed(room: String, recovered: Bool, missed: Int)
    case document(room: String, DocumentChange)
    /// A message that has waited since before the program began.
    case unsent(room: String, tag: Int, key: String, body: String)
    case sending(room: String, tag: Int, SendProgress)
    case latency(room: String, milliseconds: Int)

    case history(room: String, HistoryAnswer)
    case members(room: String, [ScreenMember], count: Int)
    case roomList([String])
    case roomListFailed(String)
    case documentList(room: String, [DocumentLabel])
    /// What a server has said of itself: the names of nodes by their replicas, and how long a message may be.
    case nodes(names: [String: String], bodyLimit: Int?)
    /// What a document holds, or what has become of a write: a line for the room.
    case note(room: String, String)
    /// A request has failed.
    case failed(room: String?, String)
}

/// One message or system event as it is shown.
struct ScreenMessage: Hashable, Sendable {
    var id: String
    var userID: String
    var name: String
    var body: String
    /// Since 1970.
    var milliseconds: Int64
    /// Where it stands in history; nil from servers that don't say.
    var position: String?
}

struct ScreenMember: Hashable, Sendable {
    var userID: String
    var name: String
    var sessions = 1
}

/// A document in a list.
struct DocumentLabel: Hashable, Sendable {
    var name: String
    /// `set`, `register`, `counter`; nil for a kind that is not known here.
    var kind: String?

    /// `tags (set)`.
    var words: String { kind.map { "\(name) (\($0))" } ?? name }
}

/// A change of a document, in words: `added milk to`, `set`.
struct DocumentChange: Hashable, Sendable {
    enum Kind: Hashable, Sendable {
        case added(String), removed(String), set(String), cleared
        case counted(by: Int, value: Int?)
        /// Of a map: the field with its value, in words; the field that is gone.
        case put(String), dropped(String)
    }

    var userID: String
    var name: String
    var document: String
    var kind: Kind
    var milliseconds: Int64
}

enum SendProgress: Hashable, Sendable {
    case sent
    case stored(id: String, position: String?, milliseconds: Int64?)
    case refused(String)
}

enum HistoryAnswer: Hashable, Sendable {
    enum Entry: Hashable, Sendable {
        case message(ScreenMessage)
        case presence(ScreenMessage, joined: Bool?)
    }

    /// Oldest first. `isWhole`: nothing is before it.
    case page([Entry], isWhole: Bool)
    case unavailable(String)
    /// The connection broke: worth asking again.
    case interrupted
}

/// What the screen wants done.
enum ScreenEffect: Hashable, Sendable {
    /// `tag` comes back with what becomes of it.
    case send(room: String, body: String, tag: Int)
    case join(String)
    case leave(String)
    /// Connect now.
    case reconnect(String)
    /// Ask a server for what it says of nodes.
    case lookUp(server: String)
    /// The page before a position, or the newest where that is nil.
    case history(room: String, before: String?, limit: Int)
    case members(room: String)
    case rooms
    case documents(room: String)
    case document(room: String, DocumentRequest)
    case bell
    /// Everything is to be drawn anew.
    case redraw
    /// Stop the process, as the shell's job control does.
    case suspend
    case quit
}
