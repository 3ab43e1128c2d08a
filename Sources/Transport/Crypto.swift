import COpenSSL

/// OpenSSL's primitives in the few shapes that this project uses. Algorithms are fetched once: fetching costs more than
/// hashing a short message.

public enum HMACAlgorithm: String, Sendable {
    case sha256 = "SHA256"
    case sha384 = "SHA384"
    case sha512 = "SHA512"
}

/// A key for message authentication (RFC 2104) that is set up once and used for many messages, by one thread.
public struct HMACKey: ~Copyable {
    private let context: OpaquePointer

    public init(_ algorithm: HMACAlgorithm, secret: [UInt8]) {
        guard let mac = EVP_MAC_fetch(nil, "HMAC", nil), let context = EVP_MAC_CTX_new(mac) else {
            preconditionFailure("OpenSSL has no HMAC")
        }
        EVP_MAC_free(mac)
        var name = Array(algorithm.rawValue.utf8CString)
        let started = OSSL_MAC_PARAM_DIGEST.withCString { key in
            name.withUnsafeMutableBufferPointer { digest in
                // A parameter keeps both pointers.
                var parameters = [
                    OSSL_PARAM_construct_utf8_string(key, digest.baseAddress, 0), OSSL_PARAM_construct_end(),
                ]
                return EVP_MAC_init(context, secret, secret.count, &parameters)
            }
        }
        precondition(started == 1, "OpenSSL refuses \(algorithm)")
        self.context = context
    }

    deinit { EVP_MAC_CTX_free(context) }

    public mutating func authenticate(_ message: UnsafeRawBufferPointer) -> [UInt8] {
        var tag = [UInt8](repeating: 0, count: 64)
        var length = 0
        let bytes = message.assumingMemoryBound(to: UInt8.self)
        // A nil key starts anew with the key that is set.
        let done =
            EVP_MAC_init(context, nil, 0, nil) == 1
            && EVP_MAC_update(context, bytes.baseAddress, bytes.count) == 1
            && EVP_MAC_final(context, &tag, &length, tag.count) == 1
        precondition(done, "HMAC failed")
        tag.removeLast(tag.count - length)
        return tag
    }
}

/// A hash function with its state, used by one thread.
public struct Digester: ~Copyable {
    private let algorithm: OpaquePointer
    private let context: OpaquePointer
    private let length: Int

    public static func sha1() -> Digester { Digester("SHA1", length: 20) }
    public static func sha256() -> Digester { Digester("SHA256", length: 32) }

    private init(_ name: String, length: Int) {
        guard let algorithm = EVP_MD_fetch(nil, name, nil), let context = EVP_MD_CTX_new() else {
            preconditionFailure("OpenSSL has no \(name)")
        }
        self.algorithm = algorithm
        self.context = context
        self.length = length
    }

    deinit {
        EVP_MD_CTX_free(context)
        EVP_MD_free(algorithm)
    }

    public mutating func hash(_ message: UnsafeRawBufferPointer) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: 64) { out, count in
            let done =
                EVP_DigestInit_ex2(context, algorithm, nil) == 1
                && EVP_DigestUpdate(context, message.baseAddress, message.count) == 1
                && EVP_DigestFinal_ex(context, out.baseAddress, nil) == 1
            precondition(done, "hashing failed")
            count = length
        }
    }
}

public enum SecureRandom {
    public static func bytes(_ count: Int) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: count) { out, filled in
            precondition(RAND_bytes(out.baseAddress, Int32(count)) == 1, "no randomness")
            filled = count
        }
    }

    public static func word() -> UInt64 {
        bytes(8).reduce(0) { $0 << 8 | UInt64($1) }
    }
}

public enum Base64 {
    /// RFC 4648, section 4, with padding.
    public static func encode(_ bytes: [UInt8]) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: (bytes.count + 2) / 3 * 4 + 1) { out, count in
            count = Int(EVP_EncodeBlock(out.baseAddress, bytes, Int32(bytes.count)))
        }
    }
}

/// Compares without telling by its duration where two secrets of one length differ.
public func equalInConstantTime(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Bool {
    a.count == b.count && CRYPTO_memcmp(a.baseAddress, b.baseAddress, a.count) == 0
}
