import ConvergeCRDT
import ConvergeWire

/// What a cluster costs, measured in virtual time.
enum Figures {
    static func all(_ say: (String) -> Void) {
        for nodes in [3, 5, 9] { say(bytes(nodes)) }
        for nodes in [3, 5] { say(quiet(nodes)) }
        for entries in [100, 2_000] { say(heal(entries)) }
        say(silence())
        for loss in [1, 20] { say(suspicions(loss)) }
        say(hundred())
    }

    private static func world(_ scenario: Scenario, window: ClosedRange<Microseconds>) -> World {
        let world = World(scenario)
        world.measures = Measures()
        world.measures?.window = window
        return world
    }

    private static func verdict(_ world: World) -> String {
        world.violations.isEmpty ? "" : "; VIOLATED: \(world.violations[0])"
    }

    private static func hundredths(_ part: Int, _ whole: Int) -> String {
        guard whole > 0 else { return "–" }
        let value = (part * 100 + whole / 2) / whole
        return "\(value / 100).\(pad("\(value % 100)", 2).replacing(" ", with: "0"))"
    }

    /// Bytes sent for each entry and receiver, against the entry's own.
    private static func bytes(_ nodes: Int) -> String {
        var scenario = Scenario.healthy(seed: 1, nodes: nodes)
        scenario.clients = 4 * nodes
        scenario.actEvery = .milliseconds(200)
        scenario.duration = .seconds(30)
        let world = world(scenario, window: .seconds(5)...Microseconds.seconds(31))
        world.run()
        guard let measures = world.measures else { return "" }
        let moved = measures.total(["entries", "repair", "stored"])
        let each = measures.entriesSent == 0 ? 0 : measures.entryBytes / measures.entriesSent
        return "\(nodes) nodes: \(measures.entriesSent) entries sent of \(each) bytes each, "
            + "\(hundredths(moved, measures.entryBytes)) × their own size with acknowledgements "
            + "(\(hundredths(measures.total(["entries"]), measures.entryBytes)) × without), "
            + "\(measures.repeats) sent twice on a link" + verdict(world)
    }

    /// Bytes on a link when nothing happens.
    private static func quiet(_ nodes: Int) -> String {
        var scenario = Scenario.healthy(seed: 2, nodes: nodes)
        scenario.clients = 0
        scenario.duration = .seconds(600)
        let world = world(scenario, window: .seconds(60)...Microseconds.seconds(600))
        world.run()
        guard let measures = world.measures else { return "" }
        let seconds = 540 * nodes * (nodes - 1) / 2
        return
            "\(nodes) nodes, quiet: \(hundredths(measures.total(["digest", "summary"]), seconds)) bytes of digests a "
            + "second and link, \(hundredths(measures.total(["membership"]), seconds)) of membership, "
            + "\(hundredths(measures.total, seconds)) in all" + verdict(world)
    }

    /// From the heal of a partition until all have everything; of several runs, since it depends on where in their second
    /// the digests stand.
    private static func heal(_ entries: Int) -> String {
        var found: [(after: Microseconds, missing: Int)] = []
        var broken = ""
        for seed in UInt64(3)..<10 {
            var scenario = Scenario.healthy(seed: seed, nodes: 3)
            scenario.delay = 10_000...10_000
            scenario.clients = 12
            scenario.duration = .seconds(40)
            scenario.actEvery = .milliseconds(UInt64(max(20, 20 * 12_000 / entries / 4)))
            let world = world(scenario, window: 0...0)
            // Node 0 alone from 15 s to 40 s.
            world.schedule(.cutsOff(0), after: .seconds(15))
            world.run()
            found.append((world.agreedAfter, world.missingAtHeal))
            broken += verdict(world)
        }
        found.sort { $0.after < $1.after }
        let (least, median, most) = (found[0], found[found.count / 2], found[found.count - 1])
        return
            "a heal after 25 s with some \(median.missing) entries to bring, \(found.count) runs: equal vectors after "
            + "\(median.after / 1_000) ms (\(least.after / 1_000) to \(most.after / 1_000)), "
            + "\(hundredths(Int(median.after / 1_000), 20)) round trips of 20 ms" + broken
    }

    /// From when a node falls silent until the others say so.
    private static func silence() -> String {
        var scenario = Scenario.healthy(seed: 4, nodes: 5)
        scenario.clients = 0
        scenario.duration = .seconds(60)
        let world = world(scenario, window: 0...0)
        world.schedule(.falls(0), after: .seconds(20))
        world.run()
        let states = (world.measures?.states ?? []).filter { $0.time >= .seconds(20) && $0.node != 0 }
        let suspect = states.filter { $0.state == .suspect }.map(\.time)
        let faulty = states.filter { $0.state == .faulty }.map(\.time)
        func after(_ time: Microseconds?) -> String { time.map { "\(($0 - .seconds(20)) / 1_000) ms" } ?? "never" }
        return
            "a silent node of 5: suspected first after \(after(suspect.min())), by all after \(after(suspect.max())), "
            + "faulty first after \(after(faulty.min())), for all after \(after(faulty.max()))" + verdict(world)
    }

    /// Suspicions of nodes that live, in a day.
    private static func suspicions(_ loss: Int) -> String {
        var scenario = Scenario.healthy(seed: 5, nodes: 5)
        scenario.clients = 0
        scenario.loss = loss
        scenario.delay = 200...2_000
        scenario.duration = .seconds(86_400)
        let world = world(scenario, window: 0...0)
        world.run()
        let states = (world.measures?.states ?? []).filter { $0.time >= .seconds(60) }
        return "24 hours at \(loss) % loss, 5 nodes: \(states.count { $0.state == .suspect }) suspicions, "
            + "\(states.count { $0.state == .faulty }) called faulty" + verdict(world)
    }

    private static func hundred() -> String {
        var scenario = Scenario.healthy(seed: 6, nodes: 100)
        scenario.clients = 20
        scenario.rooms = 1
        scenario.actEvery = .milliseconds(500)
        scenario.duration = .seconds(20)
        let world = world(scenario, window: .seconds(10)...Microseconds.seconds(20))
        world.run()
        guard let measures = world.measures else { return "" }
        return
            "100 nodes: \(world.ledger.entryCount) entries, \(hundredths(measures.total, 100 * 10 * 1_000)) kB a second and "
            + "node, all equal \(world.counts.convergence / 1_000) ms after the last write" + verdict(world)
    }
}
