/// Why a client can't be made, or can't join a room.
public enum ChatClientError: Error, Hashable, Sendable {
    case noServers
    /// Empty, or over 4,096 bytes.
    case invalidRoom
    /// As many rooms are followed as may.
    case tooManyRooms(limit: Int)
    case closed
    /// Another program, or another client of this one, has the file of unsent messages.
    case outboxInUse(file: String)
    case outboxUnusable(file: String, reason: String)
    /// The machine gives no thread or no pipe.
    case system(String)

    /// In words.
    public var message: String {
        switch self {
        case .noServers: "a client needs at least one server"
        case .invalidRoom: "a room's name is not empty, and has at most 4,096 bytes"
        case .tooManyRooms(let limit): "a client follows at most \(limit) rooms"
        case .closed: "the client is closed"
        case .outboxInUse(let file): "\(file): another program uses this file of unsent messages"
        case .outboxUnusable(let file, let reason): "\(file): \(reason)"
        case .system(let reason): reason
        }
    }
}
