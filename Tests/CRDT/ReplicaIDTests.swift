import ConvergeTestSupport
import ConvergeCRDT
import Testing

@Suite struct ReplicaIDTests {
    @Test("is written as 16 lowercase hexadecimal digits")
    func text() {
        #expect(ReplicaID(rawValue: 0).description == "0000000000000000")
        #expect(ReplicaID(rawValue: 0xAB).description == "00000000000000ab")
        #expect(ReplicaID(rawValue: .max).description == "ffffffffffffffff")
    }

    @Test("reads what it writes, and text order is number order")
    func roundTrip() {
        var random = SplitMix64(seed: 1)
        let ids = (0..<200).map { _ in ReplicaID(rawValue: random.next() >> UInt64(random.below(64))) }
        #expect(ids.map { ReplicaID($0.description) } == ids)
        #expect(ids.sorted().map(\.description) == ids.map(\.description).sorted())
    }

    @Test("all zeros and all ones are nobody's")
    func nobody() {
        #expect(ReplicaID(assigned: 0) == nil && ReplicaID(assigned: .max) == nil)
        #expect(ReplicaID(assigned: 1)?.rawValue == 1 && ReplicaID(assigned: .max - 1)?.rawValue == .max - 1)
    }

    @Test(
        "reads nothing else",
        arguments: [
            "", "0", "000000000000000", "00000000000000000", "000000000000000g", "+000000000000001", "-000000000000001",
            " 00000000000000f", "0x00000000000001", "00000000000000é",
        ])
    func refused(_ text: String) {
        #expect(ReplicaID(text) == nil)
    }
}

@Suite struct DotTests {
    @Test("stands in order of replica, then of seq")
    func order() {
        let (one, two) = (ReplicaID(rawValue: 1), ReplicaID(rawValue: 2))
        let dots = [
            Dot(replica: one, seq: 1), Dot(replica: one, seq: 2), Dot(replica: two, seq: 1),
            Dot(replica: two, seq: .max),
        ]
        #expect(dots.reversed().sorted() == dots)
        #expect(!(dots[0] < dots[0]))
        #expect(dots[0].description == "0000000000000001:1")
    }
}
