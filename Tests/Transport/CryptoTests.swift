import ConvergeTransport
import Testing

/// Known answers: RFC 4231 (HMAC), FIPS 180 examples (SHA), RFC 6455 (the handshake's hash), RFC 4648 (base64).
@Suite("Crypto") struct CryptoTests {
    private func hex(_ bytes: [UInt8]) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    private func tag(_ algorithm: HMACAlgorithm, _ secret: [UInt8], _ message: [UInt8]) -> String {
        var key = HMACKey(algorithm, secret: secret)
        return hex(message.withUnsafeBytes { key.authenticate($0) })
    }

    @Test("HMAC of RFC 4231, test case 2: a short key")
    func shortKey() {
        let key = Array("Jefe".utf8)
        let message = Array("what do ya want for nothing?".utf8)
        #expect(
            tag(.sha256, key, message) == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
        #expect(
            tag(.sha384, key, message)
                == "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649")
        #expect(
            tag(.sha512, key, message)
                == "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
                + "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737")
    }

    @Test("HMAC of RFC 4231, test case 6: a key longer than a block")
    func longKey() {
        let key = [UInt8](repeating: 0xAA, count: 131)
        let message = Array("Test Using Larger Than Block-Size Key - Hash Key First".utf8)
        #expect(
            tag(.sha256, key, message) == "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54")
    }

    @Test("HMAC with nothing in the key and the message")
    func empty() {
        #expect(tag(.sha256, [], []) == "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad")
    }

    @Test("a key authenticates message after message as a new one would")
    func reused() {
        var key = HMACKey(.sha512, secret: Array("secret".utf8))
        var differing = 0
        for length in 0..<300 {
            let message = [UInt8](repeating: UInt8(length & 0xFF), count: length)
            let again = message.withUnsafeBytes { key.authenticate($0) }
            if hex(again) != tag(.sha512, Array("secret".utf8), message) { differing += 1 }
        }
        #expect(differing == 0)
    }

    @Test("SHA-1 and SHA-256 of abc and of nothing, one after the other with one digester")
    func hashes() {
        var sha1 = Digester.sha1()
        var sha256 = Digester.sha256()
        let abc = Array("abc".utf8)
        #expect(hex(abc.withUnsafeBytes { sha1.hash($0) }) == "a9993e364706816aba3e25717850c26c9cd0d89d")
        #expect(
            hex([UInt8]().withUnsafeBytes { sha1.hash($0) }) == "da39a3ee5e6b4b0d3255bfef95601890afd80709")
        #expect(hex(abc.withUnsafeBytes { sha1.hash($0) }) == "a9993e364706816aba3e25717850c26c9cd0d89d")
        #expect(
            hex(abc.withUnsafeBytes { sha256.hash($0) })
                == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        #expect(
            hex([UInt8]().withUnsafeBytes { sha256.hash($0) })
                == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    }

    @Test("the accept value of RFC 6455, section 1.3")
    func accept() {
        var sha1 = Digester.sha1()
        let key = Array("dGhlIHNhbXBsZSBub25jZQ==258EAFA5-E914-47DA-95CA-C5AB0DC85B11".utf8)
        let value = Base64.encode(key.withUnsafeBytes { sha1.hash($0) })
        #expect(String(decoding: value, as: UTF8.self) == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    }

    @Test(
        "base64 of RFC 4648, section 10",
        arguments: [
            ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ])
    func base64(plain: String, encoded: String) {
        #expect(String(decoding: Base64.encode(Array(plain.utf8)), as: UTF8.self) == encoded)
    }

    @Test("bytes are equal where all are, and only then")
    func equal() {
        func equal(_ a: [UInt8], _ b: [UInt8]) -> Bool {
            a.withUnsafeBytes { a in b.withUnsafeBytes { equalInConstantTime(a, $0) } }
        }
        #expect(equal([], []) && equal([1, 2, 3], [1, 2, 3]))
        #expect(!equal([1, 2, 3], [1, 2, 4]) && !equal([1, 2, 3], [0, 2, 3]) && !equal([1, 2], [1, 2, 3]))
    }

    @Test("random words differ")
    func random() {
        #expect(Set((0..<100).map { _ in SecureRandom.word() }).count == 100)
        #expect(SecureRandom.bytes(33).count == 33 && SecureRandom.bytes(0).isEmpty)
    }
}
