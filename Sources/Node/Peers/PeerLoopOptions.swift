import ConvergeTransport

/// What the loop of the peer links is told once.
struct PeerLoopOptions: Sendable {
    /// Nil where peers talk without encryption: on this machine only.
    var tls: TLSContext?
    /// How long connecting and proving oneself may take, in nanoseconds each.
    var handshakeTimeout: UInt64 = 5_000_000_000
    /// How many connections of strangers that have not proved themselves there may be.
    var strangers = StrangerGate.Limits()
    /// A peer that takes or answers nothing for so long is cut off.
    var silence: Duration = .seconds(10)
    /// How long what was said last may take to leave a link that the core has closed, in nanoseconds.
    var drainTimeout: UInt64 = 2_000_000_000
}
