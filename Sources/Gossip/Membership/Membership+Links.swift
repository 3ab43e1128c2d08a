import ConvergeCRDT
import ConvergeWire

// Where a node begins, meets the others, and goes.

extension Membership {
    // MARK: This node

    mutating func start(
        _ replica: ReplicaID, _ remembered: [RememberedMember], into effects: inout [MembershipEffect]
    ) {
        self.replica = replica
        // Rounds of nodes that start together should not coincide.
        nextRound = now + random.below(options.probeInterval)
        nextExchange = now + options.exchangeInterval / 2 + random.below(options.exchangeInterval / 2)
        nextRefresh = now + refreshInterval
        recall(remembered, into: &effects)
    }

    mutating func renew(_ renewed: ReplicaID, into effects: inout [MembershipEffect]) {
        guard let old = replica else { return }
        if let at = table.index(of: renewed) { table.remove(at: at) }
        replica = renewed
        let claim = MemberClaim(incarnation: incarnation, state: .left)
        incarnation = 0
        // Under the old identity: a link's other end takes what comes on it for that one's own word.
        let gone = MemberUpdate(
            replica: old, incarnation: claim.incarnation, state: .left, from: old, address: address, name: name)
        for record in table.records where record.linked {
            effects.append(.send(record.replica, .members([gone])))
        }
        if let at = addRecord(gone, into: &effects) { enter(at, claim, by: old, isNew: true, into: &effects) }
        if let oneself { news.add(oneself) }
    }

    mutating func leave(into effects: inout [MembershipEffect]) {
        hasLeft = true
        guard let oneself else { return }
        for record in table.records where record.linked {
            effects.append(.send(record.replica, .members([oneself])))
        }
    }

    mutating func remove(_ member: ReplicaID, into effects: inout [MembershipEffect]) {
        guard let replica, let at = table.index(of: member), table.records[at].state != .left else { return }
        table.records[at].verified = true
        let incarnation = max(
            table.records[at].claim.incarnation, table.records[at].disputed?.incarnation ?? 0)
        enter(at, MemberClaim(incarnation: incarnation, state: .left), by: replica, into: &effects)
    }

    // MARK: Links

    mutating func opened(
        _ peer: ReplicaID, address: Text, name: Text, incarnation: UInt64, dialled: Text?,
        into effects: inout [MembershipEffect]
    ) {
        guard let replica else { return }
        if peer == replica {
            if let dialled { dialFailed(dialled, reached: peer) }
            return
        }
        let hello = MemberUpdate(
            replica: peer, incarnation: incarnation, state: .alive, from: peer, address: address, name: name)
        let alive = MemberClaim(incarnation: incarnation, state: .alive)
        var isNew = false
        var index = table.index(of: peer)
        if index == nil {
            index = addRecord(hello, into: &effects)
            isNew = true
        }
        guard let at = index else { return }
        let held = table.records[at]
        table.records[at].linked = true
        table.records[at].lostAt = nil
        table.records[at].told = nil
        table.records[at].relay = nil
        takeAddress(hello, at: at, into: &effects)
        if isNew || !held.verified {
            table.records[at].verified = true
            enter(at, alive, by: peer, isNew: true, into: &effects)
        } else if held.state == .alive {
            if held.claim.incarnation < incarnation {
                enter(at, alive, by: peer, into: &effects)
            } else if held.claim.incarnation > incarnation || held.address != address || held.name != name {
                // It is an earlier life that is known, perhaps at another address: it has to say something newer.
                effects.append(.send(peer, .members([held.update(from: replica)])))
            }
        } else if held.claim.incarnation < incarnation {
            enter(at, alive, by: peer, into: &effects)
        } else {
            table.records[at].disputed = held.claim
            enter(
                at, MemberClaim(incarnation: held.claim.incarnation, state: .alive), by: peer, into: &effects)
            tell(at, held.claim, into: &effects)
        }
        keepDialling(at, into: &effects)
        dialler.opened(peer, address: address, dialled: dialled, at: now)
        reached(peer)
        suspectFormer(of: address, now: peer, into: &effects)
        sendAll(to: peer, into: &effects)
    }

    /// Whoever else was at this address is gone: its node goes on under another identity.
    private mutating func suspectFormer(
        of address: Text, now peer: ReplicaID, into effects: inout [MembershipEffect]
    ) {
        guard !address.isEmpty else { return }
        for record in table.records
        where record.address == address && record.replica != peer && !record.linked && record.verified
            && record.state == .alive
        {
            suspect(record.replica, into: &effects)
        }
    }

    mutating func closed(_ peer: ReplicaID, into effects: inout [MembershipEffect]) {
        guard let at = table.index(of: peer), table.records[at].linked else { return }
        table.records[at].linked = false
        table.records[at].lostAt = now
        table.records[at].disputed = nil
        table.records[at].heard = nil
        dialler.closed(peer, headStart: headStart(of: peer), at: now, using: &random)
        redirectProbes(without: peer, into: &effects)
        switch table.records[at].state {
        case .alive, .suspect: probe(peer, into: &effects)
        case .faulty, .left: break
        }
    }

    // MARK: Records

    /// A place for a member that is not known yet. Nil where there is none: nobody is forgotten who could make room.
    mutating func addRecord(_ update: MemberUpdate, into effects: inout [MembershipEffect]) -> Int? {
        guard makeRoom() else {
            counters.refusedMembers += 1
            return nil
        }
        var record = MemberRecord(
            replica: update.replica, name: update.name, address: update.address,
            claim: MemberClaim(incarnation: update.incarnation, state: update.state))
        record.seen = wall
        let at = table.insert(record)
        round.insert(update.replica, at: Int(random.below(UInt64(round.count + 1))))
        return at
    }

    private mutating func makeRoom() -> Bool {
        guard table.records.count >= options.memberLimit else { return true }
        let gone = table.records.indices.filter {
            !table.records[$0].linked && (table.records[$0].forgotten || table.records[$0].state == .left)
        }
        guard
            let oldest = gone.min(by: {
                (table.records[$0].forgetAt ?? 0, $0) < (table.records[$1].forgetAt ?? 0, $1)
            })
        else { return false }
        let removed = table.records[oldest]
        table.remove(at: oldest)
        round.removeAll { $0 == removed.replica }
        if let target = dialler[removed.address], target.owner == removed.replica, target.stored == nil {
            dialler.remove(removed.address)
        }
        return true
    }

    /// A day faulty or left.
    mutating func forget(into effects: inout [MembershipEffect]) {
        for at in table.records.indices {
            guard let forgetAt = table.records[at].forgetAt, now >= forgetAt, !table.records[at].forgotten,
                table.records[at].state == .faulty || table.records[at].state == .left
            else { continue }
            table.records[at].forgotten = true
            effects.append(.forgotten(table.replicas[at]))
            keepDialling(at, into: &effects)
        }
    }
}
