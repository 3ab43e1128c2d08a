import ConvergeTransport
import ConvergeWire
import Testing

@testable import ConvergeClient

@Suite("The token that rooms share")
struct TokenHolderTests {
    private func token(expires: Double?) -> String {
        var claims = TokenClaims(user: "ann")
        claims.expires = expires
        let input = claims.signingInput(.hs256)
        var key = HMACKey(.sha256, secret: Array("s".utf8))
        let signature = input.withUnsafeBytes { key.authenticate($0) }
        var out = ByteBuffer()
        out.append(input)
        out.append(".")
        signature.withUnsafeBytes { Base64URL.append($0, to: &out) }
        return String(decoding: out.bytes, as: UTF8.self)
    }

    @Test func `it is asked for once, for all rooms that wait`() {
        var holder = TokenHolder()
        #expect(holder.want(for: 1, refused: nil, at: 0) == (false, true))
        #expect(holder.want(for: 2, refused: nil, at: 0) == (false, false))
        #expect(holder.came("t") == [1, 2] && holder.token == "t" && holder.number == 1)
        #expect(holder.want(for: 3, refused: nil, at: 0) == (true, false))
    }

    @Test func `a refused one is asked for anew, and a room that comes late with the old one gets the new one`() {
        var holder = TokenHolder()
        _ = holder.want(for: 1, refused: nil, at: 0)
        _ = holder.came("old")
        #expect(holder.want(for: 1, refused: 1, at: 0) == (false, true))
        #expect(holder.want(for: 2, refused: 1, at: 0) == (false, false))
        #expect(holder.came("new") == [1, 2])
        #expect(holder.want(for: 3, refused: 1, at: 0) == (true, false) && holder.token == "new")
    }

    @Test func `one whose end has come is asked for anew`() {
        var holder = TokenHolder()
        _ = holder.want(for: 1, refused: nil, at: 0)
        _ = holder.came(token(expires: 1_000))
        #expect(holder.want(for: 1, refused: nil, at: 900).isThere)
        #expect(holder.want(for: 1, refused: nil, at: 996) == (false, true))
    }

    @Test func `what is no token of this kind is used until it is refused`() {
        var holder = TokenHolder()
        _ = holder.want(for: 1, refused: nil, at: 0)
        _ = holder.came("opaque")
        #expect(holder.want(for: 1, refused: nil, at: 1e12).isThere)
    }

    @Test func `where it can't be had everybody is told, and it is asked for again`() {
        var holder = TokenHolder()
        _ = holder.want(for: 1, refused: nil, at: 0)
        #expect(holder.failed() == [1])
        #expect(holder.want(for: 1, refused: nil, at: 0) == (false, true))
    }
}
