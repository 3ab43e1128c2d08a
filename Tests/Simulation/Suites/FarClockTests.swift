import Testing

/// Clusters whose clocks are hours and years ahead for a while: `scripts/simulate.sh --far-clocks` runs thousands.
@Suite("Simulation: far clocks") struct FarClockTests {
    @Test("no clock drags others along, nothing that is refused is written, and in the end all agree")
    func seeds() {
        var failures: [String] = []
        var arrivals = 0
        var wrong = 0
        for seed in UInt64(1)...6 {
            let world = World(Scenario(seed: seed, shared: false).withFarClocks())
            world.run()
            failures += world.violations.prefix(1).map { "seed \(seed): \($0)" }
            arrivals += world.far.arrivals
            wrong += world.far.wrong.count
        }
        #expect(failures == [])
        // The runs must have met what they are about.
        #expect(arrivals >= 5 && wrong >= 5)
    }

    @Test("in an otherwise healthy cluster of three the others write on while one clock is years ahead")
    func others() {
        var scenario = Scenario.healthy(seed: 3, nodes: 3).withFarClocks()
        scenario.duration = .seconds(60)
        let world = World(scenario)
        world.run()
        #expect(world.violations.isEmpty, "\(world.violations)")
        #expect(!world.far.wrong.isEmpty && world.counts.acknowledged > 50)
    }

    @Test("what is left out on purpose is found", arguments: ["futureTaken", "attendanceIgnoresClock"])
    func planted(_ name: String) throws {
        let planted = try #require(Planted.all.first { $0.name == name })
        #expect(planted.search(limit: 20) != nil)
    }
}
