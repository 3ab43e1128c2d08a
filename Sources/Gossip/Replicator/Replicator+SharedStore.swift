import ConvergeCRDT
import ConvergeWire

/// The store as one more peer, where other nodes write into it, too.
///
/// What it has is found out by asking it now and then, and stands for its digest; what is missing here is wanted of it
/// like of any peer, in bounded answers and in one causal order, and applied once. It is told nothing: what this node has,
/// it has. Where its logs begin beyond what is applied here it is asked for a snapshot, which is to be read as a whole.
extension Replicator {
    /// - Parameter ends: all logs, one's own among them.
    mutating func sharedStoreHas(
        _ ends: [LogEnd], _ floors: VersionVector, at now: UInt64, into effects: inout [ReplicatorEffect]
    ) {
        guard isStarted else { return }
        if index(of: .sharedStore) == nil {
            peers.insert(Peer(source: .sharedStore), at: peers.firstIndex { $0.source > .sharedStore } ?? peers.count)
        }
        guard let at = index(of: .sharedStore) else { return }
        // One's own log is not news: a commit may be known there before it is known here.
        let others = ends.filter { $0.dot.replica != replica }
        peers[at].hasDigest = true
        peers[at].has = VersionVector(others.map(\.dot))
        peers[at].floors = floors
        peers[at].forked = []
        // It went back in time and on from there: what was read of it before is not what it has.
        for end in others where end.dot.seq == stored[end.dot.replica] && end.hash != hash(of: end.dot.replica) {
            counters.forks += 1
            peers[at].forked.append(Fork(dot: end.dot, hash: end.hash.high))
            effects.append(.forked(end.dot.replica, seq: end.dot.seq, by: .sharedStore))
        }
        // Nobody else knows below which floor a log can't be read.
        var known = VersionVector()
        for dot in floors.components where stored.covers(dot) { known.advance(to: dot) }
        self.floors.merge(known)
        repair(at: now, into: &effects)
    }
}
