import ConvergeCRDT
import ConvergeWire

// One node's way through another's snapshot, piece by piece.
//
// The passes are told in `SnapshotWant`. Every piece is read at a vector that covers those before, so what is staged is
// always the server's state at `since` or later; the final piece brings, read at one moment, all that has changed since.
// Any node that covers `reached` can go on with it when the server leaves.

/// How far a snapshot has come.
struct SnapshotReceiver: Sendable {
    /// What was here at the beginning.
    let have: VersionVector
    /// It takes the place of all that is here.
    let isReload: Bool
    /// The hashes of what `have` names.
    let hashes: [UInt64]
    /// Where this pass and the next one begin.
    private(set) var since: VersionVector
    private(set) var nextSince: VersionVector?
    /// What the pieces so far were read at. It begins with nothing: a server need not have what is here, or two that have
    /// each folded what the other lacks would wait for each other for ever.
    private(set) var reached = VersionVector()
    private(set) var after: SnapshotCursor?

    /// Who is asked; nil while there is nobody.
    private(set) var server: LogSource?
    private(set) var number: UInt64 = 0
    /// When the answer, or a server, has to be there.
    private(set) var deadline: UInt64
    /// The piece that is being staged.
    private(set) var isStaging = false
    private(set) var isInstalling = false
    private(set) var pieces = 0
    let begun: UInt64

    init(have: VersionVector, hashes: [UInt64], isReload: Bool, at now: UInt64, patience: UInt64) {
        self.have = have
        self.hashes = hashes
        self.isReload = isReload
        since = have
        deadline = now + patience
        begun = now
    }

    var isWaiting: Bool { server != nil && !isStaging && !isInstalling }

    mutating func ask(_ server: LogSource, number: UInt64, limit: Int, deadline: UInt64) -> SnapshotWant {
        self.server = server
        self.number = number
        self.deadline = deadline
        isStaging = false
        return SnapshotWant(
            number: number, have: have, since: since, reached: reached, after: after, limit: UInt64(limit),
            hashes: after == nil ? hashes : [])
    }

    mutating func serverLeft(_ peer: LogSource) {
        if server == peer { server = nil }
    }

    mutating func noServer() { server = nil }

    /// Takes up a piece that is about to be staged.
    mutating func take(_ chunk: SnapshotChunk) {
        pieces += 1
        isStaging = true
        // A pass begins at its first piece: whatever changes from then on is the next pass's to tell.
        if nextSince == nil { nextSince = chunk.at }
        reached.merge(chunk.at)
        if chunk.status == .passEnded {
            since = nextSince ?? since
            nextSince = nil
            after = nil
        } else {
            after = chunk.next
        }
    }

    /// The piece is staged.
    mutating func staged() { isStaging = false }

    mutating func install() {
        isStaging = false
        isInstalling = true
    }
}

extension Replicator {
    /// The logs of a peer begin beyond what is here: its state is fetched as a whole.
    /// - Parameter isReload: it is to take the place of what is here.
    mutating func beginSnapshot(
        from peer: LogSource, isReload: Bool = false, at now: UInt64, into effects: inout [ReplicatorEffect]
    ) {
        guard snapshot == nil, isStarted else { return }
        if let at = index(of: peer), now < peers[at].snapshotRestsUntil {
            peers[at].restsUntil = now + options.answerTimeout
            return
        }
        pull = nil
        effects.append(.discardStage)
        snapshot = SnapshotReceiver(
            have: isReload ? VersionVector() : stored,
            hashes: isReload || !mendsForks ? [] : stored.components.map { hash(of: $0.replica).high },
            isReload: isReload, at: now, patience: options.answerTimeout * 6)
        askForSnapshot(peer, at: now, into: &effects)
    }

    private mutating func askForSnapshot(_ peer: LogSource, at now: UInt64, into effects: inout [ReplicatorEffect]) {
        lastNumber += 1
        guard
            let want = snapshot?.ask(
                peer, number: lastNumber, limit: options.snapshotBytes, deadline: now + options.answerTimeout)
        else { return }
        effects.send(.snapshotWant(want), to: peer)
    }

    mutating func receive(
        _ chunk: SnapshotChunk, from source: LogSource, at now: UInt64, into effects: inout [ReplicatorEffect]
    ) {
        guard let peer = source.node, let receiver = snapshot, receiver.server == source,
            receiver.number == chunk.number, receiver.isWaiting
        else { return }
        switch chunk.status {
        case .more, .passEnded:
            if holdsAside(chunk, from: source, at: now, into: &effects) { return }
            guard chunk.at.covers(receiver.reached) else {
                effects.append(.violation(source))
                snapshot?.noServer()
                return
            }
            counters.snapshotPieces += 1
            snapshot?.take(chunk)
            effects.append(.stage(chunk))
        case .final:
            if holdsAside(chunk, from: source, at: now, into: &effects) { return }
            guard chunk.at.covers(receiver.reached), chunk.end != nil else {
                effects.append(.violation(source))
                snapshot?.noServer()
                return
            }
            if let replica, chunk.at[replica] > stored[replica] {
                effects.append(.ownLogForeign(peer, seq: chunk.at[replica]))
                return
            }
            counters.snapshotPieces += 1
            snapshot?.install()
            isInstalling = true
            effects.append(receiver.isReload ? .reload(chunk) : .install(chunk, have: receiver.have))
        case .forked:
            guard !receiver.isReload else {
                effects.append(.violation(source))
                snapshot?.noServer()
                return
            }
            abandonSnapshot(into: &effects)
            beginSnapshot(from: source, isReload: true, at: now, into: &effects)
        case .behind, .unavailable:
            if let at = index(of: source) { peers[at].restsUntil = now + options.digestInterval }
            snapshot?.noServer()
        }
    }

