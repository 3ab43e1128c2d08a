import ConvergeCRDT
import ConvergeWire

/// News of members on its way to the others, carried by whatever frames leave anyway.
///
/// Each piece is sent a few times the logarithm of the cluster's size, which reaches everybody with high probability; what
/// was sent least goes first (SWIM, section 4.1). A newer claim takes the place of an older one, so there is one piece a
/// member, or a few where several suspect it.
struct NewsQueue: Sendable {
    private struct Piece: Sendable {
        let update: MemberUpdate
        var sent = 0

        var claim: MemberClaim { MemberClaim(incarnation: update.incarnation, state: update.state) }
    }

    private var pieces: [Piece] = []

    var count: Int { pieces.count }
    /// Whether there is something that nobody was told yet.
    private(set) var hasUnsent = false

    mutating func add(_ update: MemberUpdate) {
        let claim = MemberClaim(incarnation: update.incarnation, state: update.state)
        pieces.removeAll {
            $0.update.replica == update.replica && ($0.claim < claim || $0.update.from == update.from)
        }
        pieces.append(Piece(update: update))
        hasUnsent = true
    }

    /// The next pieces, at most `limit`, in a cluster of `size` nodes.
    mutating func take(_ limit: Int, size: Int) -> [MemberUpdate] {
        guard !pieces.isEmpty, limit > 0 else { return [] }
        let times = NewsQueue.transmissions(size: size)
        pieces.sort {
            ($0.sent, $0.update.replica, $0.update.from) < ($1.sent, $1.update.replica, $1.update.from)
        }
        let taken = pieces.prefix(limit).map(\.update)
        for at in 0..<taken.count { pieces[at].sent += 1 }
        pieces.removeAll { $0.sent >= times }
        hasUnsent = pieces.contains { $0.sent == 0 }
        return taken
    }

    /// Three times the logarithm.
    static func transmissions(size: Int) -> Int {
        3 * (Int.bitWidth - max(1, size).leadingZeroBitCount)
    }
}
