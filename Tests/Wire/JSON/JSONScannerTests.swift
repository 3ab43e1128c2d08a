import ConvergeTestSupport
import ConvergeWire
import Testing

/// Reads the whole text as one value of any kind; nil where that works.
func refusal(_ text: String) -> JSONError? { refusal(Array(text.utf8)) }

func refusal(_ bytes: [UInt8]) -> JSONError? {
    bytes.withUnsafeBytes { bytes in
        var json = JSONScanner(bytes)
        do throws(JSONError) {
            try json.skipValue()
            try json.finish()
            return nil
        } catch {
            return error
        }
    }
}

/// What `read` makes of the whole text.
func scanned<R>(_ text: String, _ read: (inout JSONScanner) throws(JSONError) -> R) -> Result<R, JSONError> {
    var text = text
    return text.withUTF8 { utf8 in
        var json = JSONScanner(UnsafeRawBufferPointer(utf8))
        do throws(JSONError) {
            let value = try read(&json)
            try json.finish()
            return .success(value)
        } catch {
            return .failure(error)
        }
    }
}

@Suite struct JSONScannerTests {
    @Test(
        "text that RFC 8259 allows is read",
        arguments: [
            "null", " true\n", "\t[]\r", "{}", "[ ]", "{ }", "0", "-0", "10", "-1.5e+10", "1E5", "0.0", "1e-9", "\"\"",
            #""\"\\\/\b\f\n\r\t\u00e9\uD83D\uDE00""#, "[1,2,[3,{\"a\":[]}]]", "{\"a\":1,\"a\":2}",
            "\"\u{7F}\u{2028}é😀\"",
            "[null , false,\"x\" ]", "{\"\":{}}", "1e999", "123456789012345678901234567890",
        ])
    func allowed(_ text: String) {
        #expect(refusal(text) == nil)
    }

