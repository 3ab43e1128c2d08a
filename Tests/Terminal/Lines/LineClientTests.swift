import ConvergeTransport
import ConvergeWire
import Glibc
import Synchronization
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
        /// Hangs up at the first message; the next connection is served.
        case hangUpOnce
        case forbid
        /// Says a lot, for as long as it is taken.
        case flood(Flood)
    }

    /// How much of a flood was taken.
    private final class Flood: Sendable {
        /// More than sockets and the client hold together.
        static let bytes = 64 << 20
        private let count = Atomic<Int>(0)

        var sent: Int { count.load(ordering: .relaxed) }
        func add(_ bytes: Int) { count.add(bytes, ordering: .relaxed) }
    }

    /// - Parameter connections: how many the server takes, one after the other.
    private func run(
        _ script: Script, connections: Int = 1, input: String
    ) async throws -> (status: Int32, output: String, errors: String) {
        try await onOwnThread {
            let listener = try Listener(host: "127.0.0.1", port: 0)
            let descriptor = listener.descriptor
            let server = try WorkerThread(name: "server") {
                for number in 1...connections { Self.serve(descriptor, script, number) }
            }
            var options = LineClient.Options(
                servers: [try ServerURL("ws://127.0.0.1:\(listener.port)")], room: "dev", token: "t")
            let (inputRead, inputWrite) = try Self.pipeEnds()
            let (outputRead, outputWrite) = try Self.pipeEnds()
            let (errorsRead, errorsWrite) = try Self.pipeEnds()
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
            return (status, Self.readAll(outputRead), Self.readAll(errorsRead))
        }
    }

    /// The client keeps the thread that it runs on.
    private func onOwnThread<R: Sendable>(_ body: @escaping @Sendable () throws -> R) async throws -> R {
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<R, any Error>) in
            do throws(SystemError) {
                try WorkerThread(name: "lines") {
                    continuation.resume(with: Result { try body() })
                }.detach()
            } catch {
                continuation.resume(throwing: error)
            }
        }
    }

    @Test("a piped message is acknowledged before the client leaves with 0")
    func piped() async throws {
        let (status, output, errors) = try await run(.acknowledge, input: "hello\n\u{1B}[2J\n")
        #expect(status == 0 && errors.isEmpty)
        #expect(output.contains("> Ana: hello\n") && output.contains("> Ana: \\e[2J\n"))
    }

    @Test("a refused token is said clearly, with status 1")
    func unauthorized() async throws {
        // A fresh one is tried before.
        let (status, output, errors) = try await run(.refuse, connections: 2, input: "hello\n")
        #expect(status == 1 && output.isEmpty && errors.hasPrefix("error: unauthorized"))
    }

    @Test("after a loss it says so, connects again, and sends what was not acknowledged")
    func lost() async throws {
        let (status, output, errors) = try await run(.hangUpOnce, connections: 2, input: "hello\n")
        #expect(status == 0)
        #expect(
            errors.hasPrefix(
                "-- not connected: the connection to the server was lost; trying again\n-- connected again"))
        #expect(output.contains("-- something may be missing before this line\n"))
        #expect(output.hasSuffix("> Ana: hello\n"))
    }

    @Test("an HTTP refusal is said clearly, with status 1")
    func forbidden() async throws {
        let (status, _, errors) = try await run(.forbid, input: "")
        #expect(status == 1 && errors.contains("HTTP 403"))
    }

    @Test("nobody at any of the servers is said clearly, with status 1, and soon")
    func nobody() async throws {
        let (status, errors, ports) = try await onOwnThread {
            var ports: [UInt16] = []
            do {
                let first = try Listener(host: "127.0.0.1", port: 0)
                let second = try Listener(host: "127.0.0.1", port: 0)
                ports = [first.port, second.port]
            }
            let (errorsRead, errorsWrite) = try Self.pipeEnds()
            var options = LineClient.Options(
                servers: try ports.map { try ServerURL("127.0.0.1:\($0)") }, room: "dev", token: nil)
            options.errors = errorsWrite
            let status = LineClient.run(options)
            close(errorsWrite)
            return (status, Self.readAll(errorsRead), ports)
        }
        #expect(status == 1)
        #expect(
            errors
                == ports.map { "error: can't connect to 127.0.0.1:\($0): Connection refused\n" }.joined())
    }

    @Test("output that nobody takes holds up the server, and an interruption ends it all the same")
    func stuck() async throws {
        let (status, sent) = try await onOwnThread {
            let listener = try Listener(host: "127.0.0.1", port: 0)
            let descriptor = listener.descriptor
            let flood = Flood()
            let server = try WorkerThread(name: "server") { Self.serve(descriptor, .flood(flood)) }
            var options = LineClient.Options(
                servers: [try ServerURL("ws://127.0.0.1:\(listener.port)")], room: "dev", token: "t")
            options.eventBuffer = 200
            let (inputRead, inputWrite) = try Self.pipeEnds()
            let (outputRead, outputWrite) = try Self.pipeEnds()
            let (stopRead, stopWrite) = try Self.pipeEnds()
            options.input = inputRead
            options.output = outputWrite
            // Wants to leave when nothing moves any more, or all is taken.
            let stopper = try WorkerThread(name: "stopper") {
                var before = -1
                while flood.sent == 0 || (before != flood.sent && flood.sent < Flood.bytes) {
                    before = flood.sent
                    usleep(300_000)
                }
                var byte: UInt8 = 1
                _ = write(stopWrite, &byte, 1)
            }
            let status = LineClient.run(options) { stopRead }
            stopper.join()
            server.join()
            for end in [outputWrite, outputRead, inputRead, inputWrite, stopRead, stopWrite] { close(end) }
            return (status, flood.sent)
        }
        #expect(status == 130)
        #expect(sent > 0 && sent < Flood.bytes, "\(sent) bytes of \(Flood.bytes) were taken")
    }

    // MARK: Pipes

    private static func pipeEnds() throws -> (read: Int32, write: Int32) {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw SystemError("pipe") }
        return (ends[0], ends[1])
    }

    private static func readAll(_ descriptor: Int32) -> String {
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

    private static func serve(_ listener: Int32, _ script: Script, _ number: Int = 1) {
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
        if case .forbid = script {
            HTTPResponse(.forbidden, text: "no\n").encode(into: &out, keepAlive: false)
            return send(connection, &out)
        }
        var sha1 = Digester.sha1()
        let digest = ((key ?? []) + Array(UpgradeRequest.acceptSuffix.description.utf8)).withUnsafeBytes {
            sha1.hash($0)
        }
        Base64.encode(digest).withUnsafeBytes { HTTPResponse.appendSwitchingProtocols(accept: $0, to: &out) }
        if case .refuse = script {
            WebSocketFrame.appendClose(.policyViolation, reason: "unauthorized", to: &out)
            send(connection, &out)
            while receive(connection) != nil {}
            return
        }
        text(#"{"type":"welcome","room":"dev","user_id":"ana","display_name":"Ana"}"#, &out)
        send(connection, &out)
        if case .flood(let flood) = script { return pour(flood, into: connection) }

        var machine = WebSocketMachine(role: .server)
        var isOver = false
        while !isOver {
            if rest.isEmpty {
                guard let bytes = receive(connection) else { return }
                rest = bytes
            }
            if case .hangUpOnce = script, number == 1 { return }
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

    private static func pour(_ flood: Flood, into connection: Int32) {
        var out = ByteBuffer()
        var number = 0
        let body = String(repeating: "x", count: 1_000)
        while flood.sent < Flood.bytes {
            for _ in 0..<50 {
                number += 1
                text(#"{"type":"message","id":"\#(number)","room":"dev","user_id":"bob","body":"\#(body)"}"#, &out)
            }
            while !out.isEmpty {
                let count = Glibc.send(connection, out.bytes.baseAddress, out.count, Int32(MSG_NOSIGNAL))
                guard count > 0 else { return }
                flood.add(count)
                out.removeFirst(count)
            }
        }
    }

    /// Fields are cut out of the text: the client writes them in a known order.
    private static func answer(_ message: String, _ out: inout ByteBuffer) {
        let parts = message.split(separator: "\"body\":").last?.split(separator: ",\"ref\":") ?? []
        guard parts.count == 2 else { return }
        text(
            "{\"type\":\"message\",\"id\":\(parts[0]),\"room\":\"dev\",\"user_id\":\"ana\",\"display_name\":\"Ana\",\"body\":\(parts[0])}",
            &out)
        text("{\"type\":\"ack\",\"id\":\(parts[0]),\"ref\":\(parts[1])", &out)
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
