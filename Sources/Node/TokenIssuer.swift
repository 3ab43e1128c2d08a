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

    /// A token for one user.
    ///
    /// - Parameters:
    ///   - displayName: what others see; the user's id where it is nil.
    ///   - now: seconds since 1970.
    ///   - lifetime: how long it is good for; nil for ever.
    public func token(user: String, displayName: String? = nil, at now: UInt64, lifetime: Duration?) -> String {
        var claims = ByteBuffer()
        claims.append("{\"sub\":")
        claims.appendJSONString(Text(user))
        if let displayName {
            claims.append(",\"name\":")
            claims.appendJSONString(Text(displayName))
        }
        if let issuer {
            claims.append(",\"iss\":")
            claims.appendJSONString(Text(issuer))
        }
        if let audience {
            claims.append(",\"aud\":")
            claims.appendJSONString(Text(audience))
        }
        claims.append(",\"iat\":")
        claims.appendDecimal(now)
        if let lifetime {
            claims.append(",\"exp\":")
            // Rounded up, so that a lifetime under a second is not none.
            claims.appendDecimal(now + (lifetime.nanoseconds + 999_999_999) / 1_000_000_000)
        }
        claims.append("}")
        let signed = base64URL(Array(#"{"alg":"HS256","typ":"JWT"}"#.utf8)) + "." + base64URL(claims.array())
        var key = HMACKey(.sha256, secret: secret.bytes)
        let signature = Array(signed.utf8).withUnsafeBytes { key.authenticate($0) }
        return signed + "." + base64URL(signature)
    }

    /// RFC 4648, section 5, without padding.
    private func base64URL(_ bytes: [UInt8]) -> String {
        let text = Base64.encode(bytes).compactMap { byte -> UInt8? in
            switch byte {
            case UInt8(ascii: "+"): UInt8(ascii: "-")
            case UInt8(ascii: "/"): UInt8(ascii: "_")
            case UInt8(ascii: "="): nil
            default: byte
            }
        }
        return String(decoding: text, as: UTF8.self)
    }
}