    @Test(
        "text that RFC 8259 does not allow is refused for what is wrong with it",
        arguments: [
            ("", .unexpectedEnd), ("  ", .unexpectedEnd), ("{", .unexpectedEnd), ("[1", .unexpectedEnd),
            ("[1,", .unexpectedEnd), ("{\"a\"", .unexpectedEnd), ("{\"a\":", .unexpectedEnd), ("\"abc", .unexpectedEnd),
            ("\"abc\\", .unexpectedEnd), ("tru", .unexpectedEnd), ("-", .unexpectedEnd),
            ("[1,]", .unexpectedByte), ("{\"a\":1,}", .wrongType), ("{,}", .wrongType), ("[,1]", .unexpectedByte),
            ("{a:1}", .wrongType), ("{'a':1}", .wrongType), ("{\"a\" 1}", .unexpectedByte),
            ("{\"a\":1 \"b\":2}", .unexpectedByte), ("[1 2]", .unexpectedByte), ("[1}", .unexpectedByte),
            ("{\"a\":1]", .unexpectedByte), ("truE", .unexpectedByte), ("nul1", .unexpectedByte),
            ("True", .unexpectedByte), ("NaN", .unexpectedByte), ("Infinity", .unexpectedByte), ("+1", .unexpectedByte),
            (".5", .unexpectedByte), ("// c\n1", .unexpectedByte), ("\u{FEFF}1", .unexpectedByte),
            ("\u{A0}1", .unexpectedByte), ("1 2", .trailingBytes), ("{}x", .trailingBytes), ("null\0", .trailingBytes),
            ("nullx", .trailingBytes), ("1x", .trailingBytes), ("0x10", .trailingBytes),
            ("01", .invalidNumber), ("-01", .invalidNumber), ("1.", .invalidNumber), ("1.e5", .invalidNumber),
            ("1e", .invalidNumber), ("1e+", .invalidNumber), ("-a", .invalidNumber), ("--1", .invalidNumber),
            ("\"\n\"", .controlCharacter), ("\"\t\"", .controlCharacter), ("\"\0\"", .controlCharacter),
            ("\"12345678\u{1F}\"", .controlCharacter),
            (#""\x""#, .invalidEscape), (#""\u12g4""#, .invalidEscape), (#""\u12""#, .invalidEscape),
            (#""\U0041""#, .invalidEscape), (#""\u+123""#, .invalidEscape), (#""\'""#, .invalidEscape),
            (#""\uD800""#, .loneSurrogate), (#""\uDC00""#, .loneSurrogate), (#""\uD800\u0041""#, .loneSurrogate),
            (#""\uD800x12345""#, .loneSurrogate), (#""\uDBFF\uD800""#, .loneSurrogate),
            (#""\uDE00\uD83D""#, .loneSurrogate),
        ] as [(String, JSONError)])
    func refused(_ text: String, _ error: JSONError) {
        #expect(refusal(text) == error)
    }

    @Test("thirty-two objects and arrays may stand inside one another, not thirty-three")
    func depth() {
        func nested(_ depth: Int) -> String {
            String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        }
        func objects(_ depth: Int) -> String {
            String(repeating: "{\"a\":", count: depth) + "1" + String(repeating: "}", count: depth)
        }
        #expect(refusal(nested(32)) == nil)
        #expect(refusal(nested(33)) == .tooDeep)
        #expect(refusal(objects(32)) == nil)
        #expect(refusal(objects(33)) == .tooDeep)
        #expect(refusal(String(repeating: "[", count: 100_000)) == .tooDeep)
        #expect(refusal("[" + nested(31) + "," + nested(31) + "]") == nil)
    }

    @Test("whole numbers are read to the ends of Int and no further")
    func integers() {
        func integer(_ text: String) -> Result<Int, JSONError> {
            scanned(text) { (json) throws(JSONError) in try json.integer() }
        }
        #expect(integer("0") == .success(0))
        #expect(integer("-0") == .success(0))
        #expect(integer(" 42 ") == .success(42))
        #expect(integer("9223372036854775807") == .success(.max))
        #expect(integer("-9223372036854775808") == .success(.min))
        for text in [
            "9223372036854775808", "-9223372036854775809", "18446744073709551615", "18446744073709551616",
            "99999999999999999999999999",
        ] {
            #expect(integer(text) == .failure(.numberOutOfRange), "\(text)")
        }
        for text in ["1.0", "1e2", "\"1\"", "true", "null", "[1]"] {
            #expect(integer(text) == .failure(.wrongType), "\(text)")
        }
    }

    @Test("doubles are the nearest to what is written, and finite")
    func doubles() {
        func double(_ text: String) -> Result<Double, JSONError> {
            scanned(text) { (json) throws(JSONError) in try json.double() }
        }
        #expect(double("1700000000") == .success(1_700_000_000))
        #expect(double("-1.5") == .success(-1.5))
        #expect(double("1.7e9") == .success(1.7e9))
        #expect(double("9007199254740993") == .success(9_007_199_254_740_992))
        #expect(double("123456789012345678901234567890") == .success(1.2345678901234568e29))
        #expect(double("1e309") == .failure(.numberOutOfRange))
        #expect(double("-1e999999999999") == .failure(.numberOutOfRange))
        #expect(double("0." + String(repeating: "1", count: 200)) == .failure(.numberOutOfRange))
        #expect(double("\"1\"") == .failure(.wrongType))
    }

    @Test("escapes stand for the characters that the RFC says")
    func escapes() {
        func text(_ json: String) -> Result<String, JSONError> {
            scanned(json) { (json) throws(JSONError) in String(decoding: try json.string().bytes(), as: UTF8.self) }
        }
        #expect(text(#""plain""#) == .success("plain"))
        #expect(text(#""\"\\\/\b\f\n\r\t""#) == .success("\"\\/\u{8}\u{C}\n\r\t"))
        #expect(text(#""a\u0000b""#) == .success("a\0b"))
        #expect(text(#""\u00e9\u00E9\u20ac""#) == .success("éé€"))
        #expect(text(#""x\ud83d\ude00y""#) == .success("x😀y"))
        #expect(text(#""\uDBFF\uDFFF\uFFFF""#) == .success("\u{10FFFF}\u{FFFF}"))
        #expect(text(#""😀 raw \n and more text after it""#) == .success("😀 raw \n and more text after it"))
    }

    @Test("a quote, a backslash or a control character is found wherever in a word it stands")
    func plainRuns() {
        var wrong: [String] = []
        for length in 0..<40 {
            for place in 0...length {
                for (piece, value) in [("\\n", "\n"), ("\\\"", "\""), ("\\\\", "\\"), ("é", "é"), ("\u{80}", "\u{80}")]
                {
                    let head = String(repeating: "x", count: place)
                    let tail = String(repeating: "y", count: length - place)
                    let read = scanned("\"\(head)\(piece)\(tail)\"") { (json) throws(JSONError) in
                        String(decoding: try json.string().bytes(), as: UTF8.self)
                    }
                    if read != .success(head + value + tail) { wrong.append(head + piece + tail) }
                }
                var bad = Array("\"\(String(repeating: "z", count: length))\"".utf8)
                bad.insert(0x1F, at: 1 + place)
                if refusal(bad) != .controlCharacter { wrong.append("control at \(place) of \(length)") }
            }
        }
        #expect(wrong == [])
    }

    @Test("no cut of a text is read as the whole, and none reads outside it")
    func cuts() {
        let whole = Array(
            #"{"type":"message","n":-12.5e3,"l":[true,false,null,"\ud83d\ude00é"],"o":{"k":{}}}"#.utf8)
        #expect(refusal(whole) == nil)
        let survivors = (0..<whole.count).filter { refusal(Array(whole[..<$0])) == nil }
        #expect(survivors == [])
    }

    @Test("random bytes end in a value or an error")
    func randomBytes() {
        var random = SplitMix64(seed: 7)
        let alphabet = Array("{}[]\",:\\u0dD8eE+-.123tfnrl \n\u{1}é".utf8)
        for _ in 0..<20_000 {
            let length = Int.random(in: 0..<24, using: &random)
            _ = refusal((0..<length).map { _ in alphabet.randomElement(using: &random) ?? 0 })
        }
    }
}
