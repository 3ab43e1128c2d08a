import ConvergeGossip
import ConvergeWire

/// Why a command was not carried out: the text of its `error` frame.
enum Refusal: Int, CaseIterable, Sendable {
    case busy
    case storageUnavailable
    case documentFull
    case counterOverflow
    case historyUnavailable
    case clockSkewed
    case olderMember
    case changedMeanwhile

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
        case .busy, .storageUnavailable, .documentFull, .counterOverflow, .historyUnavailable: nil
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
        case .olderMember, .changedMeanwhile: "conflict"
        }
    }
}
