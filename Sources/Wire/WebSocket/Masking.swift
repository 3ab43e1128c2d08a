/// The mask that a client lays over its payloads: byte i is XORed with byte i mod 4 of a key. RFC 6455, section 5.3.
///
/// It keeps clients from writing chosen bytes onto a path where an old proxy might take them for HTTP; it hides
/// nothing. Keys here are little-endian numbers: the byte that goes onto the first byte of the payload is the lowest.
enum Masking {
    /// Masks or unmasks in place, eight bytes at a time. Returns the bitwise or of the bytes as they are afterwards,
    /// folded: its high bit is clear where all of them are ASCII. O(count).
    @inline(__always)
    @discardableResult
    static func apply(_ mask: UInt32, to bytes: UnsafeMutableRawBufferPointer) -> UInt8 {
        guard let base = bytes.baseAddress else { return 0 }
        let count = bytes.count
        let wide = (UInt64(mask) << 32 | UInt64(mask)).littleEndian
        var union: UInt64 = 0
        var at = 0
        while at &+ 8 <= count {
            let word = base.loadUnaligned(fromByteOffset: at, as: UInt64.self) ^ wide
            base.storeBytes(of: word, toByteOffset: at, as: UInt64.self)
            union |= word
            at &+= 8
        }
        var key = mask
        while at < count {
            let byte = base.load(fromByteOffset: at, as: UInt8.self) ^ UInt8(truncatingIfNeeded: key)
            base.storeBytes(of: byte, toByteOffset: at, as: UInt8.self)
            union |= UInt64(byte)
            key = key >> 8 | key << 24
            at &+= 1
        }
        union |= union >> 32
        union |= union >> 16
        union |= union >> 8
        return UInt8(truncatingIfNeeded: union)
    }

    /// The key as it stands for the bytes that follow `count` masked ones.
    @inline(__always)
    static func advanced(_ mask: UInt32, by count: Int) -> UInt32 {
        let bits = UInt32(truncatingIfNeeded: count & 3) * 8
        return bits == 0 ? mask : mask >> bits | mask << (32 - bits)
    }
}
