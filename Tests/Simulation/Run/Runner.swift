/// One run from one seed, and what is said of it when it fails.
struct Runner {
    struct Outcome {
        let seed: UInt64
        let hash: UInt64
        let violations: [Violation]
        let counts: World.Counts
    }

    static func run(_ scenario: Scenario) -> Outcome {
        let world = World(scenario)
        world.run()
        return Outcome(
            seed: scenario.seed, hash: world.trace.hash, violations: world.violations, counts: world.counts)
    }

    /// Runs once more, with a trace that can be read: its last lines, or all of them.
    static func trace(_ scenario: Scenario, from: Microseconds = 0, lines: Int = .max) -> (Outcome, [String]) {
        let world = World(scenario)
        world.trace.recordsFrom = from
        world.states.kept = [:]
        world.run()
        let outcome = Outcome(
            seed: scenario.seed, hash: world.trace.hash, violations: world.violations, counts: world.counts)
        return (outcome, Array(world.trace.last(lines)))
    }
}
