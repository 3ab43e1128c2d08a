import ConvergeGossip
import ConvergeTransport
import ConvergeWire

/// One TCP connection to another node, as its loop sees it.
///
/// It belongs to the one thread that runs the loop.
final class PeerLink {
    enum Phase {
        /// Dialled; TCP has not answered.
        case connecting
        /// TLS is finding out whether both know the secret. The core does not know of the link.
        case handshaking
        /// The core has it.
        case open
        /// The core has done with it: what waits leaves, then it is closed.
        case draining
    }

    let id: LinkID
    let descriptor: FileDescriptor
    /// The address as the core knows it; nil where the other side has dialled.
    let dialled: Text?
    /// Where to try next, if nobody answers here.
    let alternatives: ArraySlice<SocketAddress>
    var phase: Phase
    /// When the phase must be over, in monotonic nanoseconds.
    var deadline: UInt64

    /// Nil on a link without encryption.
    var cipher: LinkCipher?
    var queue = LinkQueue()
    /// Bytes on their way to the socket, and how many of them it has taken.
    var output: [UInt8] = []
    var sent = 0

    /// What the poller waits for.
    var interest: Poller.Interest = []

    init(
        id: LinkID, descriptor: consuming FileDescriptor, dialled: Text?, alternatives: ArraySlice<SocketAddress>,
        phase: Phase, deadline: UInt64
    ) {
        self.id = id
        self.descriptor = descriptor
        self.dialled = dialled
        self.alternatives = alternatives
        self.phase = phase
        self.deadline = deadline
    }

    var isIdle: Bool { queue.isEmpty && output.isEmpty }

    /// How many bytes are made ready for the socket at once: a frame that comes later is at most this far behind.
    private static let outputLimit = 64 << 10
    private static let keptCapacity = 512 << 10

    /// Sends what the socket takes. False where the connection has failed.
    func flush(_ counters: PeerCounters) throws(TLSError) -> Bool {
        while true {
            if sent == output.count {
                output.removeAll(keepingCapacity: output.capacity <= Self.keptCapacity)
                sent = 0
                try fill()
                if output.isEmpty { return true }
            }
            let result = output.withUnsafeBytes {
                StreamSocket.send(descriptor.raw, UnsafeRawBufferPointer(rebasing: $0[sent...]))
            }
            switch result {
            case .moved(let count):
                sent += count
                counters.bytesOut.add(count)
            case .wouldBlock: return true
            case .closed: return false
            }
        }
    }

    private func fill() throws(TLSError) {
        cipher?.takeOutput(into: &output)
        while phase == .open || phase == .draining, output.count < Self.outputLimit, let frame = queue.next() {
            if let cipher {
                try cipher.encrypt(frame)
                cipher.takeOutput(into: &output)
            } else {
                output.append(contentsOf: frame)
            }
        }
    }
}

/// The TLS state of a link, in a box, since it can't be copied and most of its time is spent in OpenSSL.
final class LinkCipher {
    private var stream: TLSStream

    /// - Parameter attempt: which of two secrets is offered, in turn.
    init(_ context: TLSContext, isServer: Bool, attempt: Int) throws(TLSError) {
        stream = try TLSStream(context: context, role: isServer ? .server : .client(host: nil), attempt: attempt)
    }

    /// Takes what came from the socket; true once the handshake is done and both sides have proved that they know a secret.
    func receive(_ bytes: UnsafeRawBufferPointer) throws(TLSError) -> Bool {
        try stream.receive(bytes)
        return try stream.handshake()
    }

    /// Begins the handshake: what is to be sent first.
    func begin() throws(TLSError) { _ = try stream.handshake() }

    func decrypt(into buffer: UnsafeMutableRawBufferPointer) throws(TLSError) -> Int { try stream.read(into: buffer) }

    func encrypt(_ frame: [UInt8]) throws(TLSError) {
        // A whole frame at a time: its withUnsafeBytes can't throw a typed error.
        let result = frame.withUnsafeBytes { bytes -> Result<Void, TLSError> in
            do throws(TLSError) { return .success(try stream.write(bytes)) } catch { return .failure(error) }
        }
        try result.get()
    }

    func takeOutput(into output: inout [UInt8]) { stream.takeOutput(into: &output) }
}
