import ConvergeClient

/// What a line of input wants of the servers.
enum LineRequest: Hashable, Sendable {
    case message(String)
    case join(String)
    case ask(LineQuestion)

    /// What can be entered.
    static let help = [
        "a line is sent to the room; lines that begin with / are commands:",
        "/join ROOM     go to another room; \"two words\" in quotes",
        "/rooms         which rooms there are",
        "/users         who is in this room",
        "/history [N]   the last messages of this room, as many as 20,000",
        "/doc [NAME [add|remove|set|clear|put|drop|+N|-N …]]   shared documents: /doc tags add alpha",
        "/status        how the connection stands",
        "/reconnect     connect now, or anew",
        "/quit          leave (or end of input: Ctrl-D)",
        "//text         a message that begins with a slash",
    ]
}

/// What a room's node answers, beside messages.
enum LineQuestion: Hashable, Sendable {
    case rooms
    case users
    case history(Int?)
    case documents
    case document(DocumentRequest)
}

/// What came of a question.
enum LineAnswer: Hashable, Sendable {
    /// Nothing, where a change comes as an event of the room.
    /// - Parameter note: what there is to say of it.
    case shown([ChatEvent], note: String? = nil)
    case refused(String)
    /// The connection was not there, or broke, and asking once more does no harm.
    case interrupted(String)
}
