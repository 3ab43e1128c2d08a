import ConvergeCRDT
import ConvergeWire

/// How far a linked peer is with each log, as far as it is known here.
///
/// It is known from what the peer said and sent, so it is as old as its last word: under way are the pushes of about a
/// second. It is never more than the peer has, but for a peer that came back with an older disk and has not said so yet.
public struct PeerStanding: Sendable {
    public let replica: ReplicaID
    public let has: VersionVector
    /// It has told what it has since the link was opened.
    public let hasTold: Bool
    /// Bytes of pushed entries that it has not said it took.
    public let unacknowledgedBytes: UInt64
    /// It is not pushed to until it has taken what is on its way.
    public let isPaused: Bool
    /// Its last word was that it has just what is here, presence included.
    public let isLevel: Bool
}

extension Replicator {
    /// Of all linked peers, sorted by replica. O(peers).
    public var standings: [PeerStanding] {
        let hash = digestHash
        return peers.compactMap { peer in
            guard let replica = peer.replica else { return nil }
            return PeerStanding(
                replica: replica, has: peer.has, hasTold: peer.hasDigest,
                unacknowledgedBytes: peer.pushed - min(peer.pushed, peer.taken), isPaused: peer.paused,
                isLevel: peer.hash == hash)
        }
    }

    /// What is stored here or known to be anywhere else, be it in the store that is shared.
    public var known: VersionVector {
        var known = stored
        for peer in peers { known.merge(peer.has) }
        return known
    }

    /// The stored end of each log, sorted by replica, with the hash of its last entry: it stands for the whole log.
    public var ends: [LogEnd] { stored.components.map { LogEnd(dot: $0, hash: hash(of: $0.replica)) } }
}
