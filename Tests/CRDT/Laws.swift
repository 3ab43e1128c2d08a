import ConvergeTestSupport
import ConvergeCRDT

/// The first law that random triples of `samples` break, in words; nil where all hold.
func brokenMergeLaw<State: Mergeable & Equatable>(
    of samples: [State], triples: Int, using random: inout SplitMix64
) -> String? {
    for _ in 0..<triples {
        let a = samples[random.below(samples.count)]
        let b = samples[random.below(samples.count)]
        let c = samples[random.below(samples.count)]
        let ab = a.merged(with: b)
        if ab != b.merged(with: a) { return "not commutative: \(a), \(b)" }
        if ab.merged(with: c) != a.merged(with: b.merged(with: c)) { return "not associative: \(a), \(b), \(c)" }
        if a.merged(with: a) != a { return "not idempotent: \(a)" }
        if ab.merged(with: b) != ab || ab.merged(with: a) != ab { return "not absorbing: \(a), \(b)" }
    }
    return nil
}

/// The first way in which merging deltas differs from merging one after the other, or in another order, or again.
func brokenDeltaLaw<State: DeltaState & Equatable>(
    of states: [State], deltas: [State.Delta], triples: Int, using random: inout SplitMix64
) -> String? {
    for _ in 0..<triples {
        let state = states[random.below(states.count)]
        let first = deltas[random.below(deltas.count)]
        let second = deltas[random.below(deltas.count)]
        var oneByOne = state
        oneByOne.merge(first)
        oneByOne.merge(second)
        var swapped = state
        swapped.merge(second)
        swapped.merge(first)
        var joined = state
        joined.merge(first.merged(with: second))
        if oneByOne != swapped { return "the order matters: \(state), \(first), \(second)" }
        if oneByOne != joined { return "joined differ: \(state), \(first), \(second)" }
        let once = oneByOne
        oneByOne.merge(first)
        oneByOne.merge(second)
        if oneByOne != once { return "again matters: \(state), \(first), \(second)" }
    }
    return nil
}
