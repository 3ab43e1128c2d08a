import ConvergeCRDT
import ConvergeWire

// Taking in other owners' parts: changes that go on from what is here, and whole parts in chunks.

extension Presence {
    mutating func take(
        _ delta: PresenceDelta, from peer: ReplicaID, at now: UInt64, into effects: inout [PresenceEffect]
    ) {
        guard peers[peer] != nil, delta.owner != own?.replica else { return }
        guard !delta.changes.isEmpty, delta.from <= UInt64.max - UInt64(delta.changes.count) else {
            counters.violations += 1
            return
        }
        let reached = PresenceVersion(owner: delta.owner, boot: delta.boot, version: delta.through)
        guard parts[delta.owner]?.isBehind(boot: delta.boot, version: reached.version) ?? true else {
            counters.deltasStale += 1
            return
        }
        guard know(delta.owner), let part = parts[delta.owner] else { return }
        let isSameBoot = part.isKnown && part.boot == delta.boot
        if isSameBoot, part.version >= delta.from || options.planted.has(.presenceDeltaAnywhere) {
            apply(delta, from: peer, into: &effects)
        } else if delta.from == 0 {
            // All that the boot has had so far: that is a whole part.
            install(reached, lastOfEach(delta.changes), into: &effects)
            pass(delta, from: peer, into: &effects)
        } else {
            counters.deltasBehindGap += 1
            // Who has a link to the owner gets it from there, in order: what others say is merely early.
            if peer != delta.owner, peers[delta.owner] != nil { return }
            ask(peer, for: reached, at: now, into: &effects)
            keep(delta)
            return
        }
        applyWaiting(of: delta.owner, into: &effects)
        endIfAnswered(delta.owner)
    }

    /// What was asked for has come, by whatever way.
    private mutating func endIfAnswered(_ owner: ReplicaID) {
        guard let part = parts[owner], let target = part.want?.target,
            !part.isBehind(boot: target.boot, version: target.version)
        else { return }
        endTransfer(of: owner)
    }

    /// Applies the changes that are new. The part must be at the delta's boot, and not before its beginning.
    private mutating func apply(
        _ delta: PresenceDelta, from peer: ReplicaID?, into effects: inout [PresenceEffect]
    ) {
        guard let part = parts[delta.owner] else { return }
        let known = part.version > delta.from ? Int(part.version - delta.from) : 0
        let news = delta.changes.dropFirst(known)
        for seat in news {
            if seat.sessions > 0, table.seatCount(of: part.slot) >= options.seatsPerOwner,
                table.seat(room: seat.room, user: seat.user, of: part.slot) == nil
            {
                counters.seatsRefused += 1
                continue
            }
            effects.tell(table.set(seat, of: part.slot), lost: false)
        }
        parts[delta.owner]?.version = delta.through
        counters.deltasApplied += 1
        let from = delta.from + UInt64(known)
        pass(
            PresenceDelta(owner: delta.owner, boot: delta.boot, from: from, changes: Array(news)), from: peer,
            into: &effects)
    }

    /// Sends on what was new here to the peers that don't get it from its owner.
    private mutating func pass(
        _ delta: PresenceDelta, from sender: ReplicaID?, into effects: inout [PresenceEffect]
    ) {
        for peer in linked where peer != sender && peer != delta.owner {
            if peers[peer]?.isLinked(to: delta.owner) ?? false { continue }
            counters.deltasSent += 1
            effects.append(.send(peer, .presenceDelta(delta), bulk: false))
        }
    }

    /// What a seat became last, of each that changed, in the order in which they first did.
    private func lastOfEach(_ changes: [Seat]) -> [Seat] {
        struct Place: Hashable {
            var room: Text
            var user: Text
        }
        var last: [Seat] = []
        var at: [Place: Int] = [:]
        for seat in changes {
            let place = Place(room: seat.room, user: seat.user)
            if let index = at[place] {
                last[index] = seat
            } else {
                at[place] = last.count
                last.append(seat)
            }
        }
        return last
    }

    // MARK: Changes that wait for their part

