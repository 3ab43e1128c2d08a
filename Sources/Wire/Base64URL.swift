/// Base64 with the alphabet that is safe in URLs, without padding (RFC 4648, section 5; RFC 7515, section 2).
///
/// Strict: each run of bytes has one text. Padding, blanks, the other alphabet, a length that no bytes have, and bits
/// set beyond the last byte are refused, so that a signed text can't be varied unnoticed.
public enum Base64URL {
    /// Nil for what no bytes are written as. O(n), one allocation.
    public static func decode(_ text: UnsafeRawBufferPointer) -> [UInt8]? {
        let rest = text.count % 4
        guard rest != 1 else { return nil }
        var valid = true
        let bytes = [UInt8](unsafeUninitializedCapacity: text.count / 4 * 3 + max(0, rest - 1)) { out, written in
            values.withUnsafeBufferPointer { values in
                // A byte that stands for nothing has its top bits set; they are gathered and looked at once.
                var seen: UInt8 = 0
                @inline(__always) func value(_ at: Int) -> UInt32 {
                    let value = values[Int(text[at])]
                    seen |= value
                    return UInt32(value)
                }
                var at = 0
                while at &+ 4 <= text.count {
                    let group =
                        value(at) << 18 | value(at &+ 1) << 12 | value(at &+ 2) << 6 | value(at &+ 3)
                    out[written] = UInt8(truncatingIfNeeded: group >> 16)
                    out[written &+ 1] = UInt8(truncatingIfNeeded: group >> 8)
                    out[written &+ 2] = UInt8(truncatingIfNeeded: group)
                    written &+= 3
                    at &+= 4
                }
                if rest > 0 {
                    let group = value(at) << 18 | value(at + 1) << 12 | (rest == 3 ? value(at + 2) << 6 : 0)
                    out[written] = UInt8(truncatingIfNeeded: group >> 16)
                    written &+= 1
                    if rest == 3 {
                        out[written] = UInt8(truncatingIfNeeded: group >> 8)
                        written &+= 1
                    }
                    if group & (rest == 3 ? 0xFF : 0xFFFF) != 0 { valid = false }
                }
                if seen >= 64 { valid = false }
            }
        }
        return valid ? bytes : nil
    }

    public static func append(_ bytes: UnsafeRawBufferPointer, to out: inout ByteBuffer) {
        func digit(_ value: UInt32) -> UInt8 { alphabet[Int(value & 63)] }
        var at = 0
        while bytes.count - at >= 3 {
            let group = UInt32(bytes[at]) << 16 | UInt32(bytes[at + 1]) << 8 | UInt32(bytes[at + 2])
            for shift: UInt32 in [18, 12, 6, 0] { out.append(digit(group >> shift)) }
            at += 3
        }
        if bytes.count - at == 1 {
            let group = UInt32(bytes[at]) << 16
            for shift: UInt32 in [18, 12] { out.append(digit(group >> shift)) }
        } else if bytes.count - at == 2 {
            let group = UInt32(bytes[at]) << 16 | UInt32(bytes[at + 1]) << 8
            for shift: UInt32 in [18, 12, 6] { out.append(digit(group >> shift)) }
        }
    }

    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

    /// For each byte what it stands for; 255 where nothing.
    private static let values: [UInt8] = {
        var values = [UInt8](repeating: 255, count: 256)
        for (value, byte) in alphabet.enumerated() { values[Int(byte)] = UInt8(value) }
        return values
    }()
}
