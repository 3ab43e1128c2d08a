import ConvergeTestSupport
import ConvergeWire
import Testing

@Suite("RequestParser") struct RequestParserTests {
    /// What came of a connection's bytes: requests, or how it ended, and what was left untouched.
    struct Outcome: Equatable {
        var requests: [[String]] = []
        var refusal: HTTPRefusal?
        var rest: [UInt8] = []
    }

    /// Feeds the pieces, as many requests as come, up to `limit`.
    static func parse(_ pieces: [[UInt8]], limit: Int = .max) -> Outcome {
        var parser = RequestParser()
        var outcome = Outcome()
        for piece in pieces {
            var piece = piece
            while !piece.isEmpty, outcome.requests.count < limit, outcome.refusal == nil {
                let (consumed, step) = piece.withUnsafeBytes { parser.receive($0) }
                piece.removeFirst(consumed)
                switch step {
                case .needMore: precondition(piece.isEmpty, "needMore before the end of the input")
                case .request(let request): outcome.requests.append(summary(request))
                case .refused(let refusal): outcome.refusal = refusal
                }
            }
            if outcome.refusal == nil { outcome.rest += piece }
        }
        return outcome
    }

    static func summary(_ request: Request) -> [String] {
        [
            request.methodName.string, request.target.string, request.path.string, "\(request.minorVersion)",
            "\(request.fields.count)", request.fields.first("host")?.string ?? "", "\(request.keepAlive)",
            "\(request.contentLength ?? -1)", "\(request.hasTransferEncoding)",
        ]
    }

    static func request(_ head: String) -> Request? {
        var parser = RequestParser()
        guard case .request(let request) = Array(head.utf8).withUnsafeBytes({ parser.receive($0) }).step else {
            return nil
        }
        return request
    }

    static let plain = "GET /ws?room=dev HTTP/1.1\r\nHost: chat.example:8080\r\n"

    // MARK: What is taken

