import ConvergeCRDT
import ConvergeStorage
import ConvergeWire

@testable import ConvergeNode

/// Something that lasts until it is mended.
enum Mending {
    case cut([(from: Int, to: Int)])
    case slow([(from: Int, to: Int)])
    case outage(Int)
    case fullDisk(Int)
    case slowDisk(Int)
    case done
}

/// What goes wrong: one fault after the other, of the kinds that the scenario has, until the heal.
extension World {
    func strike() {
        guard !isHealed else { return }
        schedule(.strikes, after: faultChoices.within(1...(2 * scenario.faultEvery)))
        let fault = Scenario.Fault.allCases[faultChoices.weighted(scenario.faults.weights)]
        let node = nodes[faultChoices.below(nodes.count)]
        counts.faults[fault.rawValue] += 1
        if scenario.sharing > 0 { followDatabase() }
        trace.note(now, node.index, "FAULT", UInt64(fault.rawValue), 0, fault.name)
        switch fault {
        case .crash, .machineCrash, .emptyDisk, .restoredDisk, .rewoundDisk, .clonedDisk, .downgrade:
            strikeProcess(fault, node)
        case .refusedCommit, .unknownCommit, .syncFailed, .slowDisk, .outage, .refusedOpen, .slowReaders:
            strikeDisk(fault, node)
        case .cut, .cutOneWay, .cutSome, .reset, .resetOneSide, .silence, .slowLink, .lateDials, .stranger:
            strikeNetwork(fault, node)
        case .clockJump:
            node.clock.skew = Int64(clockChoices.below(60_000)) - 30_000
        case .clockDrift:
            node.clock.drift = Int64(clockChoices.below(20_000)) - 10_000
        case .pause:
            let length =
                faultChoices.chance(70)
                ? faultChoices.within(10_000...1_000_000) : faultChoices.within(1_000_000...12_000_000)
            node.pausedUntil = max(node.pausedUntil, min(now + length, scenario.duration))
        case .databaseAway, .failover, .endedConnections, .takenOver, .lateCommit: strikeDatabase(fault, node)
        case .redaction: redactSomething(node)
        case .connections:
            for client in clients where faultChoices.chance(50) { breakOff(client) }
        }
    }

    // MARK: Processes

    private func strikeProcess(_ fault: Scenario.Fault, _ node: SimulatedNode) {
        guard node.isUp else { return }
        if fault == .crash, faultChoices.chance(70) {
            // Somewhere in the middle of what it is doing.
            node.effectsLeft = faultChoices.below(12)
            awaitRestart(node)
            return
        }
        die(node)
        if node.disk.shared != nil {
            // It has no disk that could be changed.
            if fault == .machineCrash { node.machineBoot += 1 }
            if fault == .downgrade { writeUnknownKinds(node) }
            return restart(node)
        }
        switch fault {
        case .machineCrash:
            node.machineBoot += 1
            changeDisk(node) { node in node.disk.own?.crash() }
        case .emptyDisk:
            changeDisk(node) { node in
                node.disk.store = MemoryStore(sync: scenario.sync, planted: scenario.plantedInStores)
            }
        case .restoredDisk:
            changeDisk(node) { node in if let backup = node.disk.backup { node.disk.store = backup.copy() } }
        case .rewoundDisk:
            changeDisk(node) { node in
                if let backup = node.disk.backup { node.disk.store = backup.copy(keepingFile: true) }
            }
        case .clonedDisk:
            let other = nodes[faultChoices.below(nodes.count)]
            if other !== node {
                changeDisk(node) { node in if let own = other.disk.own { node.disk.store = own.copy() } }
            }
        case .downgrade: writeUnknownKinds(node)
        default: break
        }
        node.disk.backup = node.disk.own?.copy(keepingFile: true)
        restart(node)
    }

    private func awaitRestart(_ node: SimulatedNode) {
        // It dies at one of its next effects; if it has had too few until then, it dies when it is to start.
        queue.schedule(.starts(node.index), at: now + faultChoices.within(20_000...8_000_000))
    }

