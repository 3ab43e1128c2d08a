import ConvergeCRDT
import ConvergeGossip
import ConvergeStorage
import ConvergeWire

/// The other nodes: what comes over the links goes to the core that it concerns, and what those want goes out.
extension NodeCore {
    mutating func handle(
        _ event: LinkEvent, of link: LinkID, at now: UInt64, into effects: inout [CoreEffect]
    ) {
        guard options.cluster != nil, log != nil, stage != .finished else {
            // Nobody to talk to yet, or any more.
            if case .closed = event {} else { effects.append(.closeLink(link)) }
            if case .opened(let dialled?) = event { dialFailed(dialled, at: now, into: &effects) }
            return
        }
        switch event {
        case .opened(let dialled):
            streams[link] = PeerFrameReader()
            handle(.opened(link, dialled: dialled), at: now, into: &effects)
        case .received(let bytes):
            receive(bytes, on: link, at: now, into: &effects)
        case .closed:
            streams[link] = nil
            handle(.closed(link), at: now, into: &effects)
        }
    }

    private mutating func receive(
        _ bytes: [UInt8], on link: LinkID, at now: UInt64, into effects: inout [CoreEffect]
    ) {
        bytes.withUnsafeBytes { streams[link]?.append($0) }
        // A frame may close its link, and with it the stream.
        while streams[link] != nil {
            do throws(PeerFrameError) {
                guard let item = try streams[link]?.next() else { return }
                switch item {
                case .frame(let frame):
                    counters.peerFramesIn &+= 1
                    handle(.frame(link, frame), at: now, into: &effects)
                case .unknown:
                    counters.unknownPeerFrames &+= 1
                    handle(.unknownFrame(link), at: now, into: &effects)
                }
            } catch {
                counters.peerViolations &+= 1
                effects.append(.report(.peerViolation("\(error)")))
                effects.append(.closeLink(link))
                streams[link] = nil
                handle(.closed(link), at: now, into: &effects)
            }
        }
    }

    mutating func dialFailed(_ address: Text, at now: UInt64, into effects: inout [CoreEffect]) {
        handle(MembershipEvent.dialFailed(address), at: now, into: &effects)
    }

    /// What is said of this node in a hello.
    private func hello(at now: UInt64) -> PeerHello {
        let cluster = options.cluster!
        return PeerHello(
            lowestVersion: cluster.links.lowestVersion, highestVersion: cluster.links.highestVersion,
            cluster: cluster.name, replica: log!.replica, boot: boot, process: cluster.process,
            name: options.nodeName, address: cluster.address, wall: now, incarnation: membership.incarnation,
            lastKind: cluster.lastKind)
    }

    /// Whether every member knows documents of this kind. One of an earlier build would keep what is written to them, and
    /// could not make anything of it; nor would a snapshot tell it more. A member that can't be reached counts as it was when
    /// it was last met.
    func isKnownToAll(_ kind: DocumentKind) -> Bool {
        guard kind.rawValue > DocumentKind.knownToAll.rawValue, options.cluster != nil else { return true }
        return membership.members.allSatisfy { member in
            let last = links.lastKind(of: member.replica)
            return switch member.state {
            case .alive, .suspect: last ?? 0 >= kind.rawValue
            case .faulty: member.forgotten || member.successor != nil || last ?? .max >= kind.rawValue
            case .left: true
            }
        }
    }

    // MARK: Links

    mutating func handle(_ event: PeerLinksEvent, at now: UInt64, into effects: inout [CoreEffect]) {
        var wanted: [PeerLinksEffect] = []
        links.handle(event, own: hello(at: now), at: monotonic, into: &wanted)
        perform(wanted, at: now, into: &effects)
    }

