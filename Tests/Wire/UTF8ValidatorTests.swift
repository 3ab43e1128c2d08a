import ConvergeTestSupport
import ConvergeWire
import Testing

@Suite("UTF8Validator") struct UTF8ValidatorTests {
    static func isValid(_ bytes: [UInt8]) -> Bool { bytes.withUnsafeBytes(UTF8Validator.isValid) }

    static func oracle(_ bytes: [UInt8]) -> Bool { String(validating: bytes, as: UTF8.self) != nil }

    /// Whether some continuation makes the bytes valid.
    static func canBeMended(_ bytes: [UInt8]) -> Bool {
        let tails: [[UInt8]] = [[], [0x80], [0x80, 0x80], [0x80, 0x80, 0x80], [0xA0, 0x80], [0x90, 0x80, 0x80]]
        return tails.contains { oracle(bytes + $0) }
    }

    @Test(
        "well-formed text passes",
        arguments: [
            "", "48 65 6c 6c 6f", "CE BA E1 BD B9 CF 83 CE BC CE B5", "00", "7F", "C2 80", "DF BF", "E0 A0 80",
            "ED 9F BF", "EE 80 80", "EF BF BD", "EF BF BE", "EF BF BF", "F0 90 80 80", "F4 8F BF BF", "F0 9F 98 80",
        ])
    func wellFormed(_ digits: String) {
        #expect(Self.isValid(hex(digits)))
    }

    @Test(
        "ill-formed bytes are refused at the first that can't be mended",
        arguments: [
            ("80", 1), ("BF", 1), ("41 80", 2), ("C0", 1), ("C0 80", 1), ("C1 BF", 1), ("E0 80", 2), ("E0 9F BF", 2),
            ("E2 28 A1", 2), ("E2 82 28", 3), ("ED A0 80", 2), ("ED BF BF", 2), ("ED A0 80 ED B0 80", 2), ("F0 80", 2),
            ("F0 8F BF BF", 2), ("F0 28 8C BC", 2), ("F0 90 28 BC", 3), ("F0 90 8C 28", 4), ("F4 90", 2),
            ("F5 80 80 80", 1), ("F8 88 80 80 80", 1), ("FC 84 80 80 80 80", 1), ("FE", 1), ("FF", 1),
            ("CE BA E1 BD B9 CF 83 CE BC CE B5 F4 90 80 80 65", 13), ("C2 C2", 2), ("E1 80 E1", 3),
        ])
    func illFormed(_ digits: String, refusedAt: Int) {
        let bytes = hex(digits)
        var validator = UTF8Validator()
        let refused = bytes.indices.first { index in !bytes[index...index].withUnsafeBytes { validator.feed($0) } }
        #expect(refused.map { $0 + 1 } == refusedAt)
        // Also with room around it for the eight-byte path.
        let padding = [UInt8](repeating: 0x61, count: 24)
        #expect(!Self.isValid(bytes))
        #expect(!Self.isValid(padding + bytes + padding))
        #expect(!Self.isValid(bytes + padding))
    }

    @Test(
        "a truncated character is valid so far, and not complete", arguments: ["C3", "E2", "E2 82", "F0", "F0 9F 98"])
    func truncated(_ digits: String) {
        let padding = [UInt8](repeating: 0x61, count: 16)
        for bytes in [hex(digits), padding + hex(digits)] {
            var validator = UTF8Validator()
            #expect(bytes.withUnsafeBytes { validator.feed($0) })
            #expect(!validator.isComplete)
            #expect(!Self.isValid(bytes))
        }
    }

    @Test("after a refusal nothing is taken any more")
    func sticky() {
        var validator = UTF8Validator()
        #expect(![UInt8(0xFF)].withUnsafeBytes { validator.feed($0) })
        #expect(![UInt8(0x41)].withUnsafeBytes { validator.feed($0) })
        #expect(![UInt8]().withUnsafeBytes { validator.feed($0) })
        #expect(!validator.isComplete)
    }

    @Test("all sequences of two bytes are refused exactly when no continuation mends them")
    func allPairs() {
        var wrong: [[UInt8]] = []
        for first in UInt8(0)...255 {
            for second in UInt8(0)...255 {
                let pair = [first, second]
                var validator = UTF8Validator()
                let taken = pair.withUnsafeBytes { validator.feed($0) }
                if taken != Self.canBeMended(pair) { wrong.append(pair) }
                if (taken && validator.isComplete) != Self.oracle(pair) { wrong.append(pair) }
            }
        }
        #expect(wrong.isEmpty)
    }

    @Test("random bytes near the borders are judged as the standard library judges them, whole and in pieces")
    func agreesWithTheStandardLibrary() {
        let seed: UInt64 = 0x7F8
        var random = SplitMix64(seed: seed)
        let borders = hex("00 41 7F 80 8F 90 9F A0 BF C0 C1 C2 DF E0 E1 EC ED EE EF F0 F1 F3 F4 F5 FF")
        var wrong: [[UInt8]] = []
        var seen = (valid: 0, invalid: 0)
        for _ in 0..<6_000 {
            var bytes = random.text(Int.random(in: 0..<24, using: &random))
            for _ in 0..<Int.random(in: 0..<3, using: &random) {
                let byte = borders[Int.random(in: 0..<borders.count, using: &random)]
                if let at = bytes.indices.randomElement(using: &random), Bool.random(using: &random) {
                    bytes[at] = byte
                } else {
                    bytes.insert(byte, at: Int.random(in: 0...bytes.count, using: &random))
                }
            }
            let expected = Self.oracle(bytes)
            if expected { seen.valid += 1 } else { seen.invalid += 1 }
            var validator = UTF8Validator()
            let pieces = Cuts.random(bytes, &random)
            let inPieces = pieces.allSatisfy { $0.withUnsafeBytes { validator.feed($0) } } && validator.isComplete
            if Self.isValid(bytes) != expected || inPieces != expected { wrong.append(bytes) }
        }
        #expect(wrong.isEmpty, "seed \(seed)")
        #expect(seen.valid > 1_000 && seen.invalid > 1_000)
    }

    @Test("every scalar passes") func everyScalar() {
        var wrong: [UInt32] = []
        var bytes: [UInt8] = []
        for value in UInt32(0)...0x10FFFF {
            guard let scalar = Unicode.Scalar(value) else { continue }
            bytes.append(contentsOf: scalar.utf8)
            if value % 0x1000 == 0xFFF {
                if !Self.isValid(bytes) { wrong.append(value) }
                bytes.removeAll(keepingCapacity: true)
            }
        }
        #expect(wrong.isEmpty)
    }
}
