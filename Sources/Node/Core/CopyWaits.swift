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
    /// The same of repeats, all of which are looked at each time.
    static let repeatLimit = 1_024

    /// In the order of the log, and so of their deadlines; those before `head` are answered.
    private var waits: [Wait] = []
    private var head = 0
    /// Repeats of what is stored, of any log, in the order of their deadlines.
    private var repeats: [Wait] = []
    /// How far each peer has stored this log.
    private var stored: [(peer: ReplicaID, seq: UInt64)] = []
    /// The seqs of which a copy may have been added since the last look.
    private var news: ClosedRange<UInt64>?

    var isEmpty: Bool { head == waits.count && repeats.isEmpty }
    /// Of first sends: repeats have a limit of their own.
    var count: Int { waits.count - head }
    var canTakeRepeat: Bool { repeats.count < Self.repeatLimit }

    /// This node goes on under another identity, whose log nobody has. Who waits for copies under the old one is answered
    /// at the next look.
    mutating func forgetPeers() {
        stored = []
        for at in waits.indices { waits[at].deadline = 0 }
        for at in repeats.indices { repeats[at].deadline = 0 }
    }

    mutating func add(_ wait: Wait) {
        waits.append(wait)
        note(wait.seq...wait.seq)
    }

    /// Of a repeat: its entry may be of any log, and is stored here.
    mutating func addRepeat(_ wait: Wait) { repeats.append(wait) }

    /// The repeats that have what they want by now, or have waited long enough. O(repeats).
    /// - Parameter copies: on how many nodes an entry is stored, as far as it is known.
    mutating func takeRepeats(at now: UInt64, copies: (Dot) -> Int) -> [Wait] {
        guard !repeats.isEmpty else { return [] }
        var ready: [Wait] = []
        repeats.removeAll { wait in
            let count = copies(wait.acknowledgement.position.dot)
            guard count >= wait.wanted || now >= wait.deadline else { return false }
            var wait = wait
            wait.acknowledgement.copies = count
            ready.append(wait)
            return true
        }
        return ready
    }

    /// The peer does not count: there is no link to it any more, and whatever comes back may be another identity of the
    /// same node; and one node is one copy.
    mutating func forget(_ peer: ReplicaID) { stored.removeAll { $0.peer == peer } }

    mutating func peerStored(_ peer: ReplicaID, through seq: UInt64) {
        var before: UInt64 = 0
        if let at = stored.firstIndex(where: { $0.peer == peer }) {
            before = stored[at].seq
            stored[at].seq = max(before, seq)
        } else {
            stored.append((peer, seq))
        }
        if seq > before { note((before + 1)...seq) }
    }

    private mutating func note(_ seqs: ClosedRange<UInt64>) {
        let known = news ?? seqs
        news = min(known.lowerBound, seqs.lowerBound)...max(known.upperBound, seqs.upperBound)
    }

    /// How many nodes have stored this entry of the own log, this one included.
    func copies(of dot: Dot) -> Int { 1 + stored.count { $0.seq >= dot.seq } }

    /// The acks that have what they want, or have waited long enough, in the order of the log. O(log n + those of which
    /// there is news); where acks that want more copies stand before them, O(n).
    mutating func takeReady(at now: UInt64) -> [Wait] {
        defer { news = nil }
        guard count > 0 else { return [] }
        var ready: [Wait] = []
        while head < waits.count, now >= waits[head].deadline {
            ready.append(answered(waits[head]))
            head += 1
        }
        if let news {
            var at = head + waits[head...].partitionPoint { $0.seq < news.lowerBound }
            var kept = at
            while at < waits.count, waits[at].seq <= news.upperBound {
                if copies(of: waits[at].acknowledgement.position.dot) >= waits[at].wanted {
                    ready.append(answered(waits[at]))
                } else {
                    waits.swapAt(kept, at)
                    kept += 1
                }
                at += 1
            }
            if kept == head { head = at } else { waits.removeSubrange(kept..<at) }
        }
        if head > waits.count / 2 {
            waits.removeFirst(head)
            head = 0
        }
        return ready
    }

    private func answered(_ wait: Wait) -> Wait {
        var wait = wait
        wait.acknowledgement.copies = copies(of: wait.acknowledgement.position.dot)
        return wait
    }
}

extension CopyWaits.Wait {
    fileprivate var seq: UInt64 { acknowledgement.position.dot.seq }
}

extension ArraySlice {
    /// How many elements at the beginning hold `before`, which those after them don't. O(log n).
    fileprivate func partitionPoint(_ before: (Element) -> Bool) -> Int {
        var low = startIndex
        var high = endIndex
        while low < high {
            let middle = (low + high) / 2
            if before(self[middle]) { low = middle + 1 } else { high = middle }
        }
        return low - startIndex
    }
}
