// Clients over TLS against a node in this process, whose certificate vouches for itself.

import ConvergeNode
import ConvergeStorage
import ConvergeTransport
import Foundation
import Testing

@Suite struct TLSNodeTests {
    private static let certificate = TestCertificate(names: "DNS:localhost")
    private static let trusting = TLSNodeTests.trust(certificate)

    private static func trust(_ certificate: TestCertificate) -> TLSContext {
        do {
            return try TLSContext.client(authorityFile: certificate.certificate)
        } catch {
            preconditionFailure("\(error)")
        }
    }

    private func withSecureNode<R>(
        _ store: any Store = MemoryStore(), files: TLSFiles? = nil,
        _ configure: (inout ServerOptions) -> Void = { _ in }, _ body: (TestNode) throws -> R
    ) throws -> R {
        let own = TLSFiles(certificate: Self.certificate.certificate, key: Self.certificate.key)
        return try withNode(
            store,
            { options in
                options.tls = files ?? own
                configure(&options)
            },
            { node in
                node.tls = Self.trusting
                return try body(node)
            })
    }

    @Test func `clients chat, and HTTP is answered`() throws {
        try withSecureNode { node in
            #expect(try HTTPReply.get("/health", port: node.port, tls: node.tls).body == "ok")
            let ann = try node.client("ann")
            let bob = try node.client("bob")
            #expect(try ann.ask(#"{"body":"hello","ref":"r"}"#, ref: "r").type == "ack")
            #expect(try bob.next("message").body == "hello")
            try bob.sendClose()
            #expect(try bob.waitForClose() == .init(1000))
            #expect(try node.metric("tls_handshakes_failed_total") == 0)
            #expect(try node.metric("tls_certificate_end_seconds") > 1_700_000_000)
        }
    }

    @Test func `what is larger than a record, or than a socket takes, comes whole`() throws {
        try withSecureNode(
            MemoryStore(),
            { options in
                options.echo = true
                options.maxBodyLength = 1 << 20
                options.maxMessageBytes = 1 << 20
            },
            { node in
                let echo = try node.open("/echo", receiveBuffer: 8 << 10)
                var wrong: [Int] = []
                for size in [0, 1, 16_383, 16_384, 16_385, 40_000, 1_000_000] {
                    let text = String(repeating: "0123456789", count: size / 10 + 1).prefix(size)
                    try echo.send(String(text))
                    guard case .text(let back) = try echo.arrival(), back == text else {
                        wrong.append(size)
                        continue
                    }
                }
                #expect(wrong.isEmpty)
            })
    }

    @Test func `who does not read for a while gets every message once and in order when it reads again`() throws {
        let folder = try TemporaryFolder()
        try withSecureNode(SQLiteStore(path: folder.path("converge.db"), sync: .normal)) { node in
            let fast = try node.client("fast")
            let slow = try node.client("slow", receiveBuffer: 8 << 10)
            let count = 6_000
            try SlowClientTests.talk(fast, 0..<count)
            #expect(try node.metric("slow_taken_off_total") >= 1)
            var wrong: [String] = []
            var expected = 0
            while expected < count {
                let frame = try slow.next()
                guard frame.type == "message" else { continue }
                if SlowClientTests.number(of: frame) != expected {
                    wrong.append("\(expected): \(frame.body.prefix(20))")
                }
                expected += 1
            }
            #expect(wrong.isEmpty, "\(wrong.count) of \(expected), the first \(wrong.first ?? "")")
        }
    }

    @Test func `who takes nothing at all is closed`() throws {
        try withSecureNode(
            MemoryStore(), { $0.writeWait = .milliseconds(300) },
            { node in
                let fast = try node.client("fast")
                let stuck = try node.client("stuck", receiveBuffer: 4 << 10)
                try SlowClientTests.talk(fast, 0..<4_000)
                try node.wait("closed as slow") { try node.metric("slow_closed_total") == 1 }
                withExtendedLifetime(stuck) {}
            })
    }

    @Test func `plain HTTP is told to use TLS, and counted`() throws {
        try withSecureNode { node in
            let reply = try HTTPReply.get("/health", port: node.port)
            #expect(reply.status == 400 && reply.body.contains("TLS"))
            #expect(try node.metric("tls_handshakes_failed_total") == 1)
        }
    }

