import ConvergeCRDT
import ConvergeWire

/// What pushes did not bring, and how it is found out: digests, wants, ranges.
///
/// Peers tell each other what they have: when they meet, every second while they differ, and otherwise only a hash now and
/// then. Who sees that a peer has more asks it for the ranges that are missing, one answer at a time from one peer at a
/// time, so that nothing is sent twice. The answer's entries are in the order of their positions over all logs. A hybrid
/// clock never gives an entry a lower timestamp than what it depends on, so that order is causal, and nothing in an answer
/// has to wait for something behind it.
///
/// What an origin that is linked here is just pushing isn't asked of others, unless it has not come for a while.
extension Replicator {
    mutating func handle(
        _ frame: PeerFrame, from peer: LogSource, at now: UInt64, wall: UInt64, into effects: inout [ReplicatorEffect]
    ) {
        guard let at = index(of: peer) else { return }
        switch frame {
        case .entries(let entries, let wantsStored):
            receivePush(entries, wantsStored: wantsStored, from: peer, at: now, into: &effects)
        case .stored(let seq, let bytes):
            receiveStored(seq: seq, bytes: bytes, from: peer, into: &effects)
        case .digest(let digest):
            receive(digest, from: at, at: now, into: &effects)
        case .summary(let hash):
            peers[at].hash = hash
            if hash != digestHash { peers[at].owesDigest = true }
        case .want(let want):
            serve(want, to: at, into: &effects)
        case .range(let range):
            receive(range, from: peer, at: now, into: &effects)
        case .snapshotWant(let want):
            serve(want, to: at, into: &effects)
        case .snapshotChunk(let chunk):
            receive(chunk, from: peer, at: now, into: &effects)
        default:
            break
        }
    }

    // MARK: Digests

    /// What is compared: the stored logs and who is present. Logs that have retired stay in it.
    var digestHash: UInt64 {
        var hash = DigestHash()
        for head in heads {
            hash.add(head.dot.replica.rawValue)
            hash.add(head.dot.seq)
            hash.add(head.hash)
        }
        for version in presence {
            hash.add(version.owner.rawValue)
            hash.add(version.boot)
            hash.add(version.version)
        }
        return hash.value
    }

    private var heads: [HeadDigest] {
        stored.components.map { HeadDigest(dot: $0, hash: hash(of: $0.replica).high) }
    }

    private mutating func receive(
        _ digest: PeerDigest, from at: Int, at now: UInt64, into effects: inout [ReplicatorEffect]
    ) {
        guard let peer = peers[at].replica else { return }
        counters.digests += 1
        let first = !peers[at].hasDigest
        peers[at].hasDigest = true
        peers[at].direct = digest.direct
        peers[at].floors = VersionVector(digest.floors)
        // What a peer tells is what it has: it may have less than before, when it goes on with an older disk.
        var has = VersionVector()
        var hash = DigestHash()
        // What did not chain will not as long as both copies are as they were.
        let heads = VersionVector(digest.heads.map(\.dot))
        peers[at].forked.removeAll {
            let (log, seq) = ($0.dot.replica, $0.dot.seq)
            return !(seq...seq &+ 1).contains(applied[log] &+ 1) || heads[log] < seq
        }
        for head in digest.heads {
            has.advance(to: head.dot)
            hash.add(head.dot.replica.rawValue)
            hash.add(head.dot.seq)
            hash.add(head.hash)
            if head.dot.seq == stored[head.dot.replica], head.hash != self.hash(of: head.dot.replica).high,
                !peers[at].isForked(head.dot.replica)
            {
                counters.forks += 1
                peers[at].forked.append(Fork(dot: head.dot, hash: head.hash))
                if head.dot.replica != replica {
                    effects.append(.forked(head.dot.replica, seq: head.dot.seq, by: .node(peer)))
                }
            }
        }
        for version in digest.presence {
            hash.add(version.owner.rawValue)
            hash.add(version.boot)
            hash.add(version.version)
        }
        peers[at].has = has
        peers[at].hash = hash.value
        if let replica, has[replica] > stored[replica] || peers[at].isForked(replica) {
            effects.append(.ownLogForeign(peer, seq: has[replica]))
            return
        }
        repair(at: now, into: &effects, eager: first ? .node(peer) : nil)
    }

