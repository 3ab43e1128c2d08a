import ConvergeTransport
import Glibc
import Testing

/// Real sockets on the loopback interface.
@Suite("Listener, Poller, StreamSocket") struct SocketTests {
    /// A connection to `port` on 127.0.0.1.
    private func connect(to port: UInt16) throws -> FileDescriptor {
        let raw = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard raw >= 0 else { throw SystemError("socket") }
        let descriptor = FileDescriptor(owning: raw)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        let code = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(raw, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard code == 0 else { throw SystemError("connect") }
        return descriptor
    }

    private func receive(_ descriptor: Int32, atMost count: Int = 64) -> (TransferResult, [UInt8]) {
        var buffer = [UInt8](repeating: 0, count: count)
        let result = buffer.withUnsafeMutableBytes { StreamSocket.receive(descriptor, into: $0) }
        if case .moved(let count) = result { return (result, Array(buffer.prefix(count))) }
        return (result, [])
    }

    private func send(_ descriptor: Int32, _ bytes: [UInt8]) -> TransferResult {
        bytes.withUnsafeBytes { StreamSocket.send(descriptor, $0) }
    }

    @Test(
        "port 0 gives a free port, which is told and can be connected to", arguments: ["127.0.0.1", "localhost", "::1"])
    func freePort(host: String) throws {
        do {
            let listener = try Listener(host: host, port: 0)
            #expect(listener.port > 0)
            if host == "127.0.0.1" { _ = try connect(to: listener.port) }
        } catch Listener.Failure.system(let error) where host == "::1" {
            // A machine without IPv6 has no such address.
            #expect(error.code == EADDRNOTAVAIL || error.code == EAFNOSUPPORT)
        }
    }

    @Test("a port in use is told as that")
    func inUse() throws {
        let first = try Listener(host: "127.0.0.1", port: 0)
        let port = first.port
        var said: String?
        do throws(Listener.Failure) {
            _ = try Listener(host: "127.0.0.1", port: port)
        } catch {
            said = error.description
        }
        #expect(said == "port \(port) on 127.0.0.1 is in use by another program")
        withExtendedLifetime(first.descriptor) {}
    }

    @Test("a site is an IPv4 address, however it is written, or the IPv6 network of 64 bits")
    func sites() {
        func site(_ host: String) -> UInt64? { SocketAddress.literal(host: host, port: 1)?.site }
        #expect(site("10.1.2.3") == 0xFFFF_0A01_0203 && site("::ffff:10.1.2.3") == 0xFFFF_0A01_0203)
        #expect(site("2001:db8:1:2::5") == 0x2001_0DB8_0001_0002)
        #expect(
            site("2001:db8:1:2:9:9:9:9") == site("2001:db8:1:2::5")
                && site("2001:db8:1:3::5") != site("2001:db8:1:2::5"))
        #expect(site("::1") == 0 && SocketAddress.literal(host: "10.1.2.3", port: 9)?.site == site("10.1.2.3"))
    }

    @Test("a host that is none is told as that", arguments: ["256.256.256.256", "no.such.host.invalid"])
    func unresolvable(host: String) {
        var said: String?
        do throws(Listener.Failure) {
            _ = try Listener(host: host, port: 0)
        } catch {
            said = error.description
        }
        #expect(said?.hasPrefix("the host \(host) can't be resolved: ") == true)
    }

    @Test("a waiting connection is accepted, without delay and without blocking; then there is none")
    func accept() throws {
        let listener = try Listener(host: "127.0.0.1", port: 0)
        let poller = try Poller(capacity: 4)
        try poller.add(listener.descriptor, .accept, tag: 1)
        #expect(poller.wait(timeout: 0) == 0)
        guard case .none = StreamSocket.accept(from: listener.descriptor) else {
            Issue.record("accepted nobody")
            return
        }
        let client = try connect(to: listener.port)
        #expect(poller.wait(timeout: 10_000) == 1 && poller[0].tag == 1)
        guard case .accepted(let raw) = StreamSocket.accept(from: listener.descriptor) else {
            Issue.record("not accepted")
            return
        }
        let server = FileDescriptor(owning: raw)
        var on: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        getsockopt(server.raw, Int32(IPPROTO_TCP), TCP_NODELAY, &on, &length)
        #expect(on == 1)
        #expect(fcntl(server.raw, F_GETFL) & O_NONBLOCK != 0 && fcntl(server.raw, F_GETFD) & FD_CLOEXEC != 0)
        #expect(receive(server.raw).0 == .wouldBlock)
        withExtendedLifetime(client.raw) {}
    }

    @Test("a descriptor that does not listen is an error and not an endless loop")
    func notAListener() throws {
        var pair: [Int32] = [0, 0]
        #expect(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &pair) == 0)
        let left = FileDescriptor(owning: pair[0])
        let right = FileDescriptor(owning: pair[1])
        guard case .exhausted(let error) = StreamSocket.accept(from: left.raw) else {
            Issue.record("accepted from a socket that does not listen")
            return
        }
        #expect(error.code == EINVAL || error.code == EOPNOTSUPP)
        withExtendedLifetime(right.raw) {}
    }

    @Test("bytes go through, a full socket would block and is writable again when it was read, an end is an end")
    func transfer() throws {
        var pair: [Int32] = [0, 0]
        #expect(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &pair) == 0)
        let left = FileDescriptor(owning: pair[0])
        let poller = try Poller(capacity: 4)
        try poller.add(left.raw, [.read, .write], tag: 5)
        do {
            let right = FileDescriptor(owning: pair[1])
            #expect(send(left.raw, [1, 2, 3]) == .moved(3))
            #expect(receive(right.raw).1 == [1, 2, 3])
            #expect(receive(right.raw).0 == .wouldBlock)

            var sent = 0
            let block = [UInt8](repeating: 7, count: 65_536)
            while case .moved(let count) = send(left.raw, block) { sent += count }
            #expect(sent > 0 && send(left.raw, block) == .wouldBlock)
            #expect(poller.wait(timeout: 0) == 0)
            var received = 0
            while case .moved(let count) = receive(right.raw, atMost: 1 << 20).0 { received += count }
            #expect(received == sent)
            #expect(poller.wait(timeout: 0) == 1 && poller[0].writable && !poller[0].readable)

            try poller.modify(left.raw, .read, tag: 6)
            #expect(poller.wait(timeout: 0) == 0)
            #expect(send(right.raw, [9]) == .moved(1))
            #expect(poller.wait(timeout: 0) == 1 && poller[0].tag == 6 && poller[0].readable && !poller[0].hangup)
            #expect(receive(left.raw).1 == [9])
        }
        #expect(poller.wait(timeout: 0) == 1 && poller[0].readable && poller[0].hangup)
        #expect(receive(left.raw).0 == .closed)
        #expect(send(left.raw, [1]) == .closed)
        try poller.remove(left.raw)
        #expect(poller.wait(timeout: 0) == 0)
    }

    @Test("a descriptor that is not open can't be watched")
    func badDescriptor() throws {
        let poller = try Poller(capacity: 4)
        #expect(throws: SystemError("epoll_ctl", code: EBADF)) { try poller.add(1_000_000, .read, tag: 0) }
        #expect(SystemError("epoll_ctl", code: EBADF).description == "epoll_ctl: Bad file descriptor")
    }
}
