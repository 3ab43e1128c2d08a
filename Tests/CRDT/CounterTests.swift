import ConvergeTestSupport
import ConvergeCRDT
import Testing

@Suite struct CounterTests {
    private let a = ReplicaID(rawValue: 1)
    private let b = ReplicaID(rawValue: 2)

    @Test("counts what every replica added, each once")
    func grows() {
        var here = GCounter()
        var there = GCounter()
        let first = here.increment(by: 2, of: a)
        let second = here.increment(of: a)
        there.merge(there.increment(by: 10, of: b))
        there.merge(second)
        there.merge(first)
        there.merge(second)
        #expect(there.value == 13 && here.value == 3)
        #expect(there.total(of: a) == 3 && there.total(of: b) == 10)
    }

    @Test("goes up and down")
    func upAndDown() {
        var here = PNCounter()
        var there = PNCounter()
        let down = there.add(-7, of: b)
        here.merge(here.add(5, of: a))
        here.merge(down)
        here.merge(down)
        #expect(here.value == -2)
        #expect(here.add(0, of: a) == PNCounter())
        there.add(.min, of: b)
        there.add(.min, of: a)
        #expect(there.value == .min)
    }

    @Test("stops at the largest number instead of running over")
    func saturates() {
        var counter = GCounter()
        counter.increment(by: .max, of: a)
        counter.increment(by: .max, of: a)
        counter.increment(by: 1, of: b)
        #expect(counter.value == .max && counter.total(of: a) == .max)
        var both = PNCounter()
        both.merge(both.add(.max, of: a))
        both.add(.max, of: a)
        both.add(.max, of: b)
        #expect(both.value == .max)
    }

    /// Histories of replicas that each count under their own name: the totals of one only rise.
    private func history<State: DeltaState>(
        _ random: inout SplitMix64, _ count: (inout State, ReplicaID, inout SplitMix64) -> State.Delta, _ empty: State
    ) -> (states: [State], deltas: [State.Delta], all: State) {
        var states = [empty, empty, empty]
        var seen = [empty]
        var deltas: [State.Delta] = []
        for _ in 0..<120 {
            let at = random.below(3)
            if random.chance(60) || deltas.isEmpty {
                deltas.append(count(&states[at], ReplicaID(rawValue: UInt64(at)), &random))
            } else {
                states[at].merge(deltas[random.below(deltas.count)])
            }
            seen.append(states[at])
        }
        return (seen, deltas, seen.reduce(empty) { $0.merged(with: $1) })
    }

    @Test(
        "merge commutatively, associatively, idempotently; all deltas are the full state",
        arguments: UInt64(70)..<80)
    func laws(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var sum: UInt64 = 0
        let grown = history(
            &random,
            { state, replica, random in
                let amount = UInt64(random.below(5))
                sum += amount
                return state.increment(by: amount, of: replica)
            }, GCounter())
        #expect(grown.all.value == sum, "seed \(seed)")
        #expect(grown.deltas.shuffled(using: &random).reduce(GCounter()) { $0.merged(with: $1) } == grown.all)
        #expect(brokenMergeLaw(of: grown.states, triples: 200, using: &random) == nil, "seed \(seed)")
        #expect(brokenDeltaLaw(of: grown.states, deltas: grown.deltas, triples: 200, using: &random) == nil)

        var balance: Int64 = 0
        let both = history(
            &random,
            { state, replica, random in
                let amount = Int64(random.below(9)) - 4
                balance += amount
                return state.add(amount, of: replica)
            }, PNCounter())
        #expect(both.all.value == balance, "seed \(seed)")
        #expect(both.deltas.shuffled(using: &random).reduce(PNCounter()) { $0.merged(with: $1) } == both.all)
        #expect(brokenMergeLaw(of: both.states, triples: 200, using: &random) == nil, "seed \(seed)")
        #expect(brokenDeltaLaw(of: both.states, deltas: both.deltas, triples: 200, using: &random) == nil)
    }
}
