import COpenSSL

/// What OpenSSL's callbacks see of one connection: the bytes that came and those to be sent, and what was noted on the
/// way. `TLSStream` owns it; OpenSSL knows its address.
///
/// The bytes pass through a BIO of our own instead of OpenSSL's memory BIOs, which never give memory back: a connection
/// that has nothing under way holds no buffer.
struct TLSConnection {
    let purpose: TLSContext.Purpose
    /// Which secret a client of a peer link offers, counted round.
    let offered: Int
    /// Which secret was given to OpenSSL.
    var secret: Int?

    /// Ciphertext that came; what stands before `consumed` is used up.
    var incoming: [UInt8] = []
    var consumed = 0
    var outgoing: [UInt8] = []

    var isEstablished = false
    /// Ciphertext received since the handshake, and the protocol's own messages in it.
    var received = 0
    var controlMessages = 0

    init(purpose: TLSContext.Purpose, offered: Int) {
        self.purpose = purpose
        self.offered = offered
    }

    var waiting: Int { incoming.count - consumed }

    // MARK: The protocol's own messages

    /// New keys and tickets, attempts at another handshake, alerts: each costs more than its bytes. OpenSSL bounds only
    /// some of them. A few are useful, and over gigabytes a few more.
    var isFlooded: Bool { controlMessages > 64 + received >> 20 }

    /// OpenSSL tells of each step of a handshake or of a message after it, and of alerts; not of what users send.
    static let countControlMessage: @convention(c) (OpaquePointer?, Int32, Int32) -> Void = { ssl, event, _ in
        guard let ssl, let connection = of(ssl), connection.pointee.isEstablished,
            event & (SSL_CB_LOOP | SSL_CB_ALERT) != 0
        else { return }
        connection.pointee.controlMessages += 1
    }

    // MARK: Where OpenSSL finds it

    static func of(_ ssl: OpaquePointer) -> UnsafeMutablePointer<TLSConnection>? {
        SSL_get_ex_data(ssl, 0)?.assumingMemoryBound(to: TLSConnection.self)
    }

    static func attach(_ connection: UnsafeMutablePointer<TLSConnection>, to ssl: OpaquePointer) -> Bool {
        guard let method, let bio = BIO_new(method) else { return false }
        BIO_set_data(bio, connection)
        BIO_set_init(bio, 1)
        SSL_set_bio(ssl, bio, bio)
        return SSL_set_ex_data(ssl, 0, connection) == 1
    }

    // Made once, and only read afterwards.
    private nonisolated(unsafe) static let method: OpaquePointer? = {
        guard let method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "converge") else { return nil }
        BIO_meth_set_read(method, take)
        BIO_meth_set_write(method, put)
        BIO_meth_set_ctrl(method, control)
        return method
    }()

    private static func of(bio: OpaquePointer?) -> UnsafeMutablePointer<TLSConnection>? {
        BIO_get_data(bio)?.assumingMemoryBound(to: TLSConnection.self)
    }

    private static let take: @convention(c) (OpaquePointer?, UnsafeMutablePointer<CChar>?, Int32) -> Int32 = {
        bio, buffer, count in
        guard let buffer, count > 0, let connection = of(bio: bio) else { return 0 }
        BIO_clear_flags(bio, BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY)
        if connection.pointee.isFlooded { return -1 }
        let part = min(Int(count), connection.pointee.waiting)
        guard part > 0 else {
            BIO_set_flags(bio, BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY)
            return -1
        }
        let start = connection.pointee.consumed
        connection.pointee.incoming.withUnsafeBytes { bytes in
            UnsafeMutableRawBufferPointer(start: buffer, count: part).copyMemory(
                from: UnsafeRawBufferPointer(rebasing: bytes[start..<start + part]))
        }
        connection.pointee.consumed += part
        if connection.pointee.waiting == 0 {
            connection.pointee.incoming = []
            connection.pointee.consumed = 0
        }
        return Int32(part)
    }

    private static let put: @convention(c) (OpaquePointer?, UnsafePointer<CChar>?, Int32) -> Int32 = {
        bio, bytes, count in
        guard let bytes, count > 0, let connection = of(bio: bio) else { return 0 }
        BIO_clear_flags(bio, BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY)
        connection.pointee.outgoing.append(contentsOf: UnsafeRawBufferPointer(start: bytes, count: Int(count)))
        return count
    }

    private static let control: @convention(c) (OpaquePointer?, Int32, Int, UnsafeMutableRawPointer?) -> Int = {
        bio, command, _, _ in
        switch command {
        case BIO_CTRL_FLUSH: 1
        case BIO_CTRL_PENDING: of(bio: bio)?.pointee.waiting ?? 0
        default: 0
        }
    }
}
