// What malformed HTTP gets: the right status, and the end of the connection.

import ConvergeNode
import ConvergeStorage
import Testing

@Suite struct BadRequestTests {
    static let upgradeHead = "Host: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"

    /// What is sent, and the status it gets.
    static let table: [(String, String, Int)] = [
        (
            "both lengths",
            "POST /health HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400
        ),
        (
            "both lengths, upgrade",
            "GET /ws HTTP/1.1\r\n\(upgradeHead)Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400
        ),
        (
            "two different lengths",
            "GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n", 400
        ),
        ("a list of lengths", "GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: 3, 4\r\n\r\n", 400),
        ("a signed length", "GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: +3\r\n\r\n", 400),
        ("a negative length", "GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: -3\r\n\r\n", 400),
        (
            "an endless length", "GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n",
            400
        ),
        ("bare CR in a value", "GET /health HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n", 400),
        ("bare CR as an end of line", "GET /health HTTP/1.1\rHost: x\r\r", 400),
        ("bare LF", "GET /health HTTP/1.1\nHost: x\n\n", 400),
        ("NUL in a value", "GET /health HTTP/1.1\r\nHost: x\r\nA: b\u{0}c\r\n\r\n", 400),
        ("NUL in a name", "GET /health HTTP/1.1\r\nHost: x\r\nA\u{0}: b\r\n\r\n", 400),
        ("NUL in the target", "GET /health\u{0} HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("a folded header", "GET /health HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n", 400),
        ("a header folded by a tab", "GET /health HTTP/1.1\r\nHost: x\r\nA: b\r\n\tc\r\n\r\n", 400),
        ("a fold before the first header", "GET /health HTTP/1.1\r\n Host: x\r\n\r\n", 400),
        ("space before the colon", "GET /health HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\n", 400),
        ("no colon", "GET /health HTTP/1.1\r\nHost: x\r\nA\r\n\r\n", 400),
        ("no name", "GET /health HTTP/1.1\r\nHost: x\r\n: b\r\n\r\n", 400),
        ("no host", "GET /health HTTP/1.1\r\n\r\n", 400),
        ("two hosts", "GET /health HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", 400),
        ("two spaces", "GET  /health HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("a space in the target", "GET /he alth HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("no target", "GET HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("a relative target", "GET health HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("no version", "GET /health\r\nHost: x\r\n\r\n", 400),
        ("HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        ("version 2", "GET /health HTTP/2.0\r\nHost: x\r\n\r\n", 505),
        ("version 1.10", "GET /health HTTP/1.10\r\nHost: x\r\n\r\n", 400),
        ("TLS", "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}\u{1}\u{fc}\r\n\r\n", 400),
        ("words", "hello there\r\n\r\n", 400),
        (
            "a header over 16 KiB",
            "GET /health HTTP/1.1\r\nHost: x\r\nA: \(String(repeating: "a", count: 17_000))\r\n\r\n", 431
        ),
        (
            "headers over 16 KiB",
            "GET /health HTTP/1.1\r\nHost: x\r\n"
                + String(repeating: "A: \(String(repeating: "b", count: 250))\r\n", count: 80) + "\r\n", 431
        ),
        (
            "too many headers",
            "GET /health HTTP/1.1\r\nHost: x\r\n" + String(repeating: "A: b\r\n", count: 120) + "\r\n", 431
        ),
        ("a target over 16 KiB", "GET /\(String(repeating: "a", count: 17_000)) HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        ("a body of a length", "POST /health HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", 413),
        ("a chunked body", "GET /health HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 413),
        ("a coding that nobody knows", "GET /health HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\nx", 501),
        ("such a coding of an upgrade", "GET /ws HTTP/1.1\r\n\(upgradeHead)Transfer-Encoding: x\r\n\r\n", 501),
        ("an unknown path", "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n", 404),
        ("the root", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 404),
        ("a longer path", "GET /healthy HTTP/1.1\r\nHost: x\r\n\r\n", 404),
        ("a path in capitals", "GET /HEALTH HTTP/1.1\r\nHost: x\r\n\r\n", 404),
        ("POST to health", "POST /health HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        ("DELETE of ready", "DELETE /ready HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        ("PUT to metrics", "PUT /metrics HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        (
            "POST to ws",
            "POST /ws HTTP/1.1\r\n\(upgradeHead)\(HTTPText.keyHeader)\r\nSec-WebSocket-Version: 13\r\n\r\n", 405
        ),
        ("a method in small letters", "get /health HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        ("no upgrade", "GET /ws HTTP/1.1\r\nHost: x\r\n\r\n", 426),
        (
            "an upgrade to something else",
            "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n", 426
        ),
        (
            "an upgrade in HTTP/1.0",
            "GET /ws HTTP/1.0\r\n\(upgradeHead)\(HTTPText.keyHeader)\r\nSec-WebSocket-Version: 13\r\n\r\n", 426
        ),
        ("no version of WebSocket", "GET /ws HTTP/1.1\r\n\(upgradeHead)\(HTTPText.keyHeader)\r\n\r\n", 426),
        (
            "another version of WebSocket",
            "GET /ws HTTP/1.1\r\n\(upgradeHead)\(HTTPText.keyHeader)\r\nSec-WebSocket-Version: 8\r\n\r\n", 426
        ),
        (
            "no connection upgrade",
            "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\(HTTPText.keyHeader)\r\nSec-WebSocket-Version: 13\r\n\r\n",
            400
        ),
        ("no key", "GET /ws HTTP/1.1\r\n\(upgradeHead)Sec-WebSocket-Version: 13\r\n\r\n", 400),
        (
            "an empty key",
            "GET /ws HTTP/1.1\r\n\(upgradeHead)Sec-WebSocket-Key: \r\nSec-WebSocket-Version: 13\r\n\r\n", 400
        ),
        (
            "a key too short",
            "GET /ws HTTP/1.1\r\n\(upgradeHead)Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j\r\nSec-WebSocket-Version: 13\r\n\r\n",
            400
        ),
        (
            "a key of other letters",
            "GET /ws HTTP/1.1\r\n\(upgradeHead)Sec-WebSocket-Key: !!!!IHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
            400
        ),
        (
            "two keys",
            "GET /ws HTTP/1.1\r\n\(upgradeHead)\(HTTPText.keyHeader)\r\n\(HTTPText.keyHeader)\r\nSec-WebSocket-Version: 13\r\n\r\n",
            400
        ),
        ("a malformed query", HTTPText.upgrade("/ws?room=%zz"), 400),
        ("a query that is no UTF-8", HTTPText.upgrade("/ws?room=%ff"), 400),
    ]

    @Test func `each bad request gets its status, and the connection ends`() throws {
        try withNode { node in
            for (what, request, status) in Self.table {
                let reply = try HTTPReply.of(request, port: node.port)
                #expect(reply.status == status, "\(what)")
                #expect(reply.headers["connection"]?.lowercased() == "close", "\(what)")
            }
            #expect(try node.client("ann").framesUntilNow().isEmpty)
        }
    }

    @Test func `each bad request gets its status also when it comes byte by byte`() throws {
        try withNode { node in
            for (what, request, status) in Self.table where request.utf8.count < 300 {
                let socket = try RawSocket(port: node.port)
                // What is sent after the answer may find the connection ended.
                for byte in Array(request.utf8) { if (try? socket.sendSome([byte])) == nil { break } }
                guard case .bytes(let bytes) = socket.receive() else {
                    Issue.record("no answer to \(what)")
                    continue
                }
                #expect(String(decoding: bytes, as: UTF8.self).hasPrefix("HTTP/1.1 \(status) "), "\(what)")
            }
        }
    }

    @Test func `refusals say what would be right`() throws {
        try withNode { node in
            func headers(_ request: String) throws -> [String: String] {
                try HTTPReply.of(request, port: node.port).headers
            }
            #expect(try headers("POST /health HTTP/1.1\r\nHost: x\r\n\r\n")["allow"] == "GET, HEAD")
            #expect(try headers("POST /ws HTTP/1.1\r\nHost: x\r\n\r\n")["allow"] == "GET")
            #expect(try headers("GET /ws HTTP/1.1\r\nHost: x\r\n\r\n")["upgrade"] == "websocket")
            let version = try headers(
                "GET /ws HTTP/1.1\r\n\(Self.upgradeHead)\(HTTPText.keyHeader)\r\nSec-WebSocket-Version: 8\r\n\r\n")
            #expect(version["sec-websocket-version"] == "13")
        }
    }

    @Test func `a head that takes too long gets 408, and silence just the end`() throws {
        try withNode {
            $0.readTimeout = .milliseconds(200)
        } _: { node in
            let slow = try RawSocket(port: node.port)
            try slow.send("GET /health HTTP/1.1\r\nHost:")
            let silent = try RawSocket(port: node.port)
            #expect(try HTTPReply(slow.receiveToEnd()).status == 408)
            #expect(try silent.receiveToEnd().isEmpty)
        }
    }

    @Test func `a head that dribbles in gets no more time than another`() throws {
        try withNode {
            $0.readTimeout = .milliseconds(300)
        } _: { node in
            let slow = try RawSocket(port: node.port)
            try slow.send("GET /health HTTP/1.1\r\nA: ")
            let deadline = Deadline()
            var answer: [UInt8] = []
            while answer.isEmpty, !deadline.hasPassed {
                try slow.send("a")
                if case .bytes(let bytes) = slow.receive(by: Deadline(in: .milliseconds(20))) { answer = bytes }
            }
            #expect(String(decoding: answer, as: UTF8.self).hasPrefix("HTTP/1.1 408 "))
        }
    }

    @Test func `a frame that comes with the request is read`() throws {
        try withNode { node in
            let socket = try RawSocket(port: node.port)
            let request = HTTPText.upgrade("/ws?token=\(Tokens.of("ann"))")
            try socket.send(Array(request.utf8) + ChatSocket.frame(#"{"body":"early"}"#))
            try node.wait("the early message") { try node.metric("messages_total") == 1 }
            let client = try node.client("bob")
            let history = try client.ask(#"{"type":"history","ref":"h"}"#, ref: "h").frames("history")
            #expect(history?.map(\.body) == ["ann joined", "early", "bob joined"])
        }
    }
}
