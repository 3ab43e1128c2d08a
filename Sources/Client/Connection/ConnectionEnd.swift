import ConvergeWire

/// How a connection ended.
public enum ConnectionEnd: Hashable, Sendable {
    /// The server answered the handshake with an HTTP status of its own.
    case refused(status: Int, reason: String)
    /// It was asked without TLS, and speaks nothing else.
    case needsTLS
    /// Whatever answers there does not speak WebSocket.
    case notWebSocket(String)
    /// A close frame came: the other side's, or its answer to ours.
    case closed(CloseCode?, reason: String, byUs: Bool)
    /// The server broke the protocol.
    case violated(WebSocketViolation)
    /// Without a word.
    case lost
}

extension ConnectionEnd {
    /// What happened, for a person. The other side's words are in it as they came: escape before showing.
    public var explanation: String {
        switch self {
        case .refused(404, _): return "there is no chat at that address (HTTP 404)"
        case .refused(403, _): return "the server refused the connection (HTTP 403): it only lets in certain origins"
        case .refused(let status, let reason): return "the server refused the connection: HTTP \(status) \(reason)"
        case .needsTLS: return "this port speaks TLS: use wss://"
        case .notWebSocket(let what): return "that is not a chat server: \(what)"
        case .closed(.policyViolation?, "unauthorized", _):
            return "unauthorized: the token is missing, expired, or signed with another secret"
        case .closed(.policyViolation?, "invalid room or user", _):
            return "the server refused the room or the user: a name is too long"
        case .closed(.goingAway?, _, _), .closed(.serviceRestart?, _, _): return "the server is shutting down"
        case .closed(let code, let reason, _):
            let number = code.map { " (\($0.rawValue))" } ?? ""
            return "the server closed the connection\(number)\(reason.isEmpty ? "" : ": \(reason)")"
        case .violated(let violation): return "the server broke the WebSocket protocol: \(violation.reason)"
        case .lost: return "the connection to the server was lost"
        }
    }
}
