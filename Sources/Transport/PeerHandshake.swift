import COpenSSL

/// How the cluster's secret gets into a TLS 1.3 handshake, and whether it was really used.
///
/// OpenSSL asks for the key by two callbacks. The trap is what happens without: a client that offers a key takes a server
/// that ignores it and shows a certificate instead. So a peer link counts as established only where this side gave out a
/// key **and** OpenSSL says that the handshake stands on it (`wasUsed`).
enum PeerHandshake {
    static func install(on context: OpaquePointer) {
        SSL_CTX_set_psk_use_session_callback(context, offer)
        SSL_CTX_set_psk_find_session_callback(context, find)
    }

    /// True where a finished handshake stands on a key of the context's. There being no tickets and no cache, a session
    /// that was "reused" is the pre-shared key's.
    static func wasUsed(_ ssl: OpaquePointer, _ connection: TLSConnection) -> Bool {
        SSL_session_reused(ssl) == 1 && connection.secret != nil
    }

    /// The client's side: the key to offer. Is asked again where the server wants another key exchange.
    private static let offer: SSL_psk_use_session_cb_func = { ssl, _, identity, length, session in
        guard let ssl, let connection = TLSConnection.of(ssl), case .peer(let secrets) = connection.pointee.purpose
        else { return 0 }
        let index = connection.pointee.offered % secrets.count
        let key = secrets.keys[index]
        guard let made = makeSession(ssl, key) else { return 0 }
        connection.pointee.secret = index
        // OpenSSL copies the identity, and owns the session.
        identity?.pointee = key.identity.baseAddress?.assumingMemoryBound(to: UInt8.self)
        length?.pointee = key.identity.count
        session?.pointee = made
        return 1
    }

    /// The server's side: the key that is meant. For one that is not known the handshake goes on without, and fails for
    /// want of a certificate.
    private static let find: SSL_psk_find_session_cb_func = { ssl, identity, length, session in
        session?.pointee = nil
        guard let ssl, let connection = TLSConnection.of(ssl), case .peer(let secrets) = connection.pointee.purpose
        else { return 0 }
        let asked = UnsafeRawBufferPointer(start: identity, count: length)
        guard let index = secrets.keys.firstIndex(where: { equalInConstantTime($0.identity, asked) }) else { return 1 }
        guard let made = makeSession(ssl, secrets.keys[index]) else { return 0 }
        connection.pointee.secret = index
        session?.pointee = made
        return 1
    }

    private static func makeSession(_ ssl: OpaquePointer, _ key: PeerKey) -> OpaquePointer? {
        guard let session = SSL_SESSION_new() else { return nil }
        let bytes = key.key.assumingMemoryBound(to: UInt8.self)
        let suite: [UInt8] = [0x13, 0x01]  // TLS_AES_128_GCM_SHA256
        guard let cipher = SSL_CIPHER_find(ssl, suite),
            SSL_SESSION_set1_master_key(session, bytes.baseAddress, bytes.count) == 1,
            SSL_SESSION_set_cipher(session, cipher) == 1,
            SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION) == 1,
            // A session is good only where it was made, as OpenSSL sees it.
            SSL_SESSION_set1_id_context(session, TLSContext.name, UInt32(TLSContext.name.count)) == 1
        else {
            SSL_SESSION_free(session)
            return nil
        }
        return session
    }
}
