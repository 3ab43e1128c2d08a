import ConvergeCRDT
import ConvergeGossip
import ConvergeStorage
import ConvergeWire

@testable import ConvergeNode

/// The one place where the harness meets the core's own options and calls.
extension World {
    static func makeCore(_ scenario: Scenario, node: Int, process: UInt64) -> NodeCore {
        var options = CoreOptions(
            nodeName: Text("n\(node)"), loopCount: scenario.loops, saveBuffer: scenario.saveBuffer, historyLimit: 200,
            systemEvents: .stored, frameSeed: process)
        options.documents.elementsPerDocument = scenario.elementsPerDocument
        options.retention = scenario.retention
        return NodeCore(options)
    }

    /// One turn of a core: all that has come, then the end.
    func runCore(_ node: SimulatedNode, _ events: [CoreEvent]) {
        let wall = node.clock.wall(at: now)
        for event in events { node.core.handle(event, at: wall, into: &node.effects) }
        node.core.endTurn(into: &node.effects)
    }

    func startCore(_ node: SimulatedNode) { node.core.start(into: &node.effects) }

    /// Carries out one effect.
    func perform(_ effect: CoreEffect, of node: SimulatedNode) {
        switch effect {
        case .openStore(let wait, let held, let renew):
            openStore(node, after: Microseconds(wait.milliseconds) * 1_000, held: held, renew: renew)
        case .commit(let batch): giveWriter(node, .commit(batch))
        case .prune(let pruning): giveWriter(node, .prune(pruning))
        case .read(let request): giveReader(node, request)
        case .deliver(let frames, let loops): deliver(frames, loops, node)
        case .report(let report): trace.note(now, node.index, "report", 0, 0, "\(report)")
        case .closeSessions, .finished: break
        }
    }

    /// What a core counts that must stay within bounds.
    func checkBounds(_ node: SimulatedNode) {
        let counters = node.core.counters
        // A session that moves, or has its key looked up, may go a step beyond.
        if counters.saveQueue > scenario.saveBuffer + 4 * scenario.clients {
            violate(.bounds, node.index, "the save queue holds \(counters.saveQueue) of \(scenario.saveBuffer)")
        }
    }
}

extension Duration {
    var milliseconds: UInt64 {
        UInt64(components.seconds) * 1_000 + UInt64(components.attoseconds / 1_000_000_000_000_000)
    }
}

/// What links tell a core. The single node has none.
extension World {
    func postDialFailed(_ address: Text, to node: SimulatedNode) {}
    func postLinkOpened(_ name: LinkName, dialled: Text?, to node: SimulatedNode) {}
    func postFrame(_ frame: [UInt8], over name: LinkName, to node: SimulatedNode) {}
    func postLinkClosed(_ name: LinkName, to node: SimulatedNode) {}
    func describePeerFrame(_ frame: [UInt8]) -> String { "\(frame.count) bytes" }
}

/// Faults that need something of the core or the store.
extension World {
    var canRedact: Bool { false }
    func postRedaction(_ dot: Dot, to node: SimulatedNode) {}

    /// Puts an old copy in a disk's place.
    func restore(_ backup: MemoryStore, to disk: Disk) { disk.store = backup.copy() }

    /// Somebody who is no node connects and says something.
    func sendNonsense(to node: SimulatedNode) {}
}

extension World {
    /// Holds what a disk has now against what others had when they had as much.
    func compareStates(_ node: SimulatedNode) {
        let vector = node.disk.vector
        guard StateChecks.isCompared(vector, oneIn: scenario.comparesOneIn), !ledger.isForked(within: vector) else {
            return
        }
        guard let fingerprint = fingerprint(of: node.disk) else { return }
        counts.compared += 1
        if let other = states.compare(vector, fingerprint, disk: node.disk.index) {
            violate(.equalState, node.index, "disk \(node.disk.index) and disk \(other) at \(vector.components)")
        }
    }

    private func fingerprint(of disk: Disk) -> UInt64? { nil }
}
