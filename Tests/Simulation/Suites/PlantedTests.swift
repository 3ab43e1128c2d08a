import Testing

/// The simulation is itself tested: mistakes that are planted must be found. `scripts/simulate.sh --plant all` looks for
/// each of them; here are a few that show early.
@Suite("Simulation: planted faults") struct PlantedTests {
    @Test(
        "a planted fault is found",
        arguments: ["countersAsIncrements", "idsDifferForKey", "clockIgnoresAfter", "readsRefused"])
    func found(_ name: String) throws {
        let planted = try #require(Planted.all.first { $0.name == name })
        #expect(planted.search(limit: 10) != nil)
    }

    @Test("each has a name of its own")
    func names() {
        #expect(Set(Planted.all.map(\.name)).count == Planted.all.count && Planted.all.count >= 20)
    }
}
