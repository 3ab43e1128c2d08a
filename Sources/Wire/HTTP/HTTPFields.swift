/// The header fields of one HTTP message: the head's bytes, kept once, and where in them each name and value lies.
///
/// A string for each field would cost an allocation and a validation apiece, of which a server reads five. Names are
/// compared without regard to case (RFC 9110, section 5.1). Values are without the white space
/// around them; bytes from 80 up in them are legal, and are repaired with U+FFFD where they are not UTF-8.
public struct HTTPFields: Sendable {
    /// Positions in the head; it is at most 16 KiB, so that 16 bits hold them.
    struct Field: Sendable {
        var name: Span
        var value: Span
    }

    struct Span: Sendable {
        var start: UInt16
        var count: UInt16

        init(_ range: Range<Int>) {
            start = UInt16(truncatingIfNeeded: range.lowerBound)
            count = UInt16(truncatingIfNeeded: range.count)
        }

        var range: Range<Int> { Int(start)..<(Int(start) + Int(count)) }
    }

    /// The whole head, first line and final empty line included.
    let head: [UInt8]
    let fields: [Field]

    /// How many fields there are.
    public var count: Int { fields.count }

    /// The value of the first field with this name. O(fields).
    public func first(_ name: StaticString) -> Text? {
        head.withUnsafeBytes { bytes in
            for field in fields where Self.matches(bytes, field.name, name) {
                return Self.text(bytes, field.value)
            }
            return nil
        }
    }

    /// The values of all fields with this name, in order. O(fields).
    public func all(_ name: StaticString) -> [Text] {
        head.withUnsafeBytes { bytes in
            fields.filter { Self.matches(bytes, $0.name, name) }.map { Self.text(bytes, $0.value) }
        }
    }

    /// How many fields have this name. O(fields).
    public func count(of name: StaticString) -> Int {
        head.withUnsafeBytes { bytes in
            var count = 0
            for field in fields where Self.matches(bytes, field.name, name) { count += 1 }
            return count
        }
    }

    /// Calls `body` with the bytes of the first value with this name, valid during the call; nil without one.
    public func withFirst<R>(_ name: StaticString, _ body: (UnsafeRawBufferPointer) -> R) -> R? {
        head.withUnsafeBytes { bytes in
            for field in fields where Self.matches(bytes, field.name, name) {
                return body(UnsafeRawBufferPointer(rebasing: bytes[field.value.range]))
            }
            return nil
        }
    }

    /// Whether the comma-separated lists in the fields of this name contain `token`, in whatever case.
    /// RFC 9110, section 5.6.1. O(head).
    public func list(_ name: StaticString, contains token: StaticString) -> Bool {
        head.withUnsafeBytes { bytes in
            for field in fields where Self.matches(bytes, field.name, name) {
                if Self.list(bytes, field.value.range, contains: token) { return true }
            }
            return false
        }
    }

    static func list(_ bytes: UnsafeRawBufferPointer, _ value: Range<Int>, contains token: StaticString) -> Bool {
        var start = value.lowerBound
        while start < value.upperBound {
            var end = start
            while end < value.upperBound, bytes[end] != UInt8(ascii: ",") { end += 1 }
            if matches(bytes, Span(trimmed(bytes, start..<end)), token) { return true }
            start = end + 1
        }
        return false
    }

    /// Whether the bytes there are `name`, but for the case of letters. `name` is made of letters, digits and hyphens:
    /// setting the bit 20 makes no other character of a token equal to one of those.
    @inline(__always)
    static func matches(_ bytes: UnsafeRawBufferPointer, _ span: Span, _ name: StaticString) -> Bool {
        guard Int(span.count) == name.utf8CodeUnitCount else { return false }
        let wanted = name.utf8Start
        let start = Int(span.start)
        for index in 0..<Int(span.count) where bytes[start + index] | 0x20 != wanted[index] | 0x20 {
            return false
        }
        return true
    }

    /// `range` without the spaces and tabs at its ends.
    @inline(__always)
    static func trimmed(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) -> Range<Int> {
        var start = range.lowerBound
        var end = range.upperBound
        while start < end, isBlank(bytes[start]) { start += 1 }
        while start < end, isBlank(bytes[end - 1]) { end -= 1 }
        return start..<end
    }

    @inline(__always)
    static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }

    static func text(_ bytes: UnsafeRawBufferPointer, _ span: Span) -> Text {
        Text(decoding: UnsafeRawBufferPointer(rebasing: bytes[span.range]))
    }

    func text(_ span: Span) -> Text { head.withUnsafeBytes { Self.text($0, span) } }
}
