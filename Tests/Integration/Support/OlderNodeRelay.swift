// A node of an older build, as a client sees it: a relay to a node of this one that lets no subprotocol through. It can be
// upgraded, and break what it relays.

import Foundation
import Glibc
import Synchronization

final class OlderNodeRelay: Sendable {
    private struct State {
        var isOlder = true
        /// The clients' sockets.
        var clients: Set<Int32> = []
        /// The first lines of the requests that came.
        var requests: [String] = []
        var isStopped = false
    }

    let port: UInt16
    private let listener: Int32
    private let target: UInt16
    private let state = Mutex(State())

    /// Relays to `target` on this machine.
    init(to target: UInt16) throws {
        self.target = target
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = Self.loopback(port: 0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { raw in
                bind(listener, raw, length) == 0 && listen(listener, 64) == 0
                    && getsockname(listener, raw, &length) == 0
            }
        }
        guard isBound else { throw TestFailure("no port for a relay: errno \(errno)") }
        port = UInt16(bigEndian: address.sin_port)
        self.listener = listener
        Thread.detachNewThread { [self] in acceptClients() }
    }

    /// How many connections there are.
    var count: Int { state.withLock { $0.clients.count } }

    /// The first lines of the requests that came.
    var requests: [String] { state.withLock { $0.requests } }

    /// From now on subprotocols get through.
    func upgrade() { state.withLock { $0.isOlder = false } }

    /// Ends all connections without a word.
    func breakOff() {
        state.withLock { state in for client in state.clients { shutdown(client, Int32(SHUT_RDWR)) } }
    }

    func stop() {
        state.withLock { $0.isStopped = true }
        shutdown(listener, Int32(SHUT_RDWR))
        breakOff()
    }

    private func acceptClients() {
        while true {
            let client = accept(listener, nil, nil)
            guard client >= 0 else { break }
            Thread.detachNewThread { [self] in
                state.withLock { _ = $0.clients.insert(client) }
                relay(client)
                state.withLock { _ = $0.clients.remove(client) }
                close(client)
            }
        }
        close(listener)
    }

    private func relay(_ client: Int32) {
        guard let request = head(from: client) else { return }
        let server = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(server) }
        var address = Self.loopback(port: target)
        let isConnected = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(server, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
        guard isConnected, write(Array(request.utf8), to: server) else { return }
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            var ends = [client, server].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
            guard poll(&ends, 2, 60_000) > 0 else { return }
            for (index, end) in ends.enumerated() where end.revents != 0 {
                let count = read(end.fd, &buffer, buffer.count)
                guard count > 0, write(Array(buffer[..<count]), to: index == 0 ? server : client) else { return }
            }
        }
    }

    /// The request as it goes on.
    private func head(from client: Int32) -> String? {
        var text = ""
        var byte: UInt8 = 0
        while !text.utf8.suffix(4).elementsEqual("\r\n\r\n".utf8) {
            guard text.utf8.count < 16_384, read(client, &byte, 1) == 1 else { return nil }
            text.unicodeScalars.append(Unicode.Scalar(byte))
        }
        return state.withLock { state in
            var lines = text.components(separatedBy: "\r\n")
            state.requests.append(lines[0])
            if state.isOlder { lines.removeAll { $0.lowercased().hasPrefix("sec-websocket-protocol:") } }
            return lines.joined(separator: "\r\n")
        }
    }

    private func write(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            guard count > 0 else { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }

    private static func loopback(port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        return address
    }
}
