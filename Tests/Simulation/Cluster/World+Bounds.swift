import ConvergeCRDT
import ConvergeWire

@testable import ConvergeGossip
@testable import ConvergeNode

/// What must stay within bounds: at every step what a core holds, and after the heal what agreeing costs.
extension World {
    /// No entry of the simulation is larger.
    private var largestEntry: Int { 1_000 }

    /// What a core counts, after each of its turns.
    func checkBounds(_ node: SimulatedNode) {
        func bound(_ count: Int, _ limit: Int, _ words: StaticString) {
            if count > limit { violate(.bounds, node.index, "\(words): \(count), at most \(limit)") }
        }
        let counters = node.core.counters
        // A session that moves, or has its key looked up, may go a step beyond.
        bound(counters.saveQueue, scenario.saveBuffer + 4 * scenario.clients, "commands in the save queue")
        if counters.peerViolations > 0, !isNonsenseSent {
            violate(.links, node.index, "a node broke the protocol between nodes")
        }
        checkReplicator(node.core.replicator, node)
        guard scenario.isTight else { return }
        // Those that were just looked up stay until the next batch.
        let limit = node.core.options.attendance.limit
        bound(
            node.core.attendance.forgettableCount, limit + limit / 8 + scenario.rooms * scenario.users,
            "pairs that have left")
    }

    private func checkReplicator(_ replicator: borrowing Replicator, _ node: SimulatedNode) {
        let waitingCount = replicator.waiting.count
        let waitingBytes = replicator.waiting.byteCount
        if waitingCount > replicator.options.waitingEntries || waitingBytes > replicator.options.waitingBytes {
            violate(.bounds, node.index, "\(waitingCount) entries of \(waitingBytes) bytes wait")
        }
        let unstored = replicator.unstoredBytes
        if unstored > replicator.options.unstoredBytes + largestEntry {
            violate(.bounds, node.index, "\(unstored) bytes are applied and not stored")
        }
        for peer in replicator.peers
        where Int(peer.pushed) - Int(peer.taken) > replicator.options.pushWindow + largestEntry {
            violate(.bounds, node.index, "\(peer.pushed - peer.taken) bytes are pushed without a word")
        }
    }

    /// What is wrong with what a node did to agree, from the heal until now.
    ///
    /// The bound: every entry that a node lacked, or that was written since, is sent to it a few times at most, with all that
    /// goes with it; beyond that each pair of nodes has digests, probes and presence by the second, and a snapshot.
    func checkCosts() {
        let news = missingAtHeal + (ledger.entryCount - entriesAtHeal) * (nodes.count - 1)
        let pairs = nodes.count * (nodes.count - 1) / 2
        let seconds = Int((now - healedAt) / 1_000_000) + 1
        let bytes = counts.bytes - bytesAtHeal
        let allowed = Self.bytesForEach * news + pairs * (Self.bytesForSecond * seconds + Self.bytesForPair)
        let wants = nodes.reduce(0) { $0 + $1.core.replicator.counters.wants } - wantsAtHeal
        let rounds = Self.roundsForTwo * news / 2 + pairs * (Self.roundsForSecond * seconds + Self.roundsForPair)
        counts.healBytes = max(counts.healBytes, allowed == 0 ? 0 : bytes * 100 / allowed)
        counts.healRounds = max(counts.healRounds, rounds == 0 ? 0 : wants * 100 / rounds)
        if bytes > allowed {
            violate(.bounds, -1, "\(bytes) bytes sent after the heal for \(news) entries, at most \(allowed)")
        }
        if wants > rounds {
            violate(.bounds, -1, "\(wants) rounds after the heal for \(news) entries, at most \(rounds)")
        }
    }

    private static var bytesForEach: Int { 500 }
    private static var bytesForSecond: Int { 500 }
    private static var bytesForPair: Int { 20_000 }
    private static var roundsForTwo: Int { 1 }
    private static var roundsForSecond: Int { 1 }
    private static var roundsForPair: Int { 5 }

    /// What the nodes lack of each other now, and what has been spent so far.
    func noteHeal() {
        var all = VersionVector()
        for node in nodes { all.merge(node.disk.vector) }
        for node in nodes {
            for dot in all.components { missingAtHeal += Int(dot.seq - node.disk.vector[dot.replica]) }
            wantsAtHeal += node.core.replicator.counters.wants
        }
        entriesAtHeal = ledger.entryCount
        bytesAtHeal = counts.bytes
    }
}
