import ConvergeTransport

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// The client's connection to its server, with TLS or without: bytes out, bytes in, nothing blocks once it stands.
package struct ServerLink: ~Copyable {
    package enum Failure: Error, Hashable {
        case socket(Socket.Failure)
        case tls(TLSError)
        /// TLS was begun with somebody who answers in plain HTTP.
        case speaksNoTLS

        package var message: String {
            switch self {
            case .socket(let failure): failure.message
            case .tls(let error): error.description
            case .speaksNoTLS: "this port speaks no TLS: use ws://"
            }
        }
    }

    private let socket: FileDescriptor
    private var tls: TLSStream?
    /// Ciphertext that the socket has not taken yet.
    private var sealed: [UInt8] = []
    /// The first bytes that came, until the handshake is done.
    private var greeting: [UInt8] = []
    /// Plaintext may be left that no poll tells of.
    package private(set) var mayHaveMore = false

    /// Connects, and over TLS knows then that the server is who it must be. Blocks for at most `timeout`, twice, beside the
    /// resolver's own time.
    /// - Parameters:
    ///   - authorityFile: certificates that may vouch for the server beside the system's.
    ///   - verifies: false for a port of this same machine, whoever answers there.
    package static func connect(
        to url: ServerURL, authorityFile: String?, verifies: Bool = true, timeout: Duration
    ) throws(Failure) -> ServerLink {
        let context: TLSContext?
        do throws(TLSError) {
            context =
                !url.isSecure ? nil : verifies ? try .client(authorityFile: authorityFile) : try .unverifiedClient()
        } catch {
            throw .tls(error)
        }
        let socket: FileDescriptor
        do throws(Socket.Failure) {
            socket = try Socket.connect(host: url.host, port: url.port, timeout: timeout)
        } catch {
            throw .socket(error)
        }
        var link = ServerLink(socket)
        if let context {
            do throws(TLSError) {
                link.tls = try TLSStream(context: context, role: .client(host: url.host))
            } catch {
                throw .tls(error)
            }
            try link.shakeHands(until: SystemClock.monotonic() + timeout.nanoseconds)
        }
        return link
    }

    private init(_ socket: consuming FileDescriptor) { self.socket = socket }

    package var descriptor: Int32 { socket.raw }

    /// Ciphertext waits for the socket.
    package var wantsWrite: Bool { !sealed.isEmpty }

    private mutating func shakeHands(until deadline: UInt64) throws(Failure) {
        while true {
            do throws(TLSError) {
                let isDone = try tls?.handshake() ?? true
                guard flush() else { throw .handshakeFailed("the server has closed the connection") }
                if isDone { return }
            } catch {
                flush()  // an alert
                throw isGreetedInHTTP ? .speaksNoTLS : .tls(error)
            }
            let now = SystemClock.monotonic()
            guard now < deadline else { throw .socket(.timeout) }
            var wait = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            if wantsWrite { wait.events |= Int16(POLLOUT) }
            poll(&wait, 1, Int32(clamping: (deadline - now) / 1_000_000 + 1))
            guard wait.revents & Int16(POLLIN | POLLHUP | POLLERR) != 0 else { continue }
            do throws(TLSError) {
                guard try fill() != .closed else { throw .handshakeFailed("the server has closed the connection") }
            } catch {
                throw isGreetedInHTTP ? .speaksNoTLS : .tls(error)
            }
        }
    }

    /// A server that knows no TLS takes the first of it for a bad request, and says so.
    private var isGreetedInHTTP: Bool { greeting.starts(with: "HTTP/".utf8) }

    /// Takes from the socket what TLS can open.
    private mutating func fill() throws(TLSError) -> TransferResult {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 32 << 10, alignment: 16)
        defer { buffer.deallocate() }
        let result = StreamSocket.receive(descriptor, into: buffer)
        if case .moved(let count) = result {
            if greeting.count < 5 { greeting += buffer[..<min(count, 5 - greeting.count)] }
            try tls?.receive(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        }
        return result
    }

    /// As `StreamSocket.receive`. Over TLS ask again while `mayHaveMore`.
    package mutating func receive(into buffer: UnsafeMutableRawBufferPointer) -> TransferResult {
        guard tls != nil else { return StreamSocket.receive(descriptor, into: buffer) }
        do throws(TLSError) {
            let result = mayHaveMore ? TransferResult.wouldBlock : try fill()
            let count = try tls?.read(into: buffer) ?? 0
            mayHaveMore = count > 0
            flush()
            if count > 0 { return .moved(count) }
            return result == .closed ? .closed : .wouldBlock
        } catch {
            mayHaveMore = false
            flush()
            return .closed
        }
    }

    /// As `StreamSocket.send`: what is taken over TLS may wait here, until `flush`.
    package mutating func send(_ bytes: UnsafeRawBufferPointer) -> TransferResult {
        guard tls != nil else { return StreamSocket.send(descriptor, bytes) }
        guard flush() else { return .closed }
        guard !wantsWrite else { return .wouldBlock }
        do throws(TLSError) {
            try tls?.write(bytes)
        } catch {
            return .closed
        }
        flush()
        return .moved(bytes.count)
    }

    /// Sends the ciphertext that waits, as far as the socket takes it; false where the connection is gone.
    @discardableResult
    package mutating func flush() -> Bool {
        tls?.takeOutput(into: &sealed)
        while !sealed.isEmpty {
            switch sealed.withUnsafeBytes({ StreamSocket.send(descriptor, $0) }) {
            case .moved(let count): sealed.removeFirst(count)
            case .wouldBlock: return true
            case .closed: return false
            }
        }
        return true
    }

    /// Says that nothing more will come, if the socket takes it.
    package mutating func close() {
        tls?.close()
        flush()
    }
}
