import ConvergeTransport
import ConvergeWire
import Testing

@testable import ConvergeNode

@Suite("Issued tokens")
struct TokenIssuerTests {
    private func parsed(_ text: String) throws -> Token {
        let bytes = Array(text.utf8)
        return try bytes.withUnsafeBytes { try Token.parse($0) }
    }

    @Test("a token says what it was asked to, and its signature is the secret's")
    func complete() throws {
        let issuer = TokenIssuer(secret: Secret("s"), issuer: "i", audience: "a")
        let text = issuer.token(user: "ana", displayName: "Ana \"Ö\"", at: 1_000, lifetime: .milliseconds(1_500))
        let token = try parsed(text)
        #expect(token.claims.user == "ana" && token.claims.displayName == "Ana \"Ö\"")
        #expect(token.claims.issuer == "i" && token.claims.audience == ["a"] && token.claims.expires == 1_002)
        var key = HMACKey(.sha256, secret: Array("s".utf8))
        let signature = Array(text.utf8)[token.signingInput].withUnsafeBytes {
            key.authenticate(UnsafeRawBufferPointer(rebasing: $0[...]))
        }
        #expect(token.signature == signature && token.algorithm == .hs256)
    }

    @Test("a token is good from now on, by the system's clock")
    func clock() throws {
        let before = Double(SystemClock.wallMilliseconds() / 1_000)
        let token = try parsed(TokenIssuer(secret: Secret("s")).token(user: "ana", lifetime: .seconds(60)))
        let after = Double(SystemClock.wallMilliseconds() / 1_000)
        let end = try #require(token.claims.expires)
        #expect((before + 60...after + 60).contains(end))
    }

    @Test("without a lifetime it never expires, without a name the user's id is it")
    func plain() throws {
        let token = try parsed(TokenIssuer(secret: Secret("s")).token(user: "ana", at: 1, lifetime: nil))
        #expect(token.claims.expires == nil && token.claims.displayName == "ana" && token.claims.audience.isEmpty)
    }
}
