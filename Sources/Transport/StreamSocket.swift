import CLinux
import Glibc

/// What a non-blocking read or write on a connected socket did.
public enum TransferResult: Equatable, Sendable {
    case moved(Int)
    case wouldBlock
    /// The other side has ended its direction (reading), or the connection has failed.
    case closed
}

/// The calls on a connected TCP socket. Plain functions on a descriptor: a loop keeps thousands of them in its own table.
public enum StreamSocket {
    public enum AcceptResult: Sendable {
        case accepted(Int32)
        case none
        /// No more descriptors or memory, or nothing to accept from: stop accepting for a while.
        case exhausted(SystemError)
    }

    /// Takes one waiting connection, non-blocking and without Nagle's delay.
    public static func accept(from listener: Int32) -> AcceptResult {
        while true {
            let fd = clinux_accept(listener)
            if fd >= 0 {
                var on: Int32 = 1
                setsockopt(fd, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
                return .accepted(fd)
            }
            switch errno {
            case EAGAIN: return .none
            // Interrupted, or a connection that failed while it waited (accept(2) names these): the next one.
            case EINTR, ECONNABORTED, EPERM, ENETDOWN, EPROTO, ENOPROTOOPT, EHOSTDOWN, ENONET, EHOSTUNREACH,
                ENETUNREACH:
                continue
            default: return .exhausted(SystemError("accept4"))
            }
        }
    }

    @inline(__always)
    public static func receive(_ fd: Int32, into buffer: UnsafeMutableRawBufferPointer) -> TransferResult {
        while true {
            let count = recv(fd, buffer.baseAddress, buffer.count, Int32(MSG_DONTWAIT))
            if count > 0 { return .moved(count) }
            if count == 0 { return .closed }
            if errno == EINTR { continue }
            return errno == EAGAIN ? .wouldBlock : .closed
        }
    }

    @inline(__always)
    public static func send(_ fd: Int32, _ bytes: UnsafeRawBufferPointer) -> TransferResult {
        while true {
            let flags = Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL)
            let count = Glibc.send(fd, bytes.baseAddress, bytes.count, flags)
            if count >= 0 { return .moved(count) }
            if errno == EINTR { continue }
            return errno == EAGAIN ? .wouldBlock : .closed
        }
    }
}
