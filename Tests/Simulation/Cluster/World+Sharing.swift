import ConvergeCRDT
import ConvergeStorage
import ConvergeWire

@testable import ConvergeNode

/// Nodes that write one database: what goes wrong with it, and with each node's way to it.
extension World {
    /// Another number for each process.
    func newHolder() -> Int64 { Int64(truncatingIfNeeded: sharingChoices.next() >> 2) }

    /// Opening has read all of the database; until that has come, others go on.
    func tellLater(_ told: StoreEvent, to node: SimulatedNode) {
        node.told = told
        schedule(
            .storeTells(node.index, life: node.life),
            after: sharingChoices.within(100...max(100, scenario.longestOpening)))
    }

    /// What a node has: where others write its store, too, what it knows to be there.
    func known(to node: SimulatedNode) -> VersionVector {
        node.disk.shared == nil ? node.disk.vector : node.core.position
    }

    // MARK: Commits without an answer

    /// What was on its way when the connection broke may still arrive.
    func awaitLateCommits(_ node: SimulatedNode) {
        guard node.disk.shared != nil else { return }
        schedule(.commitsArrive, after: sharingChoices.within(500...2_000_000))
    }

    func commitsArrive() {
        let entries = database.lateCommitsArrive()
        guard !entries.isEmpty, let node = nodes.first(where: { $0.disk.shared != nil }) else { return }
        trace.note(
            now, -1, "late commit", UInt64(entries.count), 0, entries.map { "\($0.dot)" }.joined(separator: " "))
        look(at: node)
        ledger.stored(entries)
        compareStates(node)
    }

    /// A process that shares a database ends while a commit is on its way.
    func leaveCommit(_ batch: Batch, _ writer: any StoreWriter, _ node: SimulatedNode) {
        guard let shared = node.disk.shared else { return }
        switch sharingChoices.below(3) {
        case 0: append(batch, writer, node)
        case 1:
            shared.inject(.unknownOutcome(.later))
            append(batch, writer, node)
        default: break
        }
    }

    // MARK: Faults

    /// What strikes one node's disk strikes its way to the database; false where that is none of the kind.
    func strikeWay(_ fault: Scenario.Fault, _ node: SimulatedNode) -> Bool {
        guard let shared = node.disk.shared else { return false }
        switch fault {
        case .refusedCommit: shared.inject(.refuse(.full("no space")))
        case .unknownCommit: shared.inject(.unknownOutcome(sharingChoices.chance(50) ? .atOnce : .never))
        case .syncFailed: shared.inject(.refuse(.unreachable("the server has ended the connection")))
        case .refusedOpen:
            shared.inject(.refuseOpen(.unreachable("gone"), taken: sharingChoices.chance(50)))
        case .outage:
            node.disk.isSilent = sharingChoices.chance(50)
            node.disk.outage = .unreachable("no way to the database")
            mendLater(.outage(node.disk.index), after: faultChoices.within(100_000...8_000_000))
        default: return false
        }
        return true
    }

    func strikeDatabase(_ fault: Scenario.Fault, _ node: SimulatedNode) {
        guard scenario.sharing > 0 else { return }
        switch fault {
        case .databaseAway:
            let length = sharingChoices.within(100_000...8_000_000)
            for disk in disks where disk.shared != nil {
                disk.isSilent = sharingChoices.chance(50)
                disk.outage = .unreachable("the database is away")
                mendLater(.outage(disk.index), after: length)
            }
        case .failover: failOver()
        case .endedConnections: database.endConnections()
        case .takenOver: takeOver(node)
        case .lateCommit: node.disk.shared?.inject(.unknownOutcome(.later))
        default: break
        }
    }

    /// A standby that lacks the last commits takes the database's place.
    private func failOver() {
        guard let old = standby, let node = nodes.first(where: { $0.disk.shared != nil }) else { return }
        standby = nil
        let (before, bodies) = (database.vector, node.disk.bodies)
        let unnoticed = sharingChoices.chance(40)
        database.failOver(to: old, unnoticed: unnoticed)
        look(at: node)
        trace.note(
            now, -1, "fails over", unnoticed ? 1 : 0, 0,
            "from \(before.components) to \(database.vector.components)\(unnoticed ? ", unnoticed" : "")")
        guard database.vector != before else { return }
        for node in nodes where node.disk.shared != nil { node.hasKeptDisk = false }
        counts.failovers += 1
        failovers.append((before, database.vector))
        ledger.lost(bodies, kept: disks.map { disk in { disk.bodies } })
        ledger.lost(before, database.vector, others: disks.filter { $0.shared == nil }.map(\.vector))
    }

    /// A failover took it, and another node may have brought it back since.
    func mayComeBack(_ dot: Dot) -> Bool {
        failovers.contains { $0.before.covers(dot) && !$0.after.covers(dot) }
    }

    /// The standby follows, now and then.
    func followDatabase() {
        guard scenario.faults[.failover] > 0, sharingChoices.chance(60) else { return }
        standby = database.standby()
    }

    /// Another process of this node's name is started somewhere, opens the database and ends.
    private func takeOver(_ node: SimulatedNode) {
        guard node.disk.shared != nil else { return }
        let other = SharedMemoryStore(database, holder: newHolder())
        guard let (writer, recovered) = try? other.openWriter(writerStart(node)) else { return }
        trace.note(now, node.index, "taken over", recovered.replica.rawValue, 0, "\(recovered.replica)")
        writer.close()
    }
}
