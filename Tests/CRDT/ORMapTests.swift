import ConvergeCRDT
import Testing

@Suite struct ORMapTests {
    private typealias Lists = ORMap<String, ORSet<String>>

    private let a = ReplicaID(rawValue: 1)
    private let b = ReplicaID(rawValue: 2)

    @Test("holds a key as long as something stands in its value")
    func single() {
        var lists = Lists()
        lists.update("food") { $0.add("milk", dot: Dot(replica: a, seq: 1)) }
        lists.update("food") { $0.add("bread", dot: Dot(replica: a, seq: 2)) }
        lists.update("tools") { $0.add("saw", dot: Dot(replica: a, seq: 3)) }
        #expect(Set(lists.keys) == ["food", "tools"])
        #expect(lists["food"].map { Set($0.values) } == ["milk", "bread"])
        lists.update("tools") { $0.remove("saw") }
        #expect(!lists.contains("tools") && lists["tools"] == nil && lists.count == 1)
        #expect(lists.remove("tools").isEmpty)
        #expect(lists.update("tools") { $0.remove("saw") }.isEmpty)
        #expect(!lists.clear().isEmpty && lists.isEmpty)
        #expect(lists.context == CausalContext(VersionVector([Dot(replica: a, seq: 3)])))
    }

    @Test("a concurrent update keeps a removed key, with just what the update did")
    func updateWins() {
        var here = Lists()
        var there = Lists()
        there.merge(here.update("food") { $0.add("milk", dot: Dot(replica: a, seq: 1)) })
        let removed = here.remove("food")
        let bread = there.update("food") { $0.add("bread", dot: Dot(replica: b, seq: 1)) }
        var whole = there.merged(with: here)
        here.merge(bread)
        there.merge(removed)
        #expect(here == there && here == whole)
        #expect(here["food"].map { Array($0.values) } == ["bread"])
        whole.merge(removed)
        #expect(whole == here)
    }

    @Test("a counter that is removed while others count keeps just what came meanwhile")
    func counters() {
        var here = ORMap<String, ResettableCounter>()
        var there = here
        there.merge(here.update("votes") { $0.add(40, dot: Dot(replica: a, seq: 1)) })
        let removed = here.remove("votes")
        let vote = there.update("votes") { $0.add(1, dot: Dot(replica: b, seq: 1)) }
        there.merge(removed)
        here.merge(vote)
        #expect(here == there && here["votes"]?.value == 1)
    }

    @Test("a remove that comes before what it removes, and what it removes that comes again, change nothing")
    func staysRemoved() {
        var here = Lists()
        let added = here.update("food") { $0.add("milk", dot: Dot(replica: a, seq: 1)) }
        let full = here
        let removed = here.remove("food")
        var there = Lists()
        for delta in [removed, added, added] { there.merge(delta) }
        there.merge(full)
        #expect(there == here && there.isEmpty)
    }

    @Test("keeps no tombstones: ten thousand keys that came and went are one number")
    func noTombstones() {
        var map = ORMap<Int, MVRegister<Int>>()
        for seq in UInt64(1)...10_000 {
            map.update(Int(seq)) { $0.set(0, dot: Dot(replica: a, seq: seq)) }
            map.remove(Int(seq))
        }
        #expect(map.isEmpty && map.context.vector.components == [Dot(replica: a, seq: 10_000)])
        #expect(map.encoded().count == 16)
    }

    @Test("of sets: holds what the model says, through random histories", arguments: UInt64(200)..<214)
    func sets(seed: UInt64) {
        let broken = brokenHistory(
            seed: seed,
            change: { (state: inout ORMap<Int, ORSet<Int>>, dot, _, random) in
                let (key, element) = (random.below(3), random.below(3))
                let item = key * 10 + element
                switch random.below(10) {
                case 0..<6:
                    return Change(delta: state.update(key) { $0.add(element, dot: dot) }, item: item) { $0 == item }
                case 6..<8:
                    return Change(delta: state.update(key) { $0.remove(element) }, item: nil) { $0 == item }
                case 8: return Change(delta: state.remove(key), item: nil) { $0 / 10 == key }
                default:
                    // Two changes in one delta.
                    let delta = state.update(key) { set in
                        let cleared = set.clear()
                        return cleared.merged(with: set.add(element, dot: dot))
                    }
                    return Change(delta: delta, item: item) { $0 / 10 == key }
                }
            },
            agrees: { state, standing in
                let items = state.keys.flatMap { key in state[key]!.values.map { key * 10 + $0 } }
                return Set(items) == Set(standing.keys)
            })
        #expect(broken == nil, "seed \(seed)")
    }

    @Test("of maps of registers: holds what the model says, through random histories", arguments: UInt64(230)..<244)
    func nested(seed: UInt64) {
        typealias Inner = ORMap<String, MVRegister<Int>>
        let broken = brokenHistory(
            seed: seed,
            change: { (state: inout ORMap<Int, Inner>, dot, write, random) in
                let (key, inner) = (random.below(3), random.below(3))
                let item = key * 10 + inner
                switch random.below(12) {
                case 0..<7:
                    let delta = state.update(key) { $0.update("\(inner)") { $0.set(write, dot: dot) } }
                    return Change(delta: delta, item: item) { $0 == item }
                case 7..<9:
                    return Change(delta: state.update(key) { $0.remove("\(inner)") }, item: nil) { $0 == item }
                case 9..<11: return Change(delta: state.remove(key), item: nil) { $0 / 10 == key }
                default: return Change(delta: state.clear(), item: nil) { _ in true }
                }
            },
            agrees: { state, standing in
                var found: [Int: Set<Int>] = [:]
                for key in state.keys {
                    for inner in state[key]!.keys { found[key * 10 + Int(inner)!] = Set(state[key]![inner]!.values) }
                }
                return found == standing
            })
        #expect(broken == nil, "seed \(seed)")
    }
}