    mutating func perform(_ wanted: [PeerLinksEffect], at now: UInt64, into effects: inout [CoreEffect]) {
        for effect in wanted {
            switch effect {
            case .send(let link, let frame):
                counters.peerFramesOut &+= 1
                effects.append(.send(link, frame.encoded(), bulk: false))
            case .close(let link):
                streams[link] = nil
                effects.append(.closeLink(link))
            case .linked(let link, let hello, version: _, let dialled, let renews):
                streams[link]?.maximumLength = PeerLimits.frame
                linked(hello, dialled: dialled, renews: renews, at: now, into: &effects)
            case .unlinked(let peer, let isReplaced):
                if linkReports.unlinked(peer, isReplaced: isReplaced, at: monotonic) {
                    effects.append(.report(.peerUnlinked(peer, name: name(of: peer))))
                }
                skews.forget(.node(peer))
                copies.forget(peer)
                inform(.unlinked(peer), at: now, into: &effects)
                replicate(.unlinked(peer), at: now, into: &effects)
                handle(MembershipEvent.linkClosed(peer), at: now, into: &effects)
            case .dialEnded(let address, let reached):
                handle(MembershipEvent.dialFailed(address, reached: reached), at: now, into: &effects)
            case .twin:
                giveUpReplica(.twin, .twin, into: &effects)
            case .violation(let what):
                counters.peerViolations &+= 1
                effects.append(.report(.peerViolation(what)))
            case .received(let peer, let frame):
                receive(frame, from: peer, at: now, into: &effects)
            }
        }
    }

    private mutating func linked(
        _ hello: PeerHello, dialled: Text?, renews: Bool, at now: UInt64, into effects: inout [CoreEffect]
    ) {
        let peer = hello.replica
        if linkReports.linked(peer, process: hello.process) {
            effects.append(.report(.peerLinked(peer, name: hello.name, address: hello.address)))
        }
        skews.note(.node(peer), wall: hello.wall, at: monotonic)
        lookAtClock(at: now, into: &effects)
        // What was a process of this node before is none any more, though its link may not have ended yet.
        for other in links.peers where other.replica != peer && other.isSameNode(as: hello) {
            copies.forget(other.replica)
        }
        if renews {
            inform(.unlinked(peer), at: now, into: &effects)
            replicate(.unlinked(peer), at: now, into: &effects)
            handle(MembershipEvent.linkClosed(peer), at: now, into: &effects)
        }
        handle(
            MembershipEvent.linkOpened(
                peer, address: hello.address, name: hello.name, incarnation: hello.incarnation, dialled: dialled),
            at: now, into: &effects)
        inform(.linked(peer), at: now, into: &effects)
        replicator.presence = presence.versions
        replicate(.linked(peer), at: now, into: &effects)
    }

    private mutating func receive(
        _ frame: PeerFrame, from peer: ReplicaID, at now: UInt64, into effects: inout [CoreEffect]
    ) {
        switch frame {
        case .probe, .probeRequest, .probeAck, .probeNack, .members:
            handle(MembershipEvent.frame(from: peer, frame), at: now, into: &effects)
        case .presenceDelta, .presenceWant, .presenceChunk:
            inform(.frame(from: peer, frame), at: now, into: &effects)
        case .digest(let digest):
            skews.note(.node(peer), wall: digest.wall, at: monotonic)
            lookAtClock(at: now, into: &effects)
            inform(.digest(from: peer, digest.presence, direct: digest.direct), at: now, into: &effects)
            replicator.presence = presence.versions
            replicate(.frame(from: peer, frame), at: now, into: &effects)
        case .summary:
            replicator.presence = presence.versions
            replicate(.frame(from: peer, frame), at: now, into: &effects)
        case .snapshotWant(var want):
            want.lastKind = links.lastKind(of: peer) ?? DocumentKind.knownToAll.rawValue
            replicate(.frame(from: peer, .snapshotWant(want)), at: now, into: &effects)
        case .entries, .stored, .want, .range, .snapshotChunk:
            replicate(.frame(from: peer, frame), at: now, into: &effects)
        case .hello, .refused:
            break
        }
    }

    mutating func send(_ frame: PeerFrame, to peer: ReplicaID, bulk: Bool, into effects: inout [CoreEffect]) {
        guard let link = links.link(to: peer) else { return }
        counters.peerFramesOut &+= 1
        effects.append(.send(link, frame.encoded(), bulk: bulk))
    }

