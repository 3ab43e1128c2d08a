import COpenSSL

/// One TLS connection, without a socket: ciphertext in, ciphertext out, and between them what both sides say.
///
/// The invariant: nothing of the other side's is read, and nothing of ours is written, before the handshake is done and,
/// on a link between nodes, before it is certain that it stands on the cluster's secret.
///
/// Whoever owns it feeds it all that the socket gives (`receive`), goes on with the handshake until that is done, then
/// reads until there is nothing left, and sends what `takeOutput` gives: after each of these calls, also after one that
/// threw, since an alert may be in it.
///
/// One thread at a time uses it: it can't be copied, so its one owner is that thread, whichever it is. That makes it safe
/// to send.
public struct TLSStream: ~Copyable, @unchecked Sendable {
    public enum Role: Sendable {
        case server
        /// - Parameter host: who the server must prove to be: a name, or an address. A peer link needs none.
        case client(host: String?)
    }

    /// How much ciphertext may wait, before and after the handshake.
    public static let handshakeLimit = 128 << 10
    public static let inputLimit = 1 << 20

    private let ssl: OpaquePointer
    private let connection: UnsafeMutablePointer<TLSConnection>
    /// Holds the keys that OpenSSL may ask for.
    private let context: TLSContext
    private var failure: TLSError?
    private var isClosedByOther = false

    /// - Parameter attempt: which of two secrets a peer link's client offers: the current one at 0, the other at 1, and so
    ///   in turn. Whoever is refused dials again with the next number.
    public init(context: TLSContext, role: Role, attempt: Int = 0) throws(TLSError) {
        connection = .allocate(capacity: 1)
        connection.initialize(to: TLSConnection(purpose: context.purpose, offered: abs(attempt % 2)))
        do throws(TLSError) {
            ssl = try Self.begin(context, role, connection)
        } catch {
            connection.deinitialize(count: 1)
            connection.deallocate()
            throw error
        }
        self.context = context
    }

    private static func begin(
        _ context: TLSContext, _ role: Role, _ connection: UnsafeMutablePointer<TLSConnection>
    ) throws(TLSError) -> OpaquePointer {
        TLSFault.forget()
        guard let ssl = SSL_new(context.raw) else { throw .unusable(file: nil, reason: TLSFault.take().text) }
        guard TLSConnection.attach(connection, to: ssl) else {
            SSL_free(ssl)
            throw .unusable(file: nil, reason: TLSFault.take().text)
        }
        switch (role, context.purpose) {
        case (.server, .peer), (.server, .server): SSL_set_accept_state(ssl)
        case (.client, .peer), (.client, .unverifiedClient): SSL_set_connect_state(ssl)
        case (.client(let host), .client):
            SSL_set_connect_state(ssl)
            guard let host, demand(host, of: ssl) else {
                SSL_free(ssl)
                throw .unusable(file: nil, reason: "no name that a server's certificate could bear")
            }
        case (.client, .server), (.server, .client), (.server, .unverifiedClient):
            preconditionFailure("a context for the other side")
        }
        return ssl
    }

    deinit {
        SSL_free(ssl)
        connection.deinitialize(count: 1)
        connection.deallocate()
    }

    /// The certificate must bear this name or address; a name is told to the server too (RFC 6066, section 3).
    private static func demand(_ host: String, of ssl: OpaquePointer) -> Bool {
        guard !host.isEmpty, !host.utf8.contains(0) else { return false }
        if X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1 { return true }
        let name = host.hasSuffix(".") ? String(host.dropLast()) : host
        SSL_set_hostflags(ssl, UInt32(X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS))
        guard !name.isEmpty, SSL_set1_host(ssl, name) == 1 else { return false }
        return name.withCString { name in
            SSL_ctrl(
                ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, Int(TLSEXT_NAMETYPE_host_name),
                UnsafeMutableRawPointer(mutating: name))
        } == 1
    }

    // MARK: The socket's side

    /// Takes ciphertext from the socket.
    /// - Throws: `.tooMuch` where more waits than may: read until nothing is left before you receive more.
    public mutating func receive(_ bytes: UnsafeRawBufferPointer) throws(TLSError) {
        if let failure { throw failure }
        let limit = isEstablished ? Self.inputLimit : Self.handshakeLimit
        guard connection.pointee.waiting + bytes.count <= limit else { throw fail(.tooMuch) }
        if connection.pointee.isEstablished { connection.pointee.received += bytes.count }
        if connection.pointee.consumed > 0 {
            connection.pointee.incoming.removeFirst(connection.pointee.consumed)
            connection.pointee.consumed = 0
        }
        connection.pointee.incoming.append(contentsOf: bytes)
    }

