import ConvergeCRDT
import ConvergeWire

// What is heard of members, and what is passed on.
//
// Invariant: a record's claim never goes back, save where a link proves that a process runs which others hold for dead.
// Only a member itself raises its incarnation.

extension Membership {
    /// No member that refutes once a millisecond gets here; beyond is nonsense, which must not use up the numbers.
    private static let highestIncarnation: UInt64 = 1 << 56
    private static let longestText = 1024
    /// At most one push in this time.
    private static let pushInterval: UInt64 = 20

    // MARK: Learning

    /// Takes what `peer` knows. `answering`: where it is behind, it is told what is newer.
    mutating func learn(
        _ updates: [MemberUpdate], from peer: ReplicaID, answering: Bool = false,
        into effects: inout [MembershipEffect]
    ) {
        var newer: [MemberUpdate] = []
        for update in updates {
            guard update.incarnation < Membership.highestIncarnation,
                update.address.byteCount <= Membership.longestText, update.name.byteCount <= Membership.longestText
            else {
                counters.refusedUpdates += 1
                continue
            }
            let update = update.withoutControls
            let answer =
                update.replica == replica
                ? hearOfOneself(update) : learn(update, from: peer, into: &effects)
            if answering, let answer, newer.count < options.updatesPerFrame { newer.append(answer) }
        }
        if !newer.isEmpty { effects.append(.send(peer, .members(newer))) }
    }

    /// What is said of this node itself. Answers with the truth where that is something else.
    private mutating func hearOfOneself(_ update: MemberUpdate) -> MemberUpdate? {
        if update.state == .alive {
            guard update.incarnation >= incarnation else { return update.incarnation < incarnation ? oneself : nil }
            // From an earlier life of this replica, which may have had another address.
            let isSame = update.incarnation == incarnation && update.address == address && update.name == name
            if isSame { return nil }
            incarnation = update.incarnation + 1
        } else if update.incarnation >= incarnation {
            guard !options.planted.has(.noRefutation) else { return nil }
            incarnation = update.incarnation + 1
            counters.refutations += 1
            if update.state == .suspect { health.worsen() }
        } else {
            return oneself
        }
        if let oneself { news.add(oneself) }
        return oneself
    }

    var oneself: MemberUpdate? {
        replica.map {
            MemberUpdate(
                replica: $0, incarnation: incarnation, state: hasLeft ? .left : .alive, from: $0, address: address,
                name: name)
        }
    }

    /// Answers with what is known where that is newer.
    private mutating func learn(
        _ update: MemberUpdate, from peer: ReplicaID, into effects: inout [MembershipEffect]
    ) -> MemberUpdate? {
        guard let replica else { return nil }
        guard let at = table.index(of: update.replica) else {
            if let at = addRecord(update, into: &effects) { meet(at, update, into: &effects) }
            return nil
        }
        let claim = MemberClaim(incarnation: update.incarnation, state: update.state)
        let held = table.records[at]
        guard held.verified else {
            table.records[at].verified = true
            table.records[at].claim.incarnation = update.incarnation
            meet(at, update, into: &effects)
            return nil
        }
        // Its own word about itself, on its own link, is never stale.
        let isOwnWord = peer == update.replica
        if claim > held.claim {
            if let disputed = held.disputed, claim.state != .alive, !isOwnWord {
                table.records[at].disputed = max(disputed, claim)
                tell(at, claim, into: &effects)
            } else {
                accept(update, at: at, isOwnWord: isOwnWord, into: &effects)
            }
            return nil
        }
        if claim == held.claim {
            if claim.state == .suspect { confirm(at, by: update.from, into: &effects) }
            return nil
        }
        // An answer about a member to that member would only be a complaint, which it gets anyway.
        return isOwnWord || held.forgotten ? nil : held.update(from: replica)
    }

    /// A member that is new here, or of which nothing was certain.
    private mutating func meet(_ at: Int, _ update: MemberUpdate, into effects: inout [MembershipEffect]) {
        takeAddress(update, at: at, into: &effects)
        enter(
            at, MemberClaim(incarnation: update.incarnation, state: update.state), by: update.from, isNew: true,
            into: &effects)
    }

    private mutating func accept(
        _ update: MemberUpdate, at: Int, isOwnWord: Bool, into effects: inout [MembershipEffect]
    ) {
        var claim = MemberClaim(incarnation: update.incarnation, state: update.state)
        if claim.state == .faulty, isHeard(table.records[at]) {
            // It lives, as this node knows better: it is told, and has the time of a suspicion to refute it.
            claim.state = .suspect
            tell(at, MemberClaim(incarnation: update.incarnation, state: .faulty), into: &effects)
            if claim <= table.records[at].claim { return confirm(at, by: update.from, into: &effects) }
        }
        if claim.state == .alive, isOwnWord || !table.records[at].linked {
            takeAddress(update, at: at, into: &effects)
        }
        enter(at, claim, by: update.from, into: &effects)
    }

