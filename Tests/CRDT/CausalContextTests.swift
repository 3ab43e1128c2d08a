import ConvergeTestSupport
import ConvergeCRDT
import Testing

@Suite struct CausalContextTests {
    private let a = ReplicaID(rawValue: 1)
    private let b = ReplicaID(rawValue: 2)

    private func dots(_ replica: ReplicaID, _ seqs: UInt64...) -> [Dot] { seqs.map { Dot(replica: replica, seq: $0) } }

    @Test("keeps what comes early aside until the gap before it closes")
    func gap() {
        var context = CausalContext(dots(a, 1, 3, 4))
        #expect(context.vector[a] == 1)
        #expect(context.cloud == Set(dots(a, 3, 4)))
        #expect(!context.contains(Dot(replica: a, seq: 2)))
        context.insert(Dot(replica: a, seq: 2))
        #expect(context == CausalContext(VersionVector(dots(a, 4))))
        #expect(context.cloud.isEmpty)
    }

    @Test("a vector that is merged closes gaps, and swallows what it covers")
    func mergedVector() {
        var context = CausalContext(dots(a, 2, 3, 5) + dots(b, 1, 7))
        context.merge(CausalContext(VersionVector(dots(a, 2))))
        #expect(context.vector == VersionVector(dots(a, 3) + dots(b, 1)))
        #expect(context.cloud == Set(dots(a, 5) + dots(b, 7)))
    }

    @Test("the next dot of a replica is one that was never seen")
    func next() {
        var context = CausalContext()
        #expect(context.next(of: a) == Dot(replica: a, seq: 1))
        context.merge(CausalContext(dots(a, 1, 2, 9) + dots(b, 20)))
        #expect(context.next(of: a) == Dot(replica: a, seq: 10))
    }

    @Test("a seq of 0 is nothing, and the last seq there can be is no trap")
    func edges() {
        var context = CausalContext(dots(a, 0))
        #expect(context.isEmpty)
        context.merge(CausalContext(VersionVector(dots(a, .max - 1))))
        context.insert(Dot(replica: a, seq: .max))
        context.insert(Dot(replica: a, seq: .max))
        #expect(context.vector[a] == .max)
        var late = CausalContext(dots(a, .max))
        late.merge(CausalContext(VersionVector(dots(a, .max - 1))))
        #expect(late == context)
    }

    @Test("is the set of the dots put in, whatever their order", arguments: [UInt64(6), 7, 8])
    func likeASet(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var broken: String?
        for _ in 0..<300 where broken == nil {
            var context = CausalContext()
            var plain: Set<Dot> = []
            for _ in 0..<random.below(30) {
                let some = (0..<random.below(6)).map { _ in
                    Dot(replica: random.chance(50) ? a : b, seq: UInt64(1 + random.below(12)))
                }
                plain.formUnion(some)
                if random.chance(50) { context.merge(CausalContext(some)) } else { some.forEach { context.insert($0) } }
            }
            for replica in [a, b] {
                for seq in UInt64(1)...13
                where context.contains(Dot(replica: replica, seq: seq))
                    != plain.contains(Dot(replica: replica, seq: seq))
                {
                    broken = "\(replica):\(seq) of \(plain)"
                }
            }
            if context != CausalContext(plain.shuffled(using: &random)) { broken = "not canonical: \(context)" }
        }
        #expect(broken == nil, "seed \(seed)")
    }

    @Test("merges commutatively, associatively, idempotently", arguments: [UInt64(9), 10])
    func laws(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let samples = (0..<100).map { _ in
            CausalContext(
                (0..<random.below(12)).map { _ in
                    Dot(replica: random.chance(50) ? a : b, seq: UInt64(1 + random.below(8)))
                })
        }
        #expect(brokenMergeLaw(of: samples, triples: 2_000, using: &random) == nil, "seed \(seed)")
    }
}
