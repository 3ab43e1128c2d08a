import ConvergeWire
import Testing

@Suite struct TextReadingTests {
    @Test("the whitespace that Unicode names is taken off both ends, and no other character")
    func trimming() {
        var wrong: [UInt32] = []
        for value in (0...0xFFFF as ClosedRange<UInt32>) {
            guard let scalar = Unicode.Scalar(value) else { continue }
            let space = scalar.properties.isWhitespace
            let text = "\(scalar)\(scalar)a\(scalar)b\(scalar)"
            if Text(text).trimmed() != (space ? Text("a\(scalar)b") : Text(text)) { wrong.append(value) }
            if Text(String(scalar)).trimmed() != (space ? "" : Text(String(scalar))) { wrong.append(value) }
        }
        #expect(wrong == [])
        #expect(Text("").trimmed() == "")
        #expect(Text(" \u{3000}😀\u{85}\r\n").trimmed() == "😀")
    }

    @Test("only UTF-8 is text")
    func validation() {
        func text(_ bytes: [UInt8]) -> Text? { bytes.withUnsafeBytes { Text(validating: $0) } }
        #expect(text([]) == "")
        #expect(text(Array("é😀".utf8)) == "é😀")
        for bytes: [UInt8] in [[0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xE2, 0x82]] {
            #expect(text(bytes) == nil)
        }
    }
}