    private func restart(_ node: SimulatedNode) {
        let down =
            faultChoices.chance(70)
            ? faultChoices.within(10_000...2_000_000) : faultChoices.within(2_000_000...20_000_000)
        schedule(.starts(node.index), after: down)
    }

    /// Changes what a disk holds, and notes what is nowhere any more because of that.
    private func changeDisk(_ node: SimulatedNode, _ change: (SimulatedNode) -> Void) {
        let (before, bodies) = (node.disk.vector, node.disk.bodies)
        change(node)
        node.disk.look()
        if node.disk.vector != before { node.hasKeptDisk = false }
        ledger.lost(before, node.disk.vector, others: disks.filter { $0 !== node.disk }.map(\.vector))
        ledger.lost(bodies, kept: disks.map { disk in { disk.bodies } })
        trace.note(now, node.index, "disk changed", UInt64(node.disk.vector.components.count))
    }

    /// A newer build has run here, and written what this one does not know.
    private func writeUnknownKinds(_ node: SimulatedNode) {
        guard let (writer, recovered) = try? node.disk.store.openWriter(writerStart(node)) else { return }
        let chain = EntryChain()
        var hash = recovered.headHash
        var batch = Batch()
        for step in 1...UInt64(1 + faultChoices.below(4)) {
            let time = recovered.clock.rawValue + step << 4
            var entry = Entry(
                dot: Dot(replica: recovered.replica, seq: recovered.head + step),
                timestamp: HybridTimestamp(rawValue: max(time, node.clock.wall(at: now) << 16 + step)),
                kind: EntryKind(rawValue: 77), room: roomNames[faultChoices.below(scenario.rooms)],
                payload: [1, UInt8(step), 0xEE])
            if step == 1 {
                // Its writer had applied all that is here.
                let known = ledger[Dot(replica: recovered.replica, seq: recovered.head)]?.past ?? VersionVector()
                entry.dependencies = recovered.vector.components.filter {
                    $0.replica != recovered.replica && $0.seq > known[$0.replica]
                }
            }
            hash = chain.hash(after: hash, entry)
            entry.hash = hash
            batch.entries.append(entry)
        }
        append(batch, writer, node)
        writer.close()
    }

    private func redactSomething(_ node: SimulatedNode) {
        guard !ledger.replicas.isEmpty else { return }
        let replica = faultChoices.pick(ledger.replicas)
        guard ledger.head(of: replica) > 0 else { return }
        let dot = Dot(replica: replica, seq: 1 + UInt64(faultChoices.below(Int(ledger.head(of: replica)))))
        guard let record = ledger[dot], record.entry.kind == .message, node.isUp else { return }
        ledger.redact(dot)
        postRedaction(dot, room: record.entry.room, to: node)
    }

    // MARK: Disks

    private func strikeDisk(_ fault: Scenario.Fault, _ node: SimulatedNode) {
        if strikeWay(fault, node) { return }
        let store = node.disk.own
        switch fault {
        case .refusedCommit:
            for _ in 0...faultChoices.below(3) { store?.inject(.refuse(.full("no space"))) }
        case .unknownCommit: store?.inject(.unknownOutcome(stored: faultChoices.chance(50)))
        case .syncFailed: store?.inject(.refuse(.syncFailed("i/o error")))
        case .refusedOpen: store?.inject(.refuseOpen(.unreachable("gone")))
        case .outage:
            node.disk.outage = .unreachable("the disk is gone")
            mendLater(.outage(node.disk.index), after: faultChoices.within(100_000...8_000_000))
        default:
            if fault == .slowDisk { node.disk.latency = 20_000...faultChoices.within(100_000...1_500_000) }
            if fault == .slowReaders { node.disk.reading = 1_000...faultChoices.within(50_000...1_500_000) }
            mendLater(.slowDisk(node.disk.index), after: faultChoices.within(500_000...10_000_000))
        }
    }

