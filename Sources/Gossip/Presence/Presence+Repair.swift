import ConvergeCRDT
import ConvergeWire

// Finding what was missed: digests are compared, and who sees that a peer has more of a part asks for it. One question an
// owner is open at a time; when it is not answered, another peer is asked.

extension Presence {
    mutating func compare(
        _ versions: [PresenceVersion], direct: [ReplicaID], from peer: ReplicaID, at now: UInt64,
        into effects: inout [PresenceEffect]
    ) {
        guard let before = peers[peer] else { return }
        if versions.count > options.owners + 1 { counters.violations += 1 }
        let said = versions.prefix(options.owners + 1).sorted { $0.owner < $1.owner }
        peers[peer]?.versions = said
        peers[peer]?.direct = direct.prefix(options.owners + 1).sorted()
        for theirs in said {
            if theirs.owner == own?.replica {
                hear(ofOwn: theirs)
                continue
            }
            let part = parts[theirs.owner]
            if part?.isBehind(boot: theirs.boot, version: theirs.version) ?? true {
                // Its own push may be on its way from the owner; a second digest tells that it is not. What the owner itself
                // says comes after what it pushed.
                let stood = before.version(of: theirs.owner).map {
                    part?.isBehind(boot: $0.boot, version: $0.version) ?? true
                }
                if theirs.owner == peer || peers[theirs.owner] == nil || stood == true {
                    ask(peer, for: theirs, at: now, into: &effects)
                }
            } else if theirs.owner == peer, let had = before.hadOfIts, had.boot == theirs.boot,
                had.version > theirs.version
            {
                disown(theirs, at: now, into: &effects)
            }
        }
        peers[peer]?.hadOfIts = parts[peer].flatMap {
            $0.isKnown ? PresenceVersion(owner: peer, boot: $0.boot, version: $0.version) : nil
        }
    }

    /// The owner has less than what was here before it spoke last: what is here was never its part. It stays shown until the
    /// true one has come.
    private mutating func disown(
        _ said: PresenceVersion, at now: UInt64, into effects: inout [PresenceEffect]
    ) {
        parts[said.owner]?.isKnown = false
        counters.regressions += 1
        ask(said.owner, for: said, at: now, into: &effects)
    }

    /// Asks for the part, of which the peer has as much as `target`, unless somebody has been asked already.
    mutating func ask(
        _ peer: ReplicaID, for target: PresenceVersion, at now: UInt64, into effects: inout [PresenceEffect]
    ) {
        guard know(target.owner), parts[target.owner]?.want == nil else { return }
        parts[target.owner]?.want = PresencePart.Want(
            peer: peer, target: target, deadline: now &+ options.wantTimeout)
        counters.wantsSent += 1
        let want = PresenceWant(owner: target.owner, boot: target.boot)
        effects.append(.send(peer, .presenceWant(want), bulk: false))
    }

    mutating func unlink(_ peer: ReplicaID, at now: UInt64, into effects: inout [PresenceEffect]) {
        guard peers.removeValue(forKey: peer) != nil else { return }
        linked.removeAll { $0 == peer }
        for owner in order where parts[owner]?.want?.peer == peer {
            askAnother(for: owner, at: now, into: &effects)
        }
    }

    /// Goes on to other peers with the questions that have not been answered in time.
    mutating func askOthers(at now: UInt64, into effects: inout [PresenceEffect]) {
        for owner in order {
            guard let want = parts[owner]?.want, now >= want.deadline else { continue }
            askAnother(for: owner, at: now, into: &effects)
        }
    }

    /// Asks the next peer that is known to have more of the part, or is its owner; the same again where there is no other.
    /// Where there is none the question is dropped: the next digest asks it anew.
    private mutating func askAnother(for owner: ReplicaID, at now: UInt64, into effects: inout [PresenceEffect]) {
        guard let part = parts[owner], let want = part.want else { return }
        counters.transfersBroken += 1
        let sources = linked.filter { peer in
            if peer == owner { return true }
            guard let theirs = peers[peer]?.version(of: owner) else { return false }
            return part.isBehind(boot: theirs.boot, version: theirs.version)
        }
        let waiting = part.waiting
        endTransfer(of: owner)
        if let next = sources.first(where: { $0 > want.peer }) ?? sources.first {
            parts[owner]?.waiting = waiting
            ask(next, for: want.target, at: now, into: &effects)
        } else if !part.isKnown, table.seatCount(of: part.slot) == 0 {
            drop(owner, into: &effects)
        }
    }

    /// Gives up the open question about the part, with what has come of its answer.
    mutating func endTransfer(of owner: ReplicaID) {
        staged -= parts[owner]?.want?.staging?.seats.count ?? 0
        parts[owner]?.want = nil
        parts[owner]?.waiting = nil
    }
}

// MARK: Answering

extension Presence {
    /// Sends the peer what it lacks of the part: the changes, where it is this node's and not far behind, or all of it.
    ///
    /// Who asks for the same again before it can have given up is not answered, so that nobody makes a node send its part
    /// over and over.
    mutating func serve(
        _ want: PresenceWant, to peer: ReplicaID, at now: UInt64, into effects: inout [PresenceEffect]
    ) {
        guard let theirs = peers[peer] else { return }
        let version: PresenceVersion
        let slot: UInt32
        if let own, own.replica == want.owner {
            flush(into: &effects)
            if let known = theirs.version(of: want.owner), known.boot == own.boot,
                let changes = own.changes(after: known.version)
            {
                counters.deltasServed += 1
                send(changes, of: own, after: known.version, to: [peer], into: &effects)
                return
            }
            version = PresenceVersion(owner: want.owner, boot: own.boot, version: own.version)
            slot = own.slot
        } else if let part = parts[want.owner], part.isKnown, part.boot >= want.boot {
            version = PresenceVersion(owner: want.owner, boot: part.boot, version: part.version)
            slot = part.slot
        } else {
            counters.wantsUnanswered += 1
            return
        }
        if let last = theirs.served[want.owner], now < last &+ options.wantTimeout / 2 {
            counters.wantsUnanswered += 1
            return
        }
        peers[peer]?.served[want.owner] = now
        counters.wholesServed += 1
        sendWhole(version, slot, to: peer, into: &effects)
    }

    private mutating func sendWhole(
        _ version: PresenceVersion, _ slot: UInt32, to peer: ReplicaID, into effects: inout [PresenceEffect]
    ) {
        var index: UInt32 = 0
        var seats: [Seat] = []
        var bytes = 0
        func chunk(isLast: Bool) -> PresenceEffect {
            let chunk = PresenceChunk(
                owner: version.owner, boot: version.boot, version: version.version, index: index, isLast: isLast,
                seats: seats)
            return .send(peer, .presenceChunk(chunk), bulk: true)
        }
        let limit = options.chunkBytes
        table.forEachSeat(of: slot) { seat in
            if !seats.isEmpty, bytes + seat.frameBytes > limit {
                effects.append(chunk(isLast: false))
                index += 1
                seats.removeAll(keepingCapacity: true)
                bytes = 0
            }
            seats.append(seat)
            bytes += seat.frameBytes
        }
        effects.append(chunk(isLast: true))
        counters.chunksSent += Int(index) + 1
    }
}
