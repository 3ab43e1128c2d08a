/// Why a command was not carried out, for programs: the `code` of an `error` frame.
public enum ErrorCode: CaseIterable, Hashable, Sendable {
    case invalidMessage
    case unknownType
    case messageRequired
    case messageTooLarge
    case invalidRoom
    case invalidDocument
    case documentFull
    case counterOverflow
    case notSubscribed
    case tooManyRooms
    case busy
    case clockOutOfBounds
    case storageUnavailable
    case historyUnavailable
    case conflict

    /// As frames have it.
    public var word: StaticString {
        switch self {
        case .invalidMessage: "invalid_message"
        case .unknownType: "unknown_type"
        case .messageRequired: "message_required"
        case .messageTooLarge: "message_too_large"
        case .invalidRoom: "invalid_room"
        case .invalidDocument: "invalid_document"
        case .documentFull: "document_full"
        case .counterOverflow: "counter_overflow"
        case .notSubscribed: "not_subscribed"
        case .tooManyRooms: "too_many_rooms"
        case .busy: "busy"
        case .clockOutOfBounds: "clock_out_of_bounds"
        case .storageUnavailable: "storage_unavailable"
        case .historyUnavailable: "history_unavailable"
        case .conflict: "conflict"
        }
    }

    /// The `body` of the frame in the first generation, but for what the client wrote, which `unknown type` repeats.
    public var text: Text {
        switch self {
        case .invalidMessage: "invalid message"
        case .unknownType: "unknown type"
        case .messageRequired: "message required"
        case .messageTooLarge: "message too large"
        case .invalidRoom: "invalid room"
        case .invalidDocument: "invalid document"
        case .documentFull: "document full"
        case .counterOverflow: "counter overflow"
        case .notSubscribed: "not subscribed"
        case .tooManyRooms: "too many rooms"
        case .busy: "busy"
        case .clockOutOfBounds: "clock out of bounds"
        case .storageUnavailable: "storage unavailable"
        case .historyUnavailable: "history unavailable"
        case .conflict: "conflict"
        }
    }

    /// The `body` of the frame in the second generation: words for people.
    public var sentence: Text {
        switch self {
        case .invalidMessage: "This can't be read as a frame of the protocol."
        case .unknownType: "There is no such type of frame."
        case .messageRequired: "The message is empty."
        case .messageTooLarge: "This is longer than the server takes."
        case .invalidRoom: "The room's name is missing or too long."
        case .invalidDocument: "The document's name is too long."
        case .documentFull: "The document is full: remove something first."
        case .counterOverflow: "The counter can't take this amount."
        case .notSubscribed: "You are not subscribed to this room."
        case .tooManyRooms: "You are in as many rooms as one connection may have."
        case .busy: "The server is busy: try again in a moment."
        case .clockOutOfBounds: "The server's clock is wrong, so it takes no writes: try another server, or later."
        case .storageUnavailable: "The server can't store this now: try again with the same key."
        case .historyUnavailable: "The server can't read this now: try again in a moment."
        case .conflict: "This does not go with what there is now."
        }
    }
}
