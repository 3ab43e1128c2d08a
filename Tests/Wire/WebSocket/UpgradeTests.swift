import ConvergeWire
import Testing

@Suite("WebSocket upgrade") struct UpgradeTests {
    static let key = "dGhlIHNhbXBsZSBub25jZQ=="
    static let accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

    static func check(_ head: String) -> Result<UpgradeRequest, HTTPRefusal>? {
        RequestParserTests.request(head).map { request in
            do throws(HTTPRefusal) { return .success(try UpgradeRequest(request)) } catch { return .failure(error) }
        }
    }

    /// The RFC's own request (section 1.3), with some of its fields replaced or, by an empty value, left out.
    static func head(_ first: String = "GET /chat HTTP/1.1", _ changes: [String: String] = [:], more: String = "")
        -> String
    {
        let fields = [
            ("Host", "server.example.com"), ("Upgrade", "websocket"), ("Connection", "Upgrade"),
            ("Sec-WebSocket-Key", key), ("Origin", "http://example.com"), ("Sec-WebSocket-Protocol", "chat, superchat"),
            ("Sec-WebSocket-Version", "13"),
        ]
        let lines = fields.map { ($0.0, changes[$0.0] ?? $0.1) }.filter { !$0.1.isEmpty }.map { "\($0.0): \($0.1)\r\n" }
        return first + "\r\n" + lines.joined() + more + "\r\n"
    }

    @Test(
        "good requests are taken",
        arguments: [
            [:], ["Upgrade": "WebSocket"], ["Upgrade": "foo/2, WEBSOCKET"], ["Connection": "keep-alive, Upgrade"],
            ["Connection": "upgrade"], ["Origin": ""], ["Sec-WebSocket-Protocol": ""],
        ])
    func good(_ changes: [String: String]) {
        #expect((try? Self.check(Self.head(changes: changes))?.get())?.key == Array(Self.key.utf8))
    }

    static func head(changes: [String: String]) -> String { head("GET /chat HTTP/1.1", changes) }

    @Test("bad requests are refused with their status")
    func bad() {
        let table: [(String, HTTPRefusal, Int)] = [
            (Self.head("POST /chat HTTP/1.1"), .methodNotAllowed(allow: "GET"), 405),
            (Self.head("HEAD /chat HTTP/1.1"), .methodNotAllowed(allow: "GET"), 405),
            (Self.head("GET /chat HTTP/1.0"), .upgradeRequired, 426),
            (Self.head(changes: ["Upgrade": ""]), .upgradeRequired, 426),
            (Self.head(changes: ["Upgrade": "h2c"]), .upgradeRequired, 426),
            (Self.head(changes: ["Upgrade": "websocket2"]), .upgradeRequired, 426),
            (Self.head(changes: ["Connection": ""]), .notAnUpgradeConnection, 400),
            (Self.head(changes: ["Connection": "keep-alive"]), .notAnUpgradeConnection, 400),
            (Self.head(changes: ["Sec-WebSocket-Key": ""]), .malformedWebSocketKey, 400),
            (Self.head(changes: ["Sec-WebSocket-Key": "abc"]), .malformedWebSocketKey, 400),
            (Self.head(changes: ["Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ="]), .malformedWebSocketKey, 400),
            (Self.head(changes: ["Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQQQ"]), .malformedWebSocketKey, 400),
            (Self.head(changes: ["Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQA="]), .malformedWebSocketKey, 400),
            (Self.head(changes: ["Sec-WebSocket-Key": "dGhl-HNhbXBsZSBub25jZQ=="]), .malformedWebSocketKey, 400),
            (Self.head(more: "Sec-WebSocket-Key: \(Self.key)\r\n"), .malformedWebSocketKey, 400),
            (Self.head(changes: ["Sec-WebSocket-Version": ""]), .unsupportedWebSocketVersion, 426),
            (Self.head(changes: ["Sec-WebSocket-Version": "8"]), .unsupportedWebSocketVersion, 426),
            (Self.head(changes: ["Sec-WebSocket-Version": "013"]), .unsupportedWebSocketVersion, 426),
            (Self.head(more: "Sec-WebSocket-Version: 13\r\n"), .unsupportedWebSocketVersion, 426),
            (Self.head(more: "Content-Length: 3\r\n"), .hasBody, 413),
            (Self.head(more: "Transfer-Encoding: chunked\r\n"), .hasBody, 413),
        ]
        for (head, refusal, status) in table {
            #expect(Self.check(head) == .failure(refusal))
            #expect(refusal.status.rawValue == status)
        }
    }

    @Test("what a client asks a server takes, and its answer the client")
    func coupled() throws {
        var asked = ByteBuffer()
        Array(Self.key.utf8).withUnsafeBytes {
            UpgradeRequest.append(
                host: "a:1", target: "/ws?room=b\r\nX: y", key: $0, headers: [HTTPHeader("Authorization", "Bearer t")],
                to: &asked)
        }
        let head = String(decoding: asked.array(), as: UTF8.self)
        let request = try #require(RequestParserTests.request(head))
        #expect(request.target == "/ws?room=bX:y")
        #expect(request.fields.first("authorization") == "Bearer t")
        #expect(try UpgradeRequest(request).key == Array(Self.key.utf8))

        var answered = ByteBuffer()
        Array(Self.accept.utf8).withUnsafeBytes { HTTPResponse.appendSwitchingProtocols(accept: $0, to: &answered) }
        guard
            case (.response(let response)?, let rest) = HTTPResponseTests.parse(
                Cuts.single(answered.array() + [0x81, 0]))
        else {
            Issue.record("no response")
            return
        }
        #expect(rest == [0x81, 0])
        #expect(Self.refusal(response, Self.accept) == nil)
        #expect(Self.refusal(response, Self.key) == .wrongAccept)
    }

    static func refusal(_ response: ResponseHead, _ accept: String) -> UpgradeRefusal? {
        do throws(UpgradeRefusal) {
            try Array(accept.utf8).span.withUnsafeBytes { bytes throws(UpgradeRefusal) in
                _ = try response.checkUpgrade(accept: bytes)
            }
            return nil
        } catch {
            return error
        }
    }

    @Test("answers that are no upgrade are told apart")
    func badAnswers() {
        let good = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: \(Self.accept)\r\n"
        let table: [(String, UpgradeRefusal?)] = [
            ("HTTP/1.1 101 x\r\n" + good, nil),
            ("HTTP/1.1 403 Forbidden\r\n" + good, .status(.forbidden)),
            ("HTTP/1.1 101 x\r\n", .missingUpgrade),
            ("HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n", .wrongAccept),
            ("HTTP/1.1 101 x\r\nSec-WebSocket-Accept: a\r\n" + good, .wrongAccept),
            ("HTTP/1.1 101 x\r\nSec-WebSocket-Extensions: permessage-deflate\r\n" + good, .unrequested),
            ("HTTP/1.1 101 x\r\nSec-WebSocket-Protocol: chat\r\n" + good, .unrequested),
        ]
        for (answer, expected) in table {
            guard case (.response(let response)?, _) = HTTPResponseTests.parse([Array((answer + "\r\n").utf8)]) else {
                Issue.record("not parsed: \(answer)")
                continue
            }
            #expect(Self.refusal(response, Self.accept) == expected)
        }
    }
}
