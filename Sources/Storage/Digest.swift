// SHA-256 by OpenSSL, with one context and one fetched algorithm for all digests: fetching costs more than hashing.

import COpenSSL
import ConvergeWire

/// Belongs to one thread.
final class Digest {
    private let context: OpaquePointer
    private let algorithm: OpaquePointer

    static let byteCount = 32

    init() {
        // Both fail only where OpenSSL is broken or memory has run out: nothing could be stored then.
        guard let algorithm = EVP_MD_fetch(nil, "SHA256", nil), let context = EVP_MD_CTX_new() else {
            preconditionFailure("OpenSSL offers no SHA-256")
        }
        self.algorithm = algorithm
        self.context = context
    }

    deinit {
        EVP_MD_CTX_free(context)
        EVP_MD_free(algorithm)
    }

    @inline(__always)
    func begin() {
        let done = EVP_DigestInit_ex2(context, algorithm, nil)
        precondition(done == 1, "SHA-256 could not be started")
    }

    @inline(__always)
    func update(_ bytes: UnsafeRawBufferPointer) {
        let done = EVP_DigestUpdate(context, bytes.baseAddress, bytes.count)
        precondition(done == 1, "SHA-256 could not go on")
    }

    /// Writes 32 bytes.
    @inline(__always)
    func finish(into out: UnsafeMutablePointer<UInt8>) {
        let done = EVP_DigestFinal_ex(context, out, nil)
        precondition(done == 1, "SHA-256 could not be ended")
    }
}
