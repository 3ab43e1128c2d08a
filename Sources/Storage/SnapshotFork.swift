// Whether a snapshot that is to be joined with what is here tells of a log that parts from the one here.
//
// Its server has compared how the logs end that end at the receiver (SnapshotPass.swift). Two kinds it can't compare: a log of
// which the receiver has more, since the server does not know what stands at its own end there; and one that has grown at the
// receiver since it asked. What the other copy did is in the snapshot's documents, under numbers that mean something else
// here: joined, it would stay for ever. So such a snapshot is not taken. Whoever holds the copy that does not stay takes over
// the other's state, and what it has can be fetched after that.
//
// Where the entry is folded on one side nothing is found: the two count as one log then.

import ConvergeCRDT
import ConvergeWire

enum SnapshotFork {
    /// The first log, by replica, whose copies differ where the shorter of them ends.
    ///
    /// - Parameters:
    ///   - mine, theirs: how the logs end here, and at the server.
    ///   - here, there: the hash of an entry here, and as the snapshot tells it; nil where it is not there any more.
    static func first(
        mine: [LogEnd], theirs: [LogEnd], here: (Dot) throws(StoreError) -> EntryHash?,
        there: (Dot) throws(StoreError) -> EntryHash?
    ) throws(StoreError) -> Dot? {
        var ends: [ReplicaID: LogEnd] = [:]
        for end in mine { ends[end.dot.replica] = end }
        for end in theirs {
            guard let own = ends[end.dot.replica] else { continue }
            let common = min(own.dot, end.dot)
            guard common.seq > 0, let known = own.dot == common ? own.hash : try here(common),
                let told = end.dot == common ? end.hash : try there(common), known != told
            else { continue }
            return common
        }
        return nil
    }
}
