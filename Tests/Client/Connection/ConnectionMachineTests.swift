import ConvergeWire
import Testing

@testable import ConvergeClient

@Suite("A client's connection")
struct ConnectionMachineTests {
    private static let response =
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nconnection: keep-alive, Upgrade\r\nSec-WebSocket-Accept: ACCEPT\r\n\r\n"

    private func machine() throws -> ConnectionMachine {
        let handshake = try #require(
            ClientHandshake(
                url: ServerURL("ws://h:9"), room: "my room", token: "a.b.c", key: Array("KEY".utf8),
                accept: Array("ACCEPT".utf8)))
        return ConnectionMachine(handshake: handshake)
    }

    private func feed(_ machine: inout ConnectionMachine, _ bytes: [UInt8], pieces size: Int = .max)
        -> [ConnectionMachine.Event]
    {
        var events: [ConnectionMachine.Event] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            var piece = Array(rest.prefix(size))
            rest = rest.dropFirst(piece.count)
            events += piece.withUnsafeMutableBytes { machine.receive($0) }
        }
        return events
    }

    private func frames(_ texts: [String], close: CloseCode? = nil) -> [UInt8] {
        var buffer = ByteBuffer()
        for text in texts {
            Array(text.utf8).withUnsafeBytes { WebSocketFrame.append(.text, $0, to: &buffer) }
        }
        if let close { WebSocketFrame.appendClose(close, reason: "unauthorized", to: &buffer) }
        return buffer.array()
    }

    /// What a server's machine reads of the client's frames.
    private func serverReads(_ machine: inout ConnectionMachine) -> [String] {
        var server = WebSocketMachine(role: .server)
        var bytes = Array(machine.unsent)
        machine.sent(bytes.count)
        var steps: [String] = []
        bytes.withUnsafeMutableBytes { input in
            var offset = 0
            while true {
                switch server.next(input, &offset) {
                case .needMore: return
                case .message(_, let text): steps.append(String(decoding: text, as: UTF8.self))
                case .ping(let payload): steps.append("ping \(String(decoding: payload, as: UTF8.self))")
                case .pong(let payload): steps.append("pong \(String(decoding: payload, as: UTF8.self))")
                case .close(let code, let reason):
                    steps.append("close \(code?.rawValue ?? 0) \(String(decoding: reason, as: UTF8.self))")
                case .fail(let violation): steps.append("\(violation)")
                }
            }
        }
        return steps
    }

    @Test("the request asks for the room and shows the token in a header")
    func request() throws {
        let machine = try machine()
        let text = String(decoding: machine.unsent, as: UTF8.self)
        #expect(text.hasPrefix("GET /ws?room=my%20room HTTP/1.1\r\nHost: h:9\r\n"))
        #expect(text.contains("\r\nSec-WebSocket-Key: KEY\r\n") && text.contains("\r\nAuthorization: Bearer a.b.c\r\n"))
        #expect(text.contains("\r\nSec-WebSocket-Protocol: converge.2\r\n") && text.hasSuffix("\r\n\r\n"))
    }

    @Test("without a token nothing is offered, and what was not offered is not agreed on")
    func withoutToken() throws {
        let handshake = try #require(
            ClientHandshake(
                url: ServerURL("ws://h:9"), room: "r", token: nil, key: Array("KEY".utf8),
                accept: Array("ACCEPT".utf8)))
        #expect(!String(decoding: handshake.request, as: UTF8.self).contains("Sec-WebSocket-Protocol"))
        var machine = ConnectionMachine(handshake: handshake)
        let answer = "\(Self.response.dropLast())Sec-WebSocket-Protocol: converge.2\r\n\r\n"
        guard case .ended(.notWebSocket) = feed(&machine, Array(answer.utf8)).last else {
            return #expect(Bool(false))
        }
    }

    @Test("what is spoken is what the server agrees to: the second generation, or by silence the first")
    func generations() throws {
        // The last end of a line, which is one character.
        let answer = Self.response.dropLast()
        var machine = try machine()
        #expect(feed(&machine, Array(Self.response.utf8)) == [.opened(.first)])
        machine = try self.machine()
        #expect(feed(&machine, Array("\(answer)sec-websocket-protocol: converge.2\r\n\r\n".utf8)) == [.opened(.second)])
        for header in [
            "Sec-WebSocket-Protocol: converge.3", "Sec-WebSocket-Protocol: converge.2, converge.3",
            "Sec-WebSocket-Extensions: permessage-deflate",
            "Sec-WebSocket-Protocol: converge.2\r\nSec-WebSocket-Extensions: permessage-deflate",
        ] {
            machine = try self.machine()
            guard case .ended(.notWebSocket) = feed(&machine, Array("\(answer)\(header)\r\n\r\n".utf8)).last else {
                return #expect(Bool(false), "\(header)")
            }
        }
    }

    @Test("a token can't smuggle a header in", arguments: ["a\r\nX: y", "a b", "é"])
    func smuggling(token: String) throws {
        #expect(try ClientHandshake(url: ServerURL("h"), room: "r", token: token, key: [], accept: []) == nil)
    }

    @Test("events are the same however the bytes are cut")
    func cuts() throws {
        let bytes =
            Array(Self.response.utf8)
            + frames([#"{"type":"rooms","rooms":["a"]}"#, "nonsense"], close: .policyViolation)
        let expected: [ConnectionMachine.Event] = [
            .opened(.first), .chat(.rooms(["a"], ref: nil)), .unreadable,
            .ended(.closed(.policyViolation, reason: "unauthorized", byUs: false)),
        ]
        for size in [1, 2, 3, 7, 50, .max] {
            var machine = try machine()
            #expect(feed(&machine, bytes, pieces: size) == expected, "pieces of \(size)")
        }
    }

    @Test("commands, pongs and the close arrive at a server's machine, masked")
    func coupled() throws {
        var machine = try machine()
        _ = feed(&machine, Array(Self.response.utf8))
        machine.sent(machine.unsent.count)
        machine.send(.message("hi \"é\"\n", ref: "c1", key: "k"))
        machine.send(.history(limit: 5))
        var buffer = ByteBuffer()
        Array("x".utf8).withUnsafeBytes { WebSocketFrame.append(.ping, $0, to: &buffer) }
        #expect(feed(&machine, buffer.array()).isEmpty)
        machine.ping()
        machine.close()
        machine.send(.message("too late"))
        #expect(
            serverReads(&machine) == [
                #"{"type":"message","body":"hi \"é\"\n","ref":"c1","key":"k"}"#, #"{"type":"history","limit":5}"#,
                "pong x", "ping ", "close 1000 ",
            ])
        var answer = ByteBuffer()
        WebSocketFrame.appendClose(.normal, to: &answer)
        #expect(feed(&machine, answer.array()) == [.ended(.closed(.normal, reason: "", byUs: true))])
        #expect(machine.endOfStream().isEmpty)
    }

    @Test("a close is answered with its code, and nothing after it is read")
    func closed() throws {
        var machine = try machine()
        _ = feed(&machine, Array(Self.response.utf8))
        machine.sent(machine.unsent.count)
        let events = feed(&machine, frames([], close: .goingAway) + frames([#"{"type":"rooms"}"#]))
        #expect(events == [.ended(.closed(.goingAway, reason: "unauthorized", byUs: false))])
        #expect(serverReads(&machine) == ["close 1001 "])
    }

    @Test("a server that breaks the protocol is told so")
    func violated() throws {
        var machine = try machine()
        _ = feed(&machine, Array(Self.response.utf8))
        machine.sent(machine.unsent.count)
        #expect(feed(&machine, [0x81, 0x01, 0xFF]) == [.ended(.violated(.invalidText))])
        #expect(serverReads(&machine) == ["close 1007 text is not UTF-8"])
    }

    @Test(
        "other answers to the handshake end it in words",
        arguments: [
            ("HTTP/1.1 403 Forbidden\r\n\r\n", ConnectionEnd.refused(status: 403, reason: "Forbidden")),
            ("SSH-2.0-OpenSSH\r\n", .notWebSocket("what answers there is not an HTTP server")),
            (response.replacing("ACCEPT", with: "OTHER"), .notWebSocket("it answers another handshake")),
            (response.replacing("Upgrade: websocket\r\n", with: ""), .notWebSocket("it does not upgrade")),
            (
                response.replacing("\r\n\r\n", with: "\r\nSec-WebSocket-Extensions: x\r\n\r\n"),
                .notWebSocket("it wants an extension or a subprotocol that was not asked for")
            ),
        ])
    func refused(text: String, end: ConnectionEnd) throws {
        var machine = try machine()
        #expect(feed(&machine, Array(text.utf8)) == [.ended(end)])
    }

    @Test("a head without an end takes no memory without an end")
    func flood() throws {
        var machine = try machine()
        let events = feed(
            &machine, Array("HTTP/1.1 101 x\r\n".utf8) + [UInt8](repeating: 0x61, count: 40_000), pieces: 4_096)
        #expect(events.count == 1)
    }

    @Test("the end of the stream is told once, by where it came")
    func endOfStream() throws {
        var early = try machine()
        #expect(
            early.endOfStream() == [
                .ended(
                    .notWebSocket("the connection was closed before any answer; if this port speaks TLS, use wss://"))
            ])
        #expect(early.endOfStream().isEmpty)
        var open = try machine()
        _ = feed(&open, Array(Self.response.utf8))
        #expect(open.endOfStream() == [.ended(.lost)])
    }

    // MARK: TLS where there is none, and the other way round

    private static let plainAnswer =
        "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 49\r\n\r\n"
        + "this port speaks TLS: use https:// or wss://\n    "

    @Test("a port that speaks TLS is known by its answer, whole or in pieces", arguments: [1, 7, 100, 10_000])
    func needsTLS(size: Int) throws {
        var machine = try machine()
        #expect(feed(&machine, Array(Self.plainAnswer.utf8), pieces: size) == [.ended(.needsTLS)])
        #expect(ConnectionEnd.needsTLS.explanation == "this port speaks TLS: use wss://")
    }

    @Test("so it is by an alert, and by nothing else")
    func alert() throws {
        var alerted = try machine()
        #expect(feed(&alerted, [0x15, 0x03, 0x01, 0x00, 0x02, 0x02, 0x46]) == [.ended(.needsTLS)])
        var refused = try machine()
        let other = "HTTP/1.1 400 Bad Request\r\nContent-Length: 3\r\n\r\nno!"
        #expect(feed(&refused, Array(other.utf8)) == [.ended(.refused(status: 400, reason: "Bad Request"))])
        // The rest of the answer does not come.
        var cut = try machine()
        #expect(feed(&cut, Array("HTTP/1.1 400 Bad Request\r\nContent-Length: 90\r\n\r\nno".utf8)).isEmpty)
        #expect(cut.endOfStream() == [.ended(.refused(status: 400, reason: "Bad Request"))])
        // Others that speak TLS say nothing at all.
        var silent = try machine()
        guard case .ended(let end)? = silent.endOfStream().first else { return }
        #expect(end.explanation.hasSuffix("closed before any answer; if this port speaks TLS, use wss://"))
    }
}
