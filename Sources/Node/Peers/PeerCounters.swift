/// What the loop of the peer links counts.
final class PeerCounters: Sendable {
    let bytesIn = Counter()
    let bytesOut = Counter()
    /// Links that are open now.
    let links = Counter()
    let dialsFailed = Counter()
    /// Connections of strangers: over the limits of those that have not proved themselves, or too late with it.
    let strangersRefused = Counter()
    /// Who did not know the secret, or spoke no TLS.
    let handshakesFailed = Counter()
    /// Links that were cut since the other side took too little.
    let overflows = Counter()
    /// How often reading rested until the core had worked off what had come.
    let readPauses = Counter()
}
