import ConvergeTestSupport
import ConvergeCRDT

/// What a causal state is held against: writes known by number, each with the item that it adds to and the adds that it
/// undid where it was made. No contexts, no merging: an add stands while no known write undid it.
struct WriteModel {
    struct Write {
        var item: Int?
        var undone: Set<Int>
    }
    var writes: [Write] = []

    /// The adds that stand where `known` is known, by item.
    func standing(_ known: Set<Int>) -> [Int: Set<Int>] {
        let undone = known.reduce(into: Set<Int>()) { $0.formUnion(writes[$1].undone) }
        var standing: [Int: Set<Int>] = [:]
        for write in known where !undone.contains(write) {
            if let item = writes[write].item { standing[item, default: []].insert(write) }
        }
        return standing
    }
}

/// What one random change did.
struct Change<Delta> {
    var delta: Delta
    /// The item that it adds to; nil where it only takes away.
    var item: Int?
    /// Whether it takes away what stands of an item.
    var undoes: (Int) -> Bool
}

/// Runs replicas of `State` through random changes with deltas lost, late, twice, joined and mixed with full states, and
/// says what first went wrong: against the model, against the laws, or where bytes don't come back as what they were.
///
/// `change` is given the state, a new dot, and the number of the write; `agrees` compares a state with what stands.
func brokenHistory<State: CausalState & Hashable & BinaryForm>(
    seed: UInt64, steps: Int = 100,
    change: (inout State, Dot, Int, inout SplitMix64) -> Change<State.Delta>,
    agrees: (State, [Int: Set<Int>]) -> Bool
) -> String? where State.Delta: Hashable & BinaryForm {
    var random = SplitMix64(seed: seed)
    let replicas = 2 + random.below(3)
    var states = Array(repeating: State(), count: replicas)
    var known = Array(repeating: Set<Int>(), count: replicas)
    var seqs = Array(repeating: UInt64(0), count: replicas)
    var model = WriteModel()
    var deltas: [State.Delta] = []
    var seen = [State()]

    for step in 0..<steps {
        let at = random.below(replicas)
        switch random.below(10) {
        case 0..<5:
            let dot = Dot(replica: ReplicaID(rawValue: UInt64(at + 1)), seq: seqs[at] + 1)
            let standing = model.standing(known[at])
            let done = change(&states[at], dot, model.writes.count, &random)
            if done.item != nil { seqs[at] += 1 }
            let undone = standing.filter { done.undoes($0.key) }.reduce(into: Set<Int>()) { $0.formUnion($1.value) }
            if done.delta.isEmpty != (done.item == nil && undone.isEmpty) { return "step \(step): empty, or should be" }
            if done.delta.isEmpty { continue }
            known[at].insert(model.writes.count)
            model.writes.append(.init(item: done.item, undone: undone))
            deltas.append(done.delta)
        case 5..<9:
            guard !deltas.isEmpty else { continue }
            let some = (0...random.below(4)).map { _ in random.below(deltas.count) }
            states[at].merge(some.dropFirst().reduce(deltas[some[0]]) { $0.merged(with: deltas[$1]) })
            known[at].formUnion(some)
        default:
            let from = random.below(replicas)
            states[at].merge(states[from])
            known[at].formUnion(known[from])
        }
        if !agrees(states[at], model.standing(known[at])) {
            return "step \(step), replica \(at): not as the model has it"
        }
        if random.chance(20) { seen.append(states[at]) }
    }

    // Everything to everybody, in another order each, twice; as bytes.
    for at in 0..<replicas {
        for delta in (deltas + deltas).shuffled(using: &random) {
            guard let copy = try? State.Delta(decoding: delta.encoded()), copy == delta else {
                return "bytes of \(delta)"
            }
            states[at].merge(copy)
        }
        if states[at] != states[0] { return "replica \(at) differs in the end" }
        // Equal values have equal bytes, however they came about.
        if states[at].encoded() != states[0].encoded() { return "replica \(at) has other bytes" }
    }
    if seen.reduce(State(), { $0.merged(with: $1) }).merged(with: states[0]) != states[0] { return "states know more" }
    if !agrees(states[0], model.standing(Set(model.writes.indices))) { return "the end is not as the model has it" }
    for state in seen {
        guard let copy = try? State(decoding: state.encoded()), copy == state, copy.context == state.context else {
            return "bytes of \(state)"
        }
    }
    guard !deltas.isEmpty else { return nil }
    return brokenMergeLaw(of: seen, triples: 25, using: &random)
        ?? brokenMergeLaw(of: deltas, triples: 25, using: &random)
        ?? brokenDeltaLaw(of: seen, deltas: deltas, triples: 25, using: &random)
}
