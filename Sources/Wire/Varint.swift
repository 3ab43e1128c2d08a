import ConvergeCRDT

/// Numbers and runs of bytes as all binary layouts here have them: LEB128 (as in DWARF 5, section 7.6), seven bits a
/// byte, the least first, the top bit set in all but the last.
///
/// Each number has one form: reading refuses one that is longer than it need be.
extension ByteBuffer {
    /// 1 to 10 bytes.
    @inline(__always)
    public mutating func appendVarint(_ value: UInt64) {
        let room = reserve(10)
        var rest = value
        var length = 0
        while rest >= 0x80 {
            room[length] = UInt8(truncatingIfNeeded: rest) | 0x80
            rest >>= 7
            length &+= 1
        }
        room[length] = UInt8(truncatingIfNeeded: rest)
        commit(length &+ 1)
    }

    /// The number in eight bytes, the most significant first, so that byte order is number order.
    @inline(__always)
    public mutating func appendFixed(_ value: UInt64) {
        UnsafeMutableRawPointer(reserve(8)).storeBytes(of: value.bigEndian, as: UInt64.self)
        commit(8)
    }

    /// The bytes with their number before them.
    @inline(__always)
    public mutating func appendCounted(_ bytes: UnsafeRawBufferPointer) {
        appendVarint(UInt64(bytes.count))
        append(bytes)
    }

    @inline(__always)
    public mutating func appendCounted(_ text: Text) {
        text.withUTF8 { appendCounted(UnsafeRawBufferPointer($0)) }
    }

    /// The number of dots, then of each its replica (eight bytes) and its seq.
    public mutating func appendDots(_ dots: [Dot]) {
        appendVarint(UInt64(dots.count))
        for dot in dots {
            appendFixed(dot.replica.rawValue)
            appendVarint(dot.seq)
        }
    }
}

/// Reads what the methods above write, from bytes that may be anything: it never reads past their end, and never makes
/// room for more than they can hold.
public struct ByteReader {
    public let bytes: UnsafeRawBufferPointer
    public private(set) var offset = 0

    public init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    public var remaining: Int { bytes.count - offset }

    @inline(__always)
    public mutating func byte() throws(EntryCodecError) -> UInt8 {
        guard offset < bytes.count else { throw .truncated }
        defer { offset &+= 1 }
        return bytes[offset]
    }

    @inline(__always)
    public mutating func varint() throws(EntryCodecError) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            let byte = try byte()
            // The tenth byte has room for one bit only; and a last byte of 0 adds nothing to those before it.
            guard shift < 63 || byte <= 1, byte != 0 || shift == 0 else { throw .invalidNumber }
            value |= UInt64(byte & 0x7F) &<< shift
            if byte < 0x80 { return value }
            shift &+= 7
        }
    }

    @inline(__always)
    public mutating func fixed() throws(EntryCodecError) -> UInt64 {
        guard remaining >= 8 else { throw .truncated }
        defer { offset &+= 8 }
        return UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }

    /// The bytes behind a count of them; valid as long as the reader's.
    @inline(__always)
    public mutating func counted() throws(EntryCodecError) -> UnsafeRawBufferPointer {
        let count = try varint()
        guard count <= UInt64(remaining) else { throw .truncated }
        return try take(Int(count))
    }

    /// The next `count` bytes, which is not negative; valid as long as the reader's.
    @inline(__always)
    public mutating func take(_ count: Int) throws(EntryCodecError) -> UnsafeRawBufferPointer {
        guard count <= remaining else { throw .truncated }
        let start = offset
        offset &+= count
        return UnsafeRawBufferPointer(rebasing: bytes[start..<offset])
    }

    public mutating func text() throws(EntryCodecError) -> Text {
        guard let text = Text(validating: try counted()) else { throw .invalidText }
        return text
    }

    public mutating func dots() throws(EntryCodecError) -> [Dot] {
        let count = try varint()
        // A dot has nine bytes at least, so a count can't ask for more room than the bytes are worth.
        guard count <= UInt64(remaining / 9) else { throw .truncated }
        var dots: [Dot] = []
        dots.reserveCapacity(Int(count))
        for _ in 0..<count {
            dots.append(Dot(replica: ReplicaID(rawValue: try fixed()), seq: try varint()))
        }
        return dots
    }

    /// One that is not nobody's: what others have written.
    public mutating func replica() throws(EntryCodecError) -> ReplicaID {
        guard let replica = ReplicaID(assigned: try fixed()) else { throw .invalidField }
        return replica
    }

    public func finish() throws(EntryCodecError) {
        guard offset == bytes.count else { throw .trailingBytes }
    }
}
