import ConvergeCRDT
import ConvergeWire

// Probing: one member a round, directly where there is a link, then through others.
//
// Invariant: a member with a link is only suspected after two looks without a sign of life, in which it was asked again and
// again and through others. Any frame from it is a sign of life, not just the answer.
//
// Frames travel on TCP: where a segment is lost it is sent again after 200 ms, 600 ms, 1,400 ms, and all that follows it
// waits. So a lossy network makes answers late, by more than one look takes, and a second is needed to tell that from
// silence.

/// A probe of this node's own.
struct Probe: Sendable {
    let number: UInt64
    let target: ReplicaID
    let startedAt: UInt64
    /// When others are asked.
    var indirectAt: UInt64?
    /// When it is sent once more, and how long after that again: each time twice as long, since on a link that waits for
    /// what was lost a repeat is just one more that can be lost.
    var repeatAt: UInt64
    var repeatWait: UInt64
    /// When this look ends.
    var endsAt: UInt64
    var isSecondLook = false
    /// Who was asked, and who of them has no answer.
    var relays: [ReplicaID] = []
    var denied: [ReplicaID] = []

    var deadline: UInt64 { min(indirectAt ?? repeatAt, endsAt) }

    mutating func postpone(by time: UInt64) {
        indirectAt? += time
        repeatAt += time
        endsAt += time
    }
}

/// A probe for another node.
struct RelayedProbe: Sendable {
    let number: UInt64
    let requester: ReplicaID
    let requestNumber: UInt64
    let target: ReplicaID
    /// When the requester is told that there is no answer so far; nil once it was.
    var denyAt: UInt64?
    let endsAt: UInt64
    var relays: [ReplicaID] = []
    var denied: [ReplicaID] = []

    var deadline: UInt64 { min(denyAt ?? endsAt, endsAt) }
}

extension Membership {
    /// How often a request is passed on beyond the one who is asked.
    private static let hops: UInt64 = 2
    private static let hopMask: UInt64 = 3
    private static let relayedLimit = 1024

    private var repeatInterval: UInt64 { max(1, options.probeTimeout / 6) }

    // MARK: Own probes

    /// Begins the next round (SWIM, section 4.3: round robin in a random order).
    mutating func probeNext(into effects: inout [MembershipEffect]) {
        nextRound = now + options.probeInterval * health.multiplier
        for refilled in [false, true] {
            while let target = round.popLast() {
                guard let record = table[target], isProbed(record), !isBeingProbed(target) else { continue }
                return probe(target, into: &effects)
            }
            if !refilled { round = table.replicas.shuffled(using: &random) }
        }
    }

    /// With a link also what is faulty: it may have come back without noticing that it was away.
    private func isProbed(_ record: MemberRecord) -> Bool {
        switch record.state {
        case .alive, .suspect: record.linked || record.verified
        case .faulty: record.linked
        case .left: false
        }
    }

    func isBeingProbed(_ target: ReplicaID) -> Bool { probes.contains { $0.target == target } }

    mutating func probe(_ target: ReplicaID, into effects: inout [MembershipEffect]) {
        guard !isBeingProbed(target), let record = table[target] else { return }
        let timeout = options.probeTimeout * health.multiplier
        counters.probes += 1
        var probe = Probe(
            number: nextNumber(), target: target, startedAt: now, indirectAt: now + timeout, repeatAt: now + timeout,
            repeatWait: repeatInterval, endsAt: now + options.probeInterval * health.multiplier)
        if record.linked {
            effects.append(.send(target, .probe(number: probe.number, updates(for: target))))
        } else {
            askOthers(for: &probe, into: &effects)
        }
        probes.append(probe)
    }

    /// The link of a probe's target or relay is gone.
    mutating func redirectProbes(without peer: ReplicaID, into effects: inout [MembershipEffect]) {
        for at in probes.indices {
            if probes[at].target == peer, probes[at].indirectAt != nil {
                askOthers(forProbeAt: at, into: &effects)
            } else if probes[at].target == peer, probes[at].isSecondLook {
                probes[at].endsAt = min(probes[at].endsAt, now + options.probeTimeout * health.multiplier)
            } else if probes[at].relays.contains(peer), !probes[at].denied.contains(peer) {
                probes[at].denied.append(peer)
            }
        }
        for at in relayed.indices where relayed[at].target == peer { deny(at, into: &effects) }
    }

    private mutating func askOthers(forProbeAt at: Int, into effects: inout [MembershipEffect]) {
        var probe = probes[at]
        askOthers(for: &probe, into: &effects)
        probes[at] = probe
    }

