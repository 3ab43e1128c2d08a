import Glibc

/// An IP address of either version. An IPv4 address that is written within IPv6 (RFC 4291, 2.5.5.2) is that IPv4 address.
///
///     16 bytes, high and low half; IPv4 a.b.c.d as ::ffff:a.b.c.d
public struct IPAddress: Hashable, Sendable, CustomStringConvertible {
    let high: UInt64
    let low: UInt64

    private static let mapped: UInt64 = 0xFFFF_0000_0000

    private init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// Nil for whatever is no address: names, ports, brackets and zones are not part of one.
    public init?(_ text: String) {
        guard text.utf8.count < Int(INET6_ADDRSTRLEN), !text.utf8.contains(0) else { return nil }
        var four = in_addr()
        if inet_pton(AF_INET, text, &four) == 1 {
            self.init(high: 0, low: Self.mapped | UInt64(UInt32(bigEndian: four.s_addr)))
            return
        }
        var six = in6_addr()
        guard inet_pton(AF_INET6, text, &six) == 1 else { return nil }
        self = withUnsafeBytes(of: six) { Self(bytes: $0) }
    }

    private init(bytes: UnsafeRawBufferPointer) {
        self.init(
            high: UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self)),
            low: UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)))
    }

    /// The other end of a connected socket; nil where there is none.
    public init?(remoteOf descriptor: Int32) {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let address: IPAddress? = withUnsafeMutableBytes(of: &storage) { bytes in
            guard getpeername(descriptor, bytes.baseAddress!.assumingMemoryBound(to: sockaddr.self), &length) == 0
            else { return nil }
            // The address stands behind the family (2 bytes) and the port (2), in IPv6 behind a flow label (4), too.
            switch Int32(bytes.loadUnaligned(as: sa_family_t.self)) {
            case AF_INET:
                let four = UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self))
                return IPAddress(high: 0, low: Self.mapped | UInt64(four))
            case AF_INET6:
                return IPAddress(bytes: UnsafeRawBufferPointer(rebasing: bytes[8..<24]))
            default: return nil
            }
        }
        guard let address else { return nil }
        self = address
    }

    var isIPv4: Bool { high == 0 && low >> 32 == 0xFFFF }

    public var description: String {
        if isIPv4 {
            return [24, 16, 8, 0].map { String(low >> UInt64($0) & 0xFF) }.joined(separator: ".")
        }
        var six = in6_addr()
        withUnsafeMutableBytes(of: &six) {
            $0.storeBytes(of: high.bigEndian, as: UInt64.self)
            $0.storeBytes(of: low.bigEndian, toByteOffset: 8, as: UInt64.self)
        }
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        guard inet_ntop(AF_INET6, &six, &text, socklen_t(text.count)) != nil else { return "?" }
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

/// All addresses that begin with the same bits (CIDR, RFC 4632): `10.0.0.0/8`, `fd00::/8`, or one address alone.
public struct IPRange: Hashable, Sendable, CustomStringConvertible {
    public let address: IPAddress
    /// Of 128 bits; an IPv4 prefix has 96 before its own.
    private let bits: Int

    /// Nil for whatever is no address, with or without a prefix length; and where bits are set behind the prefix, since
    /// whoever wrote that means another range.
    public init?(_ text: String) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = parts.first, let address = IPAddress(String(first)) else { return nil }
        let width = address.isIPv4 && !first.contains(":") ? 32 : 128
        var length = width
        if parts.count == 2 {
            guard parts[1].utf8.allSatisfy({ (48...57).contains($0) }), let given = Int(parts[1]), given <= width else {
                return nil
            }
            length = given
        }
        self.address = address
        bits = 128 - width + length
        guard Self.masked(address, bits) == address else { return nil }
    }

    public func contains(_ other: IPAddress) -> Bool { Self.masked(other, bits) == address }

    private static func masked(_ address: IPAddress, _ bits: Int) -> IPAddress {
        IPAddress(masking: address, high: min(bits, 64), low: max(bits - 64, 0))
    }

    public var description: String {
        if address.isIPv4, bits >= 96 { return "\(address)/\(bits - 96)" }
        return "\(address)/\(bits)"
    }
}

extension IPAddress {
    fileprivate init(masking address: IPAddress, high: Int, low: Int) {
        // A shift by 64 gives 0.
        self.init(high: address.high & ~(.max >> UInt64(high)), low: address.low & ~(.max >> UInt64(low)))
    }
}
