import CLinux
import Glibc

/// Connecting without waiting: begun here, finished when the poller says that the socket can be written to.
extension StreamSocket {
    /// Begins to connect.
    public static func connect(to address: SocketAddress) throws(SystemError) -> FileDescriptor {
        let type = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        let raw = Glibc.socket(address.family, type, 0)
        guard raw >= 0 else { throw SystemError("socket") }
        let descriptor = FileDescriptor(owning: raw)
        var on: Int32 = 1
        setsockopt(raw, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
        let result = address.withPointer { Glibc.connect(raw, $0, $1) }
        guard result == 0 || errno == EINPROGRESS else { throw SystemError("connect") }
        return descriptor
    }

    /// What became of connecting, once the socket is writable: nil where it is connected.
    public static func connectFailure(_ descriptor: Int32) -> SystemError? {
        var code: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &length)
        return code == 0 ? nil : SystemError("connect", code: code)
    }

    /// Makes the kernel watch over a connection that is to last: one whose other side takes nothing any more ends after
    /// `timeout`, also when nothing is sent; and at most `unsent` bytes wait in the kernel before what is newer.
    public static func watch(_ descriptor: Int32, timeout: Duration, unsent: Int32) {
        func set(_ level: Int32, _ option: Int32, _ value: Int32) {
            var value = value
            // What a kernel does not know leaves the connection as good as it would be without.
            setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
        }
        let seconds = Int32(clamping: max(timeout.milliseconds / 3_000, 1))
        set(SOL_SOCKET, SO_KEEPALIVE, 1)
        set(Int32(IPPROTO_TCP), TCP_KEEPIDLE, seconds)
        set(Int32(IPPROTO_TCP), TCP_KEEPINTVL, seconds)
        set(Int32(IPPROTO_TCP), TCP_KEEPCNT, 2)
        set(Int32(IPPROTO_TCP), TCP_USER_TIMEOUT, Int32(clamping: timeout.milliseconds))
        set(Int32(IPPROTO_TCP), TCP_NOTSENT_LOWAT, unsent)
    }
}
