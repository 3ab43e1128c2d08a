// A network that can be told to fail: a TCP relay between a store and its server.

import Foundation
import Glibc
import Synchronization

final class PostgresProxy: Sendable {
    enum Mode: Sendable {
        case forward
        /// The next request is lost with the connection.
        case loseRequest
        /// The server commits; its answer is lost with the connection.
        case loseCommitReply
        /// Nothing gets through, in either direction, and nothing is closed.
        case silent
        /// What the server says gets through, and that it ends does not.
        case hideEnd
    }

    let port: UInt16
    private let listener: Int32
    private let target: UInt16
    private let mode = Mutex(Mode.forward)
    private let hidden = Mutex(0)

    /// How many of the server's ends have been seen here, and hidden from the client.
    var hiddenEnds: Int { hidden.withLock { $0 } }

    /// Relays to `target` on this machine.
    init(to target: UInt16) throws {
        self.target = target
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = Self.loopback(port: 0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { raw in
                bind(listener, raw, length) == 0 && listen(listener, 16) == 0
                    && getsockname(listener, raw, &length) == 0
            }
        }
        guard bound else { throw POSIXError(.EADDRNOTAVAIL) }
        port = UInt16(bigEndian: address.sin_port)
        self.listener = listener
        Thread.detachNewThread { [self] in accepting() }
    }

    func become(_ new: Mode) { mode.withLock { $0 = new } }

    /// Takes no more connections; those that are there end with their ends.
    func stop() { shutdown(listener, Int32(SHUT_RDWR)) }

    private func accepting() {
        while true {
            let client = accept(listener, nil, nil)
            guard client >= 0 else { break }
            Thread.detachNewThread { [self] in relay(client) }
        }
        close(listener)
    }

    private func relay(_ client: Int32) {
        let server = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer {
            close(client)
            close(server)
        }
        var address = Self.loopback(port: target)
        let connected = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(server, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
        guard connected else { return }
        var replies: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            var ends = [client, server].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
            guard poll(&ends, 2, 20_000) > 0 else { return }
            for (index, end) in ends.enumerated() where end.revents != 0 {
                let count = read(end.fd, &buffer, buffer.count)
                if count <= 0, index == 1, case .hideEnd = mode.withLock({ $0 }) {
                    // What came before is where the client can read it.
                    var unsent: Int32 = 0
                    while ioctl(client, UInt(TIOCOUTQ), &unsent) == 0, unsent > 0 { usleep(500) }
                    hidden.withLock { $0 += 1 }
                    // Until the client says something.
                    var speaking = pollfd(fd: client, events: Int16(POLLIN), revents: 0)
                    _ = poll(&speaking, 1, 20_000)
                }
                guard count > 0 else { return }
                switch mode.withLock({ $0 }) {
                case .forward, .hideEnd: break
                case .silent: continue
                case .loseRequest: return
                case .loseCommitReply:
                    guard index == 1 else { break }
                    replies += buffer[..<count]
                    if replies.firstRange(of: Array("COMMIT\0".utf8)) != nil { return }
                    continue
                }
                var sent = 0
                while sent < count {
                    let more = buffer[sent..<count].withUnsafeBytes {
                        send(index == 0 ? server : client, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
                    }
                    guard more > 0 else { return }
                    sent += more
                }
            }
        }
    }

    private static func loopback(port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        return address
    }
}
