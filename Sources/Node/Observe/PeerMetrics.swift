/// What the sockets between nodes count; everything else about peers is in `ClusterStatus`.
final class PeerMetrics: Sendable {
    /// Why a connection to or from a peer was given up before a core heard of it.
    enum Refusal: String, CaseIterable, Sendable {
        /// Too many connections that have not shown yet who they are.
        case pending
        /// The handshake did not end in time.
        case slow
        /// The handshake failed: another secret, none, or no peer at all.
        case handshake
        /// What came is no frame, or a frame that is too long.
        case malformed
    }

    let bytesIn = Counter()
    let bytesOut = Counter()
    let framesIn = Counter()
    let framesOut = Counter()
    /// Connections that a core was told of, ours and theirs.
    let linksOpened = Counter()
    /// Bytes that wait to be sent, of all links.
    let queuedBytes = Counter()
    let handshakesFailed = Counter()
    let dialsFailed = Counter()
    private let refusals = Refusal.allCases.map { (reason: $0, count: Counter()) }

    func refused(_ reason: Refusal) { refusals.first { $0.reason == reason }?.count.add(1) }

    var refusedByReason: [(reason: Refusal, count: Int)] { refusals.map { ($0.reason, $0.count.current) } }
}
