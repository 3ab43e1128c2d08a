import COpenSSL
import Testing

@testable import ConvergeTransport

/// Links between nodes: who comes in and who doesn't.
@Suite("TLS between nodes") struct PeerHandshakeTests {
    // Keys are dear to make: each once.
    private static func context(_ current: String, _ previous: String? = nil, cluster: String = "c") -> TLSContext {
        func bytes(_ name: String) -> [UInt8] { Array((name + String(repeating: ".", count: 32)).utf8) }
        do {
            let secrets = try PeerSecrets(current: bytes(current), previous: previous.map(bytes), cluster: cluster)
            return try TLSContext.peer(secrets: secrets)
        } catch {
            preconditionFailure("\(error)")
        }
    }
    private static let old = context("old")
    private static let new = context("new")
    private static let newAndOld = context("new", "old")
    private static let elsewhere = context("old", cluster: "another")
    private static let certificate = TestCertificate(names: "DNS:localhost")

    @Test("two that have one secret talk, in both directions")
    func same() throws {
        var pair = try TLSPair(client: Self.old, server: Self.old)
        pair.connect()
        #expect(pair.clientError == nil && pair.serverError == nil && pair.isEstablished)
        #expect(pair.client.secretInUse == 0 && pair.server.secretInUse == 0)
        try pair.client.say(Array("hello".utf8))
        try pair.server.say(Array("and you".utf8))
        _ = pair.carry()
        #expect(try pair.server.heard() == Array("hello".utf8))
        #expect(try pair.client.heard() == Array("and you".utf8))
    }

    @Test("whoever has another secret, or another cluster's name, is refused by both sides")
    func different() throws {
        for other in [Self.new, Self.elsewhere] {
            var pair = try TLSPair(client: other, server: Self.old)
            pair.connect()
            #expect(pair.clientError == .notAuthenticated && pair.serverError == .notAuthenticated)
            #expect(!pair.client.isEstablished && !pair.server.isEstablished)
            // The server gave nothing but an alert: neither a name nor a certificate.
            #expect(pair.sentByServer.count == 7 && pair.sentByServer.first == 21)
            #expect(throws: TLSError.notAuthenticated) { try pair.server.say([1]) }
            #expect(throws: TLSError.notAuthenticated) { try pair.client.say([1]) }
            #expect(throws: TLSError.notAuthenticated) { _ = try pair.server.heard() }
        }
    }

    @Test("what goes over the line names neither the secret nor the cluster, and no two handshakes are alike")
    func revealsNothing() throws {
        let named = Self.context("a secret phrase", cluster: "a cluster's name")
        var flights: [[UInt8]] = []
        for _ in 0..<2 {
            var pair = try TLSPair(client: named, host: "node.example", server: named)
            pair.connect()
            let sent = pair.sentByClient + pair.sentByServer
            flights.append(sent)
            for word in ["a secret phrase", "a cluster's name", "peer v1", "node.example"] {
                #expect(sent.firstRange(of: Array(word.utf8)) == nil)
            }
        }
        #expect(flights[0] != flights[1])
    }

    @Test("with two secrets one takes either, and offers the second at the next attempt")
    func rotation() throws {
        func established(_ client: TLSContext, _ attempt: Int, _ server: TLSContext) throws -> [Int?]? {
            var pair = try TLSPair(client: client, attempt: attempt, server: server)
            pair.connect()
            return pair.isEstablished ? [pair.client.secretInUse, pair.server.secretInUse] : nil
        }
        #expect(try established(Self.old, 0, Self.newAndOld) == [0, 1])
        #expect(try established(Self.new, 0, Self.newAndOld) == [0, 0])
        #expect(try established(Self.newAndOld, 0, Self.new) == [0, 0])
        #expect(try established(Self.newAndOld, 0, Self.old) == nil)
        #expect(try established(Self.newAndOld, 1, Self.old) == [1, 0])
        #expect(try established(Self.newAndOld, 1, Self.new) == nil)
        #expect(try established(Self.newAndOld, 0, Self.newAndOld) == [0, 0])
        #expect(try established(Self.old, 7, Self.old) == [0, 0])
    }

    @Test("a server that ignores the secret and shows a certificate of its own is refused")
    func impostor() throws {
        var client = try TLSStream(context: Self.old, role: .client(host: nil))
        let server = RawTLS(isServer: true) { context in
            SSL_CTX_use_certificate_chain_file(context, Self.certificate.certificate)
            SSL_CTX_use_PrivateKey_file(context, Self.certificate.key, SSL_FILETYPE_PEM)
        }
        #expect(join(&client, server) == .notAuthenticated)
        #expect(!client.isEstablished && !server.isEstablished)
    }

