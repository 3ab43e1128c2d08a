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
        "a string is escaped where JSON demands it, and where a terminal or a reader of lines would act upon it",
        arguments: [
            ("", #""""#), ("plain", #""plain""#), ("say \"hi\" \\ o/", #""say \"hi\" \\ o/""#),
            ("\n\r\t\u{8}\u{C}", #""\n\r\t\b\f""#), ("\0\u{1}\u{1F}\u{7F}", #""\u0000\u0001\u001f\u007f""#),
            ("é€😀</script>&", #""é€😀</script>&""#),
            ("\u{80}\u{9B}31m\u{9F} \u{A0}¿Â", "\"\\u0080\\u009b31m\\u009f \u{A0}¿Â\""),
            ("a\u{2027}b\u{2028}c\u{2029}d\u{202A}“”…", "\"a\u{2027}b\\u2028c\\u2029d\u{202A}“”…\""),
            (
                "only \u{7F} after eight bytes, and at the end\u{7F}",
                #""only \u007f after eight bytes, and at the end\u007f""#
            ),
            ("long enough for several words\nthen more", #""long enough for several words\nthen more""#),
        ])
    func strings(_ text: String, _ json: String) {
        #expect(written { $0.appendJSONString(Text(text)) } == json)
    }

    @Test("what is written is read back")
    func roundTrip() {
        var random = SplitMix64(seed: 11)
        let scalars = Array(
            "ab\"\\\n\u{1}\u{1F}\u{7F}\u{80}\u{9F}\u{A0}~ éÂâ€”😀\u{2028}\u{2029}\u{FFFF}".unicodeScalars)
        let forbidden: Set<Unicode.Scalar> = [
            "\n", "\u{1}", "\u{1F}", "\u{7F}", "\u{80}", "\u{9F}", "\u{2028}", "\u{2029}",
        ]
        var wrong: [String] = []
        for _ in 0..<4000 {
            var text = ""
            for _ in 0..<Int.random(in: 0..<40, using: &random) {
                text.unicodeScalars.append(scalars.randomElement(using: &random) ?? "a")
            }
            let json = written { $0.appendJSONString(Text(text)) }
            let read = scanned(json) { (json) throws(JSONError) in try json.string().text() }
            if read != .success(Text(text)) || json.unicodeScalars.contains(where: forbidden.contains) {
                wrong.append(text)
            }
        }
        #expect(wrong == [], "seed 11")
    }

    @Test("bytes that are no text are written without a look past their end")
    func noText() {
        for bytes in [[0xC2], [0xE2], [0xE2, 0x80], [0xFF, 0x7E, 0x7F], Array(repeating: 0xC2, count: 9)] as [[UInt8]] {
            let json = written { out in bytes.withUnsafeBytes { out.appendJSONString($0) } }
            #expect(json.hasPrefix("\"") && json.hasSuffix("\""))
        }
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
