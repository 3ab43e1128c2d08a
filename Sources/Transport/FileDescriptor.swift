import Glibc

/// An open file descriptor with one owner; closed when that owner is gone.
public struct FileDescriptor: ~Copyable, Sendable {
    public let raw: Int32

    /// Takes over `raw`, which must be open and nobody else's.
    public init(owning raw: Int32) { self.raw = raw }

    deinit { close(raw) }
}

/// A system call that failed: what was tried, and errno.
public struct SystemError: Error, Hashable, Sendable, CustomStringConvertible {
    public let call: String
    public let code: Int32

    public init(_ call: String, code: Int32 = errno) {
        self.call = call
        self.code = code
    }

    public var description: String { "\(call): \(String(cString: strerror(code)))" }
}
