import ConvergeWire
import Testing

@Suite("HTTP responses") struct HTTPResponseTests {
    static func encoded(_ response: HTTPResponse, keepAlive: Bool = true, isHead: Bool = false) -> String {
        var buffer = ByteBuffer()
        response.encode(into: &buffer, keepAlive: keepAlive, isHead: isHead)
        return String(decoding: buffer.array(), as: UTF8.self)
    }

    static func parse(_ pieces: [[UInt8]]) -> (ResponseParser.Step?, rest: [UInt8]) {
        var parser = ResponseParser()
        var last: ResponseParser.Step?
        for (index, piece) in pieces.enumerated() {
            let (consumed, step) = piece.withUnsafeBytes { parser.receive($0) }
            last = step
            if case .needMore = step { continue }
            return (step, Array(piece[consumed...]) + pieces[(index + 1)...].joined())
        }
        return (last, [])
    }

    @Test("a response is written") func written() {
        #expect(
            Self.encoded(HTTPResponse(.ok, text: "ok")) == """
                HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 2\r\n\
                Connection: keep-alive\r\n\r\nok
                """)
        #expect(
            Self.encoded(HTTPResponse(.ok, body: [0x61]), keepAlive: false, isHead: true)
                == "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\n")
        #expect(
            Self.encoded(HTTPResponse(.noContent)) == "HTTP/1.1 204 No Content\r\nConnection: keep-alive\r\n\r\n")
    }

    @Test("a header's value can't begin another line")
    func injection() {
        let response = HTTPResponse(.ok, headers: [HTTPHeader("X", "a\r\nSet-Cookie: b\0")])
        #expect(Self.encoded(response).contains("X: a  Set-Cookie: b \r\n"))
    }

    @Test("every refusal has an answer that a client's parser takes")
    func refusals() {
        let refusals: [(HTTPRefusal, Int, [HTTPHeader])] = [
            (.malformed(.bareLineFeed), 400, []), (.timedOut, 408, []), (.hasBody, 413, []), (.notFound, 404, []),
            (.methodNotAllowed(allow: "GET, HEAD"), 405, [HTTPHeader("Allow", "GET, HEAD")]),
            (.originNotAllowed, 403, []), (.malformedQuery, 400, []),
            (.upgradeRequired, 426, [HTTPHeader("Upgrade", "websocket")]), (.notAnUpgradeConnection, 400, []),
            (.malformedWebSocketKey, 400, []),
            (
                .unsupportedWebSocketVersion, 426,
                [HTTPHeader("Upgrade", "websocket"), HTTPHeader("Sec-WebSocket-Version", "13")]
            ),
            (.unavailable, 503, []),
        ]
        for (refusal, status, headers) in refusals {
            #expect(refusal.headers == headers)
            let bytes = Array(Self.encoded(refusal.response, keepAlive: !refusal.mustClose).utf8)
            guard case (.response(let head)?, let body) = Self.parse([bytes]) else {
                Issue.record("\(refusal) is not parsed")
                continue
            }
            #expect(head.status.rawValue == status)
            #expect(body == Array((refusal.reason + "\n").utf8))
            #expect(head.fields.first("content-length")?.string == "\(body.count)")
        }
    }

    @Test(
        "bad responses are refused, however they are cut",
        arguments: [
            ("HTTP/1.1 1O1 x\r\n", .malformedStartLine), ("HTTP/1.1 10\r\n", .malformedStartLine),
            ("HTTP/1.1 1011\r\n", .malformedStartLine), ("HTTP/1.1 099 x\r\n", .malformedStartLine),
            ("HTTP/1.1  101\r\n", .malformedStartLine), ("HTTP/2.0 200 OK\r\n", .unsupportedVersion),
            ("SSH-2.0-OpenSSH_9.2\r\n", .malformedStartLine), ("HTTP/1.1 101 x\nUpgrade: a\n\n", .bareLineFeed),
            ("HTTP/1.1 101 x\r\nA : b\r\n", .malformedFieldName), ("HTTP/1.1 101 x\r\n a: b\r\n", .foldedField),
            ("HTTP/1.1 101 " + String(repeating: "x", count: 16_384), .targetTooLong),
            ("HTTP/1.1 101 x\r\nA: " + String(repeating: "x", count: 16_384), .headTooLarge),
        ] as [(String, HTTPViolation)])
    func malformed(_ response: String, _ violation: HTTPViolation) {
        for pieces in [Cuts.whole(Array(response.utf8)), Cuts.single(Array(response.utf8))] {
            guard case (.malformed(let found)?, _) = Self.parse(pieces) else {
                Issue.record("taken: \(response.prefix(40))")
                continue
            }
            #expect(found == violation)
        }
    }

    @Test("a response without words is one") func noPhrase() {
        for line in ["HTTP/1.1 200\r\n\r\n", "HTTP/1.1 200 \r\n\r\n", "HTTP/1.0 200 OK\r\n\r\n"] {
            guard case (.response(let head)?, _) = Self.parse([Array(line.utf8)]) else {
                Issue.record("not taken: \(line)")
                continue
            }
            #expect(head.status == .ok)
        }
    }
}
