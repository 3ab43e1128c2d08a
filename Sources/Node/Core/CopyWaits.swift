import ConvergeCRDT
import ConvergeWire

/// Acks that wait until a message is stored on several nodes.
///
/// A node that stores an entry of this log says so; when enough have, or the wait has ended, or no more can, the ack goes
/// out with the number of copies that there are.
struct CopyWaits {
    struct Wait {
        let session: SessionID
        let ref: Text
        var acknowledgement: Acknowledgement
        let wanted: Int
        var deadline: UInt64
    }

    /// The most acks that may wait; past it one goes out at once, with the copies that there are.
    static let limit = 65_536

    /// In the order of the log.
    private var waits: [Wait] = []
    /// How far each peer has stored this log.
    private var stored: [(peer: ReplicaID, seq: UInt64)] = []

    var isEmpty: Bool { waits.isEmpty }
    var count: Int { waits.count }

    /// This node goes on under another identity, whose log nobody has. Who waits for copies under the old one is answered
    /// at the next look.
    mutating func forgetPeers() {
        stored = []
        for at in waits.indices { waits[at].deadline = 0 }
    }

    mutating func add(_ wait: Wait) { waits.append(wait) }

    /// There is no link to the peer any more: whatever comes back may be another identity of the same node, and one node
    /// is one copy.
    mutating func forget(_ peer: ReplicaID) { stored.removeAll { $0.peer == peer } }

    mutating func peerStored(_ peer: ReplicaID, through seq: UInt64) {
        if let at = stored.firstIndex(where: { $0.peer == peer }) {
            stored[at].seq = max(stored[at].seq, seq)
        } else {
            stored.append((peer, seq))
        }
    }

    /// How many nodes have stored this entry of the own log, this one included.
    func copies(of dot: Dot) -> Int { 1 + stored.count { $0.seq >= dot.seq } }

    /// The acks that have what they want, or have waited long enough.
    mutating func takeReady(at now: UInt64) -> [Wait] {
        guard !waits.isEmpty else { return [] }
        var ready: [Wait] = []
        var waiting: [Wait] = []
        for var wait in waits {
            let copies = copies(of: wait.acknowledgement.position.dot)
            if copies >= wait.wanted || now >= wait.deadline {
                wait.acknowledgement.copies = copies
                ready.append(wait)
            } else {
                waiting.append(wait)
            }
        }
        waits = waiting
        return ready
    }
}
