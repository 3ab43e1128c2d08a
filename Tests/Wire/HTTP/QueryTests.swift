import ConvergeTestSupport
import ConvergeWire
import Testing

@Suite("Query and percent-encoding") struct QueryTests {
    static func request(_ query: String) throws -> Request {
        try #require(RequestParserTests.request("GET /ws\(query) HTTP/1.1\r\nHost: a\r\n\r\n"))
    }

    @Test(
        "parameters are found and decoded",
        arguments: [
            ("", nil), ("?", nil), ("?room=dev", "dev"), ("?a=b&room=dev&room=other", "dev"), ("?room", ""),
            ("?room=", ""),
            ("?roo=x&rooms=y", nil), ("?room=a+b%20c%2Bd", "a b c+d"), ("?room=%e6%97%a5%E6%9C%AC", "日本"),
            ("?room=a=b", "a=b"),
            ("?r%6Fom=x", "x"), ("?%zz=1&room=x", "x"), ("?other=%zz&room=x", "x"), ("?room=日本", "日本"),
            ("?&&room=x&", "x"),
            ("?room=a?b/c", "a?b/c"), ("?room=%00", "\u{0}"),
        ] as [(String, Text?)])
    func parameters(_ query: String, _ value: Text?) throws {
        #expect(try Self.request(query).query("room") == value)
    }

    @Test(
        "what can't be decoded is said to be so",
        arguments: [
            ("?room=%", .invalidEscape), ("?room=%4", .invalidEscape), ("?room=%G0", .invalidEscape),
            ("?room=%4&a=b", .invalidEscape),
            ("?room=%+1", .invalidEscape), ("?room=%FF", .invalidUTF8), ("?room=%ED%A0%80", .invalidUTF8),
            ("?room=a%C3", .invalidUTF8),
        ] as [(String, PercentDecodingError)])
    func malformed(_ query: String, _ error: PercentDecodingError) throws {
        let request = try Self.request(query)
        #expect(throws: error) { try request.query("room") }
        #expect(try request.query("token") == nil)
    }

    @Test("bytes that are not UTF-8, sent as they are, are refused in the value alone")
    func rawBytes() throws {
        var parser = RequestParser()
        let head = Array("GET /ws?room=".utf8) + [0xFF] + Array(" HTTP/1.1\r\nHost: a\r\n\r\n".utf8)
        guard case .request(let request) = head.withUnsafeBytes({ parser.receive($0) }).step else {
            Issue.record("no request")
            return
        }
        #expect(throws: PercentDecodingError.invalidUTF8) { try request.query("room") }
    }

    @Test("what is encoded is decoded to the same, and only unreserved characters stand bare")
    func roundTrip() throws {
        var random = SplitMix64(seed: 3986)
        for _ in 0..<200 {
            let text = Text(decoding: random.text(Int.random(in: 0..<20, using: &random)))
            var buffer = ByteBuffer()
            PercentEncoding.append(text, to: &buffer)
            let encoded = buffer.array()
            let decoded = try encoded.withUnsafeBytes { try PercentEncoding.decode($0) }
            #expect(decoded == text)
        }
        var buffer = ByteBuffer()
        PercentEncoding.append("az AZ09-._~!*'()&=+/?#[]@%é{\"n\":1}", to: &buffer)
        #expect(
            String(decoding: buffer.array(), as: UTF8.self)
                == "az%20AZ09-._~%21%2A%27%28%29%26%3D%2B%2F%3F%23%5B%5D%40%25%C3%A9%7B%22n%22%3A1%7D")
    }
}