    /// True where there is ciphertext to be sent.
    public var hasOutput: Bool { !connection.pointee.outgoing.isEmpty }

    /// Ciphertext that is to be sent: appends it to `out`.
    public mutating func takeOutput(into out: inout [UInt8]) {
        if out.isEmpty {
            out = connection.pointee.outgoing
        } else {
            out += connection.pointee.outgoing
        }
        connection.pointee.outgoing = []
    }

    // MARK: The handshake

    /// True once the other side is known to be who it must be.
    public var isEstablished: Bool { connection.pointee.isEstablished }

    /// On an established peer link: which of the secrets it stands on, 0 the current one.
    public var secretInUse: Int? { isEstablished ? connection.pointee.secret : nil }

    /// Goes on with the handshake as far as what was received allows; true once it is done, and ever after.
    /// - Throws: `.notAuthenticated` on a peer link whose other side does not have the secret; `.handshakeFailed`.
    public mutating func handshake() throws(TLSError) -> Bool {
        if let failure { throw failure }
        if isEstablished { return true }
        TLSFault.forget()
        let code = SSL_do_handshake(ssl)
        guard code == 1 else {
            if SSL_get_error(ssl, code) == SSL_ERROR_WANT_READ { return false }
            throw fail(refusal(TLSFault.take()))
        }
        if case .peer = context.purpose, !PeerHandshake.wasUsed(ssl, connection.pointee) {
            throw fail(.notAuthenticated)
        }
        connection.pointee.isEstablished = true
        return true
    }

    private func refusal(_ fault: TLSFault) -> TLSError {
        if case .peer = context.purpose, fault.library == ERR_LIB_SSL {
            switch fault.reason {
            // A server that finds no key looks for a certificate in vain, and tells the client of a failed handshake.
            // Whoever is shown a certificate does not believe it.
            case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM, SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE,
                SSL_R_CERTIFICATE_VERIFY_FAILED:
                return .notAuthenticated
            default: break
            }
        }
        let verdict = SSL_get_verify_result(ssl)
        if fault.reason == SSL_R_CERTIFICATE_VERIFY_FAILED, verdict != Int(X509_V_OK) {
            return .handshakeFailed("the certificate: " + String(cString: X509_verify_cert_error_string(verdict)))
        }
        return .handshakeFailed(fault.text)
    }

    // MARK: The users' side

    /// Decrypts what is there into `buffer`, and says how many bytes; 0 where nothing is left now.
    /// - Throws: `.closed` once all is read that came before the other side's end; `.broken`; `.tooMuch`.
    public mutating func read(into buffer: UnsafeMutableRawBufferPointer) throws(TLSError) -> Int {
        if let failure { throw failure }
        guard isEstablished else { return 0 }
        var filled = 0
        while filled < buffer.count, failure == nil, !isClosedByOther {
            guard connection.pointee.waiting > 0 || SSL_has_pending(ssl) == 1 else { break }
            TLSFault.forget()
            var count = 0
            let code = SSL_read_ex(ssl, buffer.baseAddress?.advanced(by: filled), buffer.count - filled, &count)
            filled += count
            guard code != 1 else { continue }
            switch SSL_get_error(ssl, code) {
            case SSL_ERROR_WANT_READ where !connection.pointee.isFlooded: return filled
            case SSL_ERROR_ZERO_RETURN: isClosedByOther = true
            case _ where connection.pointee.isFlooded: failure = .tooMuch
            default: failure = .broken(TLSFault.take().text)
            }
        }
        // What was read before it failed is good: the failure is told next time.
        if filled == 0, let failure { throw failure }
        if filled == 0, isClosedByOther { throw .closed }
        return filled
    }

    /// Encrypts all of `bytes` into the output.
    public mutating func write(_ bytes: UnsafeRawBufferPointer) throws(TLSError) {
        if let failure { throw failure }
        guard isEstablished else { throw .notEstablished }
        guard !bytes.isEmpty else { return }
        TLSFault.forget()
        var count = 0
        // The BIO takes everything, so all is written or the connection is broken.
        guard SSL_write_ex(ssl, bytes.baseAddress, bytes.count, &count) == 1, count == bytes.count else {
            throw fail(.broken(TLSFault.take().text))
        }
    }

    /// Says that this side ends (close_notify), where there is anybody to hear it. Nothing may be written afterwards.
    public mutating func close() {
        guard isEstablished, failure == nil else { return }
        SSL_shutdown(ssl)
    }

    private mutating func fail(_ error: TLSError) -> TLSError {
        failure = error
        return error
    }
}
