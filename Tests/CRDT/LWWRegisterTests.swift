import ConvergeTestSupport
import ConvergeCRDT
import Testing

@Suite struct LWWRegisterTests {
    private let a = ReplicaID(rawValue: 1)
    private let b = ReplicaID(rawValue: 2)

    private func stamp(_ milliseconds: UInt64, _ replica: ReplicaID) -> LWWStamp {
        LWWStamp(timestamp: HybridTimestamp(milliseconds: milliseconds), replica: replica)
    }

    @Test("the later write stands, and of two at one moment that of the greater replica")
    func later() {
        var register = LWWRegister<String>()
        #expect(register.value == nil && register.stamp == nil)
        register.set("first", stamp: stamp(10, b))
        register.set("older", stamp: stamp(9, b))
        #expect(register.value == "first")
        register.set("lesser replica", stamp: stamp(10, a))
        #expect(register.value == "first")
        register.set("later", stamp: stamp(11, a))
        #expect(register.value == "later")
    }

    @Test("clearing is a write: an older value that comes later stays away")
    func clearing() {
        var register = LWWRegister("value", stamp: stamp(10, a))
        register.set(nil, stamp: stamp(20, a))
        register.set("late", stamp: stamp(15, b))
        #expect(register.value == nil)
        #expect(register.stamp == stamp(20, a))
    }

    @Test("a write that is too old here is a delta all the same")
    func outdated() {
        var register = LWWRegister("value", stamp: stamp(10, a))
        var other = LWWRegister<String>()
        other.merge(register.set("old", stamp: stamp(5, b)))
        #expect(register.value == "value")
        #expect(other.value == "old")
        #expect(register.yields(to: stamp(11, a)) && !register.yields(to: stamp(10, a)))
    }

    @Test("merges commutatively, associatively, idempotently; deltas equal states", arguments: [UInt64(13), 14])
    func laws(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let samples = (0..<100).map { _ -> LWWRegister<UInt64> in
            if random.chance(5) { return LWWRegister() }
            // No two writes have one stamp, so the value follows from it.
            let (moment, replica) = (UInt64(1 + random.below(8)), random.chance(50) ? a : b)
            let value = moment * 10 + replica.rawValue
            return LWWRegister(value % 3 == 0 ? nil : value, stamp: stamp(moment, replica))
        }
        #expect(brokenMergeLaw(of: samples, triples: 2_000, using: &random) == nil, "seed \(seed)")
        #expect(brokenDeltaLaw(of: samples, deltas: samples, triples: 2_000, using: &random) == nil, "seed \(seed)")
    }
}
