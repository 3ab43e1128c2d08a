// A blocking TCP client whose every wait has a deadline.

import ConvergeTransport
import Glibc

/// What went wrong in a test's own doing or waiting.
struct TestFailure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// A point in monotonic time that a wait does not go past.
struct Deadline {
    /// Long enough for a machine that is busy with something else.
    static let patience: Duration = .seconds(20)

    let at: UInt64

    init(in duration: Duration = Self.patience) { at = SystemClock.monotonic() + duration.nanoseconds }

    var hasPassed: Bool { SystemClock.monotonic() >= at }

    /// For poll(2): rounded up, so that it never spins.
    var milliseconds: Int32 {
        let now = SystemClock.monotonic()
        return now >= at ? 0 : Int32(clamping: (at - now) / 1_000_000 + 1)
    }
}

final class RawSocket {
    private(set) var descriptor: Int32
    private var tls: TLSStream?
    private var sealed: [UInt8] = []

    /// Connects, over TLS to a server that calls itself localhost. A small `receiveBuffer` makes the other side feel soon
    /// that nobody reads here.
    init(
        host: String = "127.0.0.1", port: UInt16, receiveBuffer: Int32? = nil, tls context: TLSContext? = nil
    ) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw TestFailure("socket: errno \(errno)") }
        var on: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
        if var receiveBuffer {
            setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &receiveBuffer, socklen_t(MemoryLayout<Int32>.size))
        }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = inet_addr(host)
        let connected = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        if connected != 0 {
            let code = errno
            close()
            throw TestFailure("connect to \(host):\(port): \(String(cString: strerror(code)))")
        }
        _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
        if let context {
            tls = try TLSStream(context: context, role: .client(host: "localhost"))
            try shakeHands()
        }
    }

    deinit { close() }

    func close() {
        if descriptor >= 0 { Glibc.close(descriptor) }
        descriptor = -1
    }

    /// Ends the connection by a reset, as a program that is killed with unread bytes does.
    func abort() {
        var rule = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &rule, socklen_t(MemoryLayout<linger>.size))
        close()
    }

    func endSending() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// Sends what the socket takes now and says how much that was.
    func sendSome(_ bytes: ArraySlice<UInt8>) throws -> Int {
        guard tls != nil else { return try sendPlain(bytes) }
        guard try flush() else { return 0 }
        try bytes.withUnsafeBytes { try tls?.write($0) }
        _ = try flush()
        return bytes.count
    }

    private func sendPlain(_ bytes: ArraySlice<UInt8>) throws -> Int {
        let count = bytes.withUnsafeBytes {
            Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
        }
        if count >= 0 { return count }
        if errno == EAGAIN || errno == EINTR { return 0 }
        throw TestFailure("send: \(String(cString: strerror(errno)))")
    }

    func send(_ bytes: [UInt8], by deadline: Deadline = Deadline()) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            let sent = try sendSome(rest)
            rest = rest.dropFirst(sent)
            if sent == 0, !wait(for: POLLOUT, by: deadline) { throw TestFailure("nobody takes what is sent") }
        }
    }

    func send(_ text: String) throws { try send(Array(text.utf8)) }

    enum Arrival: Equatable {
        case bytes([UInt8])
        /// The other side has ended its direction.
        case end
        /// The connection was reset.
        case reset
        /// Nothing came in time.
        case nothing
    }

    func receive(atMost limit: Int = 65_536, by deadline: Deadline = Deadline()) -> Arrival {
        guard tls != nil else { return receivePlain(atMost: limit, by: deadline) }
        var opened = [UInt8](repeating: 0, count: limit)
        while true {
            do {
                let count = try opened.withUnsafeMutableBytes { try tls?.read(into: $0) ?? 0 }
                if count > 0 { return .bytes(Array(opened[..<count])) }
                let arrival = receivePlain(atMost: limit, by: deadline)
                // Over TLS an end without a word is no end.
                guard case .bytes(let bytes) = arrival else { return arrival == .end ? .reset : arrival }
                try bytes.withUnsafeBytes { try tls?.receive($0) }
            } catch {
                return error as? TLSError == .closed ? .end : .reset
            }
        }
    }

    private func receivePlain(atMost limit: Int = 65_536, by deadline: Deadline = Deadline()) -> Arrival {
        var buffer = [UInt8](repeating: 0, count: limit)
        while true {
            let count = recv(descriptor, &buffer, limit, 0)
            if count > 0 { return .bytes(Array(buffer[..<count])) }
            if count == 0 { return .end }
            if errno == EINTR { continue }
            if errno != EAGAIN { return .reset }
            if !wait(for: POLLIN, by: deadline) { return .nothing }
        }
    }

    /// All that comes until the other side ends; fails where it does not end in time.
    func receiveToEnd(by deadline: Deadline = Deadline()) throws -> [UInt8] {
        var all: [UInt8] = []
        while true {
            switch receive(by: deadline) {
            case .bytes(let bytes): all += bytes
            case .end: return all
            case .reset: throw TestFailure("reset after \(all.count) bytes: \(String(decoding: all, as: UTF8.self))")
            case .nothing: throw TestFailure("open after \(all.count) bytes: \(String(decoding: all, as: UTF8.self))")
            }
        }
    }

    private func wait(for event: Int32, by deadline: Deadline) -> Bool {
        var entry = pollfd(fd: descriptor, events: Int16(event), revents: 0)
        while true {
            let ready = poll(&entry, 1, deadline.milliseconds)
            if ready > 0 { return true }
            if ready == 0, deadline.hasPassed { return false }
        }
    }

    // MARK: TLS

    private func shakeHands() throws {
        let deadline = Deadline()
        while true {
            let isDone = try tls?.handshake() ?? true
            while try !flush() {
                if !wait(for: POLLOUT, by: deadline) { throw TestFailure("nobody takes the handshake") }
            }
            if isDone { return }
            guard case .bytes(let bytes) = receivePlain(by: deadline) else {
                throw TestFailure("the server broke off the handshake")
            }
            try bytes.withUnsafeBytes { try tls?.receive($0) }
        }
    }

    /// Sends ciphertext that waits; false where some is left.
    private func flush() throws -> Bool {
        tls?.takeOutput(into: &sealed)
        while !sealed.isEmpty {
            let count = try sendPlain(sealed[...])
            if count == 0 { return false }
            sealed.removeFirst(count)
        }
        return true
    }
}