    /// Keeps changes that came before the part that they change: what is live overtakes what is bulk.
    private mutating func keep(_ delta: PresenceDelta) {
        guard parts[delta.owner]?.want != nil else { return }
        if let dropped = parts[delta.owner]?.waiting?.take(delta, limit: options.waitingChanges) {
            counters.waitingDropped += dropped
        } else {
            parts[delta.owner]?.waiting = PresencePart.Waiting(
                boot: delta.boot, from: delta.from, changes: delta.changes)
        }
    }

    /// Applies what waited, once the part is where it begins.
    private mutating func applyWaiting(of owner: ReplicaID, into effects: inout [PresenceEffect]) {
        guard let part = parts[owner], part.isKnown, let waiting = part.waiting else { return }
        if waiting.boot > part.boot || (waiting.boot == part.boot && waiting.from > part.version) { return }
        parts[owner]?.waiting = nil
        guard part.isBehind(boot: waiting.boot, version: waiting.through) else { return }
        let delta = PresenceDelta(owner: owner, boot: waiting.boot, from: waiting.from, changes: waiting.changes)
        apply(delta, from: nil, into: &effects)
    }

    // MARK: Whole parts

    mutating func take(
        _ chunk: PresenceChunk, from peer: ReplicaID, at now: UInt64, into effects: inout [PresenceEffect]
    ) {
        guard parts[chunk.owner]?.want?.peer == peer else {
            counters.strayChunks += 1
            return
        }
        guard parts[chunk.owner]?.isBehind(boot: chunk.boot, version: chunk.version) == true else {
            // It came another way meanwhile.
            endTransfer(of: chunk.owner)
            return
        }
        guard place(chunk) else { return }
        parts[chunk.owner]?.want?.deadline = now &+ options.wantTimeout
        guard chunk.isLast, let seats = parts[chunk.owner]?.want?.staging?.seats else { return }
        staged -= seats.count
        parts[chunk.owner]?.want = nil
        let whole = PresenceVersion(owner: chunk.owner, boot: chunk.boot, version: chunk.version)
        install(whole, seats, into: &effects)
        applyWaiting(of: chunk.owner, into: &effects)
        parts[chunk.owner]?.waiting = nil
    }

    /// Puts a chunk behind those that have come; false where it is none that goes on from there.
    private mutating func place(_ chunk: PresenceChunk) -> Bool {
        let owner = chunk.owner
        if let staging = parts[owner]?.want?.staging,
            staging.boot != chunk.boot || staging.version != chunk.version
        {
            breakOff(owner)
        }
        let next = parts[owner]?.want?.staging?.next ?? 0
        if chunk.index < next { return false }  // a repeat
        guard chunk.index == next else {
            // A piece is missing, and what has come is of no use: the time-out asks again.
            breakOff(owner)
            return false
        }
        let held = parts[owner]?.want?.staging?.seats.count ?? 0
        let room = min(options.seatsPerOwner - held, chunk.seats.count)
        counters.seatsRefused += chunk.seats.count - room
        guard staged + room <= options.stagedSeats else {
            counters.stagingRefused += 1
            endTransfer(of: owner)
            return false
        }
        if next == 0 {
            parts[owner]?.want?.staging = PresencePart.Staging(boot: chunk.boot, version: chunk.version)
        }
        parts[owner]?.want?.staging?.seats.append(contentsOf: chunk.seats.prefix(room))
        parts[owner]?.want?.staging?.next = next &+ 1
        staged += room
        return true
    }

    private mutating func breakOff(_ owner: ReplicaID) {
        guard let staging = parts[owner]?.want?.staging else { return }
        counters.transfersBroken += 1
        staged -= staging.seats.count
        parts[owner]?.want?.staging = nil
    }

    /// Puts a whole part in the place of what is here. What a new boot no longer has went down with the old one.
    private mutating func install(
        _ version: PresenceVersion, _ seats: [Seat], into effects: inout [PresenceEffect]
    ) {
        guard let part = parts[version.owner] else { return }
        let isNewBoot = part.boot != version.boot
        let moves = table.replace(
            part.slot, with: seats, keepsOld: isNewBoot && options.planted.has(.presenceNotCleared))
        parts[version.owner]?.boot = version.boot
        parts[version.owner]?.version = version.version
        parts[version.owner]?.isKnown = true
        counters.wholesInstalled += 1
        effects.tell(moves, lost: isNewBoot)
    }
}