    private mutating func confirm(_ at: Int, by accuser: ReplicaID, into effects: inout [MembershipEffect]) {
        let record = table.records[at]
        guard accuser != record.replica, accuser != replica,
            table.records[at].suspicion?.confirm(by: accuser) == true
        else { return }
        news.add(
            MemberUpdate(
                replica: record.replica, incarnation: record.claim.incarnation, state: .suspect, from: accuser,
                address: record.address, name: record.name))
    }

    /// Whether there was a sign of life just now.
    private func isHeard(_ record: MemberRecord) -> Bool {
        record.heard.map { now - $0 <= options.suspectTimeout / 2 } ?? false
    }

    // MARK: States

    /// The record takes this claim, with all that follows from it.
    mutating func enter(
        _ at: Int, _ claim: MemberClaim, by accuser: ReplicaID, isNew: Bool = false,
        into effects: inout [MembershipEffect]
    ) {
        guard let replica else { return }
        let old = table.records[at]
        let peer = old.replica
        table.records[at].claim = claim
        if claim.state != .suspect || claim.incarnation != old.claim.incarnation || old.suspicion == nil {
            table.records[at].suspicion = nil
        }
        switch claim.state {
        case .alive:
            if old.suspicion?.isOwn == true { counters.falseSuspicions += 1 }
            if old.failedHere { counters.falseFailures += 1 }
            if let disputed = old.disputed, claim.incarnation > disputed.incarnation {
                table.records[at].disputed = nil
            }
            table.records[at].failedHere = false
            table.records[at].seen = wall
            table.records[at].forgetAt = nil
            table.records[at].forgotten = false
        case .suspect:
            if old.forgotten { table.records[at].forgetAt = nil }
            table.records[at].forgotten = false
            if table.records[at].suspicion == nil {
                table.records[at].suspicion = Suspicion(since: now, by: accuser, isOwn: accuser == replica)
            }
        case .faulty, .left:
            if old.forgetAt == nil { table.records[at].forgetAt = now + options.forgetAfter }
            probes.removeAll { $0.target == peer }
        }
        if claim.state != .alive { table.records[at].disputed = nil }
        if isNew || old.state != claim.state {
            effects.append(.changed(peer, claim.state))
            tellReplaced(at, into: &effects)
        }
        if old.verified || isNew, table.records[at].disputed == nil {
            news.add(table.records[at].update(from: accuser))
        }
        if claim.state == .left { stopDialling(at, into: &effects) } else { keepDialling(at, into: &effects) }
        guard table.records[at].linked else { return }
        if claim.state != .alive, accuser != peer { tell(at, claim, into: &effects) }
        // A suspicion is looked into at once: Lifeguard shortens it by those who find the same.
        if claim.state == .suspect, accuser != replica { probe(peer, into: &effects) }
        // After a time in which the two did not hear of each other, what was said meanwhile is said again.
        if claim.state == .alive, old.state == .faulty, !isNew { sendAll(to: peer, into: &effects) }
    }

    /// A probe of this node had no answer.
    mutating func suspect(_ target: ReplicaID, into effects: inout [MembershipEffect]) {
        guard let replica, !options.planted.has(.neverSuspected), let at = table.index(of: target) else { return }
        let record = table.records[at]
        switch record.state {
        case .alive:
            counters.suspicions += 1
            let incarnation = max(record.claim.incarnation, record.disputed?.incarnation ?? 0)
            enter(at, MemberClaim(incarnation: incarnation, state: .suspect), by: replica, into: &effects)
        case .suspect:
            guard record.verified, table.records[at].suspicion?.confirm(by: replica) == true else { return }
            news.add(
                MemberUpdate(
                    replica: target, incarnation: record.claim.incarnation, state: .suspect, from: replica,
                    address: record.address, name: record.name))
        case .faulty, .left: break
        }
    }

    /// When a suspicion ends. Silence takes its time, since it may be the network's or the accuser's. A link that was ended
    /// is more than silence: where all who could confirm it have found the same, the node has ended, and what is left is
    /// the time in which it could be back.
    func suspicionEnd(_ suspicion: Suspicion, of record: MemberRecord, alive: Int) -> UInt64 {
        let end = suspicion.deadline(timeout: options.suspectTimeout, others: alive) - options.secondLook
        guard let lostAt = record.lostAt, suspicion.isConfirmed(others: alive) else { return end }
        return min(end, suspicion.wait(options.suspectTimeout / 4, from: lostAt))
    }

