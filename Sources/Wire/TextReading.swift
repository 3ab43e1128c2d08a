/// `Text` from foreign bytes: only what is UTF-8, and without the whitespace around it.
extension Text {
    /// Nil where the bytes are not UTF-8 (RFC 3629).
    public init?(validating bytes: UnsafeRawBufferPointer) {
        guard let string = bytes.withMemoryRebound(to: UInt8.self, { String(validating: $0, as: UTF8.self) }) else {
            return nil
        }
        self.init(string)
    }

    /// Without the whitespace at both ends (Unicode's White_Space, as Go's `strings.TrimSpace` has it).
    public func trimmed() -> Text {
        withUTF8 { utf8 in
            let bytes = UnsafeRawBufferPointer(utf8)
            let inner = bytes.trimmingWhitespace()
            return inner.count == bytes.count ? self : Text(decoding: inner)
        }
    }
}

extension UnsafeRawBufferPointer {
    /// The part of this UTF-8 without the whitespace at both ends.
    func trimmingWhitespace() -> UnsafeRawBufferPointer {
        var start = 0
        var end = count
        while start < end {
            let length = whitespaceLength(from: start, to: end)
            if length == 0 { break }
            start += length
        }
        while start < end {
            // The last scalar begins at the last byte that continues none; three bytes at most are looked at.
            var last = end - 1
            while last > start, last > end - 3, self[last] & 0xC0 == 0x80 { last -= 1 }
            let length = whitespaceLength(from: last, to: end)
            guard length > 0, last + length == end else { break }
            end = last
        }
        return UnsafeRawBufferPointer(rebasing: self[start..<end])
    }

    /// How many bytes the whitespace scalar at `at` has; 0 where another one stands there.
    @inline(__always)
    private func whitespaceLength(from at: Int, to end: Int) -> Int {
        let byte = self[at]
        if byte < 0x80 { return byte == 0x20 || (0x09...0x0D).contains(byte) ? 1 : 0 }
        switch byte {
        case 0xC2:  // U+0085 next line, U+00A0 no-break space
            return end - at >= 2 && (self[at + 1] == 0x85 || self[at + 1] == 0xA0) ? 2 : 0
        case 0xE1...0xE3:
            guard end - at >= 3 else { return 0 }
            switch (byte, self[at + 1], self[at + 2]) {
            case (0xE1, 0x9A, 0x80),  // U+1680 ogham space mark
                (0xE2, 0x80, 0x80...0x8A),  // U+2000 to U+200A: en quad to hair space
                (0xE2, 0x80, 0xA8), (0xE2, 0x80, 0xA9),  // U+2028, U+2029: line and paragraph separator
                (0xE2, 0x80, 0xAF),  // U+202F narrow no-break space
                (0xE2, 0x81, 0x9F),  // U+205F medium mathematical space
                (0xE3, 0x80, 0x80):  // U+3000 ideographic space
                return 3
            default: return 0
            }
        default: return 0
        }
    }
}
