import COpenSSL

/// A TLS end made of OpenSSL alone, which may do what a `TLSStream` would not.
final class RawTLS {
    private let context: OpaquePointer
    private let ssl: OpaquePointer
    private let input = BIO_new(BIO_s_mem())
    private let output = BIO_new(BIO_s_mem())
    private(set) var isEstablished = false
    private(set) var hasFailed = false

    init(isServer: Bool, _ configure: (OpaquePointer) -> Void) {
        context = SSL_CTX_new(TLS_method())!
        configure(context)
        ssl = SSL_new(context)!
        SSL_set_bio(ssl, input, output)
        if isServer { SSL_set_accept_state(ssl) } else { SSL_set_connect_state(ssl) }
    }

    deinit {
        SSL_free(ssl)
        SSL_CTX_free(context)
    }

    func take(_ bytes: [UInt8]) { if !bytes.isEmpty { BIO_write(input, bytes, Int32(bytes.count)) } }

    func shake() {
        guard !isEstablished, !hasFailed else { return }
        ERR_clear_error()
        let code = SSL_do_handshake(ssl)
        if code == 1 { isEstablished = true }
        hasFailed = code != 1 && SSL_get_error(ssl, code) != SSL_ERROR_WANT_READ
    }

    func say(_ bytes: [UInt8]) { SSL_write(ssl, bytes, Int32(bytes.count)) }

    func heard() -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: 20_000)
        let count = SSL_read(ssl, &buffer, Int32(buffer.count))
        return Array(buffer.prefix(max(0, Int(count))))
    }

    /// A message that changes its keys.
    func updateKeys(asking: Bool) {
        SSL_key_update(ssl, asking ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED)
        SSL_do_handshake(ssl)
    }

    func renegotiate() {
        SSL_renegotiate(ssl)
        SSL_do_handshake(ssl)
    }

    var version: String { String(cString: SSL_get_version(ssl)) }

    func takeOutput() -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        var all: [UInt8] = []
        while true {
            let count = BIO_read(output, &buffer, Int32(buffer.count))
            guard count > 0 else { return all }
            all += buffer.prefix(Int(count))
        }
    }
}
