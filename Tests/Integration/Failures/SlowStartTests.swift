// A node whose store takes its time to be opened: it listens and answers HTTP, and lets nobody in before.

import ConvergeNode
import ConvergeStorage
import ConvergeTransport
import Dispatch
import Synchronization
import Testing

@Suite struct SlowStartTests {
    /// A store in memory whose first opening waits until it is let go.
    private final class GatedStore: Store {
        private let store = MemoryStore()
        private let gate = DispatchSemaphore(value: 0)
        private let isBroken = Mutex(false)

        var summary: String { store.summary }

        func letGo() { gate.signal() }

        func openWriter(_ start: WriterStart) throws(StoreError) -> (writer: any StoreWriter, recovered: Recovered) {
            gate.wait()
            gate.signal()
            if isBroken.withLock({ $0 }) { throw .unreachable("test") }
            return try store.openWriter(start)
        }

        func openReader() throws(StoreError) -> any StoreReader { try store.openReader() }

        func breakDown() { isBroken.withLock { $0 = true } }
        func mend() { isBroken.withLock { $0 = false } }
    }

    /// Waits until all that was sent before has been read: each loop has answered a request that came later.
    private func settle(_ node: TestNode) throws {
        for _ in 0..<20 { #expect(try HTTPReply.get("/health", port: node.port, tls: node.tls).body == "ok") }
    }

    /// Asks for a session and, without waiting, says something in it.
    private func ask(_ node: TestNode) throws -> RawSocket {
        let socket = try RawSocket(port: node.port, tls: node.tls)
        let request = Array(HTTPText.upgrade("/ws?token=\(Tokens.of("ann"))").utf8)
        try socket.send(request + ChatSocket.frame(#"{"body":"first","ref":"r"}"#))
        return socket
    }

    private func read(_ socket: RawSocket, until word: String) throws -> String {
        var text = ""
        while !text.contains(word) {
            guard case .bytes(let bytes) = socket.receive() else { throw TestFailure("only \(text)") }
            text += String(decoding: bytes, as: UTF8.self)
        }
        return text
    }

    @Test(arguments: [false, true])
    func `nobody is let in before the store has been opened, and then nobody's first message is refused`(isSecure: Bool)
        throws
    {
        let store = GatedStore()
        let certificate = TestCertificate(names: "DNS:localhost")
        try withNode(store, ready: false) { options in
            if isSecure { options.tls = TLSFiles(certificate: certificate.certificate, key: certificate.key) }
        } _: { node in
            if isSecure { node.tls = try TLSContext.client(authorityFile: certificate.certificate) }
            let sockets = try (0..<4).map { _ in try ask(node) }
            try settle(node)
            #expect(try HTTPReply.get("/ready", port: node.port, tls: node.tls).status == 503)
            // What can be refused is refused at once.
            let page = HTTPText.upgrade("/ws?room=%FF")
            #expect(try HTTPReply.of(page, port: node.port, tls: node.tls).status == 400)
            store.letGo()
            for socket in sockets {
                let said = try read(socket, until: "\"ref\":\"r\"")
                #expect(said.hasPrefix("HTTP/1.1 101 ") && said.contains("\"type\":\"ack\"") && !said.contains("error"))
            }
        }
    }

    @Test func `a store that can't be opened lets clients in, who are told so`() throws {
        let store = GatedStore()
        store.breakDown()
        try withNode(store, ready: false) { node in
            let socket = try ask(node)
            try settle(node)
            store.letGo()
            let said = try read(socket, until: "\"ref\":\"r\"")
            #expect(said.hasPrefix("HTTP/1.1 101 ") && said.contains("storage unavailable"))
            store.mend()
        }
    }

    @Test func `who waits longer than a request may take gets 503, and the node goes on`() throws {
        let store = GatedStore()
        try withNode(store, ready: false) { options in
            options.readTimeout = .milliseconds(100)
        } _: { node in
            let reply = try HTTPReply(ask(node).receiveToEnd())
            #expect(reply.status == 503 && reply.headers["retry-after"] == "1")
            store.letGo()
            try node.waitUntilReady()
            #expect(try node.client("ann").ask(#"{"body":"x","ref":"r"}"#, ref: "r").type == "ack")
        }
    }

    @Test func `a node stops while somebody waits`() throws {
        let store = GatedStore()
        try withNode(store, ready: false) { node in
            _ = try ask(node)
            try settle(node)
            store.letGo()
        }
    }
}
