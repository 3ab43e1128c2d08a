import ConvergeTestSupport
import ConvergeCRDT
import ConvergeWire
import Testing

@Suite struct PositionTextTests {
    private func position(_ timestamp: UInt64, _ replica: UInt64, _ seq: UInt64) -> Position {
        Position(
            timestamp: HybridTimestamp(rawValue: timestamp), dot: Dot(replica: ReplicaID(rawValue: replica), seq: seq))
    }

    @Test("golden texts")
    func golden() {
        #expect(position(0x018F_3C5A_1B2C_0000, 0xDEAD_BEEF, 1000).text == "018f3c5a1b2c000000000000deadbeef23e8")
        #expect(position(0, 0, 0).text == "0000000000000000000000000000000000")
        #expect(position(0, 0, 1).text == "0000000000000000000000000000000001")
        #expect(position(1, 2, 16).text == "00000000000000010000000000000002110")
        #expect(position(.max, .max, .max).text == Text(String(repeating: "f", count: 49)))
    }

    /// Positions near one another and at the ends of the numbers.
    private func samples() -> [Position] {
        var random = SplitMix64(seed: 5)
        let edges: [UInt64] = [0, 1, 9, 10, 15, 16, 17, 255, 256, 4095, 4096, 1 << 32, .max - 1, .max]
        func number() -> UInt64 {
            if Bool.random(using: &random) { return edges.randomElement(using: &random) ?? 0 }
            return random.next() >> UInt64.random(in: 0..<64, using: &random)
        }
        return edges.map { position(7, 7, $0) } + (0..<300).map { _ in position(number(), number(), number()) }
    }

    @Test("the order of texts is the order of positions, and each text is read back")
    func orderAndRoundTrip() {
        let positions = samples()
        var wrong: [String] = []
        for a in positions {
            if Position(a.text) != a { wrong.append("\(a.text) not read back") }
            for b in positions where (a < b) != (a.text < b.text) { wrong.append("\(a.text) against \(b.text)") }
        }
        #expect(wrong == [], "seed 5")
    }

    @Test(
        "only what a position is written as is read",
        arguments: [
            "", "0", "018f3c5a1b2c000000000000deadbeef2", "018f3c5a1b2c000000000000deadbeef23e",
            "018f3c5a1b2c000000000000deadbeef23e80", "018f3c5a1b2c000000000000deadbeef33e8",
            "018f3c5a1b2c000000000000deadbeef303e8", "018f3c5a1b2c000000000000deadbeef23E8",
            "018F3c5a1b2c000000000000deadbeef23e8", "018f3c5a1b2c000000000000deadbeeg23e8",
            "018f3c5a1b2c000000000000deadbeefg3e8", " 18f3c5a1b2c000000000000deadbeef23e8",
            "018f3c5a1b2c000000000000deadbeef100", "+18f3c5a1b2c000000000000deadbeef23e8",
        ])
    func strict(_ text: String) {
        #expect(Position(Text(text)) == nil)
    }
}