    @Test func `what is no TLS is cut off, and counted`() throws {
        try withSecureNode { node in
            for bytes in [
                [0, 1, 2, 3, 4, 5, 6], [22, 3, 1, 0, 5, 1, 0, 0, 1, 9], [UInt8](repeating: 255, count: 300_000),
            ] {
                let socket = try RawSocket(port: node.port)
                _ = try? socket.send(bytes)
                socket.endSending()
                ending: while true {
                    switch socket.receive() {
                    case .bytes: continue
                    case .end, .reset: break ending
                    case .nothing: throw TestFailure("open")
                    }
                }
            }
            #expect(try node.metric("tls_handshakes_failed_total") == 3)
            #expect(try node.client("ann").ask(#"{"body":"x","ref":"r"}"#, ref: "r").type == "ack")
        }
    }

    @Test func `a handshake has no longer than a request's head`() throws {
        try withSecureNode(
            MemoryStore(), { $0.readTimeout = .milliseconds(200) },
            { node in
                let silent = try RawSocket(port: node.port)
                let half = try RawSocket(port: node.port)
                try half.send([22, 3, 1, 0])
                #expect(silent.receive() == .end)
                #expect([.end, .reset].contains(half.receive()))
                #expect(try node.metric("tls_handshakes_failed_total") == 2)
                // And the head after it has what is left.
                let late = try RawSocket(port: node.port, tls: node.tls)
                try late.send("GET /health")
                guard case .bytes(let bytes) = late.receive() else { throw TestFailure("no answer") }
                #expect(String(decoding: bytes, as: UTF8.self).hasPrefix("HTTP/1.1 408 "))
            })
    }

    @Test func `a stop tells clients, and ends TLS as it should`() throws {
        let client = try withSecureNode { node in
            let client = try node.client("ann")
            let server = node.server
            try WorkerThread(name: "stopping") { server.stop() }.detach()
            #expect(try client.waitForClose().code == 1001)
            try client.sendClose()
            // A clean end: close_notify, not a cut.
            #expect(client.socket.receive() == .end)
            return client
        }
        withExtendedLifetime(client) {}
    }

    @Test func `a new certificate is for new connections, and one that is no good is not taken`() throws {
        let folder = try TemporaryFolder()
        let next = TestCertificate(names: "DNS:localhost")
        let files = TLSFiles(certificate: folder.path("cert.pem"), key: folder.path("key.pem"))
        func put(_ certificate: String, _ key: String) throws {
            for (from, to) in [(certificate, files.certificate), (key, files.key)] {
                let text = try String(contentsOfFile: from, encoding: .utf8)
                try text.write(toFile: to, atomically: true, encoding: .utf8)
            }
        }
        try put(Self.certificate.certificate, Self.certificate.key)
        try withSecureNode(files: files) { node in
            let before = try node.client("before")
            // The new certificate with the old key.
            try put(next.certificate, Self.certificate.key)
            #expect(!node.server.reloadCertificate())
            _ = try node.client("still")
            try put(next.certificate, next.key)
            #expect(node.server.reloadCertificate())
            #expect(throws: (any Error).self) { _ = try node.client("distrusting") }
            node.tls = Self.trust(next)
            let after = try node.client("after")
            _ = try after.ask(#"{"body":"all","ref":"r"}"#, ref: "r")
            #expect(try before.next("message").body == "all")
        }
        try withNode { node in #expect(!node.server.reloadCertificate()) }
    }

    @Test func `a thousand connections`() throws {
        try withSecureNode(MemoryStore(), { $0.systemEvents = .off }) { node in
            var clients: [ChatSocket] = []
            for number in 0..<1_000 { clients.append(try node.client("u\(number)", joins: false)) }
            _ = try clients[0].ask(#"{"body":"to all","ref":"r"}"#, ref: "r")
            var missing = 0
            for client in clients.dropFirst() where try client.next("message").body != "to all" { missing += 1 }
            #expect(missing == 0)
            #expect(try node.metric("connections") >= 1_000)
            for client in clients { client.socket.close() }
            try node.wait("all gone") { try node.metric("sessions") == 0 }
        }
    }
}
