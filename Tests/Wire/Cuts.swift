import ConvergeTestSupport

/// Bytes and texts for parsers' tests, and ways to cut a run of bytes into pieces.
extension SplitMix64 {
    mutating func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8.random(in: 0...255, using: &self) } }

    mutating func word() -> UInt32 { UInt32.random(in: 0 ... .max, using: &self) }

    /// Text of characters of every UTF-8 length, mostly ASCII or mostly not.
    mutating func text(_ characters: Int) -> [UInt8] {
        let pool: [[Unicode.Scalar]] = [
            ["a", "Z", " ", "~", "\u{0}", "\u{7F}"], ["é", "\u{80}", "\u{7FF}"],
            ["日", "\u{800}", "\u{D7FF}", "\u{E000}", "\u{FFFF}"], ["😀", "\u{10000}", "\u{10FFFF}"],
        ]
        let ascii = Bool.random(using: &self)
        var text = String.UnicodeScalarView()
        for _ in 0..<characters {
            let kind = ascii && UInt8.random(in: 0..<16, using: &self) > 0 ? 0 : Int.random(in: 0..<4, using: &self)
            text.append(pool[kind][Int.random(in: 0..<pool[kind].count, using: &self)])
        }
        return Array(String(text).utf8)
    }
}

enum Cuts {
    static func whole(_ bytes: [UInt8]) -> [[UInt8]] { [bytes] }

    static func single(_ bytes: [UInt8]) -> [[UInt8]] { bytes.map { [$0] } }

    /// Pieces of random length, some of them empty.
    static func random(_ bytes: [UInt8], _ random: inout SplitMix64) -> [[UInt8]] {
        var pieces: [[UInt8]] = []
        var at = 0
        let longest = Int.random(in: 1...max(1, bytes.count), using: &random)
        while at < bytes.count {
            let end = min(bytes.count, at + Int.random(in: 0...longest, using: &random))
            pieces.append(Array(bytes[at..<end]))
            at = end
        }
        return pieces
    }
}

/// The bytes written as hexadecimal digits, blanks between them ignored.
func hex(_ digits: String) -> [UInt8] {
    let nibbles = digits.compactMap { $0.hexDigitValue.map(UInt8.init) }
    return stride(from: 0, to: nibbles.count - 1, by: 2).map { nibbles[$0] << 4 | nibbles[$0 + 1] }
}
