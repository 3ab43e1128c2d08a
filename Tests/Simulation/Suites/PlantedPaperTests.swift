import ConvergeTestSupport
import Testing

/// The planted faults in docs/simulation.md, which says how soon each is found.
@Suite("Simulation: planted faults in the papers") struct PlantedPaperTests {
    /// Whose row waits until it is measured how soon they are found.
    private static let unmeasured: Set<String> = [
        "uncomparedJoined", "fedEventForgotten", "rangesByPosition",
    ]

    @Test("every planted fault has its row in docs/simulation.md, and every one that stands there can be planted")
    func rows() throws {
        let rows = try Paper("docs/simulation.md").section("Planted faults").rows
        // A fault that is found in several ways has several rows; words stand beside its name.
        var named: Set<String> = []
        for row in rows {
            for match in row.cells[0].matches(of: /\b[a-z]+(?:[A-Z][a-z]+)+\b/) { named.insert(String(match.0)) }
        }
        let planted = Set(Planted.all.map(\.name))
        #expect(named.count > 30)
        #expect(named.subtracting(planted).isEmpty, "named, and not planted")
        #expect(planted.subtracting(named).subtracting(Self.unmeasured).isEmpty, "planted, and not named")
    }
}
