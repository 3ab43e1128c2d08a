import ConvergeCRDT
import ConvergeGossip
import ConvergeWire

extension NodeCore {
    /// How things stand now. Asked about once a second: the times in it are as exact as that.
    /// O(peers × logs × log logs).
    /// - Parameter now: wall time in milliseconds.
    mutating func status(at now: UInt64) -> ClusterStatus {
        let members = membership.members
        let standings = replicator.standings
        entryAges.look(replicator.known, at: monotonic)
        memberTimes.look(members, at: monotonic)

        let links = links.peers
        var standing = 0
        var link = 0
        var told: [ClusterStatus.Member] = []
        told.reserveCapacity(members.count)
        // All four are sorted by replica.
        for (member, times) in zip(members, memberTimes.durations(at: monotonic)) {
            while standing < standings.count, standings[standing].replica < member.replica { standing += 1 }
            while link < links.count, links[link].replica < member.replica { link += 1 }
            let isLinked =
                member.linked && standing < standings.count && standings[standing].replica == member.replica
            let hello = link < links.count && links[link].replica == member.replica ? links[link] : nil
            told.append(
                ClusterStatus.Member(
                    replica: member.replica, name: member.name, address: member.address,
                    state: ClusterStatus.MemberState(member), incarnation: member.incarnation, inState: times.state,
                    inLink: times.link, link: isLinked ? status(of: standings[standing], hello: hello, at: now) : nil))
        }

        let versions = options.cluster?.links ?? PeerLinksOptions()
        return ClusterStatus(
            name: options.nodeName, cluster: options.cluster?.name, address: options.cluster?.address ?? "",
            lowestVersion: versions.lowestVersion, highestVersion: versions.highestVersion, replica: log?.replica,
            boot: boot, state: state, storeTrouble: storeTrouble, isClockTolerable: clockIsTolerable,
            clockLead: clock.last.milliseconds - min(clock.last.milliseconds, now), taken: now,
            bodyLimit: options.bodyLimit,
            sessions: sessions.count,
            rooms: rooms.occupied, documents: documents.documentCount, saveQueue: queuedCommands + keyed.held,
            logs: replicator.ends.map { .init(end: $0, floor: replicator.floors[$0.dot.replica]) },
            documentsDigest: documents.digest, documentsVector: replicator.applied,
            held: replicator.heldAside.map { .init(dot: $0.dot, until: $0.until.milliseconds) }, members: told,
            counters: statusCounters)
    }

    private var state: ClusterStatus.State {
        if stoppedLoops > 0 || stage != .running { return .draining }
        return switch store {
        case .ready: .ready
        case .opening: .starting
        case .unavailable: .storageUnavailable
        }
    }

    private func status(of peer: PeerStanding, hello: PeerHello?, at now: UInt64) -> ClusterStatus.Link {
        let version = min(hello?.highestVersion ?? 0, options.cluster?.links.highestVersion ?? 0)
        let has = peer.isLevel ? replicator.stored : peer.has
        var link = ClusterStatus.Link(
            version: version, has: peer.hasTold || peer.isLevel ? has : nil,
            skew: skews.skew(of: .node(peer.replica), wall: now, at: monotonic),
            unacknowledgedBytes: peer.unacknowledgedBytes, isPaused: peer.isPaused)
        // Until it has told, what it lacks is not known to be anything.
        guard peer.hasTold, !peer.isLevel else { return link }
        link.lacks = lag(of: peer.has, behind: replicator.stored)
        link.leads = lag(of: replicator.stored, behind: peer.has)
        return link
    }

    private func lag(of one: VersionVector, behind other: VersionVector) -> ClusterStatus.Lag {
        var lag = ClusterStatus.Lag()
        for dot in other.components {
            let has = one[dot.replica]
            guard has < dot.seq else { continue }
            lag.entries &+= dot.seq - has
            lag.age = max(lag.age, entryAges.age(of: Dot(replica: dot.replica, seq: has + 1), at: monotonic))
        }
        return lag
    }

    private var statusCounters: ClusterStatus.Counters {
        ClusterStatus.Counters(
            replicator: replicator.counters, membership: membership.counters, framesIn: counters.peerFramesIn,
            framesOut: counters.peerFramesOut, violations: counters.peerViolations,
            unknownFrames: counters.unknownPeerFrames, identitiesRenewed: counters.identitiesRenewed,
            linksRefused: links.refused, linksTimedOut: links.timedOut)
    }
}
