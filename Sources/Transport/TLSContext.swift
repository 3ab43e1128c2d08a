import COpenSSL
import Glibc

/// What TLS connections of one kind have in common: who may be at the other end, and how that is found out.
///
/// A context is finished when it is made: new certificates are a new context. Any thread may use it.
public final class TLSContext: Sendable {
    enum Purpose: Sendable {
        case peer(PeerSecrets)
        case server
        case client
        /// A client that believes whoever answers.
        case unverifiedClient
    }

    let purpose: Purpose
    // Never changed once it is made, and OpenSSL counts the references to it with atomics.
    nonisolated(unsafe) let raw: OpaquePointer

    private init(_ raw: OpaquePointer, _ purpose: Purpose) {
        self.raw = raw
        self.purpose = purpose
    }

    deinit { SSL_CTX_free(raw) }

    // MARK: Kinds

    /// For links between nodes: TLS 1.3 whose only credential is the cluster's secret (RFC 8446, section 4.2.11, an
    /// external pre-shared key, always together with a fresh key exchange), for both ends.
    ///
    /// No certificate is shown, and since the store of those to trust is empty, none is believed. There are no tickets,
    /// no sessions and no early data: each connection proves the secret anew.
    public static func peer(secrets: PeerSecrets) throws(TLSError) -> TLSContext {
        let context = TLSContext(try make(minimum: TLS1_3_VERSION), .peer(secrets))
        let raw = context.raw
        SSL_CTX_ctrl(raw, SSL_CTRL_SET_MAX_PROTO_VERSION, Int(TLS1_3_VERSION), nil)
        SSL_CTX_set_ciphersuites(raw, "TLS_AES_128_GCM_SHA256")
        SSL_CTX_set_num_tickets(raw, 0)
        SSL_CTX_set_options(raw, copenssl_no_ticket)
        SSL_CTX_set_max_early_data(raw, 0)
        SSL_CTX_set_recv_max_early_data(raw, 0)
        SSL_CTX_set_verify(raw, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nil)
        PeerHandshake.install(on: raw)
        return context
    }

    /// For a server that shows a certificate, to clients of TLS 1.2 and 1.3.
    /// - Parameters:
    ///   - certificateFile: PEM: its certificate first, then those that lead to a root.
    ///   - keyFile: PEM, without a passphrase.
    /// - Throws: `.unusable` with the file and the reason.
    public static func server(certificateFile: String, keyFile: String) throws(TLSError) -> TLSContext {
        try requireReadable(certificateFile)
        try requireReadable(keyFile)
        let context = TLSContext(try make(minimum: TLS1_2_VERSION), .server)
        let raw = context.raw
        // Whoever has a passphrase on its key would otherwise be asked for it at the terminal.
        SSL_CTX_set_default_passwd_cb(raw) { _, _, _, _ in 0 }
        TLSFault.forget()
        guard SSL_CTX_use_certificate_chain_file(raw, certificateFile) == 1 else {
            throw .unusable(file: certificateFile, reason: "no certificate in PEM: \(TLSFault.take().text)")
        }
        guard SSL_CTX_use_PrivateKey_file(raw, keyFile, SSL_FILETYPE_PEM) == 1 else {
            let fault = TLSFault.take()
            let isMismatch = fault.library == ERR_LIB_X509
            let problem = isMismatch ? "not the key of the certificate" : "no private key in PEM without a passphrase"
            throw .unusable(file: keyFile, reason: "\(problem): \(fault.text)")
        }
        guard SSL_CTX_check_private_key(raw) == 1 else {
            throw .unusable(file: keyFile, reason: "not the key of the certificate: \(TLSFault.take().text)")
        }
        SSL_CTX_set_alpn_select_cb(raw, chooseProtocol, nil)
        return context
    }