    private mutating func askOthers(for probe: inout Probe, into effects: inout [MembershipEffect]) {
        probe.indirectAt = nil
        probe.repeatAt = now + probe.repeatWait
        probe.relays = relays(to: probe.target, but: probe.target, count: options.indirectProbes)
        counters.indirectProbes += UInt64(probe.relays.count)
        if probe.relays.isEmpty, table[probe.target]?.linked != true {
            // There is nothing to wait for but that the link comes back.
            probe.endsAt = min(probe.endsAt, now + options.probeTimeout * health.multiplier)
        }
        for relay in probe.relays {
            effects.append(
                .send(relay, .probeRequest(number: probe.number, target: probe.target, updates(for: probe.target))))
        }
    }

    /// Who is asked to probe `target`: who reached it last, and others at random.
    private mutating func relays(
        to target: ReplicaID, but requester: ReplicaID, besides asked: [ReplicaID] = [], count: Int
    ) -> [ReplicaID] {
        var others = table.records.filter {
            $0.linked && ($0.state == .alive || $0.state == .suspect) && $0.replica != target
                && $0.replica != requester && !asked.contains($0.replica)
        }.map(\.replica)
        var chosen: [ReplicaID] = []
        if let relay = table[target]?.relay, let at = others.firstIndex(of: relay) {
            chosen.append(others.remove(at: at))
        }
        while chosen.count < count, !others.isEmpty {
            chosen.append(others.remove(at: Int(random.below(UInt64(others.count)))))
        }
        return chosen
    }

    mutating func continueProbes(into effects: inout [MembershipEffect]) {
        var failed: [Probe] = []
        for at in probes.indices {
            if now >= probes[at].endsAt {
                if isWorthSecondLook(probes[at]) {
                    lookAgain(forProbeAt: at, into: &effects)
                } else {
                    failed.append(probes[at])
                }
            } else if let indirectAt = probes[at].indirectAt {
                if now >= indirectAt { askOthers(forProbeAt: at, into: &effects) }
            } else if now >= probes[at].repeatAt {
                probes[at].repeatWait *= 2
                probes[at].repeatAt = now + probes[at].repeatWait
                repeatProbe(probes[at], into: &effects)
            }
        }
        for probe in failed { fail(probe, into: &effects) }
    }

    /// Whether this node would be the first to accuse. A suspect was looked at twice already, and a link that was ended is
    /// more than silence.
    private func isWorthSecondLook(_ probe: Probe) -> Bool {
        guard !probe.isSecondLook, let record = table[probe.target] else { return false }
        return record.linked && record.state == .alive
    }

    /// As long as the first, and through others where there are more.
    private mutating func lookAgain(forProbeAt at: Int, into effects: inout [MembershipEffect]) {
        var probe = probes[at]
        probe.isSecondLook = true
        probe.repeatAt = now + probe.repeatWait
        probe.endsAt = now + options.probeInterval * health.multiplier
        let more = relays(
            to: probe.target, but: probe.target, besides: probe.relays, count: options.indirectProbes)
        probe.relays += more
        counters.indirectProbes += UInt64(more.count)
        probes[at] = probe
        repeatProbe(probe, into: &effects)
    }

    private func repeatProbe(_ probe: Probe, into effects: inout [MembershipEffect]) {
        let update = complaint(to: probe.target)
        if table[probe.target]?.linked == true {
            effects.append(.send(probe.target, .probe(number: probe.number, update)))
        }
        // That there is no answer so far ends the first look of who says so, not the second.
        for relay in probe.relays
        where (probe.isSecondLook || !probe.denied.contains(relay)) && table[relay]?.linked == true {
            effects.append(.send(relay, .probeRequest(number: probe.number, target: probe.target, update)))
        }
    }

    /// No sign of life in time. Others that gave none either, not even that they have none, are a sign that this node is
    /// the slow one.
    private mutating func fail(_ probe: Probe, into effects: inout [MembershipEffect]) {
        end(probe)
        if !probe.relays.isEmpty {
            health.worsen(by: min(options.indirectProbes, probe.relays.count - probe.denied.count))
        } else if table[probe.target]?.linked == true {
            health.worsen()
        }
        suspect(probe.target, into: &effects)
    }

    private mutating func end(_ probe: Probe) {
        probes.removeAll { $0.number == probe.number }
        counters.probesFailed += 1
    }

    /// A sign of life, itself or through `relay`.
    mutating func reached(_ target: ReplicaID, through relay: ReplicaID? = nil) {
        guard let at = table.index(of: target) else { return }
        table.records[at].heard = now
        if let relay { table.records[at].relay = relay }
        guard isBeingProbed(target) else { return }
        probes.removeAll { $0.target == target }
        health.improve()
    }

    private mutating func nextNumber() -> UInt64 {
        lastNumber &+= 1
        return lastNumber << 2 | Membership.hops
    }

    // MARK: Frames

