/// The numbers of the WebSocket protocol: opcodes (RFC 6455, section 5.2) and close codes (section 7.4).

/// What a frame is.
public enum WebSocketOpcode: UInt8, Sendable {
    case continuation = 0
    case text = 1
    case binary = 2
    case close = 8
    case ping = 9
    case pong = 10

    /// Control frames are never fragmented, carry at most 125 bytes, and may stand between the fragments of a message.
    public var isControl: Bool { rawValue & 8 != 0 }
}

/// Why a connection is closed, as its close frame says it.
public struct CloseCode: RawRepresentable, Hashable, Sendable {
    public let rawValue: UInt16
    public init(rawValue: UInt16) { self.rawValue = rawValue }

    public static let normal = CloseCode(rawValue: 1000)
    public static let goingAway = CloseCode(rawValue: 1001)
    public static let protocolError = CloseCode(rawValue: 1002)
    public static let unsupportedContent = CloseCode(rawValue: 1003)
    /// Never on the wire: the close frame had no code.
    public static let absent = CloseCode(rawValue: 1005)
    /// Never on the wire: the connection ended without a close frame.
    public static let abnormal = CloseCode(rawValue: 1006)
    public static let invalidContent = CloseCode(rawValue: 1007)
    public static let policyViolation = CloseCode(rawValue: 1008)
    public static let messageTooBig = CloseCode(rawValue: 1009)
    public static let internalError = CloseCode(rawValue: 1011)
    /// Registered with IANA: connect again, here or where else the service is.
    public static let serviceRestart = CloseCode(rawValue: 1012)
    public static let tryAgainLater = CloseCode(rawValue: 1013)

    /// Whether a close frame may carry it: 1000 to 1003, 1007 to 1014 (IANA's registry), and 3000 to 4999, which belong
    /// to libraries and applications.
    public var isSendable: Bool {
        switch rawValue {
        case 1000...1003, 1007...1014, 3000...4999: true
        default: false
        }
    }
}

/// What the other side did wrong. After any of these nothing more is read from it.
public enum WebSocketViolation: Error, Hashable, Sendable, CaseIterable {
    case reservedBits
    case reservedOpcode
    case fragmentedControl
    case longControl
    case notMasked
    case masked
    case nonMinimalLength
    case lengthOverflow
    case strayContinuation
    case interruptedMessage
    case truncatedCloseCode
    case invalidCloseCode
    case invalidCloseReason
    case invalidText
    case messageTooBig
    case tooManyFragments

    /// What to answer: 1002, 1007 or 1009.
    public var closeCode: CloseCode {
        switch self {
        case .reservedBits, .reservedOpcode, .fragmentedControl, .longControl, .notMasked, .masked, .nonMinimalLength,
            .lengthOverflow, .strayContinuation, .interruptedMessage, .truncatedCloseCode, .invalidCloseCode:
            .protocolError
        case .invalidCloseReason, .invalidText: .invalidContent
        case .messageTooBig, .tooManyFragments: .messageTooBig
        }
    }

    /// One line, short enough for a close frame.
    public var reason: StaticString {
        switch self {
        case .reservedBits: "reserved bits are set and no extension was agreed on"
        case .reservedOpcode: "reserved opcode"
        case .fragmentedControl: "a control frame must not be fragmented"
        case .longControl: "a control frame carries at most 125 bytes"
        case .notMasked: "a client must mask its frames"
        case .masked: "a server must not mask its frames"
        case .nonMinimalLength: "the length must be written in the fewest bytes"
        case .lengthOverflow: "the length has its highest bit set"
        case .strayContinuation: "a continuation frame without a message to continue"
        case .interruptedMessage: "a new message inside a fragmented one"
        case .truncatedCloseCode: "a close frame with one byte"
        case .invalidCloseCode: "invalid close code"
        case .invalidCloseReason: "the close reason is not UTF-8"
        case .invalidText: "text is not UTF-8"
        case .messageTooBig: "message too big"
        case .tooManyFragments: "too many fragments"
        }
    }
}