    /// When a suspect is looked at for the last time.
    func lastLook(before end: UInt64) -> UInt64 {
        let span = min(options.suspectTimeout / 2, options.probeInterval * health.multiplier)
        return end - min(end, span)
    }

    mutating func endSuspicions(into effects: inout [MembershipEffect]) {
        guard let replica else { return }
        let alive = aliveCount
        for at in table.records.indices {
            guard let suspicion = table.records[at].suspicion else { continue }
            let end = suspicionEnd(suspicion, of: table.records[at], alive: alive)
            if !suspicion.checked, now >= lastLook(before: end) {
                table.records[at].suspicion?.checked = true
                if table.records[at].verified { probe(table.replicas[at], into: &effects) }
            }
            guard now >= end else { continue }
            let record = table.records[at]
            if isHeard(record), record.verified {
                // It was reached, but its refutation was not: it is told again.
                table.records[at].suspicion?.extend(by: options.suspectTimeout / 2)
                tell(at, record.claim, isRepeated: true, into: &effects)
                continue
            }
            if record.verified { counters.failures += 1 }
            table.records[at].failedHere = record.verified
            enter(
                at, MemberClaim(incarnation: record.claim.incarnation, state: .faulty), by: replica, into: &effects)
        }
    }

    // MARK: Passing on

    /// Tells a member what is held against it, ahead of all others and once (Lifeguard's buddy system): it can refute.
    mutating func tell(
        _ at: Int, _ claim: MemberClaim, isRepeated: Bool = false, into effects: inout [MembershipEffect]
    ) {
        let record = table.records[at]
        guard let replica, record.linked, isRepeated || record.told.map({ $0 < claim }) ?? true else { return }
        table.records[at].told = claim
        effects.append(.send(record.replica, .members([record.update(from: replica, claim)])))
    }

    /// What is held against `peer`, to be sent with each probe of it.
    func complaint(to peer: ReplicaID) -> [MemberUpdate] {
        guard let replica, let record = table[peer], record.verified else { return [] }
        if let disputed = record.disputed { return [record.update(from: replica, disputed)] }
        return record.state == .alive ? [] : [record.update(from: replica)]
    }

    /// What goes with a frame to `peer`.
    mutating func updates(for peer: ReplicaID) -> [MemberUpdate] {
        let first = complaint(to: peer)
        guard news.count > 0 else { return first }
        return first + news.take(options.updatesPerFrame - first.count, size: size).filter { !first.contains($0) }
    }

    /// What nobody was told yet goes to a few at once, so that news is everywhere after a few hops and not after rounds.
    mutating func pushNews(into effects: inout [MembershipEffect]) {
        guard news.hasUnsent, now >= nextPush, !hasLeft else { return }
        var linked = linkedPeers
        guard !linked.isEmpty else { return }
        nextPush = now + Membership.pushInterval
        let updates = news.take(options.updatesPerFrame, size: size)
        for _ in 0..<max(1, options.pushFanout) where !linked.isEmpty {
            let peer = linked.remove(at: Int(random.below(UInt64(linked.count))))
            effects.append(.send(peer, .members(updates)))
        }
    }

    /// Sorted.
    private var linkedPeers: [ReplicaID] {
        table.records.filter { $0.linked && $0.state != .left }.map(\.replica)
    }

    mutating func exchangeWithOne(into effects: inout [MembershipEffect]) {
        nextExchange = now + options.exchangeInterval
        let linked = linkedPeers
        guard !linked.isEmpty else { return }
        sendAll(to: linked[Int(random.below(UInt64(linked.count)))], into: &effects)
    }

    /// All that is known, in pieces.
    func sendAll(to peer: ReplicaID, into effects: inout [MembershipEffect]) {
        guard let replica, let oneself else { return }
        var all = [oneself]
        for record in table.records where record.verified && !record.forgotten && record.replica != peer {
            all.append(record.update(from: replica))
        }
        all += complaint(to: peer)
        var start = 0
        while start < all.count {
            let end = min(all.count, start + max(1, options.updatesPerFrame))
            effects.append(.send(peer, .members(Array(all[start..<end]))))
            start = end
        }
    }
}

extension MemberUpdate {
    /// As this node keeps it and passes it on: a name without control characters, and no address that has any, since
    /// nobody can be dialled there.
    fileprivate var withoutControls: MemberUpdate {
        guard name.hasControls || address.hasControls else { return self }
        var update = self
        update.name = name.withoutControls
        if address.hasControls { update.address = "" }
        return update
    }
}
