import ConvergeGossip
import ConvergeWire

/// Why the core did not carry a command out.
enum Refusal: Int, CaseIterable, Sendable {
    case busy
    case storageUnavailable
    case documentFull
    case counterOverflow
    case historyUnavailable
    case clockSkewed
    case olderMember
    case changedMeanwhile
    case tooManyRooms
    case notSubscribed

    init(_ refusal: DocumentRefusal) {
        switch refusal {
        case .documentFull: self = .documentFull
        case .counterOverflow: self = .counterOverflow
        }
    }

    /// What to do, where the text alone does not say it.
    var hint: Text? {
        switch self {
        case .clockSkewed:
            "write on another node, or here, with the same key, when this node's clock and the dates of what it stores are mended"
        case .olderMember: "a member of the cluster does not know such documents: upgrade it, or have it leave"
        case .changedMeanwhile: "the document has changed since the page before: read it from its beginning"
        case .busy, .storageUnavailable, .documentFull, .counterOverflow, .historyUnavailable, .tooManyRooms,
            .notSubscribed:
            nil
        }
    }

    var code: ErrorCode {
        switch self {
        case .busy: .busy
        case .storageUnavailable: .storageUnavailable
        case .documentFull: .documentFull
        case .counterOverflow: .counterOverflow
        case .historyUnavailable: .historyUnavailable
        case .clockSkewed: .clockOutOfBounds
        case .olderMember, .changedMeanwhile: .conflict
        case .tooManyRooms: .tooManyRooms
        case .notSubscribed: .notSubscribed
        }
    }

    /// As it is counted.
    var text: Text { code.text }
}
