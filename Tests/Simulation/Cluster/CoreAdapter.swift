import ConvergeCRDT
import ConvergeGossip
import ConvergeStorage
import ConvergeWire

@testable import ConvergeNode

/// The one place where the harness meets the core's own options, calls and effects.
extension World {
    func makeCore(_ node: Int, process: UInt64) -> NodeCore {
        var options = CoreOptions(
            nodeName: Text("n\(node)"), loopCount: scenario.loops, saveBuffer: scenario.saveBuffer, historyLimit: 200,
            systemEvents: .stored, frameSeed: process)
        options.documents.elementsPerDocument = scenario.elementsPerDocument
        options.retention = scenario.retention
        options.commitPace = scenario.commitPace * 1_000
        options.planted = scenario.planted
        options.foldTail = scenario.foldTail
        options.presence.planted = scenario.planted
        options.attendance.planted = scenario.planted
        options.replicator.planted = scenario.planted
        if far.isAccepted { options.replicator.lead = FarClocks.acceptedLead }
        if scenario.isTight { tighten(&options) }
        guard scenario.nodes > 1 else { return NodeCore(options) }
        var cluster = ClusterOptions(
            name: "simulated", address: Text("n\(node):7000"), seeds: seeds(of: node), process: process,
            seed: process ^ 0x5EED)
        cluster.membership.planted = scenario.planted
        cluster.membership.forgetAfter = scenario.forgetAfter
        cluster.links.planted = scenario.planted
        options.cluster = cluster
        return NodeCore(options)
    }

    /// Everybody is told of the first node, and that one of the second.
    private func seeds(of node: Int) -> [Text] { [node == 0 ? "n1:7000" : "n0:7000"] }

    /// Bounds that are met all the time.
    private func tighten(_ options: inout CoreOptions) {
        options.replicator.rangeBytes = 1_500
        options.replicator.pushWindow = 3_000
        options.replicator.creditStep = 600
        options.replicator.unstoredBytes = 4_000
        options.replicator.waitingEntries = 6
        options.replicator.waitingBytes = 4_000
        options.replicator.waitingTime = 10_000
        options.replicator.snapshotBytes = 900
        options.presence.chunkBytes = 60
        options.presence.historyLength = 2
        options.attendance.limit = 3
    }

    /// One turn of a core: all that has come, then the end.
    func runCore(_ node: SimulatedNode, _ events: [CoreEvent]) {
        let wall = node.clock.wall(at: now)
        node.core.turn(nanoseconds: now * 1_000)
        let before = standing(of: node)
        for event in events { node.core.handle(event, at: wall, into: &node.effects) }
        for room in node.unknownWrites { node.core.writeUnknownKind(in: room, at: wall) }
        node.unknownWrites = []
        node.core.endTurn(at: wall, into: &node.effects)
        checkRefusal(of: node, since: before)
    }

    func startCore(_ node: SimulatedNode) {
        node.core.turn(nanoseconds: now * 1_000)
        node.core.start(into: &node.effects)
    }

    /// Carries out one effect.
    func perform(_ effect: CoreEffect, of node: SimulatedNode) {
        switch effect {
        case .openStore(let wait, let held, let renew):
            openStore(node, after: Microseconds(wait.milliseconds) * 1_000, held: held, renew: renew)
        case .commit(let batch): giveWriter(node, .commit(batch))
        case .prune(let pruning): giveWriter(node, .prune(pruning))
        case .stage(let chunk, let discardsFirst): giveWriter(node, .stage(chunk, discardingFirst: discardsFirst))
        case .install(let chunk, let have, let discardsFirst):
            giveWriter(node, .install(chunk, have: have, discardingFirst: discardsFirst))
        case .reload(let chunk, let discardsFirst): giveWriter(node, .reload(chunk, discardingFirst: discardsFirst))
        case .read(let request): giveReader(node, request)
        case .dial(let address): dial(address, from: node)
        case .send(let link, let bytes, let bulk): send(bytes, over: link.rawValue, bulk: bulk, from: node)
        case .closeLink(let link): closeLink(link.rawValue, of: node)
        case .deliver(let frames, let loops): deliver(frames, loops, node)
        case .pass(let message, let session): wake(node, session.loop, message)
        case .report(let report):
            trace.note(now, node.index, "report", 0, 0, "\(report)")
            if case .memberChanged(let member, _, let state) = report {
                measures?.states.append((now, node.index, member, state))
            }
        case .closeSessions, .finished: break
        }
    }
}

