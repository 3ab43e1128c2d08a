import CLinux
import Glibc

/// Where a socket is or leads to: an IP address and a port.
public struct SocketAddress: Sendable, CustomStringConvertible {
    private var storage: sockaddr_storage
    private let length: socklen_t

    /// Why a name has no address, in the resolver's words.
    public struct Unresolvable: Error, Hashable, Sendable {
        public let reason: String

        public init(reason: String) { self.reason = reason }
    }

    /// The addresses of a host, in the order in which they should be tried (RFC 6724).
    ///
    /// Blocks as long as the resolver takes.
    /// - Parameter host: a name, or an IPv4 or IPv6 address without brackets.
    public static func resolve(host: String, port: UInt16) throws(Unresolvable) -> [SocketAddress] {
        try resolve(host, port, flags: AI_NUMERICSERV)
    }

    /// The address that `host` is written as; nil where it is a name. Never blocks.
    public static func literal(host: String, port: UInt16) -> SocketAddress? {
        (try? resolve(host, port, flags: AI_NUMERICSERV | AI_NUMERICHOST))?.first
    }

    private static func resolve(
        _ host: String, _ port: UInt16, flags: Int32
    ) throws(Unresolvable) -> [SocketAddress] {
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = flags
        var found: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(host, String(port), &hints, &found)
        guard code == 0 else { throw Unresolvable(reason: String(cString: gai_strerror(code))) }
        defer { freeaddrinfo(found) }
        var addresses: [SocketAddress] = []
        var next = found
        while let candidate = next?.pointee {
            next = candidate.ai_next
            addresses.append(SocketAddress(UnsafeRawPointer(candidate.ai_addr), candidate.ai_addrlen))
        }
        return addresses
    }

    private init(_ address: UnsafeRawPointer, _ length: socklen_t) {
        storage = sockaddr_storage()
        self.length = min(length, socklen_t(MemoryLayout<sockaddr_storage>.size))
        withUnsafeMutableBytes(of: &storage) {
            $0.copyMemory(from: UnsafeRawBufferPointer(start: address, count: Int(self.length)))
        }
    }

    /// Where a socket is bound; nil where it isn't.
    public init?(localOf descriptor: Int32) { self.init(descriptor, getsockname) }

    /// Where a connected socket leads to; nil where it is not connected.
    public init?(remoteOf descriptor: Int32) { self.init(descriptor, getpeername) }

    private init?(
        _ descriptor: Int32,
        _ read: (Int32, UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32
    ) {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let result = withUnsafeMutableBytes(of: &storage) {
            read(descriptor, $0.baseAddress!.assumingMemoryBound(to: sockaddr.self), &length)
        }
        guard result == 0 else { return nil }
        self.storage = storage
        self.length = min(length, socklen_t(MemoryLayout<sockaddr_storage>.size))
    }

    var family: Int32 { Int32(storage.ss_family) }

    func withPointer<R>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> R) -> R {
        withUnsafeBytes(of: storage) { body($0.baseAddress!.assumingMemoryBound(to: sockaddr.self), length) }
    }

    public var port: UInt16 {
        // The port stands at the same place, in network order, for IPv4 and IPv6.
        withUnsafeBytes(of: storage) { UInt16($0[2]) << 8 | UInt16($0[3]) }
    }

    /// Whether nobody but this machine can be there: 127.0.0.0/8 or ::1.
    public var isLoopback: Bool {
        withUnsafeBytes(of: storage) { bytes in
            switch family {
            case AF_INET: return bytes[4] == 127
            case AF_INET6:
                let address = bytes[8..<24]
                let mapped: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]
                return address.elementsEqual([UInt8](repeating: 0, count: 15) + [1])
                    || (address.prefix(12).elementsEqual(mapped) && address[20] == 127)
            default: return false
            }
        }
    }

    /// What stands for whoever is there, of all who could be: an IPv4 address, also one that is written as an IPv6 address,
    /// or the network of 64 bits that an IPv6 address is in, since who has one address of it has all. 0 for anything else.
    public var site: UInt64 {
        withUnsafeBytes(of: storage) { bytes in
            func number(_ range: Range<Int>) -> UInt64 { bytes[range].reduce(0) { $0 << 8 | UInt64($1) } }
            switch family {
            case AF_INET: return 0xFFFF << 32 | number(4..<8)
            case AF_INET6:
                let isMapped = number(8..<16) == 0 && number(16..<20) == 0xFFFF
                return isMapped ? 0xFFFF << 32 | number(20..<24) : number(8..<16)
            default: return 0
            }
        }
    }

    /// The IP address alone, without the port.
    public var host: String {
        withPointer { address, length in
            var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
            guard getnameinfo(address, length, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST) == 0 else {
                return "?"
            }
            return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
    }

    public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
