/// Finds where text ends that a JSON string of ours holds as it is: `PlainRun`, and beside what the RFC forbids DEL, the
/// controls U+0080 to U+009F and the line ends U+2028 and U+2029, which programs that show text act upon.
///
/// In UTF-8 those last are `C2 80` to `C2 9F` and `E2 80 A8`, `E2 80 A9`. Sixteen bytes are looked at together, as two numbers,
/// by the borrows that bytes cause in a subtraction (see `PlainRun`). That may name too many bytes and never too few, so
/// what it names is looked at by itself: C2 also begins "©" and E2 the euro sign.
enum WritableRun {
    private static let ones: UInt64 = 0x0101_0101_0101_0101
    private static let tops: UInt64 = 0x8080_8080_8080_8080

    /// The first offset in `start..<bytes.count` where what stands there must be escaped; `bytes.count` where there is none.
    /// `start` must not be past the end.
    @inline(__always)
    static func end(in bytes: UnsafeRawBufferPointer, from start: Int) -> Int {
        var at = start
        while bytes.count &- at >= 16 {
            let first = word(bytes, at)
            let second = word(bytes, at &+ 8)
            if (borrows(first) | first | borrows(second) | second) & tops != 0 {
                if let found = firstHit(bytes, first, at) { return found }
                if let found = firstHit(bytes, second, at &+ 8) { return found }
            }
            at &+= 16
        }
        if bytes.count &- at >= 8 {
            if let found = firstHit(bytes, word(bytes, at), at) { return found }
            at &+= 8
        }
        guard at < bytes.count else { return at }
        if bytes.count &- start >= 8 {
            // The last eight; what of them was looked at before is looked at again.
            let last = bytes.count &- 8
            return firstHit(bytes, word(bytes, last), last) ?? bytes.count
        }
        while at < bytes.count {
            // Letters need no closer look.
            if (bytes[at] | 0x20) &- 0x60 > 0x1A, mustBeEscaped(bytes, at: at) { return at }
            at &+= 1
        }
        return at
    }

    @inline(__always)
    private static func word(_ bytes: UnsafeRawBufferPointer, _ at: Int) -> UInt64 {
        UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self))
    }

    /// The top bit of a byte that had it clear is set where the byte is below 20, a quote (which the first exclusive or makes
    /// a blank, and a blank a quote), a backslash, or DEL, which one more carries over.
    @inline(__always)
    private static func borrows(_ word: UInt64) -> UInt64 {
        ((word ^ (ones &* 0x02)) &- ones &* 0x21) | ((word ^ (ones &* 0x5C)) &- ones) | (word &+ ones)
    }

    /// The first of the eight bytes of `word`, which stand at `at`, where something must be escaped.
    @inline(__always)
    private static func firstHit(_ bytes: UnsafeRawBufferPointer, _ word: UInt64, _ at: Int) -> Int? {
        // C2 and E2 differ in one bit.
        let lead = (word | ones &* 0x20) ^ (ones &* 0xE2)
        var named = ((borrows(word) & ~word) | ((lead &- ones) & ~lead)) & tops
        while named != 0 {
            let offset = at &+ named.trailingZeroBitCount / 8
            if mustBeEscaped(bytes, at: offset) { return offset }
            named &= named &- 1
        }
        return nil
    }

    /// Never reads past the end, whatever the bytes are.
    @inline(__always)
    private static func mustBeEscaped(_ bytes: UnsafeRawBufferPointer, at: Int) -> Bool {
        let byte = bytes[at]
        if byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") || byte == 0x7F { return true }
        if byte == 0xC2 { return bytes.count - at >= 2 && 0x80...0x9F ~= bytes[at + 1] }
        return byte == 0xE2 && bytes.count - at >= 3 && bytes[at + 1] == 0x80 && bytes[at + 2] & 0xFE == 0xA8
    }
}
