import ConvergeTransport
import ConvergeWire
import Glibc
import Testing

@testable import ConvergeClient
@testable import ConvergeTerminal

/// The line client whole, over a real socket and pipes, against a server of a few lines.
@Suite("The line client through a pipe")
struct LineClientTests {
    /// What a scripted server does with the first connection.
    private enum Script: Sendable {
        /// Acknowledges each message and shows it, then answers the close.
        case acknowledge
        case refuse
        case hangUp
        case forbid
    }

    private func run(_ script: Script, input: String) throws -> (status: Int32, output: String, errors: String) {
        let listener = try Listener(host: "127.0.0.1", port: 0)
        let descriptor = listener.descriptor
        let server = try WorkerThread(name: "server") { Self.serve(descriptor, script) }
        var options = LineClient.Options(
            server: try ServerURL("ws://127.0.0.1:\(listener.port)"), room: "dev", token: "t")
        let (inputRead, inputWrite) = try pipeEnds()
        let (outputRead, outputWrite) = try pipeEnds()
        let (errorsRead, errorsWrite) = try pipeEnds()
        options.input = inputRead
        options.output = outputWrite
        options.errors = errorsWrite
        _ = input.utf8.withContiguousStorageIfAvailable { write(inputWrite, $0.baseAddress, $0.count) }
        close(inputWrite)
        let status = LineClient.run(options)
        close(outputWrite)
        close(errorsWrite)
        close(inputRead)
        server.join()
        return (status, readAll(outputRead), readAll(errorsRead))
    }

    @Test("a piped message is acknowledged before the client leaves with 0")
    func piped() throws {
        let (status, output, errors) = try run(.acknowledge, input: "hello\n\u{1B}[2J\n")
        #expect(status == 0 && errors.isEmpty)
        #expect(output.contains("> Ana: hello\n") && output.contains("> Ana: \\e[2J\n"))
    }

    @Test("a refused token is said clearly, with status 1")
    func unauthorized() throws {
        let (status, output, errors) = try run(.refuse, input: "hello\n")
        #expect(status == 1 && output.isEmpty && errors.hasPrefix("error: unauthorized"))
    }

    @Test("a lost connection is said clearly, with status 1")
    func lost() throws {
        let (status, _, errors) = try run(.hangUp, input: "hello\n")
        #expect(status == 1 && errors.contains("the connection to the server was lost"))
    }

    @Test("an HTTP refusal is said clearly, with status 1")
    func forbidden() throws {
        let (status, _, errors) = try run(.forbid, input: "")
        #expect(status == 1 && errors.contains("HTTP 403"))
    }

    @Test("nobody there is said clearly, with status 1")
    func nobody() throws {
        var port: UInt16 = 0
        do {
            let listener = try Listener(host: "127.0.0.1", port: 0)
            port = listener.port
        }
        let (errorsRead, errorsWrite) = try pipeEnds()
        var options = LineClient.Options(server: try ServerURL("127.0.0.1:\(port)"), room: "dev", token: nil)
        options.errors = errorsWrite
        #expect(LineClient.run(options) == 1)
        close(errorsWrite)
        #expect(readAll(errorsRead).contains("can't connect to 127.0.0.1:\(port): Connection refused"))
    }

    // MARK: Pipes

    private func pipeEnds() throws -> (read: Int32, write: Int32) {
        var ends: [Int32] = [-1, -1]
        try #require(pipe(&ends) == 0)
        return (ends[0], ends[1])
    }

    private func readAll(_ descriptor: Int32) -> String {
        defer { close(descriptor) }
        var all: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4_096)
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            guard count > 0 else { return String(decoding: all, as: UTF8.self) }
            all += buffer[..<count]
        }
    }

    // MARK: The server

    private static func serve(_ listener: Int32, _ script: Script) {
        var wait = pollfd(fd: listener, events: Int16(POLLIN), revents: 0)
        poll(&wait, 1, 10_000)
        let connection = accept(listener, nil, nil)
        guard connection >= 0 else { return }
        defer { close(connection) }
        var limit = timeval(tv_sec: 10, tv_usec: 0)
        setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))

        var parser = RequestParser()
        var rest: [UInt8] = []
        var key: [UInt8]?
        while key == nil {
            guard let bytes = receive(connection) else { return }
            bytes.withUnsafeBytes { input in
                let (consumed, step) = parser.receive(input)
                guard case .request(let request) = step, let upgrade = try? UpgradeRequest(request) else { return }
                key = upgrade.key
                rest = Array(input[consumed...])
            }
        }
        var out = ByteBuffer()
        if script == .forbid {
            HTTPResponse(.forbidden, text: "no\n").encode(into: &out, keepAlive: false)
            return send(connection, &out)
        }
        var sha1 = Digester.sha1()
        let digest = ((key ?? []) + Array(UpgradeRequest.acceptSuffix.description.utf8)).withUnsafeBytes {
            sha1.hash($0)
        }
        Base64.encode(digest).withUnsafeBytes { HTTPResponse.appendSwitchingProtocols(accept: $0, to: &out) }
        if script == .refuse {
            WebSocketFrame.appendClose(.policyViolation, reason: "unauthorized", to: &out)
            send(connection, &out)
            while receive(connection) != nil {}
            return
        }
        text(#"{"type":"welcome","room":"dev","user_id":"ana","display_name":"Ana"}"#, &out)
        send(connection, &out)

        var machine = WebSocketMachine(role: .server)
        var isOver = false
        while !isOver {
            if rest.isEmpty {
                guard let bytes = receive(connection) else { return }
                rest = bytes
            }
            if script == .hangUp { return }
            rest.withUnsafeMutableBytes { input in
                var offset = 0
                while true {
                    switch machine.next(input, &offset) {
                    case .needMore: return
                    case .message(_, let message): answer(String(decoding: message, as: UTF8.self), &out)
                    case .close:
                        WebSocketFrame.appendClose(.normal, to: &out)
                        isOver = true
                    case .ping, .pong: continue
                    case .fail:
                        isOver = true
                        return
                    }
                }
            }
            rest = []
            send(connection, &out)
        }
    }

    /// Fields are cut out of the text: the client writes them in a known order.
    private static func answer(_ message: String, _ out: inout ByteBuffer) {
        let parts = message.split(separator: "\"body\":").last?.split(separator: ",\"ref\":") ?? []
        guard parts.count == 2 else { return }
        text(
            "{\"type\":\"message\",\"room\":\"dev\",\"user_id\":\"ana\",\"display_name\":\"Ana\",\"body\":\(parts[0])}",
            &out)
        text("{\"type\":\"ack\",\"id\":\"1\",\"ref\":\(parts[1])", &out)
    }

    private static func text(_ json: String, _ out: inout ByteBuffer) {
        Array(json.utf8).withUnsafeBytes { WebSocketFrame.append(.text, $0, to: &out) }
    }

    private static func receive(_ connection: Int32) -> [UInt8]? {
        var buffer = [UInt8](repeating: 0, count: 4_096)
        let count = recv(connection, &buffer, buffer.count, 0)
        return count > 0 ? Array(buffer[..<count]) : nil
    }

    private static func send(_ connection: Int32, _ out: inout ByteBuffer) {
        _ = Glibc.send(connection, out.bytes.baseAddress, out.count, Int32(MSG_NOSIGNAL))
        out.removeAll()
    }
}
