import ConvergeTestSupport
import ConvergeCRDT
import Testing

@Suite struct ORSetTests {
    private let a = ReplicaID(rawValue: 1)
    private let b = ReplicaID(rawValue: 2)

    private func dot(_ replica: ReplicaID, _ seq: UInt64) -> Dot { Dot(replica: replica, seq: seq) }

    @Test("holds what was added and not removed")
    func single() {
        var set = ORSet<String>()
        set.add("milk", dot: dot(a, 1))
        set.add("bread", dot: dot(a, 2))
        set.add("milk", dot: dot(a, 3))
        #expect(Set(set.values) == ["milk", "bread"])
        #expect(Array(set.dots(of: "milk")) == [dot(a, 3)])
        set.remove("milk")
        #expect(!set.contains("milk") && set.contains("bread"))
        #expect(set.count == 1)
        #expect(set.remove("milk").isEmpty)
    }

    @Test("a remove concurrent with an add leaves the element")
    func addWins() {
        var here = ORSet<String>()
        var there = ORSet<String>()
        there.merge(here.add("milk", dot: dot(a, 1)))
        let removed = here.remove("milk")
        let added = there.add("milk", dot: dot(b, 1))
        here.merge(added)
        there.merge(removed)
        #expect(here == there)
        #expect(here.contains("milk"))
        #expect(Array(here.dots(of: "milk")) == [dot(b, 1)])
    }

    @Test("a removed dot stays removed, also where the remove came before the add")
    func staysRemoved() {
        var here = ORSet<String>()
        let added = here.add("milk", dot: dot(a, 1))
        let full = here
        let removed = here.remove("milk")
        here.merge(added)
        here.merge(full)
        #expect(!here.contains("milk"))

        var there = ORSet<String>()
        there.merge(removed)
        there.merge(added)
        there.merge(added)
        there.merge(full)
        #expect(there == here)
        #expect(there.isEmpty)
    }

    @Test("keeps no tombstones: a set emptied ten thousand times is one number")
    func noTombstones() {
        var set = ORSet<Int>()
        for seq in UInt64(1)...10_000 {
            set.add(Int(seq) % 7, dot: dot(a, seq))
            set.remove(Int(seq) % 7)
        }
        #expect(set.isEmpty)
        #expect(set.context.vector.components == [dot(a, 10_000)])
        #expect(set.context.cloud.isEmpty)
    }

    @Test("a delta of one element leaves the others alone")
    func deltaIsLocal() {
        var here = ORSet<Int>()
        for element in 1...100 { here.add(element, dot: dot(a, UInt64(element))) }
        var there = here
        let delta = there.remove(50)
        here.merge(delta)
        #expect(here == there)
        #expect(here.count == 99)
    }

    @Test("deltas that were merged say the same as one after the other, and merging nothing is nothing")
    func joinedDeltas() {
        var here = ORSet<Int>()
        let writes = [
            here.add(1, dot: dot(a, 1)), here.add(2, dot: dot(a, 2)), here.remove(1), here.add(1, dot: dot(a, 3)),
        ]
        var joined = ORSet<Int>.Delta()
        #expect(joined.isEmpty)
        for write in writes.reversed() { joined.merge(write) }
        joined.merge(ORSet<Int>.Delta())
        var there = ORSet<Int>()
        there.merge(joined)
        #expect(there == here)
        #expect(there.context == CausalContext([dot(a, 1), dot(a, 2), dot(a, 3)]))
    }

    /// What the set is held against: writes known by number, each with the adds it undid where it was made. No contexts,
    /// no merging: an element is there while one of its adds is known and no known write undid it.
    private struct Model {
        struct Write {
            var element: Int
            var adds: Bool
            var undone: Set<Int>
        }
        var writes: [Write] = []

        func standing(_ element: Int, _ known: Set<Int>) -> Set<Int> {
            let undone = known.reduce(into: Set<Int>()) { $0.formUnion(writes[$1].undone) }
            return known.filter { writes[$0].adds && writes[$0].element == element && !undone.contains($0) }
        }

        func elements(_ known: Set<Int>) -> Set<Int> {
            Set((0..<5).filter { !standing($0, known).isEmpty })
        }
    }

    @Test(
        "deltas lost, late, twice, joined and mixed with full states: each replica holds what the model says",
        arguments: UInt64(20)..<60)
    func randomHistories(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let replicas = 2 + random.below(3)
        var sets = Array(repeating: ORSet<Int>(), count: replicas)
        var known = Array(repeating: Set<Int>(), count: replicas)
        var model = Model()
        var deltas: [ORSet<Int>.Delta] = []
        var seen: [ORSet<Int>] = [ORSet()]
        var seqs = Array(repeating: UInt64(0), count: replicas)
        var broken: String?

        for step in 0..<150 where broken == nil {
            let at = random.below(replicas)
            let element = random.below(5)
            switch random.below(10) {
            case 0..<3:
                seqs[at] += 1
                deltas.append(sets[at].add(element, dot: Dot(replica: ReplicaID(rawValue: UInt64(at)), seq: seqs[at])))
                model.writes.append(.init(element: element, adds: true, undone: model.standing(element, known[at])))
                known[at].insert(model.writes.count - 1)
            case 3..<5:
                let undone = model.standing(element, known[at])
                let delta = sets[at].remove(element)
                if delta.isEmpty != undone.isEmpty { broken = "step \(step): an empty delta" }
                if delta.isEmpty { continue }
                deltas.append(delta)
                model.writes.append(.init(element: element, adds: false, undone: undone))
                known[at].insert(model.writes.count - 1)
            case 5..<9:
                guard !deltas.isEmpty else { continue }
                let some = (0...random.below(4)).map { _ in random.below(deltas.count) }
                sets[at].merge(some.dropFirst().reduce(deltas[some[0]]) { $0.merged(with: deltas[$1]) })
                known[at].formUnion(some)
            default:
                let from = random.below(replicas)
                sets[at].merge(sets[from])
                known[at].formUnion(known[from])
            }
            if Set(sets[at].values) != model.elements(known[at]) { broken = "step \(step), replica \(at)" }
            if random.chance(20) { seen.append(sets[at]) }
        }
        #expect(broken == nil, "seed \(seed)")
        guard !deltas.isEmpty else { return }

        // Everything to everybody, in another order each, twice.
        for at in 0..<replicas {
            for delta in (deltas + deltas).shuffled(using: &random) { sets[at].merge(delta) }
        }
        let whole = seen.reduce(ORSet<Int>()) { $0.merged(with: $1) }.merged(with: sets[0])
        #expect(sets.allSatisfy { $0 == sets[0] } && whole == sets[0], "seed \(seed)")
        #expect(Set(whole.values) == model.elements(Set(model.writes.indices)), "seed \(seed)")

        #expect(brokenMergeLaw(of: seen, triples: 100, using: &random) == nil, "seed \(seed)")
        #expect(brokenMergeLaw(of: deltas, triples: 100, using: &random) == nil, "seed \(seed)")
        #expect(brokenDeltaLaw(of: seen, deltas: deltas, triples: 100, using: &random) == nil, "seed \(seed)")
    }
}
