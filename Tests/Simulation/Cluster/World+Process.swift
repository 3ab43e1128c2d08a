import ConvergeCRDT
import ConvergeStorage
import ConvergeWire

@testable import ConvergeNode

/// The life of a node's process: turns of its core, effects carried out one by one, and its death between any two.
extension World {
    func start(_ node: SimulatedNode) {
        if node.isUp {
            guard node.effectsLeft != nil else { return }
            die(node)
        }
        node.life += 1
        node.isUp = true
        node.pausedUntil = 0
        node.forget(makeCore(node.index, process: identities.next()), loops: makeLoops())
        if let shared = node.disk.shared { shared.startProcess(holder: newHolder()) }
        trace.note(now, node.index, "starts", UInt64(node.life))
        startCore(node)
        carryOut(node)
        schedule(.tick(node.index, life: node.life), after: scheduling.within(1_000...100_000))
    }

    /// An event for the core: it takes it in its next turn.
    func post(_ event: CoreEvent, to node: SimulatedNode) {
        node.inbox.append(event)
        guard !node.isTurnScheduled else { return }
        node.isTurnScheduled = true
        // Mostly at once; now and then the thread is held up, and much comes together.
        let wait =
            scheduling.chance(scenario.heldUp)
            ? scheduling.within(500...scenario.longestHold) : scheduling.within(5...300)
        schedule(.turn(node.index, life: node.life), after: wait)
    }

    func turn(_ node: SimulatedNode) {
        if node.pausedUntil > now {
            queue.schedule(.turn(node.index, life: node.life), at: node.pausedUntil)
            return
        }
        node.isTurnScheduled = false
        let events = node.inbox
        node.inbox = []
        trace.note(now, node.index, "turn", UInt64(events.count), 0, Describe.events(events))
        runCore(node, events)
        checkBounds(node)
        carryOut(node)
        wakeForCommit(node)
    }

    /// A batch that waits for its pace goes in a turn in which nothing else need happen.
    private func wakeForCommit(_ node: SimulatedNode) {
        guard node.isUp, let next = node.core.nextCommit else { return }
        if next <= now * 1_000 { violate(.contract, node.index, "a batch waits, and may go") }
        queue.schedule(.turn(node.index, life: node.life), at: (next + 999) / 1_000)
    }

    func tick(_ node: SimulatedNode) {
        post(.tick, to: node)
        schedule(.tick(node.index, life: node.life), after: .milliseconds(100))
    }

    /// Carries out a core's effects in order. Where the process is to die, it dies between two of them.
    private func carryOut(_ node: SimulatedNode) {
        let effects = node.effects
        node.effects.removeAll(keepingCapacity: true)
        if !effects.areInOrder { violate(.contract, node.index, "effects out of their order") }
        for effect in effects {
            if let left = node.effectsLeft {
                if left == 0 {
                    die(node)
                    return
                }
                node.effectsLeft = left - 1
            }
            perform(effect, of: node)
        }
    }

    /// The process ends at once: what it had in memory is gone, what it gave the disk is there or not.
    func die(_ node: SimulatedNode) {
        guard node.isUp else { return }
        trace.note(now, node.index, "dies")
        if case .commit(let batch)? = node.work, let writer = node.writer {
            if node.disk.shared != nil {
                leaveCommit(batch, writer, node)
            } else if diskChoices.chance(50) {
                append(batch, writer, node)
            }
        }
        node.isUp = false
        node.life += 1
        // The system closes its sockets: the other sides see that, unless the wire is cut.
        for index in connections.indices where connections[index].node == node.index && connections[index].isOpen {
            connections[index].isOpen = false
            tellClient(connections[index], after: clientChoices.within(1_000...50_000))
        }
        closeLinks(of: node)
        node.forget(makeCore(node.index, process: 0), loops: makeLoops())
    }
}
