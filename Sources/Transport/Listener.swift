import CLinux
import Glibc

/// A TCP socket that listens, and the address it got.
public struct Listener: ~Copyable, Sendable {
    private let socket: FileDescriptor
    /// The port it listens on; where 0 was asked for, the one the system chose.
    public let port: UInt16

    public var descriptor: Int32 { socket.raw }

    /// Where it listens.
    public var address: SocketAddress? { SocketAddress(localOf: socket.raw) }

    public enum Failure: Error, Sendable, CustomStringConvertible {
        case unresolvable(host: String, reason: String)
        case portInUse(host: String, port: UInt16)
        case system(SystemError)

        public var description: String {
            switch self {
            case .unresolvable(let host, let reason): "the host \(host) can't be resolved: \(reason)"
            case .portInUse(let host, let port): "port \(port) on \(host) is in use by another program"
            case .system(let error): error.description
            }
        }
    }

    /// Resolves `host` (a name, or an IPv4 or IPv6 address) and listens on the first address that can be bound.
    public init(host: String, port wanted: UInt16, backlog: Int32 = 4096) throws(Failure) {
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV
        var found: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(host, String(wanted), &hints, &found)
        guard code == 0 else { throw .unresolvable(host: host, reason: String(cString: gai_strerror(code))) }
        defer { freeaddrinfo(found) }

        var failure = Failure.unresolvable(host: host, reason: "no address")
        var next = found
        while let candidate = next {
            next = candidate.pointee.ai_next
            do throws(SystemError) {
                let bound = try Listener.bind(candidate.pointee, backlog)
                port = SocketAddress(localOf: bound.raw)?.port ?? 0
                socket = bound
                return
            } catch {
                failure = error.code == EADDRINUSE ? .portInUse(host: host, port: wanted) : .system(error)
            }
        }
        throw failure
    }

    private static func bind(_ address: addrinfo, _ backlog: Int32) throws(SystemError) -> FileDescriptor {
        let type = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        let raw = Glibc.socket(address.ai_family, type, 0)
        guard raw >= 0 else { throw SystemError("socket") }
        let descriptor = FileDescriptor(owning: raw)
        var on: Int32 = 1
        setsockopt(raw, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
        guard Glibc.bind(raw, address.ai_addr, address.ai_addrlen) == 0 else { throw SystemError("bind") }
        guard listen(raw, backlog) == 0 else { throw SystemError("listen") }
        return descriptor
    }
}
