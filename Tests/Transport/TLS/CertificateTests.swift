import COpenSSL
import ConvergeTransport
import Foundation
import Testing

/// Servers with a certificate, and clients that look at it.
@Suite("TLS with a certificate") struct CertificateTests {
    private static let local = TestCertificate(names: "DNS:localhost,DNS:*.example.org,IP:127.0.0.1")
    private static let other = TestCertificate(names: "DNS:localhost")

    private func server() throws -> TLSContext {
        try .server(certificateFile: Self.local.certificate, keyFile: Self.local.key)
    }

    private func connect(to host: String, trusting file: String?) throws -> (TLSError?, Bool) {
        var pair = try TLSPair(client: .client(authorityFile: file), host: host, server: server())
        pair.connect()
        if pair.isEstablished {
            try pair.client.say([7])
            _ = pair.carry()
            #expect(try pair.server.heard() == [7])
        }
        return (pair.clientError, pair.isEstablished)
    }

    @Test(
        "a server that the client trusts, by a name or an address of its certificate",
        arguments: ["localhost", "LOCALHOST", "localhost.", "127.0.0.1", "a.example.org"])
    func trusted(host: String) throws {
        let (error, established) = try connect(to: host, trusting: Self.local.certificate)
        #expect(error == nil && established)
    }

    @Test(
        "another name, another address, or a name inside a name is refused",
        arguments: ["example.org", "127.0.0.2", "a.b.example.org", "localhost.evil.org", "::1"])
    func wrongName(host: String) throws {
        let (error, established) = try connect(to: host, trusting: Self.local.certificate)
        guard case .handshakeFailed(let reason)? = error else {
            Issue.record("not refused: \(String(describing: error))")
            return
        }
        #expect(reason.contains("mismatch") && !established)
    }

    @Test("a certificate that nobody vouches for is refused")
    func untrusted() throws {
        for file in [nil, Self.other.certificate] {
            let (error, established) = try connect(to: "localhost", trusting: file)
            guard case .handshakeFailed(let reason)? = error else {
                Issue.record("not refused: \(String(describing: error))")
                return
            }
            #expect(reason.contains("self-signed") && !established)
        }
    }

    @Test("a client that verifies needs a name to verify")
    func nameless() throws {
        let context = try TLSContext.client()
        for host in [nil, "", ".", "a\0b"] {
            #expect(throws: TLSError.self) { _ = try TLSStream(context: context, role: .client(host: host)) }
        }
    }

    @Test(
        "clients of TLS 1.2 and 1.3 are served, older ones and other protocols are not",
        arguments: [TLS1_VERSION, TLS1_1_VERSION, TLS1_2_VERSION, TLS1_3_VERSION])
    func versions(_ version: Int32) throws {
        let client = RawTLS(isServer: false) {
            SSL_CTX_set_security_level($0, 0)
            SSL_CTX_ctrl($0, SSL_CTRL_SET_MIN_PROTO_VERSION, Int(version), nil)
            SSL_CTX_ctrl($0, SSL_CTRL_SET_MAX_PROTO_VERSION, Int(version), nil)
        }
        var stream = try TLSStream(context: server(), role: .server)
        join(&stream, client)
        #expect(stream.isEstablished == (version >= TLS1_2_VERSION))
        #expect(client.isEstablished == stream.isEstablished)
    }

    @Test("ALPN chooses http/1.1, and refuses whoever speaks only something else")
    func protocols() throws {
        func establishes(_ offered: [String]) throws -> Bool {
            let bytes = offered.flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) }
            let client = RawTLS(isServer: false) { SSL_CTX_set_alpn_protos($0, bytes, UInt32(bytes.count)) }
            var stream = try TLSStream(context: server(), role: .server)
            join(&stream, client)
            return stream.isEstablished
        }
        #expect(try establishes(["http/1.1"]))
        #expect(try establishes(["h2", "http/1.1"]))
        #expect(try !establishes(["h2"]))
        #expect(try establishes([]))
    }

    @Test("no new handshake is begun on a connection of TLS 1.2, and who insists is cut off")
    func renegotiation() throws {
        let client = RawTLS(isServer: false) {
            SSL_CTX_ctrl($0, SSL_CTRL_SET_MAX_PROTO_VERSION, Int(TLS1_2_VERSION), nil)
        }
        var stream = try TLSStream(context: server(), role: .server)
        join(&stream, client)
        try #require(stream.isEstablished == true)
        client.renegotiate()
        try stream.take(client.takeOutput())
        #expect(try stream.heard() == [])
        try stream.say([5])
    }

    @Test("files that can't serve are named with the reason, and the key's content never")
    func badFiles() throws {
        let folder = Self.local.folder
        let garbage = folder.appendingPathComponent("garbage.pem").path
        try Data("-----BEGIN PRIVATE KEY-----\nVERYSECRET\n-----END PRIVATE KEY-----\n".utf8).write(
            to: URL(fileURLWithPath: garbage))
        func refusal(_ certificate: String, _ key: String) -> TLSError? {
            do throws(TLSError) {
                _ = try TLSContext.server(certificateFile: certificate, keyFile: key)
                return nil
            } catch {
                return error
            }
        }
        let (certificate, key) = (Self.local.certificate, Self.local.key)
        #expect(refusal(certificate, key) == nil)
        #expect(refusal("/nowhere.pem", key) == .unusable(file: "/nowhere.pem", reason: "No such file or directory"))
        #expect(refusal(certificate, "/nowhere") == .unusable(file: "/nowhere", reason: "No such file or directory"))
        for (certificateFile, keyFile, named, words) in [
            (garbage, key, garbage, "no certificate in PEM"), (certificate, garbage, garbage, "no private key in PEM"),
            (certificate, certificate, certificate, "no private key in PEM"),
            (certificate, Self.other.key, Self.other.key, "not the key of the certificate"),
            (folder.path, key, folder.path, "no certificate in PEM"),
        ] {
            let message = try #require(refusal(certificateFile, keyFile)).description
            #expect(message.contains(named) && message.contains(words) && !message.contains("VERYSECRET"), "\(message)")
        }
        #expect(throws: TLSError.self) { _ = try TLSContext.client(authorityFile: garbage) }
    }

    private func join(_ stream: inout TLSStream, _ other: RawTLS) {
        while true {
            _ = stream.shake()
            other.shake()
            let (out, back) = (stream.output(), other.takeOutput())
            other.take(out)
            _ = stream.deliver(back)
            if out.isEmpty && back.isEmpty { return }
        }
    }
}
