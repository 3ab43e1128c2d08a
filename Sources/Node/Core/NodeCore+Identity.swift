import ConvergeCRDT
import ConvergeGossip
import ConvergeStorage
import ConvergeWire

/// Who this node is to the others: under which replica it writes, when it takes another one, and that it leaves.
extension NodeCore {
    /// Milliseconds.
    static var doubtTime: UInt64 { 300_000 }

    /// It is to be given up as soon as the writer is idle.
    var renewing: Bool { renewal != nil }

    /// A peer says that this replica's log has another writer, too.
    ///
    /// Of one that was drawn at random a few minutes ago that can't be: a copy of this node's disk was started later and
    /// gives it up itself. So nobody can make a node take one replica after another, of which each would stay in
    /// everybody's version vector for ever. Who is right all the same says so again.
    mutating func giveUpReplica(
        _ reason: RenewalReason, _ report: CoreReport, into effects: inout [CoreEffect]
    ) {
        guard monotonic >= doubtsUntil else {
            effects.append(.report(.renewalDoubted))
            return
        }
        effects.append(.report(report))
        renewal = reason
    }

    /// A graceful stop, when everything is stored and told: the others need not find out.
    mutating func leaveCluster(at now: UInt64, into effects: inout [CoreEffect]) {
        guard options.cluster != nil, log != nil else { return }
        handle(MembershipEvent.leave, at: now, into: &effects)
        var closing: [PeerLinksEffect] = []
        links.closeAll(.leaving, into: &closing)
        perform(closing, at: now, into: &effects)
    }

    /// Goes on under a new identity: what is placed and not stored fails, and the store gives another replica.
    mutating func renew(_ reason: RenewalReason, at now: UInt64, into effects: inout [CoreEffect]) {
        renewal = nil
        counters.identitiesRenewed &+= 1
        fail(pipeline.takeOpen(), at: now)
        rollBack(at: now, into: &effects)
        store = .unavailable(failures: 0)
        var held = held
        held?.givenUp = reason
        effects.append(.openStore(after: .zero, held: held, renew: true))
    }

    /// The store is open under this replica: the others learn who we are.
    mutating func join(_ recovered: Recovered, at now: UInt64, into effects: inout [CoreEffect]) {
        let replica = recovered.replica
        let isNew = replicas.first != replica
        let isFirst = replicas.isEmpty
        if isNew {
            // What was said meanwhile against the old identity is over with it.
            renewal = nil
            if !isFirst { doubtsUntil = monotonic + Self.doubtTime }
            // Under the old name there is nobody to talk to.
            var closing: [PeerLinksEffect] = []
            links.closeAll(.leaving, into: &closing)
            perform(closing, at: now, into: &effects)
            copies.forgetPeers()
        }
        replicas = [replica]
        boot = recovered.boot
        if isNew { inform(.started(replica: replica, boot: boot), at: now, into: &effects) }
        replicate(
            .started(replica: replica, vector: recovered.vector, ends: recovered.ends, floors: recovered.floors),
            at: now, into: &effects)
        if isFirst {
            // An earlier build remembered whoever said hello, by whatever number.
            let members = recovered.members.map {
                RememberedMember(
                    address: $0.address, replica: $0.replica.flatMap { ReplicaID(assigned: $0.rawValue) },
                    name: $0.name,
                    seen: $0.seen)
            }
            handle(MembershipEvent.started(replica: replica, remembered: members), at: now, into: &effects)
        } else if isNew {
            handle(MembershipEvent.renewed(replica), at: now, into: &effects)
        }
    }
}