    @Test("a request's parts are read")
    func parts() throws {
        let request = try #require(
            Self.request(Self.plain + "X-A: 1\r\nx-a:\t two, three \t\r\nEmpty:\r\nX-U: \u{E9}\r\n\r\n"))
        #expect(request.method == .get)
        #expect(request.methodName == "GET")
        #expect(request.target == "/ws?room=dev")
        #expect(request.path == "/ws")
        #expect(request.hasPath("/ws"))
        #expect(!request.hasPath("/w") && !request.hasPath("/wss"))
        #expect(request.minorVersion == 1)
        #expect(request.fields.first("host") == "chat.example:8080")
        #expect(request.fields.first("x-a") == "1")
        #expect(request.fields.all("x-a") == ["1", "two, three"])
        #expect(request.fields.count(of: "x-a") == 2)
        #expect(request.fields.first("empty") == "")
        #expect(request.fields.first("x-u") == "é")
        #expect(request.fields.first("x-b") == nil)
        #expect(request.fields.list("x-a", contains: "three"))
        #expect(request.fields.list("x-a", contains: "1"))
        #expect(request.fields.first("X-A") == "1" && request.fields.list("X-A", contains: "Two"))
        #expect(!request.fields.list("x-a", contains: "thre"))
        #expect(request.keepAlive && !request.hasBody)
    }

    @Test(
        "whether the connection may go on is read from version and Connection",
        arguments: [
            ("1.1", "", true), ("1.1", "Connection: close\r\n", false), ("1.1", "Connection: x, Close\r\n", false),
            ("1.0", "", false), ("1.0", "Connection: Keep-Alive\r\n", true),
            ("1.0", "Connection: keep-alive\r\nConnection: close\r\n", false), ("1.9", "", true),
        ])
    func keepAlive(_ version: String, _ field: String, _ keepAlive: Bool) throws {
        let request = try #require(Self.request("GET / HTTP/\(version)\r\nHost: a\r\n\(field)\r\n"))
        #expect(request.keepAlive == keepAlive)
    }

    @Test(
        "targets have four forms",
        arguments: [
            ("GET", "/", "/"), ("GET", "/a/b?c?d", "/a/b"), ("GET", "/?", "/"), ("OPTIONS", "*", "*"),
            ("CONNECT", "a:443", "a:443"), ("GET", "http://a.b:80/ws?x=y", "/ws"), ("GET", "HTTPS://a/ws", "/ws"),
            ("GET", "http://a", ""), ("M-SEARCH", "/", "/"), ("GET", "/ws?room=é", "/ws"),
        ])
    func targets(_ method: String, _ target: String, _ path: Text) throws {
        let request = try #require(Self.request("\(method) \(target) HTTP/1.1\r\nHost: a\r\n\r\n"))
        #expect(request.path == path)
        #expect(request.target == Text(target))
        #expect(request.methodName == Text(method))
    }

    @Test("bodies are announced, not read")
    func bodies() throws {
        let length = try #require(Self.request("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"))
        #expect(length.contentLength == 5 && length.hasBody && !length.hasTransferEncoding)
        let none = try #require(Self.request("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"))
        #expect(none.contentLength == 0 && !none.hasBody)
        let same = try #require(
            Self.request("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\ncontent-length: 5\r\n\r\n"))
        #expect(same.contentLength == 5)
        let chunked = try #require(Self.request("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"))
        #expect(chunked.hasTransferEncoding && chunked.hasBody && chunked.contentLength == nil)
    }

    @Test("what follows the head is left untouched")
    func leavesTheRest() {
        let head = Array((Self.plain + "\r\n").utf8)
        let frames: [UInt8] = [0x81, 0x85, 0x0D, 0x0A, 0x00, 0x0A]
        for pieces in [Cuts.whole(head + frames), Cuts.single(head + frames), [head, frames]] {
            let outcome = Self.parse(pieces, limit: 1)
            #expect(outcome.requests.count == 1)
            #expect(outcome.rest == frames)
        }
    }

    @Test("requests follow one another, each with an empty line before it at most")
    func pipelined() {
        let bytes = Array(
            ("\r\n" + Self.plain + "\r\n" + Self.plain + "A: b\r\n\r\n" + "\r\n" + Self.plain + "\r\n").utf8)
        let whole = Self.parse(Cuts.whole(bytes))
        #expect(whole.requests.count == 3)
        #expect(whole.requests.map { $0[4] } == ["1", "2", "1"])
        #expect(Self.parse(Cuts.single(bytes)) == whole)
        #expect(Self.parse(Cuts.whole(Array("\r\n\r\n".utf8))).refusal == .malformed(.malformedStartLine))
    }

    @Test("a begun head is told from silence between requests")
    func idle() {
        var parser = RequestParser()
        var idle = [parser.isIdle]
        for byte in Array((Self.plain + "\r\n").utf8) {
            _ = [byte].withUnsafeBytes { parser.receive($0) }
            idle.append(parser.isIdle)
        }
        #expect(idle.first == true && idle.last == true)
        #expect(idle.dropFirst().dropLast().allSatisfy { !$0 })
        _ = [UInt8(0)].withUnsafeBytes { parser.receive($0) }
        #expect(!parser.isIdle)
    }

    // MARK: What is refused

    static let bad: [(String, HTTPViolation)] = [
        // The first line
        ("GET /\r\n", .malformedStartLine),
        ("GET\r\n", .malformedStartLine),
        ("GET / \r\n", .malformedStartLine),
        (" GET / HTTP/1.1\r\n", .malformedStartLine),
        ("GET / http/1.1\r\n", .malformedStartLine),
        ("GET / HTTP/1.1 \r\n", .malformedStartLine),
        ("GET / HTTP/11\r\n", .malformedStartLine),
        ("GET / HTTP/1.10\r\n", .malformedStartLine),
        ("G(T / HTTP/1.1\r\n", .malformedStartLine),
        ("GET\t/ HTTP/1.1\r\n", .malformedStartLine),
        ("GET /\tHTTP/1.1\r\n", .malformedStartLine),
        ("GÉT / HTTP/1.1\r\n", .malformedStartLine),
        ("hello\r\n", .malformedStartLine),
        ("\r\n\r\n", .malformedStartLine),
        ("GET  / HTTP/1.1\r\n", .malformedTarget),
        ("GET /a b HTTP/1.1\r\n", .malformedTarget),
        ("GET /a\tb HTTP/1.1\r\n", .malformedTarget),
        ("GET /a#b HTTP/1.1\r\n", .malformedTarget),
        ("GET ws HTTP/1.1\r\n", .malformedTarget),
        ("GET * HTTP/1.1\r\n", .malformedTarget),
        ("GET ?a=b HTTP/1.1\r\n", .malformedTarget),
        ("GET http:///a HTTP/1.1\r\n", .malformedTarget),
        ("GET ftp://a/b HTTP/1.1\r\n", .malformedTarget),
        ("GET / HTTP/2.0\r\n", .unsupportedVersion),
        ("GET / HTTP/0.9\r\n", .unsupportedVersion),
        ("PRI * HTTP/2.0\r\n", .unsupportedVersion),
        // Lines
        ("GET / HTTP/1.1\nHost: a\n\n", .bareLineFeed),
        (plain + "A: b\n", .bareLineFeed),
        (plain + "\n", .bareLineFeed),
        (plain + "A: b\rC: d\r\n", .bareCarriageReturn),
        (plain + "A: b\r\r\n", .bareCarriageReturn),
        ("\rGET / HTTP/1.1\r\n", .bareCarriageReturn),
        (plain + "A: b\0c\r\n", .controlCharacter),
        (plain + "A: b\u{7F}\r\n", .controlCharacter),
        (plain + "A: b\u{1}\r\n", .controlCharacter),
        (plain + "A\u{B}: b\r\n", .controlCharacter),
        ("GET /\0 HTTP/1.1\r\n", .controlCharacter),
        ("\u{16}\u{3}\u{1}", .controlCharacter),
        (plain + " folded: a\r\n", .foldedField),
        (plain + "A: b\r\n\tc\r\n", .foldedField),
        (plain + "A : b\r\n", .malformedFieldName),
        (plain + "A\t: b\r\n", .malformedFieldName),
        (plain + ": b\r\n", .malformedFieldName),
        (plain + "A B: c\r\n", .malformedFieldName),
        (plain + "A\r\n", .malformedFieldName),
        (plain + "A(: b\r\n", .malformedFieldName),
        (plain + "É: b\r\n", .malformedFieldName),
        // Host
        ("GET / HTTP/1.1\r\n\r\n", .missingHost),
        ("GET / HTTP/1.1\r\nHosts: a\r\n\r\n", .missingHost),
        (plain + "Host: b\r\n\r\n", .repeatedHost),
        (plain + "host: chat.example:8080\r\n\r\n", .repeatedHost),
        ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", .malformedHost),
        ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", .malformedHost),
        ("GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", .malformedHost),
        // Two meanings of where the request ends
        (plain + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", .contentLengthWithTransferEncoding),
        (plain + "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n", .contentLengthWithTransferEncoding),
        (plain + "transfer-encoding: x\r\nCONTENT-LENGTH: 5\r\n\r\n", .contentLengthWithTransferEncoding),
        (plain + "Content-Length: 5\r\nContent-Length: 6\r\n\r\n", .conflictingContentLength),
        (plain + "Content-Length: 5, 5\r\n\r\n", .malformedContentLength),
        (plain + "Content-Length: +5\r\n\r\n", .malformedContentLength),
        (plain + "Content-Length: -1\r\n\r\n", .malformedContentLength),
        (plain + "Content-Length: 0x5\r\n\r\n", .malformedContentLength),
        (plain + "Content-Length: 5 5\r\n\r\n", .malformedContentLength),
        (plain + "Content-Length:\r\n\r\n", .malformedContentLength),
        (plain + "Content-Length: 99999999999999999999\r\n\r\n", .malformedContentLength),
        (plain + "Content-Length : 5\r\n\r\n", .malformedFieldName),
        (plain + "Transfer-Encoding : chunked\r\n\r\n", .malformedFieldName),
        (plain + "Transfer-Encoding:\u{B}chunked\r\n\r\n", .controlCharacter),
        (plain + "X: y\nTransfer-Encoding: chunked\r\n\r\n", .bareLineFeed),
        ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", .transferEncodingInHTTP10),
        (plain + "Transfer-Encoding: gzip\r\n\r\n", .unknownTransferCoding),
        (plain + "Transfer-Encoding: identity\r\n\r\n", .unknownTransferCoding),
        (plain + "Transfer-Encoding: gzip, chunked\r\n\r\n", .unknownTransferCoding),
        (plain + "Transfer-Encoding: chunked, chunked\r\n\r\n", .unknownTransferCoding),
        (plain + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", .unknownTransferCoding),
        (plain + "Transfer-Encoding: chunked;q=1\r\n\r\n", .unknownTransferCoding),
        (plain + "Transfer-Encoding:\r\n\r\n", .unknownTransferCoding),
        (plain + "Transfer-Encoding: gzip\r\nContent-Length: 0\r\n\r\n", .contentLengthWithTransferEncoding),
        // Limits
        ("GET /" + String(repeating: "a", count: 16_384), .targetTooLong),
        (plain + "A: " + String(repeating: "b", count: 16_384), .headTooLarge),
        (plain + String(repeating: "A: b\r\n", count: 100), .tooManyFields),
    ]

    @Test("bad heads are refused, as soon as they can be, however they are cut", arguments: bad.indices)
    func refused(_ index: Int) {
        let (head, violation) = Self.bad[index]
        let bytes = Array(head.utf8)
        let expected = Outcome(refusal: .malformed(violation))
        #expect(Self.parse(Cuts.whole(bytes)) == expected)
        #expect(Self.parse(Cuts.single(bytes)) == expected)
        #expect(Self.parse([bytes + Array("\r\n\r\nGET / HTTP/1.1\r\n".utf8)]) == expected)
        #expect(Self.parse([bytes, Array("GET / HTTP/1.1\r\nHost: a\r\n\r\n".utf8)]) == expected)
    }

    @Test("names and hosts are made of exactly the characters of their grammar")
    func grammar() {
        let alphanumeric = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
        let token = Set((alphanumeric + "!#$%&'*+-.^_`|~").utf8)
        let host = Set((alphanumeric + "-._~!$&'()*+,;=:[]%").utf8)
        var wrong: [UInt8] = []
        for byte in UInt8(0)...255 {
            func isTaken(_ before: String, _ after: String) -> Bool {
                Self.parse([Array(before.utf8) + [byte] + Array(after.utf8)]).requests.count == 1
            }
            if isTaken(Self.plain + "A", "B: c\r\n\r\n") != (token.contains(byte) || byte == UInt8(ascii: ":")) {
                wrong.append(byte)
            }
            if isTaken("GET / HTTP/1.1\r\nHost: a", "b\r\n\r\n") != host.contains(byte) { wrong.append(byte) }
            if isTaken("A", "B / HTTP/1.1\r\nHost: a\r\n\r\n") != token.contains(byte) { wrong.append(byte) }
        }
        #expect(wrong.isEmpty)
    }

    @Test("violations have their status") func statuses() {
        for violation in HTTPViolation.allCases {
            let expected =
                switch violation {
                case .unsupportedVersion: 505
                case .unknownTransferCoding: 501
                case .targetTooLong: 414
                case .headTooLarge, .tooManyFields: 431
                default: 400
                }
            #expect(violation.status.rawValue == expected)
            #expect(HTTPRefusal.malformed(violation).mustClose)
        }
    }

    @Test("a head of exactly 16 KiB and 100 fields is taken, a byte or a field more is not")
    func limits() {
        let rest = 16_384 - Self.plain.utf8.count - "A: \r\n\r\n".utf8.count
        let exact = Array((Self.plain + "A: " + String(repeating: "b", count: rest) + "\r\n\r\n").utf8)
        #expect(exact.count == 16_384)
        let more = Array((Self.plain + "A: " + String(repeating: "b", count: rest + 1) + "\r\n\r\n").utf8)
        for cut in [Cuts.whole, Cuts.single] {
            #expect(Self.parse(cut(exact)).requests.count == 1)
            #expect(Self.parse(cut(exact + [0x81, 0x80])).requests.count == 1)
            #expect(Self.parse(cut(more)).refusal == .malformed(.headTooLarge))
        }
        let hundred = Self.plain + String(repeating: "A: b\r\n", count: 99)
        #expect(Self.request(hundred + "\r\n")?.fields.count == 100)
        #expect(Self.parse([Array((hundred + "C: d\r\n\r\n").utf8)]).refusal == .malformed(.tooManyFields))
    }

    @Test("damaged heads give the same outcome, however they are cut")
    func damaged() {
        let good = Array(
            (Self.plain + "Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nContent-Length: 0\r\n\r\n").utf8)
        let strange = Array("\r\n\t :\0\u{7F}(#?%A1".utf8) + [0x80, 0xFF]
        var wrong: [UInt64] = []
        var outcomes = (taken: 0, refused: 0)
        for seed in UInt64(0)..<2_000 {
            var random = SplitMix64(seed: seed)
            var bytes = good + good
            for _ in 0..<Int.random(in: 1...2, using: &random) {
                let at = Int.random(in: 0..<bytes.count, using: &random)
                let byte = strange[Int.random(in: 0..<strange.count, using: &random)]
                switch UInt8.random(in: 0..<3, using: &random) {
                case 0: bytes[at] = byte
                case 1: bytes.insert(byte, at: at)
                default: bytes.remove(at: at)
                }
            }
            let whole = Self.parse(Cuts.whole(bytes))
            if whole.refusal == nil { outcomes.taken += 1 } else { outcomes.refused += 1 }
            if Self.parse(Cuts.random(bytes, &random)) != whole { wrong.append(seed) }
            if seed < 300, Self.parse(Cuts.single(bytes)) != whole { wrong.append(seed) }
        }
        #expect(wrong.isEmpty, "seeds")
        #expect(outcomes.taken > 200 && outcomes.refused > 200)
    }
}
