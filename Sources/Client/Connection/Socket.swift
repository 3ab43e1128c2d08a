import ConvergeTransport

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// Connecting by TCP: resolves a name and tries its addresses in turn.
package enum Socket {
    package enum Failure: Error, Hashable {
        case unresolvable(String)
        case timeout
        case system(SystemError)

        package var message: String {
            switch self {
            case .unresolvable(let reason): "the name can't be resolved: \(reason)"
            case .timeout: "nobody answers there"
            case .system(let error): String(cString: strerror(error.code))
            }
        }
    }

    /// A connected, non-blocking socket. Blocks for at most `timeout` beside the resolver's own time.
    static func connect(host: String, port: UInt16, timeout: Duration) throws(Failure) -> FileDescriptor {
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        hints.ai_socktype = streamType
        hints.ai_flags = AI_NUMERICSERV
        var found: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(host, String(port), &hints, &found)
        guard code == 0 else { throw .unresolvable(String(cString: gai_strerror(code))) }
        defer { freeaddrinfo(found) }

        let deadline = SystemClock.monotonic() + timeout.nanoseconds
        var failure = Failure.unresolvable("no address")
        var next = found
        while let candidate = next {
            next = candidate.pointee.ai_next
            do throws(Failure) {
                return try connect(candidate.pointee, until: deadline)
            } catch {
                failure = error
            }
        }
        throw failure
    }

    private static func connect(_ address: addrinfo, until deadline: UInt64) throws(Failure) -> FileDescriptor {
        let raw = open(address.ai_family)
        guard raw >= 0 else { throw .system(SystemError("socket")) }
        let descriptor = FileDescriptor(owning: raw)
        _ = fcntl(raw, F_SETFD, FD_CLOEXEC)
        _ = fcntl(raw, F_SETFL, O_NONBLOCK)
        var on: Int32 = 1
        setsockopt(raw, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
        if establish(raw, address) == 0 { return descriptor }
        guard errno == EINPROGRESS else { throw .system(SystemError("connect")) }

        var wait = pollfd(fd: raw, events: Int16(POLLOUT), revents: 0)
        while true {
            let now = SystemClock.monotonic()
            guard now < deadline else { throw .timeout }
            let ready = poll(&wait, 1, Int32(clamping: (deadline - now) / 1_000_000 + 1))
            if ready > 0 { break }
            if ready < 0, errno != EINTR { throw .system(SystemError("poll")) }
        }
        var code: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        getsockopt(raw, SOL_SOCKET, SO_ERROR, &code, &length)
        guard code == 0 else { throw .system(SystemError("connect", code: code)) }
        return descriptor
    }

    // The system's calls of these names, which the functions above hide; constants have other types elsewhere.
    #if canImport(Darwin)
        private static let streamType = SOCK_STREAM
        private static func open(_ family: Int32) -> Int32 { Darwin.socket(family, streamType, 0) }
        private static func establish(_ raw: Int32, _ address: addrinfo) -> Int32 {
            Darwin.connect(raw, address.ai_addr, address.ai_addrlen)
        }
    #elseif canImport(Musl)
        private static let streamType = Int32(SOCK_STREAM)
        private static func open(_ family: Int32) -> Int32 { Musl.socket(family, streamType, 0) }
        private static func establish(_ raw: Int32, _ address: addrinfo) -> Int32 {
            Musl.connect(raw, address.ai_addr, address.ai_addrlen)
        }
    #else
        private static let streamType = Int32(SOCK_STREAM.rawValue)
        private static func open(_ family: Int32) -> Int32 { Glibc.socket(family, streamType, 0) }
        private static func establish(_ raw: Int32, _ address: addrinfo) -> Int32 {
            Glibc.connect(raw, address.ai_addr, address.ai_addrlen)
        }
    #endif
}