extension Duration {
    var milliseconds: UInt64 {
        UInt64(components.seconds) * 1_000 + UInt64(components.attoseconds / 1_000_000_000_000_000)
    }
}

extension NodeCore {
    /// What a newer build might write: this one stores it and passes it on, and shows it to nobody.
    mutating func writeUnknownKind(in name: Text, at now: UInt64) {
        guard store == .ready, clockIsTolerable, !renewing else { return }
        let room = rooms.open(name)
        _ = place(EntryKind(rawValue: 77), room, name, [1, UInt8(truncatingIfNeeded: now), 0xEE], after: nil, at: now)
    }
}

/// What links tell a core.
extension World {
    func postDialFailed(_ address: Text, to node: SimulatedNode) { post(.dialFailed(address), to: node) }

    func postLinkOpened(_ name: LinkName, dialled: Text?, to node: SimulatedNode) {
        post(.link(LinkID(rawValue: name), .opened(dialled: dialled)), to: node)
    }

    /// Bytes come in pieces of any size.
    func postFrame(_ frame: [UInt8], over name: LinkName, to node: SimulatedNode) {
        let link = LinkID(rawValue: name)
        guard frame.count > 1, networkChoices.chance(5) else {
            post(.link(link, .received(frame)), to: node)
            return
        }
        let cut = 1 + networkChoices.below(frame.count - 1)
        post(.link(link, .received(Array(frame[..<cut]))), to: node)
        post(.link(link, .received(Array(frame[cut...]))), to: node)
    }

    func postLinkClosed(_ name: LinkName, to node: SimulatedNode) {
        post(.link(LinkID(rawValue: name), .closed), to: node)
    }

    func describePeerFrame(_ bytes: [UInt8]) -> String {
        var reader = PeerFrameReader(maximumLength: PeerLimits.frame)
        bytes.withUnsafeBytes { reader.append($0) }
        guard case .frame(let frame)? = try? reader.next() else { return "\(bytes.count) bytes" }
        return Describe.peerFrame(frame)
    }
}

/// Faults that need something of the core or the store.
extension World {
    func postRedaction(_ dot: Dot, room: Text, to node: SimulatedNode) { post(.redact(dot, room: room), to: node) }

    /// Somebody who is no node connects and says something.
    func sendNonsense(to node: SimulatedNode) {
        guard node.isUp else { return }
        isNonsenseSent = true
        node.linkCount += 1
        let name = node.linkCount
        postLinkOpened(name, dialled: nil, to: node)
        let words = (0..<(1 + faultChoices.below(60))).map { _ in UInt8(faultChoices.below(256)) }
        post(.link(LinkID(rawValue: name), .received(words)), to: node)
        if faultChoices.chance(50) { postLinkClosed(name, to: node) }
    }

    /// The last hashes of those of a disk's logs that have forked.
    private func forkedEnds(_ node: SimulatedNode) -> [EntryHash] {
        let forked = node.disk.vector.components.filter { head in ledger.forked.contains { $0.replica == head.replica }
        }
        guard !forked.isEmpty, let reader = try? node.disk.store.openReader() else { return [] }
        return forked.map { (try? reader.hash(of: $0)) ?? .zero }
    }

    /// Holds what a disk has now against what others had when they had as much.
    func compareStates(_ node: SimulatedNode) {
        // What is too old goes from each node by its own clock.
        guard scenario.retention == 0 else { return }
        let vector = node.disk.vector
        guard StateChecks.isCompared(vector, oneIn: scenario.comparesOneIn), !ledger.isErasedAhead(of: vector)
        else {
            return
        }
        counts.compared += 1
        if states.kept != nil, states.kept?[vector] == nil { states.kept?[vector] = node.disk.store.state }
        if let other = states.compare(vector, forkedEnds(node), node.disk.store.fingerprint(), disk: node.disk.index) {
            violate(.equalState, node.index, "disk \(node.disk.index) and disk \(other) at \(vector.components)")
            trace.note(now, node.index, "differs", 0, 0, states.difference(from: node.disk.store.state))
        }
    }
}