    mutating func tick(at now: UInt64, wall: UInt64, into effects: inout [ReplicatorEffect]) {
        guard isStarted else { return }
        waiting.expire(before: now - min(now, options.waitingTime))
        applyWaiting(at: now, into: &effects)
        let hash = digestHash
        for at in peers.indices {
            guard let peer = peers[at].replica else { continue }
            let isDue = peers[at].digestAt == 0 || now >= peers[at].digestAt + options.digestInterval
            if peers[at].owesDigest || peers[at].hash != hash {
                if isDue { sendDigest(to: at, at: now, wall: wall, into: &effects) }
            } else if now >= peers[at].summaryAt + options.summaryInterval {
                peers[at].summaryAt = now
                counters.summaries += 1
                effects.append(.send(peer, .summary(hash: hash), bulk: false))
            }
        }
        if let pull, now >= pull.deadline {
            counters.wantsTimedOut += 1
            if let at = index(of: pull.peer) { peers[at].restsUntil = now + options.answerTimeout }
            self.pull = nil
        }
        held.drop(at: now) { [peers] dot in peers.contains { $0.has.covers(dot) } }
        tickSnapshot(at: now, into: &effects)
        repair(at: now, into: &effects)
    }

    mutating func sendDigest(
        to at: Int, at now: UInt64, wall: UInt64, into effects: inout [ReplicatorEffect]
    ) {
        peers[at].owesDigest = false
        peers[at].digestAt = max(1, now)
        peers[at].summaryAt = now
        let digest = PeerDigest(
            heads: heads, floors: floors.components, direct: direct, presence: presence, wall: wall)
        effects.send(.digest(digest), to: peers[at].source)
    }

    // MARK: Asking

    /// Asks one peer for what is missing here and is there, if nothing is asked for already.
    /// - Parameter eager: this peer is not waited for: it has told for the first time, or what it pushed has a gap.
    mutating func repair(at now: UInt64, into effects: inout [ReplicatorEffect], eager: LogSource? = nil) {
        guard isOpen, pull == nil, snapshot == nil, !isInstalling else { return }
        if mendsForks, let peer = winner(at: now) {
            beginSnapshot(from: peer, isReload: true, at: now, into: &effects)
            return
        }
        guard unstoredHasRoom else {
            // Goes on when the store has answered.
            heldBack = HeldBack(eager: eager ?? heldBack?.eager)
            return
        }
        heldBack = nil
        noteLags(at: now)
        var best: (at: Int, ranges: [LogRange], missing: UInt64)?
        for at in peers.indices where peers[at].hasDigest && now >= peers[at].restsUntil {
            var ranges = ranges(missingFrom: at, at: now, eager: eager == peers[at].source)
            if now < peers[at].snapshotRestsUntil {
                ranges.removeAll { $0.after < peers[at].floors[$0.replica] }
            }
            let missing = ranges.reduce(0) { $0 &+ ($1.through - $1.after) }
            if missing > best?.missing ?? 0 { best = (at, ranges, missing) }
        }
        guard var best else { return }
        if options.planted.has(.logByLogRepair) { best.ranges = [best.ranges[0]] }
        let peer = peers[best.at].source
        for range in best.ranges { held.asked(range.replica, again: now + options.heldPause) }
        if best.ranges.contains(where: { $0.after < peers[best.at].floors[$0.replica] }) {
            beginSnapshot(from: peer, at: now, into: &effects)
            return
        }
        lastNumber += 1
        pull = Pull(
            peer: peer, number: lastNumber, ranges: best.ranges, deadline: now + options.answerTimeout)
        counters.wants += 1
        let want = EntriesWant(number: lastNumber, ranges: best.ranges, limit: UInt64(options.rangeBytes))
        effects.send(.want(want), to: peer)
    }

    /// The peer whose copy of a log stays, and ours doesn't: it parts from ours, and is longer, or as long and its end has
    /// the higher hash. First everybody is asked who may have more of what is here.
    private func winner(at now: UInt64) -> LogSource? {
        var best: (peer: LogSource, length: UInt64)?
        for peer in peers where peer.hasDigest && now >= max(peer.restsUntil, peer.snapshotRestsUntil) {
            for fork in peer.forked where fork.dot.replica != replica {
                let log = fork.dot.replica
                let length = peer.has[log]
                let isLonger = length > applied[log]
                let isAsLong = length == applied[log] && length == stored[log] && fork.hash > hash(of: log).high
                guard isLonger || isAsLong, length > best?.length ?? 0 else { continue }
                if peers.contains(where: { $0.hasDigest && $0.has[log] > applied[log] && !$0.isForked(log) }) {
                    continue
                }
                best = (peer.source, length)
            }
        }
        return best?.peer
    }

