import ConvergeTestSupport
import ConvergeWire
import Testing

@Suite struct JSONWriterTests {
    private func written(_ write: (inout ByteBuffer) -> Void) -> String {
        var out = ByteBuffer()
        write(&out)
        return String(decoding: out.bytes, as: UTF8.self)
    }

    @Test(
        "a string is escaped as little as JSON allows",
        arguments: [
            ("", #""""#), ("plain", #""plain""#), ("say \"hi\" \\ o/", #""say \"hi\" \\ o/""#),
            ("\n\r\t\u{8}\u{C}", #""\n\r\t\b\f""#), ("\0\u{1}\u{1F}\u{7F}", "\"\\u0000\\u0001\\u001f\u{7F}\""),
            ("é€😀\u{2028}</script>&", "\"é€😀\u{2028}</script>&\""),
            ("long enough for several words\nthen more", #""long enough for several words\nthen more""#),
        ])
    func strings(_ text: String, _ json: String) {
        #expect(written { $0.appendJSONString(Text(text)) } == json)
    }

    @Test("what is written is read back")
    func roundTrip() {
        var random = SplitMix64(seed: 11)
        let scalars = Array("ab\"\\\n\u{1}\u{1F} é😀\u{2028}\u{FFFF}".unicodeScalars)
        var wrong: [String] = []
        for _ in 0..<2000 {
            var text = ""
            for _ in 0..<Int.random(in: 0..<40, using: &random) {
                text.unicodeScalars.append(scalars.randomElement(using: &random) ?? "a")
            }
            let json = written { $0.appendJSONString(Text(text)) }
            let read = scanned(json) { (json) throws(JSONError) in try json.string().text() }
            if read != .success(Text(text)) { wrong.append(text) }
        }
        #expect(wrong == [], "seed 11")
    }

    @Test("decimals have their digits and no others")
    func decimals() {
        var numbers: [UInt64] = [0, 1, 9, 10, 99, 100, .max, .max - 1, 1 << 53]
        var power: UInt64 = 1
        for _ in 0..<19 {
            power *= 10
            numbers += [power - 1, power, power + 1]
        }
        for number in numbers { #expect(written { $0.appendDecimal(number) } == String(number)) }
        for number in [0, -1, Int.min, Int.max, -1000] {
            #expect(written { $0.appendDecimal(number) } == String(number))
        }
    }

    @Test("a number has sixteen hexadecimal digits")
    func hexadecimal() {
        #expect(written { $0.appendHexadecimal(0) } == "0000000000000000")
        #expect(written { $0.appendHexadecimal(0x0123_4567_89AB_CDEF) } == "0123456789abcdef")
        #expect(written { $0.appendHexadecimal(0xFEDC_BA98_7654_3210) } == "fedcba9876543210")
        #expect(written { $0.appendHexadecimal(.max) } == "ffffffffffffffff")
    }
}