    /// A disk has no room for a while, perhaps in the middle of a batch, or when the outcome of one is not known.
    func fillDisk() {
        guard !isHealed else { return }
        schedule(.fills, after: fullChoices.within(1_000_000...15_000_000))
        let node = nodes[fullChoices.below(nodes.count)]
        trace.note(now, node.index, "FULL")
        if fullChoices.chance(30) { node.disk.own?.inject(.unknownOutcome(stored: fullChoices.chance(50))) }
        // One that is nearly full looks long for room: more waits behind a batch.
        if fullChoices.chance(60) { node.disk.latency = 200_000...1_000_000 }
        node.disk.isFull = true
        counts.fullDisks += 1
        mendLater(.fullDisk(node.disk.index), after: fullChoices.within(200_000...12_000_000))
    }

    // MARK: The network

    private func strikeNetwork(_ fault: Scenario.Fault, _ node: SimulatedNode) {
        guard nodes.count > 1 else { return }
        let length =
            faultChoices.chance(60)
            ? faultChoices.within(50_000...3_000_000) : faultChoices.within(3_000_000...25_000_000)
        switch fault {
        case .cut:
            // Two sides that do not hear of each other.
            let side = nodes.map { _ in faultChoices.chance(50) }
            cut(pairs { side[$0] != side[$1] }, for: length)
        case .cutOneWay: cut(pairs { from, _ in from == node.index }, for: length)
        case .cutSome: cut(pairs { _, _ in faultChoices.chance(30) }, for: length)
        case .reset, .resetOneSide, .silence:
            let open = openLinks
            guard !open.isEmpty else { return }
            let link = faultChoices.pick(open)
            if fault == .silence {
                link.ends[faultChoices.below(2)].isSilent = true
                if faultChoices.chance(50) { link.ends[0].isSilent = true }
            } else {
                reset(link, sides: fault == .reset ? [0, 1] : [faultChoices.below(2)])
            }
        case .slowLink:
            let delay = faultChoices.within(50_000...2_000_000)
            let slowed = pairs { _, _ in faultChoices.chance(40) }
            for (from, to) in slowed { wires.slow(from, to, delay) }
            mendLater(.slow(slowed), after: length)
        case .lateDials: lateDialsUntil = now + length
        case .stranger: sendNonsense(to: node)
        default: break
        }
    }

    private func pairs(_ isIn: (Int, Int) -> Bool) -> [(from: Int, to: Int)] {
        var pairs: [(from: Int, to: Int)] = []
        for from in nodes.indices {
            for to in nodes.indices where from != to && isIn(from, to) { pairs.append((from, to)) }
        }
        return pairs
    }

    private func cut(_ pairs: [(from: Int, to: Int)], for length: Microseconds) {
        for (from, to) in pairs { wires.cut(from, to, true) }
        trace.note(
            now, -1, "cut", UInt64(pairs.count), length,
            pairs.map { "\($0.from)→\($0.to)" }.joined(separator: " ") + " for \(length / 1_000) ms")
        mendLater(.cut(pairs), after: length)
    }

    /// A node alone, from now until the heal.
    func cutOff(_ node: Int) { cut(pairs { from, to in from == node || to == node }, for: scenario.duration) }

    // MARK: Mending

    func mendLater(_ mend: Mending, after length: Microseconds) {
        mending.append(mend)
        schedule(.mends(mending.count - 1), after: length)
    }

    func mend(_ index: Int) {
        let mend = mending[index]
        mending[index] = .done
        trace.note(now, -1, "mends", UInt64(index))
        switch mend {
        case .cut(let pairs):
            for (from, to) in pairs { wires.cut(from, to, false) }
            wakeWires()
        case .slow(let pairs): for (from, to) in pairs { wires.slow(from, to, 0) }
        case .outage(let disk): disks[disk].outage = nil
        case .fullDisk(let disk):
            disks[disk].isFull = false
            disks[disk].quicken()
        case .slowDisk(let disk): disks[disk].recover()
        case .done: break
        }
    }
}
