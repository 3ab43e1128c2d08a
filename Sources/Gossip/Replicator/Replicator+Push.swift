import ConvergeCRDT
import ConvergeWire

/// What is stored goes out at once, to everybody who is linked and not known to have it.
///
/// An origin pushes its own entries. Who stores another's entry passes it on to those of its peers that have no link to
/// the origin: so everybody gets it once, along links that exist. What was repaired is not passed on: after a partition all
/// repair the same at once, and each would send it to every other. A peer that does not keep up is not pushed any more
/// until it has taken what it was sent; what it misses meanwhile it asks for. Peers that are to get the same are named
/// together, so that it is encoded once.
extension Replicator {
    mutating func push(_ entries: [Entry], wantsStored: Bool, into effects: inout [ReplicatorEffect]) {
        guard !entries.isEmpty else { return }
        var pushes: [(to: [ReplicaID], entries: [Entry])] = []
        for at in peers.indices {
            guard let peer = peers[at].replica else { continue }
            let pushed = takePush(of: entries, at)
            guard !pushed.isEmpty else { continue }
            let same = pushes.firstIndex { $0.entries.elementsEqual(pushed) { $0.dot == $1.dot } }
            if let same { pushes[same].to.append(peer) } else { pushes.append(([peer], pushed)) }
        }
        for push in pushes {
            var piece = 0
            var bytes = 0
            for (index, entry) in push.entries.enumerated() {
                bytes += entry.waitingBytes
                guard bytes >= options.rangeBytes || index == push.entries.count - 1 else { continue }
                effects.append(.push(to: push.to, Array(push.entries[piece...index]), wantsStored: wantsStored))
                piece = index + 1
                bytes = 0
            }
        }
    }

    /// Those of these entries that a peer is pushed now, counted as such.
    private mutating func takePush(of entries: [Entry], _ at: Int) -> [Entry] {
        var pushed: [Entry] = []
        for entry in entries where wants(entry, peers[at]) {
            if peers[at].paused {
                counters.pushesSkipped += 1
                continue
            }
            if entry.dot.replica == replica { counters.pushed += 1 } else { counters.relayed += 1 }
            pushed.append(entry)
            peers[at].pushed += UInt64(entry.waitingBytes)
            if peers[at].pushed - min(peers[at].pushed, peers[at].taken) > UInt64(options.pushWindow) {
                peers[at].paused = true
            }
        }
        return pushed
    }

    private func wants(_ entry: Entry, _ peer: Peer) -> Bool {
        let origin = entry.dot.replica
        if origin == peer.replica || peer.has.covers(entry.dot) { return false }
        if origin == replica { return true }
        if repaired.covers(entry.dot) { return false }
        // Until its first digest we can't know; then it asks for what it lacks.
        return peer.hasDigest && !peer.direct.contains(origin)
    }

    /// Entries that a peer pushed.
    mutating func receivePush(
        _ entries: [Entry], wantsStored: Bool, from source: LogSource, at now: UInt64,
        into effects: inout [ReplicatorEffect]
    ) {
        guard let at = index(of: source), let peer = source.node else { return }
        for entry in entries {
            peers[at].received += UInt64(entry.waitingBytes)
            peers[at].has.advance(to: entry.dot)
            // It had applied what the entry depends on.
            for dot in entry.dependencies { peers[at].has.advance(to: dot) }
        }
        if wantsStored { peers[at].wantsStored = true }
        receive(entries, from: source, at: now, into: &effects)
        // A gap in what the origin itself pushes, in order, is not filled by waiting.
        if let first = waiting.first(of: peer), first.dot.seq > applied[peer] + 1 {
            repair(at: now, into: &effects, eager: source)
        }
        tellTaken(at, into: &effects)
    }

    /// Tells a peer how much it may go on to push, now and then.
    private mutating func tellTaken(_ at: Int, into effects: inout [ReplicatorEffect]) {
        guard peers[at].received - peers[at].told >= UInt64(options.creditStep) else { return }
        sendStored(at, into: &effects)
    }

    /// Tells the origins of stored entries, where they have asked.
    mutating func tellStored(_ entries: [Entry], into effects: inout [ReplicatorEffect]) {
        for at in peers.indices where peers[at].wantsStored {
            guard let origin = peers[at].replica, entries.contains(where: { $0.dot.replica == origin }) else {
                continue
            }
            peers[at].wantsStored = waiting.first(of: origin) != nil || applied[origin] > stored[origin]
            sendStored(at, into: &effects)
        }
    }

    private mutating func sendStored(_ at: Int, into effects: inout [ReplicatorEffect]) {
        guard let origin = peers[at].replica else { return }
        peers[at].told = peers[at].received
        effects.append(.send(origin, .stored(seq: stored[origin], bytes: peers[at].received), bulk: false))
    }

    mutating func receiveStored(
        seq: UInt64, bytes: UInt64, from source: LogSource, into effects: inout [ReplicatorEffect]
    ) {
        guard let at = index(of: source), let peer = source.node, let replica, bytes <= peers[at].pushed,
            seq <= stored[replica]
        else { return }
        peers[at].taken = max(peers[at].taken, bytes)
        peers[at].has.advance(to: Dot(replica: replica, seq: seq))
        if peers[at].paused, peers[at].pushed - peers[at].taken <= UInt64(options.pushWindow / 2) {
            peers[at].paused = false
        }
        effects.append(.peerStored(peer, seq: seq))
    }
}
