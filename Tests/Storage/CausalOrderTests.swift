import ConvergeCRDT
import ConvergeTestSupport
import ConvergeWire
import Testing

@testable import ConvergeStorage

@Suite("An order in which entries can be applied") struct CausalOrderTests {
    private func entry(_ replica: ReplicaID, _ seq: UInt64, at time: UInt64, after dependencies: [Dot] = []) -> Entry {
        var entry = Entry(
            dot: Dot(replica: replica, seq: seq), timestamp: HybridTimestamp(rawValue: time), kind: .message,
            room: "room", payload: [])
        entry.dependencies = dependencies
        return entry
    }

    @Test("where clocks say it, it is that of positions")
    func positions() {
        let entries = [
            entry(.a, 1, at: 1), entry(.b, 1, at: 2, after: [Dot(replica: .a, seq: 1)]), entry(.a, 2, at: 3),
            entry(.c, 1, at: 3),
        ]
        #expect(CausalOrder.sorted(entries.reversed()) == entries)
        #expect(CausalOrder.sorted([]) == [])
    }

    @Test("an entry waits for a later one that it depends on, and for what is before that in its log")
    func writtenAgain() {
        let answer = entry(.b, 1, at: 5, after: [Dot(replica: .a, seq: 2), Dot(replica: .c, seq: 9)])
        let (first, second) = (entry(.a, 1, at: 80), entry(.a, 2, at: 90))
        let next = entry(.b, 2, at: 6)
        #expect(CausalOrder.sorted([answer, second, next, first]) == [first, second, answer, next])
    }

    @Test("entries that depend on each other in a circle all come, once")
    func circle() {
        let entries = [
            entry(.a, 1, at: 1, after: [Dot(replica: .b, seq: 1)]),
            entry(.b, 1, at: 2, after: [Dot(replica: .c, seq: 1)]),
            entry(.c, 1, at: 3, after: [Dot(replica: .a, seq: 1)]),
        ]
        let sorted = CausalOrder.sorted(entries)
        #expect(sorted.count == 3 && Set(sorted.map(\.dot)).count == 3)
    }

    @Test("whatever the times, nothing comes before what it stands on", arguments: 1...20 as ClosedRange<UInt64>)
    func random(_ seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var vector = VersionVector()
        var entries: [Entry] = []
        var late = 0
        for _ in 0..<200 {
            let replica = [ReplicaID.a, .b, .c, .low][random.below(4)]
            let past = vector.components.filter { $0.replica != replica && random.below(3) == 0 }
            let dot = Dot(replica: replica, seq: vector[replica] + 1)
            entries.append(entry(replica, dot.seq, at: UInt64(random.below(1_000)), after: past))
            vector.advance(to: dot)
        }
        let sorted = CausalOrder.sorted(entries)
        var reached = VersionVector()
        for (at, entry) in sorted.enumerated() {
            #expect(entry.dot.seq == reached[entry.dot.replica] + 1, "seed \(seed)")
            #expect(entry.dependencies.allSatisfy(reached.covers), "seed \(seed)")
            if at > 0, entry.position < sorted[at - 1].position { late += 1 }
            reached.advance(to: entry.dot)
        }
        #expect(sorted.count == entries.count && late > 20, "seed \(seed): \(late) were not in the order of positions")
    }
}
