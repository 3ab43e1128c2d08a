import ConvergeCRDT
import ConvergeWire

/// One line of a conversation: a message, or somebody's coming or going.
public struct ChatLine: Hashable, Sendable {
    /// 32 hexadecimal digits; the same wherever the line is shown.
    public var id: String
    public var room: String
    public var userID: String
    public var displayName: String
    public var body: String
    /// RFC 3339, UTC.
    public var timestamp: String
    /// Where it stands in history; nil where it isn't stored, and from servers that don't say.
    public var position: Position?
    /// The replica that wrote it, and its number there; nil as `position`.
    public var dot: Dot?

    public init(
        id: String = "", room: String, userID: String, displayName: String, body: String, timestamp: String = "",
        position: Position? = nil, dot: Dot? = nil
    ) {
        self.id = id
        self.room = room
        self.userID = userID
        self.displayName = displayName
        self.body = body
        self.timestamp = timestamp
        self.position = position
        self.dot = dot
    }

    /// Of a system event: whether the user came (true) or went (false); nil where it says something else.
    public var isJoining: Bool? {
        guard body.hasPrefix(displayName) else { return nil }
        switch body.dropFirst(displayName.count) {
        case " joined": return true
        case " left": return false
        default: return nil
        }
    }
}
