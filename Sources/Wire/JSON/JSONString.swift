/// A string as it stands in a JSON text, between its quotes; its escapes have been checked but not resolved.
///
/// It points into the text that was scanned and is valid only as long as that is.
public struct JSONString {
    /// What stands between the quotes, escapes and all.
    public let raw: UnsafeRawBufferPointer
    /// Whether `raw` has escapes; without any it is the string's UTF-8 already.
    public let hasEscapes: Bool

    @inline(__always)
    init(raw: UnsafeRawBufferPointer, hasEscapes: Bool) {
        self.raw = raw
        self.hasEscapes = hasEscapes
    }

    /// The string's UTF-8. O(n), one allocation.
    public func bytes() -> [UInt8] {
        hasEscapes ? unescaped() : [UInt8](raw)
    }

    /// Calls `body` with the string's UTF-8; allocates only where there are escapes.
    @inline(__always)
    public func withBytes<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
        if !hasEscapes { return try body(raw) }
        return try unescaped().span.withUnsafeBytes(body)
    }

    /// The string as `Text`. What is not UTF-8 is repaired with U+FFFD; `Text(validating:)` refuses it.
    public func text() -> Text { withBytes { Text(decoding: $0) } }

    /// An escape is never shorter than the UTF-8 it stands for, so the raw length is room enough.
    private func unescaped() -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: raw.count) { out, written in
            var at = 0
            while at < raw.count {
                let end = PlainRun.end(in: raw, from: at)
                if end > at {
                    let run = UnsafeRawBufferPointer(rebasing: raw[at..<end])
                    UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(out)[written...])
                        .copyMemory(from: run)
                    written += run.count
                }
                guard raw.count - end >= 2 else { return }
                at = end + 2
                switch raw[at - 1] {
                case UInt8(ascii: "b"): out[written] = 0x08
                case UInt8(ascii: "t"): out[written] = 0x09
                case UInt8(ascii: "n"): out[written] = 0x0A
                case UInt8(ascii: "f"): out[written] = 0x0C
                case UInt8(ascii: "r"): out[written] = 0x0D
                case UInt8(ascii: "u"):
                    for byte in UTF8.encode(scalar(at: &at)).unsafelyUnwrapped {
                        out[written] = byte
                        written += 1
                    }
                    continue
                case let other: out[written] = other  // quote, backslash, slash: themselves
                }
                written += 1
            }
        }
    }

    /// The scalar of the four hexadecimal digits at `at`, or of the surrogate pair that begins there.
    private func scalar(at: inout Int) -> Unicode.Scalar {
        var value = UInt32(JSONString.codeUnit(in: raw, at: at) ?? 0xFFFD)
        at += 4
        if value & 0xFC00 == 0xD800 {
            let low = UInt32(JSONString.codeUnit(in: raw, at: at + 2) ?? 0)
            at += 6
            value = 0x1_0000 + (value & 0x3FF) << 10 + (low & 0x3FF)
        }
        return Unicode.Scalar(value) ?? "\u{FFFD}"
    }

    /// The number that four hexadecimal digits (of either case) at `at` say; nil where they don't stand there.
    static func codeUnit(in bytes: UnsafeRawBufferPointer, at: Int) -> UInt16? {
        guard bytes.count - at >= 4 else { return nil }
        var value: UInt16 = 0
        for offset in at..<at + 4 {
            let digit: UInt8
            switch bytes[offset] {
            case let byte where byte &- 0x30 < 10: digit = byte &- 0x30
            case let byte where (byte | 0x20) &- 0x61 < 6: digit = (byte | 0x20) &- 0x57
            default: return nil
            }
            value = value << 4 | UInt16(digit)
        }
        return value
    }
}

extension UnsafeRawBufferPointer {
    /// Whether these are just the bytes of `literal`.
    @inline(__always)
    func equals(_ literal: StaticString) -> Bool {
        guard count == literal.utf8CodeUnitCount else { return false }
        let other = literal.utf8Start
        for at in 0..<count where self[at] != other[at] { return false }
        return true
    }
}
