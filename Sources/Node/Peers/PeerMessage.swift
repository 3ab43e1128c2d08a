import ConvergeGossip
import ConvergeTransport
import ConvergeWire

/// What the loop of the peer links is told.
enum PeerMessage: Sendable {
    case dial(Text)
    /// The name at this address has been looked up.
    case resolved(Text, Result<[SocketAddress], SocketAddress.Unresolvable>)
    case send(LinkID, [UInt8], bulk: Bool)
    case close(LinkID)
    /// The core has worked off what had come: more may be read.
    case readOn
    /// The core has ended: send what waits and end, too.
    case finish
}
