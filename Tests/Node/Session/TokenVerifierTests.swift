import ConvergeTransport
import ConvergeWire
import Testing

@testable import ConvergeNode

/// Tokens made by hand from their parts.
enum TestToken {
    static let secret = Secret("0123456789abcdef0123456789abcdef")

    static func make(
        _ claims: String = #"{"sub":"ann","name":"Ann"}"#, header: String? = nil, algorithm: HMACAlgorithm = .sha256,
        secret: Secret = secret
    ) -> String {
        let header = header ?? #"{"alg":"HS\#(algorithm.rawValue.dropFirst(3))","typ":"JWT"}"#
        let signed = base64(Array(header.utf8)) + "." + base64(Array(claims.utf8))
        var key = HMACKey(algorithm, secret: secret.bytes)
        return signed + "." + base64(Array(signed.utf8).withUnsafeBytes { key.authenticate($0) })
    }

    static func base64(_ bytes: [UInt8]) -> String {
        var text = ByteBuffer()
        bytes.withUnsafeBytes { Base64URL.append($0, to: &text) }
        return String(decoding: text.bytes, as: UTF8.self)
    }
}

@Suite("TokenVerifier") struct TokenVerifierTests {
    private func identity(
        _ token: String, secret: Secret? = TestToken.secret, issuer: String? = nil, audience: String? = nil,
        at seconds: Double = 1_000
    ) -> Identity? {
        var verifier = TokenVerifier(secret: secret, issuer: issuer, audience: audience)
        return Array(token.utf8).withUnsafeBytes { try? verifier.identity(of: $0, at: seconds) }
    }

    @Test("each algorithm with its own signature", arguments: [HMACAlgorithm.sha256, .sha384, .sha512])
    func algorithms(_ algorithm: HMACAlgorithm) {
        let ann = Identity(user: "ann", displayName: "Ann")
        #expect(identity(TestToken.make(algorithm: algorithm)) == ann)
        // Signed with one, declared as another.
        for other in [HMACAlgorithm.sha256, .sha384, .sha512] where other != algorithm {
            let header = #"{"alg":"HS\#(other.rawValue.dropFirst(3))"}"#
            #expect(identity(TestToken.make(header: header, algorithm: algorithm)) == nil)
        }
    }

    @Test("every changed bit of the token makes it nobody's")
    func tampered() {
        let token = Array(TestToken.make().utf8)
        var accepted: [Int] = []
        for at in token.indices where token[at] != UInt8(ascii: ".") {
            var changed = token
            // A letter of base64url for another: the last of a part may differ in bits that say nothing.
            changed[at] = changed[at] == UInt8(ascii: "A") ? UInt8(ascii: "z") : UInt8(ascii: "A")
            if identity(String(decoding: changed, as: UTF8.self)) != nil { accepted.append(at) }
        }
        #expect(accepted == [])
    }

    @Test("no signature, half of one, one too long, none at all, another secret's")
    func signatures() {
        let token = TestToken.make()
        let parts = token.split(separator: ".")
        let unsigned = parts[0] + "." + parts[1]
        let signature = [UInt8](repeating: 7, count: 64)
        for bad in [
            String(unsigned), unsigned + ".", unsigned + "." + parts[2].prefix(21),
            unsigned + "." + TestToken.base64(signature), TestToken.make(secret: Secret("another")), "", ".", "..",
            "a.b.c",
            token + ".", token + "=",
        ] {
            #expect(identity(bad) == nil, "\(bad)")
        }
    }

    @Test("other algorithms are refused, above all none", arguments: ["none", "None", "RS256", "ES256", "HS1", ""])
    func otherAlgorithms(_ name: String) {
        #expect(identity(TestToken.make(header: #"{"alg":"\#(name)"}"#)) == nil)
        #expect(identity(TestToken.base64(Array(#"{"alg":"\#(name)"}"#.utf8)) + ".eyJzdWIiOiJhbm4ifQ.") == nil)
    }

    @Test("without a secret nobody is let in, not even by the empty one")
    func noSecret() {
        #expect(identity(TestToken.make(), secret: nil) == nil)
        #expect(identity(TestToken.make(secret: Secret("")), secret: Secret("")) == nil)
    }

    @Test(
        "claims of time, issuer and audience",
        arguments: [
            (#"{"sub":"ann","exp":1001}"#, true), (#"{"sub":"ann","exp":1000}"#, false),
            (#"{"sub":"ann","nbf":1000}"#, true), (#"{"sub":"ann","nbf":1001}"#, false),
            (#"{"sub":"ann","exp":"1001"}"#, false), (#"{"sub":"ann","exp":1000.5}"#, true),
            (#"{"name":"Ann"}"#, false),
        ])
    func claims(_ claims: String, good: Bool) {
        #expect((identity(TestToken.make(claims)) != nil) == good)
    }

    @Test(
        "issuer and audience must be the ones that are set",
        arguments: [
            (#"{"sub":"ann","iss":"i","aud":"a"}"#, true), (#"{"sub":"ann","iss":"i","aud":["b","a"]}"#, true),
            (#"{"sub":"ann","iss":"x","aud":"a"}"#, false), (#"{"sub":"ann","iss":"i","aud":["b"]}"#, false),
            (#"{"sub":"ann","aud":"a"}"#, false), (#"{"sub":"ann","iss":"i"}"#, false),
        ])
    func audience(_ claims: String, good: Bool) {
        #expect((identity(TestToken.make(claims), issuer: "i", audience: "a") != nil) == good)
        #expect(identity(TestToken.make(claims)) != nil)
    }

    @Test("what the issuer issues the verifier accepts, until it has expired")
    func issued() {
        let issuer = TokenIssuer(secret: TestToken.secret, issuer: "i", audience: "a")
        let token = issuer.token(user: "ann \"\n", displayName: "Ann", at: 1_000, lifetime: .seconds(10))
        let ann = Identity(user: "ann \"\n", displayName: "Ann")
        #expect(identity(token, issuer: "i", audience: "a", at: 1_009) == ann)
        #expect(identity(token, issuer: "i", audience: "a", at: 1_010) == nil)
        #expect(identity(token, issuer: "j", audience: "a", at: 1_009) == nil)
        let brief = issuer.token(user: "ann", at: 1_000, lifetime: .milliseconds(1))
        #expect(identity(brief, at: 1_000.5)?.displayName == "ann")
    }
}
