import ConvergeCRDT
import ConvergeStorage
import ConvergeTestSupport
import ConvergeWire

@testable import ConvergeNode

/// Wall clocks that are hours, or years, ahead for a while; and entries dated so that come over a link and that no node wrote.
///
/// A node that hears others notices and writes nothing until its clock is right. One that starts alone with a wrong clock
/// can't know: what it writes is held aside by the others, until an operator has all of them take it. What must hold:
/// nothing that is refused is written in another way, no node whose clock was always right is dragged along, and in the end
/// all agree and write.
struct FarClocks {
    var choices = SplitMix64(seed: 0)
    /// Nodes whose clock was over the tolerance ahead at any time.
    var wrong: Set<Int> = []
    /// An operator has said to take what is dated far ahead.
    var isAccepted = false
    var arrivals = 0

    /// What the operator then bears: more than any clock here is ahead.
    static let acceptedLead: UInt64 = 400 * 365 * 86_400_000
    /// No node is called so.
    static let nobody = ReplicaID(rawValue: 0xFA2_F1E1D)

    /// What is known of a node before a turn.
    struct Standing {
        let refused: Bool
        let seq: UInt64
        let replica: ReplicaID?
    }
}

extension World {
    func beginFarClocks() {
        guard scenario.hasFarClocks else { return }
        schedule(.clockGoesFar, after: far.choices.within(5_000_000...20_000_000))
        schedule(.futureArrives, after: far.choices.within(5_000_000...25_000_000))
    }

    func clockGoesFar() {
        guard !isHealed else { return }
        schedule(.clockGoesFar, after: far.choices.within(5_000_000...25_000_000))
        let node = nodes[far.choices.below(nodes.count)]
        guard node.clock.far == 0 else { return }
        let hours: UInt64 = 3_600_000
        let isYears = far.choices.chance(60)
        let lead =
            isYears
            ? far.choices.within(2 * 8_760 * hours...150 * 8_760 * hours) : far.choices.within(hours...20 * hours)
        node.clock.far = Int64(lead)
        if isYears { far.wrong.insert(node.index) }
        trace.note(now, node.index, "FAR CLOCK", lead)
        schedule(.clockComesBack(node.index), after: far.choices.within(500_000...15_000_000))
        // A start with a wrong clock, before anybody tells the time.
        if far.choices.chance(30), node.isUp {
            die(node)
            schedule(.starts(node.index), after: far.choices.within(10_000...1_000_000))
        }
    }

    func clockComesBack(_ node: SimulatedNode) {
        node.clock.far = 0
        trace.note(now, node.index, "clock is right")
    }

    /// As if a peer passed on what somebody with a wrong clock, or bad intent, wrote.
    func futureArrives() {
        guard !isHealed else { return }
        schedule(.futureArrives, after: far.choices.within(5_000_000...25_000_000))
        let open = openLinks
        guard !open.isEmpty else { return }
        let link = open[far.choices.below(open.count)]
        let side = far.choices.below(2)
        let node = nodes[link.nodes[side]]
        // Where this clock is years ahead, there is no future.
        guard node.clock.far < Int64(HybridClock.tolerance) else { return }
        let wall = node.clock.wall(at: now)
        let moment =
            far.choices.chance(30) ? HybridTimestamp.last : HybridTimestamp(milliseconds: wall + 40 * 31_536_000_000)
        let payload = MessagePayload(id: nil, user: "mallory", displayName: "M", body: Array("from far".utf8))
        var entry = Entry(
            dot: Dot(replica: FarClocks.nobody, seq: 1), timestamp: moment, kind: .message, room: roomNames[0],
            payload: payload.encoded)
        entry.hash = EntryChain().hash(after: .zero, entry)
        far.arrivals += 1
        trace.note(now, node.index, "from the future", moment.rawValue)
        postFrame(PeerFrame.entries([entry], wantsStored: false).encoded(), over: link.names[side], to: node)
    }

    /// All clocks are right again. Where a node has written what the others hold aside, an operator has all take it.
    func mendFarClocks() {
        guard scenario.hasFarClocks else { return }
        for node in nodes { node.clock.far = 0 }
        guard nodes.count > 1, disks.contains(where: { isDatedAhead($0) }) else { return }
        far.isAccepted = true
        trace.note(now, -1, "what is dated ahead is accepted")
        for node in nodes { die(node) }
    }

    private func isDatedAhead(_ disk: Disk) -> Bool {
        disk.vector.components.contains { head in
            guard let entry = ledger[head]?.entry else { return false }
            return entry.timestamp.milliseconds > WallClock.beginning + now / 1_000 + HybridClock.tolerance
        }
    }

    // MARK: Checks

    func standing(of node: SimulatedNode) -> FarClocks.Standing {
        FarClocks.Standing(
            refused: !node.core.clockIsTolerable, seq: node.core.log?.seq ?? 0, replica: node.core.log?.replica)
    }

    /// After a turn: who refused before and after it has placed nothing; and whose clock was always right is not dragged.
    func checkRefusal(of node: SimulatedNode, since before: FarClocks.Standing) {
        guard scenario.hasFarClocks else { return }
        if before.refused, !node.core.clockIsTolerable, let log = node.core.log, log.replica == before.replica,
            log.seq > before.seq
        {
            violate(.clocks, node.index, "it refuses to write, and has placed \(log.seq)")
        }
        guard !far.isAccepted, !far.wrong.contains(node.index) else { return }
        let bound = node.clock.wall(at: now) + HybridClock.tolerance + 86_400_000
        if node.core.clock.last.milliseconds > bound {
            violate(
                .clocks, node.index, "its clock was never wrong and is dragged to \(node.core.clock.last.milliseconds)")
        }
    }

    /// In the end all write, and nobody holds anything aside.
    func checkFarClocks() -> [Problem] {
        guard scenario.hasFarClocks else { return [] }
        var problems: [Problem] = []
        for node in nodes {
            if !node.core.clockIsTolerable {
                problems.append(Problem(rule: .clocks, node: node.index, words: "still refuses to write"))
            }
            if node.disk.vector[FarClocks.nobody] > 0 {
                problems.append(Problem(rule: .clocks, node: node.index, words: "has taken what nobody wrote"))
            }
        }
        return problems
    }
}
