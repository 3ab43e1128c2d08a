/// Writes the pieces of a JSON text (RFC 8259) at the end of a buffer.
///
/// Strings have nothing in them as it is that ends a line or that a terminal takes for a command, since what is written
/// here is also put into logs and shown by programs that expect text: beside quote, backslash and what is below U+0020,
/// which the RFC demands, DEL, the controls U+0080 to U+009F and the line ends U+2028 and U+2029 are escaped. All other
/// characters go out as the UTF-8 they are.
extension ByteBuffer {
    /// `utf8` in quotes. The bytes must be UTF-8 for the result to be JSON.
    @inline(__always)
    public mutating func appendJSONString(_ utf8: UnsafeRawBufferPointer) {
        // Room for all of it where nothing has to be escaped, which is nearly always.
        let room = reserve(utf8.count + 2)
        let plain = WritableRun.end(in: utf8, from: 0)
        room[0] = UInt8(ascii: "\"")
        if plain == utf8.count {
            if let from = utf8.baseAddress {
                UnsafeMutableRawPointer(room + 1).copyMemory(from: from, byteCount: plain)
            }
            room[plain + 1] = UInt8(ascii: "\"")
            commit(plain + 2)
        } else {
            commit(1)
            appendEscaped(utf8)
            append(UInt8(ascii: "\""))
        }
    }

    @inline(__always)
    public mutating func appendJSONString(_ text: Text) {
        text.withUTF8 { appendJSONString(UnsafeRawBufferPointer($0)) }
    }

    @inline(never)
    private mutating func appendEscaped(_ utf8: UnsafeRawBufferPointer) {
        var at = 0
        while at < utf8.count {
            let end = WritableRun.end(in: utf8, from: at)
            append(UnsafeRawBufferPointer(rebasing: utf8[at..<end]))
            guard end < utf8.count else { return }
            let byte = utf8[end]
            append(UInt8(ascii: "\\"))
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): append(byte)
            case 0x08: append(UInt8(ascii: "b"))
            case 0x09: append(UInt8(ascii: "t"))
            case 0x0A: append(UInt8(ascii: "n"))
            case 0x0C: append(UInt8(ascii: "f"))
            case 0x0D: append(UInt8(ascii: "r"))
            case 0xC2:
                appendUnicodeEscape(UInt16(utf8[end + 1]))
                at = end + 2
                continue
            case 0xE2:
                appendUnicodeEscape(utf8[end + 2] == 0xA8 ? 0x2028 : 0x2029)
                at = end + 3
                continue
            default: appendUnicodeEscape(UInt16(byte))
            }
            at = end + 1
        }
    }

    /// What stands behind the backslash.
    private mutating func appendUnicodeEscape(_ unit: UInt16) {
        append(UInt8(ascii: "u"))
        for shift in [12, 8, 4, 0] as [UInt16] { append(Hexadecimal.digit(UInt8(unit >> shift & 0xF))) }
    }

    /// The number in decimal digits.
    public mutating func appendDecimal(_ value: UInt64) {
        let length = ByteBuffer.decimalDigits(value)
        let room = reserve(length)
        var rest = value
        var at = length
        while rest >= 10 {
            let (quotient, remainder) = rest.quotientAndRemainder(dividingBy: 10)
            at &-= 1
            room[at] = UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: remainder)
            rest = quotient
        }
        room[0] = UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: rest)
        commit(length)
    }

    /// The number in decimal digits, with a minus sign where it is negative.
    public mutating func appendDecimal(_ value: Int) {
        if value < 0 { append(UInt8(ascii: "-")) }
        appendDecimal(UInt64(value.magnitude))
    }

    private static func decimalDigits(_ value: UInt64) -> Int {
        var digits = 1
        var bound: UInt64 = 10
        while digits < 20, value >= bound {
            digits &+= 1
            bound = bound &* 10  // 10^20 does not fit; by then `digits` has ended the loop
        }
        return digits
    }

    /// The number as 16 lowercase hexadecimal digits.
    @inline(__always)
    public mutating func appendHexadecimal(_ value: UInt64) {
        let room = UnsafeMutableRawPointer(reserve(16))
        room.storeBytes(of: Hexadecimal.digits(UInt32(truncatingIfNeeded: value >> 32)), as: UInt64.self)
        room.storeBytes(of: Hexadecimal.digits(UInt32(truncatingIfNeeded: value)), toByteOffset: 8, as: UInt64.self)
        commit(16)
    }
}

/// Hexadecimal digits, eight at a time: the nibbles of a number are spread over the bytes of one twice as wide.
enum Hexadecimal {
    /// The eight lowercase digits of `value`, as the bytes of a number in memory order.
    @inline(__always)
    static func digits(_ value: UInt32) -> UInt64 {
        var spread = UInt64(value)
        spread = (spread | spread << 16) & 0x0000_FFFF_0000_FFFF
        spread = (spread | spread << 8) & 0x00FF_00FF_00FF_00FF
        spread = (spread | spread << 4) & 0x0F0F_0F0F_0F0F_0F0F
        let letters = ((spread &+ 0x0606_0606_0606_0606) >> 4) & 0x0101_0101_0101_0101
        return (spread &+ 0x3030_3030_3030_3030 &+ letters &* 39).bigEndian
    }

    /// The lowercase digit of a number below 16.
    @inline(__always)
    static func digit(_ nibble: UInt8) -> UInt8 {
        nibble < 10 ? UInt8(ascii: "0") &+ nibble : UInt8(ascii: "a") &- 10 &+ nibble
    }

    /// What one lowercase digit says; nil for any other byte.
    @inline(__always)
    static func value(ofLowercase digit: UInt8) -> UInt8? {
        if digit &- 0x30 < 10 { return digit &- 0x30 }
        if digit &- 0x61 < 6 { return digit &- 0x57 }
        return nil
    }

    /// The number that lowercase digits say, at most 16 of them; nil for anything else, or none.
    static func number(_ digits: UnsafeRawBufferPointer) -> UInt64? {
        guard (1...16).contains(digits.count) else { return nil }
        var number: UInt64 = 0
        for byte in digits {
            guard let digit = value(ofLowercase: byte) else { return nil }
            number = number << 4 | UInt64(digit)
        }
        return number
    }
}
