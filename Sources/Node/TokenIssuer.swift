import ConvergeTransport
import ConvergeWire

/// Makes the tokens that a node accepts: JSON Web Tokens (RFC 7519) signed with HS256.
public struct TokenIssuer: Sendable {
    private let secret: Secret
    private let issuer: String?
    private let audience: String?

    /// - Parameters:
    ///   - issuer: becomes `iss`, where the node asks for one.
    ///   - audience: becomes `aud`, where the node asks for one.
    public init(secret: Secret, issuer: String? = nil, audience: String? = nil) {
        self.secret = secret
        self.issuer = issuer
        self.audience = audience
    }

    /// A token for one user, good from now on.
    ///
    /// - Parameters:
    ///   - displayName: what others see; the user's id where it is nil.
    ///   - lifetime: how long it is good for; nil for ever.
    public func token(user: String, displayName: String? = nil, lifetime: Duration?) -> String {
        token(
            user: user, displayName: displayName, at: SystemClock.wallMilliseconds() / 1_000, lifetime: lifetime)
    }

    /// - Parameter now: seconds since 1970.
    func token(user: String, displayName: String? = nil, at now: UInt64, lifetime: Duration?) -> String {
        let issued = Double(now)
        // Rounded up, so that a lifetime under a second is not none.
        let expires = lifetime.map { issued + Double(($0.nanoseconds + 999_999_999) / 1_000_000_000) }
        let claims = TokenClaims(
            user: Text(user), displayName: displayName.map { Text($0) }, expires: expires,
            issuer: issuer.map { Text($0) },
            audience: audience.map { [Text($0)] } ?? [])
        let input = claims.signingInput(.hs256)
        var key = HMACKey(.sha256, secret: secret.bytes)
        let signature = input.withUnsafeBytes { key.authenticate($0) }
        var token = ByteBuffer()
        token.append(input)
        token.append(".")
        signature.withUnsafeBytes { Base64URL.append($0, to: &token) }
        return String(decoding: token.bytes, as: UTF8.self)
    }
}
