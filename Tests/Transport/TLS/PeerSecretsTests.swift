import Testing

@testable import ConvergeTransport

/// The golden keys were computed by Python's hashlib.scrypt and hmac.
@Suite("PeerSecrets, PeerKey") struct PeerSecretsTests {
    private func hex(_ bytes: UnsafeRawBufferPointer) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    @Test(
        "a secret and a cluster's name make this key and this identity",
        arguments: [
            (
                "0123456789abcdef0123456789abcdef", "converge",
                "d35911a3712c626b741d26bfe6a40a80431dae2bc05209293a0c6c68b2c75954", "a72cf8b6894c3a093907d2acc5d8ae64"
            ),
            (
                "ein langer Satz, den sich jemand für sein Netz ausgedacht hat", "Grüße",
                "0b410fa596c6c881c80c8fdcdd1e08bd38c8c31f221d7022a0a6a9d0b4caa997", "51329ba200f13001cb3b1c62ce7cbd79"
            ),
        ])
    func golden(secret: String, cluster: String, key: String, identity: String) {
        let made = PeerKey(secret: Array(secret.utf8), cluster: cluster)
        #expect(hex(made.key) == key)
        #expect(hex(made.identity) == identity)
        withExtendedLifetime(made) {}
    }

    @Test("fewer than 32 characters are refused, counted as characters and not as bytes")
    func tooShort() {
        func refusal(_ current: String, _ previous: String? = nil, cluster: String = "c") -> PeerSecrets.Refusal? {
            do throws(PeerSecrets.Refusal) {
                _ = try PeerSecrets(
                    current: Array(current.utf8), previous: previous.map { Array($0.utf8) }, cluster: cluster)
                return nil
            } catch {
                return error
            }
        }
        let good = String(repeating: "x", count: 32)
        #expect(refusal(good) == nil)
        #expect(refusal("") == .tooShort(characters: 0))
        #expect(refusal(String(repeating: "x", count: 31)) == .tooShort(characters: 31))
        #expect(refusal(String(repeating: "ü", count: 31)) == .tooShort(characters: 31))
        #expect(refusal(good, "short") == .tooShort(characters: 5))
        #expect(refusal(good, cluster: "") == .noClusterName)
        let text = PeerSecrets.Refusal.tooShort(characters: 5).description
        #expect(text.contains("32") && text.contains("5") && text.contains("converge secret"))
    }

    @Test("nothing of a secret stands in what can be printed of it")
    func descriptions() throws {
        let secret = "correct horse battery staple and more"
        let secrets = try PeerSecrets(current: Array(secret.utf8), cluster: "c")
        var dumped = ""
        dump(secrets, to: &dumped)
        let shown = "\(secrets) \(String(reflecting: secrets)) \(dumped)"
        #expect(!shown.contains("horse"))
        #expect(!shown.contains(secret.utf8.map { String($0) }.prefix(4).joined(separator: ", ")))
        #expect(secrets.description == "a secret")
    }
}
