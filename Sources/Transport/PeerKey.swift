import COpenSSL

/// The key by which nodes of one cluster know each other, and the name by which a TLS 1.3 handshake says which key is
/// meant.
///
/// A cluster's secret may be a sentence that somebody made up, and whoever records a handshake may try sentences against
/// it for ever. So each try is made dear by scrypt (RFC 7914), salted with the cluster's name; HKDF (RFC 5869) then
/// parts the key from its name, so that the name tells nothing of the key:
///
///     stretched = scrypt(secret, salt: "converge peer " + cluster, N = 2^15, r = 8, p = 1), 32 bytes
///     key       = HKDF-SHA-256(stretched, salt: cluster, info: "peer v1"), 32 bytes
///     identity  = HKDF-SHA-256(stretched, salt: cluster, info: "peer v1 identity"), 16 bytes
///
/// Takes about 100 ms and 32 MiB to make. What it is made of is wiped, and so is the key when it is gone.
final class PeerKey: Sendable {
    static let length = 32
    static let identityLength = 16

    // The key, then the identity. Written by init alone, so threads may share it.
    private nonisolated(unsafe) let bytes: UnsafeMutableRawPointer

    init(secret: [UInt8], cluster: String) {
        let name = Array(cluster.utf8)
        let salt = Array("converge peer ".utf8) + name
        var stretched = [UInt8](repeating: 0, count: 32)
        let isStretched = secret.withUnsafeBytes { secret in
            // OpenSSL's own limit is 32 MiB, which this misses by some bytes.
            EVP_PBE_scrypt(
                secret.baseAddress?.assumingMemoryBound(to: CChar.self), secret.count, salt, salt.count, 1 << 15, 8, 1,
                64 << 20, &stretched, stretched.count)
        }
        precondition(isStretched == 1, "scrypt failed")

        let whole = Self.length + Self.identityLength
        bytes = .allocate(byteCount: whole, alignment: 16)
        let out = bytes.bindMemory(to: UInt8.self, capacity: whole)
        for (label, start, count) in [
            ("peer v1", 0, Self.length), ("peer v1 identity", Self.length, whole - Self.length),
        ] {
            let done = copenssl_hkdf_sha256(
                stretched, stretched.count, name, name.count, label, label.utf8.count, out + start, count)
            precondition(done == 1, "HKDF failed")
        }
        stretched.withUnsafeMutableBytes { OPENSSL_cleanse($0.baseAddress, $0.count) }
    }

    deinit {
        OPENSSL_cleanse(bytes, Self.length)
        bytes.deallocate()
    }

    /// 32 bytes, for as long as the key lives.
    var key: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: bytes, count: Self.length) }

    /// 16 bytes, for as long as the key lives.
    var identity: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: bytes + Self.length, count: Self.identityLength)
    }
}
