import ConvergeClient

/// What a line of input wants of the servers.
enum LineRequest: Hashable, Sendable {
    case message(String)
    case join(String)
    case ask(LineQuestion)
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
    case shown([ChatEvent])
    case refused(String)
    /// The connection was not there, or broke, and asking once more does no harm.
    case interrupted(String)
}
