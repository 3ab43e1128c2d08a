import Testing

@testable import ConvergeWire

@Suite struct TextTests {
    @Test("two spellings of one character are two texts")
    func bytewiseEquality() {
        let composed = Text("caf\u{E9}")
        let decomposed = Text("cafe\u{301}")
        #expect(composed.string == decomposed.string)
        #expect(composed != decomposed)
        #expect(Set([composed, decomposed]).count == 2)
    }

    @Test("equality and order are those of the bytes, whatever the lengths and wherever the difference")
    func orderOfBytes() {
        var state: UInt64 = 0x9E37_79B9_7F4A_7C15
        func next() -> UInt64 {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return state
        }
        var failure: String?
        for _ in 0..<20_000 where failure == nil {
            let length = Int(next() % 40)
            var a = (0..<length).map { _ in UInt8(97 + next() % 3) }
            var b = a
            if next() % 3 > 0, length > 0 { b[Int(next() % UInt64(length))] = UInt8(97 + next() % 3) }
            if next() % 4 == 0 { b.append(contentsOf: [97, 98].prefix(Int(next() % 3))) }
            if next() % 2 == 0 { swap(&a, &b) }
            let (x, y) = (Text(decoding: a), Text(decoding: b))
            if (x == y) != (a == b) || (x < y) != a.lexicographicallyPrecedes(b) { failure = "\(x) and \(y)" }
        }
        #expect(failure == nil)
    }
}
