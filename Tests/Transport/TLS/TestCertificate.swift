import COpenSSL
import Foundation
import Synchronization

/// A certificate that vouches for itself, with its key, in files of a folder that goes with it, or with the process.
final class TestCertificate: Sendable {
    let folder: URL
    var certificate: String { folder.appendingPathComponent("cert.pem").path }
    var key: String { folder.appendingPathComponent("key.pem").path }

    /// - Parameter names: as OpenSSL writes subjectAltName: `DNS:localhost,IP:127.0.0.1`.
    init(names: String) {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("converge-tls-\(UUID().uuidString)")
        try? FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        Self.folders.withLock { $0.append(folder) }
        Self.cleaning

        let generator = EVP_PKEY_CTX_new_from_name(nil, "EC", nil)
        var pair: OpaquePointer?
        EVP_PKEY_keygen_init(generator)
        EVP_PKEY_CTX_set_group_name(generator, "P-256")
        precondition(EVP_PKEY_generate(generator, &pair) == 1)
        EVP_PKEY_CTX_free(generator)

        let certificate = X509_new()
        X509_set_version(certificate, 2)
        ASN1_INTEGER_set(X509_get_serialNumber(certificate), Int.random(in: 1...1_000_000))
        X509_gmtime_adj(X509_getm_notBefore(certificate), -60)
        X509_gmtime_adj(X509_getm_notAfter(certificate), 3_600)
        X509_set_pubkey(certificate, pair)
        let name = X509_get_subject_name(certificate)
        X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_FLAG | 1, "converge test", -1, -1, 0)
        X509_set_issuer_name(certificate, name)
        let alternative = X509V3_EXT_conf_nid(nil, nil, NID_subject_alt_name, names)
        precondition(alternative != nil)
        X509_add_ext(certificate, alternative, -1)
        X509_EXTENSION_free(alternative)
        precondition(X509_sign(certificate, pair, EVP_sha256()) > 0)

        write(self.certificate) { PEM_write_bio_X509($0, certificate) }
        write(self.key) { PEM_write_bio_PrivateKey($0, pair, nil, nil, 0, nil, nil) }
        X509_free(certificate)
        EVP_PKEY_free(pair)
    }

    deinit { try? FileManager.default.removeItem(at: folder) }

    /// What is static is never deinitialized: its folder goes when the process ends.
    private static let folders = Mutex<[URL]>([])
    private static let cleaning: Void = {
        atexit {
            for folder in TestCertificate.folders.withLock({ $0 }) { try? FileManager.default.removeItem(at: folder) }
        }
    }()

    private func write(_ path: String, _ body: (OpaquePointer?) -> Int32) {
        let file = BIO_new_file(path, "w")
        precondition(body(file) == 1)
        BIO_free(file)
    }
}