    mutating func continueSnapshot(at now: UInt64, into effects: inout [ReplicatorEffect]) {
        guard let receiver = snapshot, receiver.isStaging else { return }
        snapshot?.staged()
        if let server = receiver.server {
            askForSnapshot(server, at: now, into: &effects)
        } else {
            findServer(at: now, into: &effects)
        }
    }

    mutating func tickSnapshot(at now: UInt64, into effects: inout [ReplicatorEffect]) {
        guard let receiver = snapshot, !receiver.isInstalling, !receiver.isStaging else { return }
        if receiver.isWaiting {
            guard now >= receiver.deadline else { return }
            if let server = receiver.server, let at = index(of: server) {
                peers[at].restsUntil = now + options.answerTimeout
            }
            snapshot?.noServer()
        }
        findServer(at: now, into: &effects)
    }

    /// Goes on with another peer that has all that the pieces so far were read at; without one for long, gives up.
    private mutating func findServer(at now: UInt64, into effects: inout [ReplicatorEffect]) {
        guard let receiver = snapshot else { return }
        // Others may hold another log than the server did.
        if receiver.isReload {
            abandonSnapshot(into: &effects)
            return
        }
        for peer in peers
        where peer.hasDigest && now >= max(peer.restsUntil, peer.snapshotRestsUntil)
            && peer.has.covers(receiver.reached)
        {
            askForSnapshot(peer.source, at: now, into: &effects)
            return
        }
        if now >= receiver.deadline + options.answerTimeout * 2 { abandonSnapshot(into: &effects) }
    }

    /// What was to be joined with what is here tells of another copy of a log. As a rule that is the shorter one, whose holder
    /// takes over what is here when it asks for the rest of that log: so its snapshot is asked for again after a while, each
    /// time twice as late.
    mutating func snapshotParted(at dot: Dot, at now: UInt64, into effects: inout [ReplicatorEffect]) {
        isInstalling = false
        counters.forks += 1
        if let source = snapshot?.server, let at = index(of: source) {
            if peers[at].partedSnapshots == 0 { effects.append(.forked(dot.replica, seq: dot.seq, by: source)) }
            peers[at].snapshotRestsUntil = now + options.answerTimeout << UInt64(min(peers[at].partedSnapshots, 3))
            peers[at].partedSnapshots += 1
        }
        abandonSnapshot(into: &effects)
        applyWaiting(at: now, into: &effects)
    }

    mutating func abandonSnapshot(into effects: inout [ReplicatorEffect]) {
        counters.snapshotsAbandoned += 1
        snapshot = nil
        effects.append(.discardStage)
    }

    // MARK: Serving

    mutating func serve(_ want: SnapshotWant, to at: Int, into effects: inout [ReplicatorEffect]) {
        guard !hasReloaded(since: want.reached) else {
            let refusal = SnapshotChunk(number: want.number, status: .unavailable, at: VersionVector())
            effects.send(.snapshotChunk(refusal), to: peers[at].source, bulk: true)
            return
        }
        lastTicket += 1
        peers[at].servingSnapshot = (lastTicket, want.number, want.reached)
        var want = want
        want.limit = min(want.limit, UInt64(options.snapshotBytes))
        want.mayReload = !options.planted.has(.uncomparedJoined) && hasNewsAsEntries(peers[at], want.have)
        effects.append(.readSnapshot(ticket: lastTicket, want))
    }

    /// Whether the peer has as entries whatever it has of `have` that is not stored here: nothing of that is folded there, nor
    /// the entry before it, by which it is known whether the logs are one.
    private func hasNewsAsEntries(_ peer: Peer, _ have: VersionVector) -> Bool {
        peer.hasDigest
            && have.components.allSatisfy { end in
                let (here, floor) = (stored[end.replica], peer.floors[end.replica])
                return end.seq <= here || floor == 0 || floor < here
            }
    }

    mutating func serveSnapshot(_ ticket: UInt64, _ chunk: SnapshotChunk?, into effects: inout [ReplicatorEffect]) {
        guard let at = peers.firstIndex(where: { $0.servingSnapshot?.ticket == ticket }),
            let (_, number, reached) = peers[at].servingSnapshot
        else { return }
        peers[at].servingSnapshot = nil
        let read = hasReloaded(since: reached) ? nil : chunk
        var answer = read ?? SnapshotChunk(number: number, status: .unavailable, at: VersionVector())
        answer.number = number
        if case .final = answer.status { counters.snapshotsServed += 1 }
        effects.send(.snapshotChunk(answer), to: peers[at].source, bulk: true)
    }
}
