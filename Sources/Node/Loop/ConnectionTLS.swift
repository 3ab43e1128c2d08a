import ConvergeTransport

/// A client's connection as far as it is TLS: in a box, so that one without costs a word.
///
/// Plaintext waits where it always does, in the connection's own queue with its limits. Here waits ciphertext only: what of
/// the last piece sealed (32 KiB at most) the socket has not taken. So a client that does not read costs no more than one
/// without TLS, and one piece.
final class ConnectionTLS {
    /// How much is sealed at once: two records.
    private static let piece = 32 << 10

    private var stream: TLSStream
    private var sealed: [UInt8] = []
    private var sent = 0
    private var isEnded = false
    /// Nothing has come yet: what comes first tells TLS from something else.
    private(set) var isFresh = true
    /// Ciphertext that has left since the last look.
    private(set) var left = 0

    init(_ context: TLSContext) throws(TLSError) {
        stream = try TLSStream(context: context, role: .server)
    }

    var isEstablished: Bool { stream.isEstablished }

    // MARK: In

    /// Takes what came, and goes on with the handshake while it is not done.
    func receive(_ bytes: UnsafeRawBufferPointer) throws(TLSError) {
        isFresh = false
        try stream.receive(bytes)
        if !stream.isEstablished { _ = try stream.handshake() }
    }

    /// Plaintext; 0 where nothing is left now.
    func read(into buffer: UnsafeMutableRawBufferPointer) throws(TLSError) -> Int { try stream.read(into: buffer) }

    // MARK: Out

    /// There is something to send that nobody has put into the connection's queue: of a handshake, an alert.
    var hasOutput: Bool { stream.hasOutput || sent < sealed.count }

    /// Sends plaintext as `send(2)` would: says how much of it is taken. What is taken may wait here (`hasOutput`).
    func send(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) -> TransferResult {
        var taken = 0
        while true {
            switch drain(descriptor) {
            case .moved: break
            case .wouldBlock: return taken > 0 ? .moved(taken) : .wouldBlock
            case .closed: return .closed
            }
            guard taken < bytes.count else { return .moved(taken) }
            let end = min(taken + Self.piece, bytes.count)
            do throws(TLSError) {
                try stream.write(UnsafeRawBufferPointer(rebasing: bytes[taken..<end]))
            } catch {
                return .closed
            }
            taken = end
        }
    }

    /// Sends the ciphertext that waits: `.moved` where none is left.
    func drain(_ descriptor: Int32) -> TransferResult {
        while true {
            if sent == sealed.count {
                sealed = []
                sent = 0
                guard stream.hasOutput else { return .moved(0) }
                stream.takeOutput(into: &sealed)
            }
            let result = sealed.withUnsafeBytes {
                StreamSocket.send(descriptor, UnsafeRawBufferPointer(rebasing: $0[sent...]))
            }
            guard case .moved(let count) = result else { return result }
            sent += count
            left += count
        }
    }

    /// How much ciphertext has left since this was asked last.
    func takeLeft() -> Int {
        defer { left = 0 }
        return left
    }

    /// Says once that nothing more will be sent.
    func end() {
        guard !isEnded else { return }
        isEnded = true
        stream.close()
    }
}
