import ConvergeTestSupport
import ConvergeCRDT
import Testing

@Suite struct DotSetTests {
    private func dot(_ replica: UInt64, _ seq: UInt64) -> Dot { Dot(replica: ReplicaID(rawValue: replica), seq: seq) }

    @Test("is a sorted set, whatever is put in and taken out", arguments: [UInt64(11), 12])
    func likeASet(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var broken: String?
        for _ in 0..<300 where broken == nil {
            var set = DotSet()
            var plain: Set<Dot> = []
            for _ in 0..<20 {
                let some = dot(UInt64(random.below(3)), UInt64(1 + random.below(3)))
                if random.chance(60) {
                    set.insert(some)
                    plain.insert(some)
                } else {
                    let gone = [some, dot(0, 1)]
                    set.subtract(gone)
                    plain.subtract(gone)
                }
                if Array(set) != plain.sorted() { broken = "\(Array(set)) for \(plain.sorted())" }
                if set != DotSet(plain) || set != DotSet(Array(plain) + Array(plain)) {
                    broken = "not canonical: \(set)"
                }
            }
        }
        #expect(broken == nil, "seed \(seed)")
    }

    @Test("joining keeps news, and drops what the other side has seen and no longer has")
    func join() {
        var set = DotSet([dot(1, 1), dot(1, 2), dot(2, 1)])
        let here = CausalContext([dot(1, 1), dot(1, 2), dot(2, 1), dot(3, 1)])
        let there = CausalContext([dot(1, 1), dot(2, 1), dot(3, 1), dot(4, 1)])
        set.join(DotSet([dot(2, 1), dot(3, 1), dot(4, 1)]), context: here, otherContext: there)
        // 1:1 was removed there, 1:2 is not known there, 2:1 is in both, 3:1 was removed here, 4:1 is news.
        #expect(Array(set) == [dot(1, 2), dot(2, 1), dot(4, 1)])
    }
}
