import ConvergeCRDT
import ConvergeWire

// Which members are dialled, and which the store keeps for the next start.
//
// Invariant: each member that did not leave and whose address is known is dialled or linked; at most `rememberedLimit` of
// them are stored, one an address, under the replica that was last met there.

extension Membership {
    var refreshInterval: UInt64 { max(1, options.forgetAfter / 24) }

    /// So much later the one with the higher replica dials: two that dial each other at once do so in vain.
    func headStart(of peer: ReplicaID) -> UInt64 {
        guard let replica else { return 0 }
        return replica < peer ? 0 : 2 * options.firstDialWait
    }

    mutating func dial(into effects: inout [MembershipEffect]) {
        for address in dialler.due(at: now, limit: options.dialsAtOnce, using: &random) {
            counters.dials += 1
            effects.append(.dial(address))
        }
    }

    mutating func dialFailed(_ address: Text, reached: ReplicaID?) {
        counters.dialsFailed += 1
        dialler.failed(
            address, reached: reached, isOneself: reached != nil && reached == replica,
            reachedLinked: reached.flatMap { table[$0]?.linked } ?? false, at: now, using: &random)
    }

    // MARK: Addresses of members

    /// A member says where it is.
    mutating func takeAddress(_ update: MemberUpdate, at: Int, into effects: inout [MembershipEffect]) {
        let old = table.records[at].address
        table.records[at].name = update.name
        table.records[at].address = update.address
        guard old != update.address, dialler[old]?.owner == update.replica else { return }
        forgetAddress(old, into: &effects)
    }

    mutating func keepDialling(_ at: Int, into effects: inout [MembershipEffect]) {
        let record = table.records[at]
        guard !record.address.isEmpty, record.address != address, record.state != .left else { return }
        dialler.add(record.address, at: now, delay: random.below(options.firstDialWait) + headStart(of: record.replica))
        guard let target = dialler[record.address] else { return }
        if let owner = target.owner, owner != record.replica {
            // The address is another's, unless that one is gone and this one is not.
            guard record.linked || (record.state == .alive && isGone(owner)) else { return }
        }
        dialler.setOwner(record.replica, of: record.address)
        if record.linked { dialler.markLinked(record.replica, at: now) }
        remember(record, in: target, into: &effects)
    }

    private func isGone(_ replica: ReplicaID) -> Bool {
        guard let record = table[replica] else { return true }
        return !record.linked && (record.state == .faulty || record.state == .left)
    }

    mutating func stopDialling(_ at: Int, into effects: inout [MembershipEffect]) {
        let record = table.records[at]
        guard dialler[record.address]?.owner == record.replica else { return }
        forgetAddress(record.address, into: &effects)
    }

    private mutating func forgetAddress(_ address: Text, into effects: inout [MembershipEffect]) {
        if dialler[address]?.stored != nil {
            dialler.setStored(nil, of: address)
            effects.append(.drop(address: address))
        }
        dialler.remove(address)
    }

    // MARK: The store

    private mutating func remember(
        _ record: MemberRecord, in target: Dialler.Target, into effects: inout [MembershipEffect]
    ) {
        let seen = record.forgotten ? 0 : record.seen
        let member = RememberedMember(
            address: record.address, replica: record.replica, name: record.name, seen: seen)
        if var stored = target.stored {
            let isOlder = seen == 0 ? stored.seen != 0 : seen >= stored.seen &+ refreshInterval || stored.seen == 0
            stored.seen = seen
            guard isOlder || stored != member else { return }
        } else if !makeRoomInStore(into: &effects) {
            counters.refusedAddresses += 1
            return
        }
        dialler.setStored(member, of: record.address)
        effects.append(.remember(member))
    }

    /// The faulty one that was not seen for the longest time goes.
    private mutating func makeRoomInStore(into effects: inout [MembershipEffect]) -> Bool {
        let stored = dialler.targets.compactMap(\.stored)
        guard stored.count >= options.rememberedLimit else { return true }
        let gone = stored.filter { $0.replica.map(isGone) ?? true }
        guard let oldest = gone.min(by: { ($0.seen, $0.address) < ($1.seen, $1.address) }) else { return false }
        forgetAddress(oldest.address, into: &effects)
        return true
    }

    /// From time to time the store is told who lives, so that after a restart it is known who was gone before.
    mutating func refresh(into effects: inout [MembershipEffect]) {
        nextRefresh = now + refreshInterval
        for at in table.records.indices where table.records[at].state == .alive {
            table.records[at].seen = wall
            keepDialling(at, into: &effects)
        }
    }

    /// Takes over what was stored. The members are suspect until they are heard of, so that nobody acts for them before
    /// they could be reached. How long one was gone is counted up to when anybody was seen last, not while this node was
    /// off itself: it could not have seen them.
    mutating func recall(_ remembered: [RememberedMember], into effects: inout [MembershipEffect]) {
        let newestFirst = remembered.sorted { ($1.seen, $0.address) < ($0.seen, $1.address) }
        let latest = newestFirst.first?.seen ?? 0
        for (order, member) in newestFirst.enumerated() {
            let isOwn = member.address == address || member.address.isEmpty || member.replica == replica
            // An earlier build kept whatever it was told.
            let isUsable = !isOwn && !member.address.hasControls
            guard order < options.rememberedLimit, isUsable else {
                effects.append(.drop(address: member.address))
                continue
            }
            dialler.add(member.address, at: now, delay: random.below(options.firstDialWait))
            dialler.setStored(member, of: member.address)
            guard let replica = member.replica else { continue }
            dialler.setOwner(replica, of: member.address)
            guard table.index(of: replica) == nil, let oneself = self.replica else { continue }
            let gone = latest - member.seen
            let isForgotten = member.seen == 0 || gone >= options.forgetAfter
            let state: MemberState = isForgotten ? .faulty : .suspect
            let unknown = MemberUpdate(
                replica: replica, incarnation: 0, state: state, from: oneself, address: member.address,
                name: member.name.withoutControls)
            guard let at = addRecord(unknown, into: &effects) else { continue }
            table.records[at].verified = false
            table.records[at].seen = member.seen
            table.records[at].forgetAt = isForgotten ? now : now + options.forgetAfter - gone
            table.records[at].forgotten = isForgotten
            if !isForgotten { table.records[at].suspicion = Suspicion(since: now, by: oneself, isOwn: false) }
            effects.append(.changed(replica, state))
            if isForgotten { effects.append(.forgotten(replica)) }
        }
    }
}
