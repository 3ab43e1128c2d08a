// Tokens, good and bad.

import ConvergeNode
import ConvergeTransport
import Foundation

enum Tokens {
    static let secret = "a secret that only tests have"

    /// A good token; lives for ever.
    static func of(_ user: String, name: String? = nil) -> String {
        TokenIssuer(secret: Secret(secret)).token(user: user, displayName: name, lifetime: nil)
    }

    static var now: UInt64 { SystemClock.wallMilliseconds() / 1_000 }

    /// Signs whatever it is given.
    static func signed(
        header: String = #"{"alg":"HS256","typ":"JWT"}"#, claims: String, by algorithm: HMACAlgorithm = .sha256,
        secret: String = secret
    ) -> String {
        let input = base64URL(Array(header.utf8)) + "." + base64URL(Array(claims.utf8))
        var key = HMACKey(algorithm, secret: Array(secret.utf8))
        let signature = Array(input.utf8).withUnsafeBytes { key.authenticate($0) }
        return input + "." + base64URL(signature)
    }

    static func base64URL(_ bytes: [UInt8]) -> String {
        Data(bytes).base64EncodedString().replacingOccurrences(of: "+", with: "-")
            .replacingOccurrences(of: "/", with: "_").replacingOccurrences(of: "=", with: "")
    }
}