    /// What `peer` has and is missing here, save what is probably on its way.
    private func ranges(missingFrom at: Int, at now: UInt64, eager: Bool) -> [LogRange] {
        var ranges: [LogRange] = []
        for dot in peers[at].has.components {
            let origin = dot.replica
            let here = max(applied[origin], forgotten[origin])
            guard dot.seq > here, origin != replica, !peers[at].isForked(origin), !isHeld(origin, at: now) else {
                continue
            }
            if !eager, index(of: .node(origin)) != nil,
                let lag = lagging[origin], now < lag.since + options.patience
            {
                continue
            }
            ranges.append(LogRange(replica: origin, after: here, through: dot.seq))
        }
        return ranges
    }

    /// Remembers since when each log has lagged; applying anything of it starts the time anew.
    private mutating func noteLags(at now: UInt64) {
        var lags: [ReplicaID: Lag] = [:]
        for peer in peers {
            for dot in peer.has.components where lags[dot.replica] == nil {
                let here = applied[dot.replica]
                guard dot.seq > here else { continue }
                let before = lagging[dot.replica].flatMap { $0.applied == here ? $0.since : nil }
                lags[dot.replica] = Lag(applied: here, since: before ?? now)
            }
        }
        lagging = lags
    }

    private mutating func receive(
        _ range: EntriesRange, from peer: LogSource, at now: UInt64, into effects: inout [ReplicatorEffect]
    ) {
        guard let pull, pull.peer == peer, pull.number == range.number else { return }
        self.pull = nil
        let before = applied
        for entry in range.entries where !applied.covers(entry.dot) {
            repaired.advance(to: entry.dot)
            counters.repaired += 1
        }
        receive(range.entries, from: peer, at: now, into: &effects)
        switch range.status {
        case .complete, .more:
            // Who answers and brings nothing new is not asked again at once: it may have no more than its digest said.
            if applied == before, let at = index(of: peer) {
                // What stands on something that is held aside is not asked for again and again.
                let isStuck = !range.entries.isEmpty && (!held.isEmpty || peers[at].heldSnapshots > 0)
                peers[at].restsUntil = now + (isStuck ? options.answerTimeout : options.digestInterval)
            }
            repair(at: now, into: &effects, eager: peer)
        case .belowFloor:
            beginSnapshot(from: peer, at: now, into: &effects)
        case .unavailable:
            if let at = index(of: peer) { peers[at].restsUntil = now + options.digestInterval }
            repair(at: now, into: &effects)
        }
    }

    // MARK: Answering

    private mutating func serve(_ want: EntriesWant, to at: Int, into effects: inout [ReplicatorEffect]) {
        // A new want takes the place of an older one: its asker has given that up.
        lastTicket += 1
        peers[at].serving = (lastTicket, want.number)
        var ranges = want.ranges
        for index in ranges.indices {
            ranges[index].through = min(ranges[index].through, stored[ranges[index].replica])
        }
        ranges.removeAll { $0.through <= $0.after }
        if options.planted.has(.noThirdNodeRepair) { ranges.removeAll { $0.replica != replica } }
        let bytes = Int(min(want.limit, UInt64(options.rangeBytes)))
        effects.append(.read(ticket: lastTicket, ranges, bytes: bytes))
    }

    mutating func serve(_ ticket: UInt64, _ answer: RangeAnswer?, into effects: inout [ReplicatorEffect]) {
        guard let at = peers.firstIndex(where: { $0.serving?.ticket == ticket }), let number = peers[at].serving?.number
        else { return }
        peers[at].serving = nil
        counters.rangesServed += 1
        let range: EntriesRange
        switch answer {
        case nil: range = EntriesRange(number: number, status: .unavailable, entries: [])
        case let answer? where answer.belowFloor: range = EntriesRange(number: number, status: .belowFloor, entries: [])
        case let answer?:
            range = EntriesRange(
                number: number, status: answer.isComplete ? .complete : .more, entries: answer.entries)
        }
        effects.send(.range(range), to: peers[at].source, bulk: true)
    }
}