    mutating func receive(_ frame: PeerFrame, from peer: ReplicaID, into effects: inout [MembershipEffect]) {
        guard table[peer]?.linked == true else { return }
        reached(peer)
        switch frame {
        case .probe(let number, let updates):
            learn(updates, from: peer, into: &effects)
            effects.append(.send(peer, .probeAck(number: number, self.updates(for: peer))))
        case .probeRequest(let number, let target, let updates):
            learn(updates, from: peer, into: &effects)
            relay(number, to: target, for: peer, into: &effects)
        case .probeAck(let number, let updates):
            learn(updates, from: peer, into: &effects)
            answered(number, by: peer, into: &effects)
        case .probeNack(let number): denied(number, by: peer, into: &effects)
        case .members(let updates): learn(updates, from: peer, answering: true, into: &effects)
        default: break
        }
    }

    private mutating func answered(_ number: UInt64, by peer: ReplicaID, into effects: inout [MembershipEffect]) {
        if let probe = probes.first(where: { $0.number == number }) {
            reached(probe.target, through: probe.target == peer ? nil : peer)
        }
        if let at = relayed.firstIndex(where: { $0.number == number }) {
            let probe = relayed.remove(at: at)
            if probe.target != peer { reached(probe.target, through: peer) }
            guard table[probe.requester]?.linked == true else { return }
            let updates = updates(for: probe.requester)
            effects.append(.send(probe.requester, .probeAck(number: probe.requestNumber, updates)))
        }
    }

    private mutating func denied(_ number: UInt64, by peer: ReplicaID, into effects: inout [MembershipEffect]) {
        if let at = probes.firstIndex(where: { $0.number == number }), probes[at].relays.contains(peer),
            !probes[at].denied.contains(peer)
        {
            probes[at].denied.append(peer)
            let probe = probes[at]
            // Without a link there is nobody else to wait for.
            if probe.denied.count == probe.relays.count, table[probe.target]?.linked != true {
                end(probe)
                suspect(probe.target, into: &effects)
            }
        }
        if let at = relayed.firstIndex(where: { $0.number == number }), relayed[at].relays.contains(peer),
            !relayed[at].denied.contains(peer)
        {
            relayed[at].denied.append(peer)
            if relayed[at].denied.count == relayed[at].relays.count { deny(at, into: &effects) }
        }
    }

    // MARK: Probes for others

    private mutating func relay(
        _ requestNumber: UInt64, to target: ReplicaID, for requester: ReplicaID, into effects: inout [MembershipEffect]
    ) {
        if target == replica {
            effects.append(.send(requester, .probeAck(number: requestNumber, updates(for: requester))))
            return
        }
        if let known = relayed.first(where: { $0.requester == requester && $0.requestNumber == requestNumber }) {
            return forward(known, into: &effects)
        }
        let isLinked = table[target]?.linked == true
        let hopsLeft = requestNumber & Membership.hopMask
        let relays = isLinked || hopsLeft == 0 ? [] : relays(to: target, but: requester, count: 2)
        guard isLinked || !relays.isEmpty, relayed.count < Membership.relayedLimit else {
            effects.append(.send(requester, .probeNack(number: requestNumber)))
            return
        }
        lastNumber &+= 1
        let probe = RelayedProbe(
            number: lastNumber << 2 | (isLinked ? 0 : hopsLeft - 1), requester: requester,
            requestNumber: requestNumber, target: target, denyAt: now + options.probeTimeout * 4 / 5,
            endsAt: now + 2 * options.probeInterval, relays: relays)
        relayed.append(probe)
        forward(probe, into: &effects)
    }

    private func forward(_ probe: RelayedProbe, into effects: inout [MembershipEffect]) {
        let update = complaint(to: probe.target)
        if probe.relays.isEmpty {
            guard table[probe.target]?.linked == true else { return }
            effects.append(.send(probe.target, .probe(number: probe.number, update)))
        } else {
            for relay in probe.relays where !probe.denied.contains(relay) && table[relay]?.linked == true {
                effects.append(.send(relay, .probeRequest(number: probe.number, target: probe.target, update)))
            }
        }
    }

    /// Tells the requester that there is no answer so far; one may still come.
    private mutating func deny(_ at: Int, into effects: inout [MembershipEffect]) {
        guard relayed[at].denyAt != nil else { return }
        relayed[at].denyAt = nil
        guard table[relayed[at].requester]?.linked == true else { return }
        effects.append(.send(relayed[at].requester, .probeNack(number: relayed[at].requestNumber)))
    }

    mutating func continueRelayed(into effects: inout [MembershipEffect]) {
        for at in relayed.indices {
            if let denyAt = relayed[at].denyAt, now >= denyAt { deny(at, into: &effects) }
        }
        relayed.removeAll { now >= $0.endsAt }
    }
}
