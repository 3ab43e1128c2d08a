import ConvergeTestSupport
import ConvergeCRDT
import Testing

@Suite struct VersionVectorTests {
    private let a = ReplicaID(rawValue: 1)
    private let b = ReplicaID(rawValue: 2)
    private let c = ReplicaID(rawValue: 3)

    private func random(_ random: inout SplitMix64) -> VersionVector {
        var vector = VersionVector()
        for replica in 0..<UInt64(random.below(6)) {
            vector[ReplicaID(rawValue: replica * 7 % 6)] = UInt64(random.below(4))
        }
        return vector
    }

    @Test("covers a replica's entries from the first to the highest")
    func covers() {
        let vector = VersionVector([Dot(replica: a, seq: 3)])
        #expect(vector.covers(Dot(replica: a, seq: 1)) && vector.covers(Dot(replica: a, seq: 3)))
        #expect(!vector.covers(Dot(replica: a, seq: 4)) && !vector.covers(Dot(replica: b, seq: 1)))
    }

    @Test("keeps its components sorted, and none that is 0")
    func canonical() {
        var vector = VersionVector([Dot(replica: c, seq: 1), Dot(replica: a, seq: 2), Dot(replica: b, seq: 0)])
        #expect(vector.components == [Dot(replica: a, seq: 2), Dot(replica: c, seq: 1)])
        vector[b] = 5
        vector[c] = 0
        vector[ReplicaID(rawValue: 9)] = 0
        #expect(vector.components == [Dot(replica: a, seq: 2), Dot(replica: b, seq: 5)])
        vector.advance(to: Dot(replica: b, seq: 4))
        #expect(vector[b] == 5)
    }

    @Test("compares as equal, before, after, concurrent")
    func compare() {
        let empty = VersionVector()
        let one = VersionVector([Dot(replica: a, seq: 1)])
        let more = VersionVector([Dot(replica: a, seq: 1), Dot(replica: b, seq: 1)])
        let other = VersionVector([Dot(replica: c, seq: 1)])
        #expect(empty.compare(empty) == .equal)
        #expect(one.compare(one) == .equal)
        #expect(empty.compare(one) == .before)
        #expect(one.compare(more) == .before)
        #expect(more.compare(one) == .after)
        #expect(more.compare(other) == .concurrent)
    }

    @Test("merging is the least vector that covers both")
    func merging() {
        var random = SplitMix64(seed: 2)
        var broken: String?
        for _ in 0..<2_000 where broken == nil {
            let (x, y) = (self.random(&random), self.random(&random))
            let both = x.merged(with: y)
            let least = (0..<6).allSatisfy {
                both[.init(rawValue: $0)] == max(x[.init(rawValue: $0)], y[.init(rawValue: $0)])
            }
            let mirrored: [CausalOrder: CausalOrder] = [
                .equal: .equal, .before: .after, .after: .before, .concurrent: .concurrent,
            ]
            if !least || !both.covers(x) || !both.covers(y) { broken = "merging \(x) and \(y)" }
            if mirrored[x.compare(y)] != y.compare(x) { broken = "comparing \(x) and \(y)" }
            if (x.compare(y) == .equal) != (x == y) { broken = "equal but for the form: \(x), \(y)" }
            if (both == y) != [.equal, .before].contains(x.compare(y)) { broken = "before, not below: \(x), \(y)" }
        }
        #expect(broken == nil)
    }

    @Test("merges commutatively, associatively, idempotently", arguments: [UInt64(3), 4])
    func laws(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let samples = (0..<100).map { _ in self.random(&random) }
        #expect(brokenMergeLaw(of: samples, triples: 2_000, using: &random) == nil)
    }
}
