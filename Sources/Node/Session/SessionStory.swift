import ConvergeWire

/// Who is on a connection, from where, and since when: what the log says of a session at its beginning and at its end.
final class SessionStory: Sendable {
    let user: Text
    let client: String
    /// Monotonic nanoseconds.
    let began: UInt64

    init(user: Text, client: String, began: UInt64) {
        self.user = user
        self.client = client
        self.began = began
    }
}

/// Why a session ended.
struct SessionEnd {
    /// Who ended it; the network is somebody, too.
    enum Side: String { case client, node, network }

    let side: Side
    let reason: Text
    var code: CloseCode?

    static let lost = SessionEnd(side: .network, reason: "connection lost")
    static let silent = SessionEnd(side: .node, reason: "silent")
    static let outOfTime = SessionEnd(side: .node, reason: "out of time")

    /// The client said that it goes.
    static func closed(by code: CloseCode?) -> SessionEnd { SessionEnd(side: .client, reason: "closed", code: code) }

    /// The node has sent a close frame.
    static func ended(_ code: CloseCode, _ reason: Text) -> SessionEnd {
        SessionEnd(side: .node, reason: reason.isEmpty ? "closed" : reason, code: code)
    }
}
