import Testing

/// Whole clusters from a few dozen seeds: what scripts/simulate.sh does with thousands.
@Suite("Simulation") struct SimulationTests {
    @Test("whatever goes wrong, nothing is broken on the way, and in the end all agree")
    func seeds() {
        var failures: [String] = []
        for seed in UInt64(1)...24 {
            let outcome = Runner.run(Scenario(seed: seed))
            failures += outcome.violations.prefix(1).map { "seed \(seed): \($0)" }
        }
        #expect(failures == [])
    }

    @Test("one seed is one run")
    func sameTwice() {
        let one = Runner.run(Scenario(seed: 7))
        let other = Runner.run(Scenario(seed: 7))
        #expect(one.hash == other.hash)
        #expect(one.hash != Runner.run(Scenario(seed: 8)).hash)
    }
}
