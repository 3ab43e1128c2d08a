import ConvergeCRDT
import Testing

@Suite struct MVRegisterTests {
    private let a = ReplicaID(rawValue: 1)
    private let b = ReplicaID(rawValue: 2)

    @Test("concurrent writes stand side by side until a write that has seen them")
    func sideBySide() {
        var here = MVRegister<String>()
        var there = MVRegister<String>()
        let draft = here.set("draft", dot: Dot(replica: a, seq: 1))
        let sketch = there.set("sketch", dot: Dot(replica: b, seq: 1))
        here.merge(sketch)
        there.merge(draft)
        #expect(here == there && here.values == ["draft", "sketch"])
        there.merge(here.set("text", dot: Dot(replica: a, seq: 2)))
        #expect(here == there && there.values == ["text"])
        there.merge(draft)
        #expect(there.values == ["text"])
    }

    @Test("clearing takes away what it has seen, and a concurrent write stays")
    func clearing() {
        var here = MVRegister<Int>()
        var there = MVRegister<Int>()
        there.merge(here.set(1, dot: Dot(replica: a, seq: 1)))
        let cleared = here.clear()
        let written = there.set(2, dot: Dot(replica: b, seq: 1))
        here.merge(written)
        there.merge(cleared)
        #expect(here == there && here.values == [2])
        #expect(!here.clear().isEmpty && here.isEmpty && here.clear().isEmpty)
    }

    @Test("holds what the model says, through random histories", arguments: UInt64(100)..<112)
    func histories(seed: UInt64) {
        let broken = brokenHistory(
            seed: seed,
            change: { (state: inout MVRegister<Int>, dot, write, random) in
                random.chance(75)
                    ? Change(delta: state.set(write, dot: dot), item: 0) { _ in true }
                    : Change(delta: state.clear(), item: nil) { _ in true }
            },
            agrees: { Set($0.values) == $1[0, default: []] && $0.isEmpty == $1.isEmpty })
        #expect(broken == nil, "seed \(seed)")
    }
}

@Suite struct ResettableCounterTests {
    private let a = ReplicaID(rawValue: 1)
    private let b = ReplicaID(rawValue: 2)

    @Test("a reset takes away just what it has seen")
    func reset() {
        var here = ResettableCounter()
        var there = ResettableCounter()
        there.merge(here.add(5, dot: Dot(replica: a, seq: 1)))
        let reset = here.clear()
        let meanwhile = there.add(2, dot: Dot(replica: b, seq: 1))
        here.merge(meanwhile)
        here.merge(meanwhile)
        there.merge(reset)
        #expect(here == there && here.value == 2)
    }

    @Test("folding keeps the value in one amount, and only the replica's own")
    func folding() {
        var here = ResettableCounter()
        var there = ResettableCounter()
        for seq in UInt64(1)...100 { there.merge(here.add(Int64(seq), dot: Dot(replica: a, seq: seq))) }
        there.merge(here.add(-50, dot: Dot(replica: b, seq: 1)))
        let folded = here.fold(dot: Dot(replica: a, seq: 101))
        there.merge(folded)
        there.merge(folded)
        #expect(here == there && here.value == 5_000 && here.store.count == 2)
        #expect(here.fold(dot: Dot(replica: a, seq: 102)).isEmpty)
        #expect(!here.context.contains(Dot(replica: a, seq: 102)))
    }

    @Test("a sum too large is as near as can be, and is not folded")
    func saturates() {
        var counter = ResettableCounter()
        counter.add(.max, dot: Dot(replica: a, seq: 1))
        counter.add(.max, dot: Dot(replica: a, seq: 2))
        #expect(counter.value == .max)
        #expect(counter.fold(dot: Dot(replica: a, seq: 3)).isEmpty && counter.store.count == 2)
        counter.add(.min, dot: Dot(replica: b, seq: 1))
        #expect(counter.value == .max - 1)
    }

    @Test("holds what the model says, through random histories", arguments: UInt64(130)..<142)
    func histories(seed: UInt64) {
        let broken = brokenHistory(
            seed: seed,
            change: { (state: inout ResettableCounter, dot, write, random) in
                random.chance(75)
                    ? Change(delta: state.add(Int64(write) * 3 - 50, dot: dot), item: 0) { _ in false }
                    : Change(delta: state.clear(), item: nil) { _ in true }
            },
            agrees: { $0.value == Int64($1[0, default: []].reduce(0) { $0 + $1 * 3 - 50 }) })
        #expect(broken == nil, "seed \(seed)")
    }
}

@Suite struct ObservedTests {
    private let a = ReplicaID(rawValue: 1)
    private let b = ReplicaID(rawValue: 2)

    @Test("a removed value comes back by a change that the remover had not seen")
    func comesBack() {
        func stamp(_ milliseconds: UInt64, _ replica: ReplicaID) -> LWWStamp {
            LWWStamp(timestamp: HybridTimestamp(milliseconds: milliseconds), replica: replica)
        }
        var here = Observed<LWWRegister<String>>()
        var there = Observed<LWWRegister<String>>()
        there.merge(here.put(LWWRegister("old", stamp: stamp(1, a)), dot: Dot(replica: a, seq: 1)))
        let removed = here.clear()
        #expect(here.value == nil)
        let changed = there.put(LWWRegister("new", stamp: stamp(2, b)), dot: Dot(replica: b, seq: 1))
        here.merge(changed)
        there.merge(removed)
        #expect(here == there && here.value?.value == "new")
    }

    @Test("concurrent changes are read as their join")
    func joined() {
        var here = Observed<PNCounter>()
        var there = Observed<PNCounter>()
        var (mine, yours) = (PNCounter(), PNCounter())
        let up = here.put(mine.add(5, of: a), dot: Dot(replica: a, seq: 1))
        let down = there.put(yours.add(-2, of: b), dot: Dot(replica: b, seq: 1))
        here.merge(down)
        there.merge(up)
        #expect(here == there && here.value?.value == 3 && here.store.count == 2)
        there.merge(here.put(PNCounter(), dot: Dot(replica: a, seq: 2)))
        #expect(here == there && there.value?.value == 3 && there.store.count == 1)
    }

    @Test("holds what the model says, through random histories", arguments: UInt64(160)..<170)
    func histories(seed: UInt64) {
        // A counter in which every write is a replica of its own, so that the value tells which writes it knows.
        let broken = brokenHistory(
            seed: seed,
            change: { (state: inout Observed<GCounter>, dot, write, random) in
                var part = GCounter()
                part.increment(by: 1, of: ReplicaID(rawValue: UInt64(write)))
                return random.chance(75)
                    ? Change(delta: state.put(part, dot: dot), item: 0) { _ in true }
                    : Change(delta: state.clear(), item: nil) { _ in true }
            },
            agrees: { state, standing in
                let standing = standing[0, default: []]
                guard let value = state.value else { return standing.isEmpty }
                return state.store.count == standing.count
                    && standing.allSatisfy { value.total(of: ReplicaID(rawValue: UInt64($0))) == 1 }
            })
        #expect(broken == nil, "seed \(seed)")
    }
}
