/// The two generations of the protocol between clients and nodes (docs/protocol.md). A connection speaks one of them from its
/// upgrade to its end.
public enum ProtocolGeneration: UInt8, CaseIterable, Hashable, Sendable {
    /// One room a connection, frame for frame that of the Go server.
    case first
    /// Many rooms a connection, and compact frames.
    case second

    /// The WebSocket subprotocol (RFC 6455, section 1.9) by which it is agreed on.
    public var subprotocol: StaticString {
        switch self {
        case .first: "converge.1"
        case .second: "converge.2"
        }
    }
}