    @Test("that the secret was used is found out by itself, also where any certificate would be believed")
    func impostorBelieved() throws {
        let credulous = Self.context("credulous")
        SSL_CTX_set_verify(credulous.raw, SSL_VERIFY_NONE, nil)
        var client = try TLSStream(context: credulous, role: .client(host: nil))
        let server = RawTLS(isServer: true) { context in
            SSL_CTX_use_certificate_chain_file(context, Self.certificate.certificate)
            SSL_CTX_use_PrivateKey_file(context, Self.certificate.key, SSL_FILETYPE_PEM)
        }
        #expect(join(&client, server) == .notAuthenticated)
        #expect(client.isEstablished == false)
    }

    @Test("a client that offers no secret is refused, whether it would show a certificate or not")
    func noSecret() throws {
        for showsCertificate in [false, true] {
            var server = try TLSStream(context: Self.old, role: .server)
            let client = RawTLS(isServer: false) { context in
                guard showsCertificate else { return }
                SSL_CTX_use_certificate_chain_file(context, Self.certificate.certificate)
                SSL_CTX_use_PrivateKey_file(context, Self.certificate.key, SSL_FILETYPE_PEM)
            }
            #expect(join(&server, client) == .notAuthenticated)
            #expect(!server.isEstablished && !client.isEstablished)
        }
    }

    @Test("a client of TLS 1.2 is refused")
    func oldVersion() throws {
        var server = try TLSStream(context: Self.old, role: .server)
        let client = RawTLS(isServer: false) {
            SSL_CTX_ctrl($0, SSL_CTRL_SET_MAX_PROTO_VERSION, Int(TLS1_2_VERSION), nil)
        }
        guard case .handshakeFailed? = join(&server, client) else {
            Issue.record("not refused as it should be")
            return
        }
        #expect(client.isEstablished == false)
    }

    @Test("whoever knows the identity and not the key is refused")
    func wrongBinder() throws {
        var pair = try TLSPair(client: Self.old, server: Self.old)
        _ = pair.client.shake()
        var hello = pair.client.output()
        hello[hello.count - 1] ^= 1  // the binder stands last
        #expect(pair.server.deliver(hello) == .handshakeFailed("binder does not verify"))
        #expect(pair.server.isEstablished == false)
    }

    @Test("a recorded handshake opens nothing")
    func replay() throws {
        var pair = try TLSPair(client: Self.old, server: Self.old)
        pair.connect()
        try pair.client.say(Array("once".utf8))
        _ = pair.carry()
        #expect(pair.isEstablished == true)
        var again = try TLSStream(context: Self.old, role: .server)
        let refused = again.deliver(pair.sentByClient)
        #expect(refused != nil && !again.isEstablished)
    }

    @Test("a flood of new keys ends the connection, and a few of them do not")
    func keyUpdates() throws {
        let server = RawTLS(isServer: true) {
            SSL_CTX_use_certificate_chain_file($0, Self.certificate.certificate)
            SSL_CTX_use_PrivateKey_file($0, Self.certificate.key, SSL_FILETYPE_PEM)
        }
        let trusting = try TLSContext.client(authorityFile: Self.certificate.certificate)
        var client = try TLSStream(context: trusting, role: .client(host: "localhost"))
        #expect(join(&client, server) == nil && client.isEstablished && server.isEstablished)
        for _ in 0..<5 { server.updateKeys(asking: true) }
        server.say([1, 2, 3])
        try client.take(server.takeOutput())
        #expect(try client.heard() == [1, 2, 3])
        try client.say([4])
        server.take(client.output())
        #expect(server.heard() == [4])

        for _ in 0..<200 { server.updateKeys(asking: false) }
        try client.take(server.takeOutput())
        #expect(throws: TLSError.tooMuch) { _ = try client.heard() }
        #expect(throws: TLSError.tooMuch) { try client.take([0]) }
    }

    /// Couples a stream with a raw end; what the stream said was wrong.
    private func join(_ stream: inout TLSStream, _ other: RawTLS) -> TLSError? {
        var first: TLSError?
        while true {
            let error = stream.shake()
            first = first ?? error
            other.shake()
            let (out, back) = (stream.output(), other.takeOutput())
            other.take(out)
            let failed = stream.deliver(back)
            first = first ?? failed
            if out.isEmpty && back.isEmpty { return first }
        }
    }
}