    /// Sends one frame to several: it is encoded once.
    private mutating func send(_ frame: PeerFrame, to peers: [ReplicaID], into effects: inout [CoreEffect]) {
        let reached = peers.compactMap { links.link(to: $0) }
        guard !reached.isEmpty else { return }
        counters.peerFramesOut &+= reached.count
        let bytes = frame.encoded()
        for link in reached { effects.append(.send(link, bytes, bulk: false)) }
    }

    // MARK: Members

    /// For reports; empty for one that is not known. O(members), and asked seldom.
    private func name(of replica: ReplicaID) -> Text {
        membership.members.first { $0.replica == replica }?.name ?? ""
    }

    mutating func handle(_ event: MembershipEvent, at now: UInt64, into effects: inout [CoreEffect]) {
        guard options.cluster != nil else { return }
        var wanted: [MembershipEffect] = []
        membership.handle(event, at: monotonic, wall: now, into: &wanted)
        for effect in wanted {
            switch effect {
            case .send(let peer, let frame):
                send(frame, to: peer, bulk: false, into: &effects)
            case .dial(let address):
                effects.append(.dial(address))
            case .changed(let member, let state):
                effects.append(.report(.memberChanged(member, name: name(of: member), state)))
                inform(.memberChanged(member, state), at: now, into: &effects)
                if state == .faulty || state == .left {
                    attendance.touchAbandoned(live: liveReplicas, at: monotonic + attendance.grace)
                }
            case .replaced(let member, let successor):
                effects.append(.report(.memberReplaced(member, name: name(of: member), by: successor)))
            case .forgotten(let member):
                effects.append(.report(.memberForgotten(member, name: name(of: member))))
                inform(.forgotten(member), at: now, into: &effects)
            case .remember(let member):
                memberNotes.note(
                    .remember(
                        StoredMember(
                            address: member.address, replica: member.replica, name: member.name, seen: member.seen)))
            case .drop(let address):
                memberNotes.note(.forget(address: address))
            }
        }
    }

    // MARK: Logs

    mutating func replicate(_ event: ReplicatorEvent, at now: UInt64, into effects: inout [CoreEffect]) {
        var wanted: [ReplicatorEffect] = []
        replicator.handle(event, at: monotonic, wall: now, into: &wanted)
        for effect in wanted {
            switch effect {
            case .apply(let entry): apply(entry, at: now)
            case .send(let peer, let frame, let bulk): send(frame, to: peer, bulk: bulk, into: &effects)
            case .push(let peers, let entries, let wantsStored):
                send(.entries(entries, wantsStored: wantsStored), to: peers, into: &effects)
            case .askSharedStore(let frame): askSharedStore(frame, into: &effects)
            case .read(let ticket, let ranges, let bytes):
                effects.append(.read(.range(ticket: ticket, ranges, bytes: bytes)))
            case .readSnapshot(let ticket, let want):
                effects.append(.read(.snapshot(ticket: ticket, want)))
            case .stage(let chunk): staging.stage(chunk)
            case .install(let chunk, let have): staging.install(chunk, have: have)
            case .reload(let chunk): staging.reload(chunk)
            case .discardStage: staging.discard()
            case .peerStored(let peer, let seq):
                copies.peerStored(peer, through: seq)
                acknowledgeCopies()
            case .ownLogForeign(let peer, let seq):
                guard !renewing, !options.planted.has(.clonedIdentityKept), !isOnItsWay(seq) else { continue }
                giveUpReplica(.foreign, .ownLogForeign(by: peer, seq: seq), into: &effects)
            case .forked(let replica, let seq, let peer):
                // What one's own store says is what counts.
                if peer == .sharedStore { shared.wantsReading = true }
                effects.append(.report(.forked(replica, seq: seq, by: peer)))
            case .heldAside(let dot, let moment):
                effects.append(.report(.heldAside(dot, until: moment)))
            case .heldSnapshot(let source, let moment):
                effects.append(.report(.heldSnapshot(by: source, until: moment)))
            case .violation(let source):
                counters.peerViolations &+= 1
                let whose = source.node.map { "of \($0)" } ?? "of the shared database"
                effects.append(.report(.peerViolation("an entry \(whose) that no log can have")))
                guard let peer = source.node else { continue }
                var closing: [PeerLinksEffect] = []
                links.close(peer, .violation, into: &closing)
                perform(closing, at: now, into: &effects)
            }
        }
    }

