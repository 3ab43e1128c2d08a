import ConvergeGossip
import ConvergeWire

/// Why a command was not carried out: the text of its `error` frame.
enum Refusal: Sendable {
    case busy
    case storageUnavailable
    case documentFull
    case counterOverflow
    case historyUnavailable
    case clockSkewed

    init(_ refusal: DocumentRefusal) {
        switch refusal {
        case .documentFull: self = .documentFull
        case .counterOverflow: self = .counterOverflow
        }
    }

    var text: Text {
        switch self {
        case .busy: "busy"
        case .storageUnavailable: "storage unavailable"
        case .documentFull: "document full"
        case .counterOverflow: "counter overflow"
        case .historyUnavailable: "history unavailable"
        case .clockSkewed: "clock out of bounds"
        }
    }
}
