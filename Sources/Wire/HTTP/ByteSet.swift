/// A set of ASCII characters as two words of bits: membership is a shift, without a table in memory.
///
/// The sets are those of HTTP's and URI's grammars; every byte from 80 up is in none of them.
struct ByteSet: Sendable {
    /// Bit b: the character b, 0 to 63.
    let low: UInt64
    /// Bit b: the character 64 + b.
    let high: UInt64

    @inline(__always)
    func contains(_ byte: UInt8) -> Bool {
        let half = byte & 0x40 == 0 ? low : high
        return byte < 0x80 && half >> UInt64(byte & 0x3F) & 1 != 0
    }

    /// `tchar`: what methods and field names are made of. RFC 9110, section 5.6.2.
    static var token: ByteSet { ByteSet(low: 0x03ff_6cfa_0000_0000, high: 0x57ff_ffff_c7ff_fffe) }
    /// What a `Host` is made of: `reg-name`, IP literals in brackets, a port. RFC 3986, section 3.2.
    static var host: ByteSet { ByteSet(low: 0x2fff_7ff2_0000_0000, high: 0x47ff_fffe_afff_fffe) }
    /// What stands for itself in any part of a URI. RFC 3986, section 2.3.
    static var unreserved: ByteSet { ByteSet(low: 0x03ff_6000_0000_0000, high: 0x47ff_fffe_87ff_fffe) }
}
