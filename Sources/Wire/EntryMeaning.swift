import ConvergeCRDT

/// What an entry says, read once, for all who do something with it.
public enum EntryMeaning: Hashable, Sendable {
    /// Its texts are where they lie: the frame is made from there (`ServerFrameEncoder.appendFrame`).
    case message(id: MessageID?)
    case system(SystemPayload)
    case document(DocumentPayload)
    case redaction(RedactionPayload)
    /// Its payload is gone. An id of its own that it had is left.
    case erased(MessageID?)
    /// Of another namespace, of a newer build, or torn: to be kept as it is, not interpreted.
    case none(EntryCodecError)

    /// The id that two entries may have in common: a message's that was sent with a key, a numbered event's.
    public var keyID: MessageID? {
        switch self {
        case .message(let id): id
        case .system(let payload): payload.id
        case .erased(let id): id
        case .document, .redaction, .none: nil
        }
    }
}

extension Entry {
    /// O(payload), without copies of a message: of all kinds it comes most.
    public var meaning: EntryMeaning {
        guard namespace == 0 else { return .none(.unknownKind(kind)) }
        if flags.contains(.redacted) { return .erased(redactedMessageID) }
        return payload.withUnsafeBytes { bytes in
            do throws(EntryCodecError) {
                switch kind {
                case .message: return .message(id: try MessagePayloadView(checked: bytes).id)
                case .system: return .system(try SystemPayload(decoding: bytes))
                case .document: return .document(try DocumentPayload(decoding: bytes))
                case .redaction: return .redaction(try RedactionPayload(decoding: bytes))
                default: return .none(.unknownKind(kind))
                }
            } catch {
                return .none(error)
            }
        }
    }
}
