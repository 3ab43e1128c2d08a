import ConvergeTransport
import ConvergeWire

/// Who a token says its bearer is.
struct Identity: Sendable, Equatable {
    let user: Text
    let displayName: Text
}

/// Checks JSON Web Tokens (RFC 7519) signed with a shared secret. One thread's own: the keys have state.
///
/// What is wrong with a token is for the log: whoever sent it learns only that it was refused.
struct TokenVerifier: ~Copyable {
    private struct Keys: ~Copyable {
        var sha256: HMACKey
        var sha384: HMACKey
        var sha512: HMACKey
    }

    /// Nil without a secret: then no token is good.
    private var keys: Keys?
    private let issuer: Text
    private let audience: Text

    init(secret: Secret?, issuer: String?, audience: String?) {
        if let secret, !secret.isEmpty {
            keys = Keys(
                sha256: HMACKey(.sha256, secret: secret.bytes), sha384: HMACKey(.sha384, secret: secret.bytes),
                sha512: HMACKey(.sha512, secret: secret.bytes))
        } else {
            keys = nil
        }
        self.issuer = Text(issuer ?? "")
        self.audience = Text(audience ?? "")
    }

    /// - Parameter seconds: wall time since 1970.
    mutating func identity(of text: UnsafeRawBufferPointer, at seconds: Double) throws(TokenError) -> Identity {
        guard keys != nil else { throw .noSecret }
        let token = try Token.parse(text)
        let signed = UnsafeRawBufferPointer(rebasing: text[token.signingInput])
        let expected =
            switch token.algorithm {
            case .hs256: keys!.sha256.authenticate(signed)
            case .hs384: keys!.sha384.authenticate(signed)
            case .hs512: keys!.sha512.authenticate(signed)
            }
        let genuine = expected.withUnsafeBytes { expected in
            token.signature.withUnsafeBytes { equalInConstantTime(expected, $0) }
        }
        guard genuine else { throw .signature }
        try token.claims.validate(now: seconds, issuer: issuer, audience: audience)
        return Identity(user: token.claims.user, displayName: token.claims.displayName)
    }
}