    /// For a client that believes servers whose certificate leads to a root of the system's and bears their name.
    /// `SSL_CERT_FILE` and `SSL_CERT_DIR` name other roots than the system's.
    /// - Parameter authorityFile: PEM: roots that are believed besides.
    /// - Throws: `.unusable` with the file and the reason.
    public static func client(authorityFile: String? = nil) throws(TLSError) -> TLSContext {
        let context = TLSContext(try make(minimum: TLS1_2_VERSION), .client)
        TLSFault.forget()
        SSL_CTX_set_default_verify_paths(context.raw)  // a system without roots believes nobody
        if let authorityFile {
            try requireReadable(authorityFile)
            TLSFault.forget()
            guard SSL_CTX_load_verify_file(context.raw, authorityFile) == 1 else {
                throw .unusable(file: authorityFile, reason: "no certificate in PEM: \(TLSFault.take().text)")
            }
        }
        SSL_CTX_set_verify(context.raw, SSL_VERIFY_PEER, nil)
        SSL_CTX_set_alpn_protos(context.raw, http, UInt32(http.count))
        return context
    }

    /// For a client that asks a port of this same machine whether it answers at all, under whatever name its certificate
    /// bears. It says nothing secret, and takes an answer for nothing but that.
    public static func unverifiedClient() throws(TLSError) -> TLSContext {
        let context = TLSContext(try make(minimum: TLS1_2_VERSION), .unverifiedClient)
        SSL_CTX_set_verify(context.raw, SSL_VERIFY_NONE, nil)
        SSL_CTX_set_alpn_protos(context.raw, http, UInt32(http.count))
        return context
    }

    /// When the certificate that it shows is no good any more, in seconds since 1970; nil where it shows none.
    public var certificateEnd: Int? {
        guard let certificate = SSL_CTX_get0_certificate(raw) else { return nil }
        var time = tm()
        guard ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &time) == 1 else { return nil }
        return timegm(&time)
    }

    // MARK: What all have

    /// What OpenSSL tells one program's sessions from another's by.
    static let name: [UInt8] = Array("converge".utf8)

    private static func make(minimum version: Int32) throws(TLSError) -> OpaquePointer {
        TLSFault.forget()
        guard let raw = SSL_CTX_new(TLS_method()) else { throw .unusable(file: nil, reason: TLSFault.take().text) }
        SSL_CTX_ctrl(raw, SSL_CTRL_SET_MIN_PROTO_VERSION, Int(version), nil)
        SSL_CTX_set_security_level(raw, 2)
        // An idle connection holds no buffers.
        SSL_CTX_ctrl(raw, SSL_CTRL_MODE, Int(SSL_MODE_RELEASE_BUFFERS), nil)
        SSL_CTX_set_options(raw, copenssl_no_renegotiation | copenssl_no_compression)
        // Sessions live in tickets, on the client's side, or nowhere.
        SSL_CTX_ctrl(raw, SSL_CTRL_SET_SESS_CACHE_MODE, Int(SSL_SESS_CACHE_OFF), nil)
        SSL_CTX_set_session_id_context(raw, name, UInt32(name.count))
        SSL_CTX_set_info_callback(raw, TLSConnection.countControlMessage)
        return raw
    }

    /// OpenSSL says of some files only that it can't load them.
    private static func requireReadable(_ file: String) throws(TLSError) {
        let descriptor = open(file, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .unusable(file: file, reason: String(cString: strerror(errno))) }
        close(descriptor)
    }

    /// RFC 7301's form of the one protocol that is spoken here.
    private static let http: [UInt8] = [8] + Array("http/1.1".utf8)

    private static let chooseProtocol: SSL_CTX_alpn_select_cb_func = { _, chosen, chosenLength, offered, count, _ in
        // Points into what the client offered, which lives as long as it must.
        guard let offered else { return SSL_TLSEXT_ERR_ALERT_FATAL }
        var start = 0
        while start < Int(count) {
            let length = Int(offered[start])
            guard start + 1 + length <= Int(count) else { break }
            let name = UnsafeBufferPointer(start: offered + start + 1, count: length)
            if name.elementsEqual("http/1.1".utf8) {
                chosen?.pointee = offered + start + 1
                chosenLength?.pointee = UInt8(length)
                return SSL_TLSEXT_ERR_OK
            }
            start += 1 + length
        }
        return SSL_TLSEXT_ERR_ALERT_FATAL
    }
}
