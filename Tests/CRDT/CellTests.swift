import ConvergeCRDT
import ConvergeTestSupport
import Testing

/// The laws of the three merge rules, on random states that a few replicas come to.
@Suite struct CellTests {
    private typealias NumberCell = Cell<String, Int>

    /// A document's cells, and what they are made of: what a store keeps, and a snapshot brings.
    private struct State: Mergeable, Equatable {
        var cells: Cells<String, Int>
        var context = VersionVector()

        init(_ rule: MergeRule) { cells = Cells(rule: rule) }

        mutating func merge(_ other: State) {
            let changes = cells.rule.changes(
                of: cells.sorted, joining: other.cells.sorted, context: context, otherContext: other.context)
            for place in changes.removed { cells.remove(place) }
            for cell in changes.put { cells.put(cell) }
            context.merge(other.context)
        }
    }

    /// What replicas make of a few keys while they write, and take over one another's states.
    private static func samples(of rule: MergeRule, using random: inout SplitMix64) -> [State] {
        var replicas = Array(repeating: State(rule), count: 3)
        var clocks = Array(repeating: HybridClock(), count: 3)
        var samples = [State(rule)]
        for step in 0..<60 {
            let own = random.below(3)
            if random.chance(35) {
                let other = random.below(3)
                replicas[own].merge(replicas[other])
                clocks[own].observe(clocks[other].last, wall: UInt64(step), limit: 1_000)
            } else {
                let replica = ReplicaID(rawValue: UInt64(own))
                let dot = Dot(replica: replica, seq: replicas[own].context[replica] + 1)
                // Clocks that differ: of concurrent writes the later by time is not always the later in coming.
                let timestamp = clocks[own].tick(wall: UInt64(random.below(step + 1)))
                var key = ["a", "b", "c"][random.below(3)]
                if rule == .greatest { key += "\(own)" }
                let held = replicas[own].cells[key]
                if rule == .observed { replicas[own].cells.remove(held.dots, of: key) }
                if rule != .observed || held.isEmpty || random.chance(60) {
                    let value = rule == .greatest ? (held.latest?.value ?? 0) + random.below(3) : random.below(5)
                    replicas[own].cells.put(NumberCell(key: key, value: value, dot: dot, timestamp: timestamp))
                }
                replicas[own].context.advance(to: dot)
            }
            samples.append(replicas[own])
        }
        return samples
    }

    @Test(
        "joining is commutative, associative, idempotent and absorbing under each rule",
        arguments: MergeRule.allCases, UInt64(1)...40)
    func laws(_ rule: MergeRule, seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let samples = Self.samples(of: rule, using: &random)
        #expect(brokenMergeLaw(of: samples, triples: 200, using: &random) == nil, "\(rule), seed \(seed)")
        #expect(samples.contains { $0.cells.keyCount > 1 }, "\(rule), seed \(seed)")
    }

    @Test("a state that took up each write one by one is the join of the writers' states", arguments: UInt64(1)...40)
    func oneByOne(seed: UInt64) {
        for rule in [MergeRule.latest, .greatest] {
            var random = SplitMix64(seed: seed)
            let samples = Self.samples(of: rule, using: &random)
            var joined = State(rule)
            for sample in samples { joined.merge(sample) }
            var taken = Cells<String, Int>(rule: rule)
            for sample in samples.shuffled(using: &random) { for cell in sample.cells.sorted { taken.put(cell) } }
            #expect(taken == joined.cells, "\(rule), seed \(seed)")
        }
    }

    private let one = ReplicaID(rawValue: 1)
    private let two = ReplicaID(rawValue: 2)

    private func cell(_ value: Int, _ replica: ReplicaID, _ seq: UInt64, at time: UInt64 = 1) -> NumberCell {
        NumberCell(
            key: "k", value: value, dot: Dot(replica: replica, seq: seq),
            timestamp: HybridTimestamp(milliseconds: time))
    }

    @Test("observed cells of one key stand side by side until an event that saw them takes them away")
    func observed() {
        var cells = Cells<String, Int>(rule: .observed)
        cells.put(cell(1, two, 1, at: 9))
        cells.put(cell(2, one, 1))
        cells.put(cell(3, one, 2))
        #expect(cells["k"].dots == [Dot(replica: one, seq: 1), Dot(replica: one, seq: 2), Dot(replica: two, seq: 1)])
        #expect(cells["k"].latest?.value == 1)
        cells.remove([Dot(replica: one, seq: 1), Dot(replica: two, seq: 7)], of: "k")
        cells.remove(CellPlace(key: "k", slot: Dot(replica: two, seq: 1)))
        #expect(cells["k"].writes == [cell(3, one, 2).write])
        cells.remove([Dot(replica: one, seq: 2)], of: "k")
        #expect(cells.isEmpty && cells.keyCount == 0)
    }

    @Test("of latest writes the one of the higher time stands, and at one moment that of the higher replica")
    func latest() {
        var cells = Cells<String, Int>(rule: .latest)
        for (write, standing) in [
            (cell(1, one, 5, at: 3), 1), (cell(2, two, 9, at: 2), 1), (cell(3, two, 1, at: 3), 3),
            (cell(4, one, 6, at: 3), 3), (cell(3, two, 1, at: 3), 3),
        ] {
            cells.put(write)
            #expect(cells["k"].latest?.value == standing && cells.keyCount == 1)
        }
    }

    @Test("a greatest cell never falls, and has the latest event whichever brought its value")
    func greatest() {
        var cells = Cells<String, Int>(rule: .greatest)
        cells.put(cell(7, one, 1, at: 1))
        cells.put(cell(5, one, 3, at: 3))
        cells.put(cell(6, one, 2, at: 2))
        #expect(cells.sorted == [cell(7, one, 3, at: 3)])
    }

    @Test("places are in order of keys, and of one key in order of dots")
    func order() {
        let places = [
            CellPlace(key: "a"), CellPlace(key: "b", slot: Dot(replica: one, seq: 2)),
            CellPlace(key: "b", slot: Dot(replica: two, seq: 1)), CellPlace(key: "c"),
        ]
        #expect(places.reversed().sorted() == places)
        #expect(!(places[0] < places[0]))
    }
}
