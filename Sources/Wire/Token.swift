/// A JSON Web Token in its compact form (RFC 7519, RFC 7515), taken apart but not yet believed.
///
/// ```
/// base64url(header) . base64url(claims) . base64url(signature)
/// └────────── signing input ──────────┘
/// ```
/// The claims mean nothing until the signature over the signing input has been compared, in constant time, which is for
/// whoever has the secret and OpenSSL to do; then `TokenClaims.validate` judges what they say. Only HMAC with a secret
/// is known here: a token with any other `alg`, `none` above all, is refused when it is read.
public struct Token: Hashable, Sendable {
    public enum Algorithm: String, Hashable, Sendable {
        case hs256 = "HS256"
        case hs384 = "HS384"
        case hs512 = "HS512"

        /// The length of a signature in bytes.
        public var signatureLength: Int {
            switch self {
            case .hs256: 32
            case .hs384: 48
            case .hs512: 64
            }
        }
    }

    public var algorithm: Algorithm
    /// Where in the token's text the bytes stand that are signed.
    public var signingInput: Range<Int>
    /// Of just the length that the algorithm makes.
    public var signature: [UInt8]
    public var claims: TokenClaims

    /// The longest token that is looked at, in bytes.
    public static let lengthLimit = 8192

    /// O(n). Throws for everything that is not a well-formed token whose claims have the types they must.
    public static func parse(_ text: UnsafeRawBufferPointer) throws(TokenError) -> Token {
        guard !text.isEmpty else { throw .missing }
        guard text.count <= lengthLimit else { throw .tooLong }
        guard let first = text.firstIndex(of: UInt8(ascii: ".")),
            let second = text[(first + 1)...].firstIndex(of: UInt8(ascii: ".")),
            !text[(second + 1)...].contains(UInt8(ascii: "."))
        else { throw .malformed }
        func part(_ range: Range<Int>) -> UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: text[range]) }
        guard let header = Base64URL.decode(part(0..<first)),
            let payload = Base64URL.decode(part(first + 1..<second)),
            let signature = Base64URL.decode(part(second + 1..<text.count))
        else { throw .malformed }

        let algorithm = try header.span.withUnsafeBytes { bytes throws(TokenError) in try Token.algorithm(header: bytes)
        }
        guard signature.count == algorithm.signatureLength else { throw .malformed }
        let claims = try payload.span.withUnsafeBytes { bytes throws(TokenError) in try TokenClaims(json: bytes) }
        return Token(algorithm: algorithm, signingInput: 0..<second, signature: signature, claims: claims)
    }

    private static func algorithm(header: UnsafeRawBufferPointer) throws(TokenError) -> Algorithm {
        guard header.isUTF8 else { throw .malformed }
        var algorithm: Algorithm?
        var isCritical = false
        do throws(JSONError) {
            var json = JSONScanner(header)
            try json.beginObject()
            while let key = try json.nextKey() {
                if key.withBytes({ $0.equals("alg") }) {
                    algorithm = try json.string().withBytes { name in
                        name.equals("HS256")
                            ? .hs256 : name.equals("HS384") ? .hs384 : name.equals("HS512") ? .hs512 : nil
                    }
                } else {
                    isCritical = isCritical || key.withBytes { $0.equals("crit") }
                    try json.skipValue()
                }
            }
            try json.finish()
        } catch {
            throw .malformed
        }
        // `crit` names extensions that must be understood (RFC 7515, section 4.1.11); none is here.
        guard let algorithm, !isCritical else { throw .algorithm }
        return algorithm
    }
}

/// Why a token was refused. For logs and metrics: whoever sent it learns only that it was.
public enum TokenError: String, Error, Hashable, Sendable {
    case missing
    case tooLong = "too long"
    /// Not a token, or with claims of the wrong types.
    case malformed
    /// Signed in a way that is not accepted.
    case algorithm = "algorithm not accepted"
    /// For whoever compares signatures to throw.
    case signature = "wrong signature"
    /// The same, where there is nothing to compare with.
    case noSecret = "no secret is set"
    case noUser = "no user"
    case expired
    case notYetValid = "not yet valid"
    case issuer = "wrong issuer"
    case audience = "wrong audience"
}
