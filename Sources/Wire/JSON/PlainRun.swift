/// Finds where plain text ends in a JSON string: at a quote, a backslash or a control character (RFC 8259, section 7).
///
/// Reader and writer spend most of their time here, so it looks at eight bytes at once, as one number. A byte is found by
/// the borrow that it causes in a subtraction (Anderson: "Bit Twiddling Hacks", "Determine if a word has a byte less
/// than n"); such a borrow can spoil only bytes that come later in memory, so the first one reported is always right.
enum PlainRun {
    private static let ones: UInt64 = 0x0101_0101_0101_0101
    private static let tops: UInt64 = 0x8080_8080_8080_8080

    /// The first offset in `start..<bytes.count` whose byte can't stand in a JSON string as it is; `bytes.count` where
    /// there is none. `start` must not be past the end.
    @inline(__always)
    static func end(in bytes: UnsafeRawBufferPointer, from start: Int) -> Int {
        var at = start
        while bytes.count &- at >= 8 {
            let word = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self))
            let quote = word ^ (ones &* 0x22)
            let backslash = word ^ (ones &* 0x5C)
            let found =
                ((word &- ones &* 0x20) & ~word | (quote &- ones) & ~quote | (backslash &- ones) & ~backslash) & tops
            if found != 0 { return at &+ found.trailingZeroBitCount / 8 }
            at &+= 8
        }
        while at < bytes.count, !mustBeEscaped(bytes[at]) { at &+= 1 }
        return at
    }

    @inline(__always)
    static func mustBeEscaped(_ byte: UInt8) -> Bool { byte < 0x20 || byte == 0x22 || byte == 0x5C }
}
