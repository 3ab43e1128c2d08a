import ConvergeGossip
import Testing

/// The simulation is itself tested: mistakes that are planted must be found. `scripts/simulate.sh --plant all` looks for
/// each of them; here are a few that show early.
@Suite("Simulation: planted faults") struct PlantedTests {
    @Test(
        "a planted fault is found",
        arguments: ["countersAsIncrements", "idsDifferForKey", "clockIgnoresAfter", "readsRefused"])
    func found(_ name: String) throws {
        let planted = try #require(Planted.all.first { $0.name == name })
        #expect(planted.search(limit: 20) != nil)
    }

    @Test("each has a name of its own")
    func names() {
        #expect(Set(Planted.all.map(\.name)).count == Planted.all.count && Planted.all.count >= 20)
    }

    @Test("no two are one bit: what is looked for is what was planted")
    func bits() {
        var names: [PlantedFaults: [String]] = [:]
        for planted in Planted.all {
            var scenario = Scenario(seed: 1)
            planted.plant(&scenario)
            if scenario.planted != [] { names[scenario.planted, default: []].append(planted.name) }
        }
        // One is looked for in three ways.
        let shared = names.values.filter { $0.count > 1 && !$0.allSatisfy { $0.hasSuffix("BeyondApplied") } }
        #expect(shared.isEmpty)
    }
}