    /// What everybody who has a vote has stored, less the tail that is kept as it is.
    func foldable() -> VersionVector {
        let voters = options.planted.has(.foldedEarly) ? [] : membership.voting
        guard let common = replicator.stored(byAll: voters) else { return VersionVector() }
        var through = VersionVector()
        for dot in common.components {
            through[dot.replica] = min(dot.seq, position[dot.replica] - min(position[dot.replica], options.foldTail))
        }
        return through
    }

    // MARK: Copies

    /// Answers those who wait for copies of what they wrote and have them now, or have waited long enough.
    mutating func acknowledgeCopies() {
        acknowledge(copies.takeReady(at: monotonic))
    }

    /// The same for repeats, whose entries may be of any log.
    private mutating func acknowledgeRepeats() {
        guard !copies.isEmpty else { return }
        let standings = replicator.standings
        let (own, replica) = (copies, log?.replica)
        acknowledge(
            copies.takeRepeats(at: monotonic) { Self.copies(of: $0, standings, own: $0.replica == replica ? own : nil) }
        )
    }

    /// On how many nodes an entry that is stored here is known to be stored, this one included.
    func copies(of dot: Dot) -> Int {
        Self.copies(of: dot, replicator.standings, own: dot.replica == log?.replica ? copies : nil)
    }

    /// - Parameter own: what peers have confirmed of this node's own log, where it is an entry of that.
    private static func copies(of dot: Dot, _ standings: [PeerStanding], own: CopyWaits?) -> Int {
        let known = standings.count { $0.replica == dot.replica || $0.has.covers(dot) }
        return max(1 + known, own?.copies(of: dot) ?? 1)
    }

    private mutating func acknowledge(_ waits: [CopyWaits.Wait]) {
        for wait in waits where sessions[wait.session] != nil {
            ready.append(to: .session(wait.session)) {
                encoders[wait.session].ack(wait.acknowledgement, ref: wait.ref, to: &$0)
            }
        }
    }

    // MARK: Time

    mutating func tick(at now: UInt64, into effects: inout [CoreEffect]) {
        if monotonic >= nextPruning {
            nextPruning = monotonic + Self.pruningPeriod
            // By a clock that is far ahead everything would be too old.
            if clockIsTolerable, options.retention > 0 || isFoldingWorthwhile { retention.due(at: now) }
        }
        if log != nil { lookAtClock(at: now, into: &effects) }
        acknowledgeCopies()
        acknowledgeRepeats()
        lookIntoSharedStore(into: &effects)
        guard options.cluster != nil, log != nil, stage != .finished else { return }
        handle(PeerLinksEvent.tick, at: now, into: &effects)
        for peer in linkReports.takeLost(at: monotonic) {
            effects.append(.report(.peerUnlinked(peer, name: name(of: peer))))
        }
        handle(MembershipEvent.tick, at: now, into: &effects)
        inform(.tick, at: now, into: &effects)
        replicator.presence = presence.versions
        replicate(.tick, at: now, into: &effects)
    }

    /// Milliseconds between two looks at what is too old.
    private static var pruningPeriod: UInt64 { 5_000 }

    /// Folding costs a transaction: it waits until a good piece of a log can go.
    private var isFoldingWorthwhile: Bool {
        for dot in foldable().components
        where dot.seq - min(dot.seq, replicator.floors[dot.replica]) >= max(1, options.foldTail / 8) {
            return true
        }
        return false
    }
}

extension PeerHello {
    /// Whether the two were said by one node: one process, or two after each other at one address.
    fileprivate func isSameNode(as other: PeerHello) -> Bool {
        process == other.process || (!address.isEmpty && address == other.address)
    }
}
