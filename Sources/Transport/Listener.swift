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
        let candidates: [SocketAddress]
        do throws(SocketAddress.Unresolvable) {
            candidates = try SocketAddress.resolve(host: host, port: wanted)
        } catch {
            throw .unresolvable(host: host, reason: error.reason)
        }
        var failure = Failure.unresolvable(host: host, reason: "no address")
        for candidate in candidates {
            do throws(SystemError) {
                let bound = try Listener.bind(candidate, backlog)
                port = SocketAddress(localOf: bound.raw)?.port ?? 0
                socket = bound
                return
            } catch {
                failure = error.code == EADDRINUSE ? .portInUse(host: host, port: wanted) : .system(error)
            }
        }
        throw failure
    }

    private static func bind(_ address: SocketAddress, _ backlog: Int32) throws(SystemError) -> FileDescriptor {
        let type = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        let raw = Glibc.socket(address.family, type, 0)
        guard raw >= 0 else { throw SystemError("socket") }
        let descriptor = FileDescriptor(owning: raw)
        var on: Int32 = 1
        setsockopt(raw, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
        guard address.withPointer({ Glibc.bind(raw, $0, $1) }) == 0 else { throw SystemError("bind") }
        guard listen(raw, backlog) == 0 else { throw SystemError("listen") }
        return descriptor
    }
}
