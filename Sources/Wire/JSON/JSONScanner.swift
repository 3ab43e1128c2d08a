/// Reads one JSON text (RFC 8259) piece by piece, straight from the bytes: no tree, no copies, no second pass.
///
/// The caller says what it expects next and gets it or a `JSONError`; what it does not want it skips, and what it skips
/// is checked as strictly as what it reads. Nothing outside the given bytes is ever read, whatever they are; nesting
/// deeper than `depthLimit` is refused. That strings are valid UTF-8 is for whoever hands in the bytes to see to.
///
/// ```swift
/// var json = JSONScanner(bytes)
/// try json.beginObject()
/// while let key = try json.nextKey() { … read or skip the one value … }
/// try json.finish()
/// ```
public struct JSONScanner {
    /// Objects and arrays inside one another, the outermost included.
    public static let depthLimit = 32

    private let bytes: UnsafeRawBufferPointer
    private var at = 0
    private var depth = 0
    /// Whether the innermost object or array has just been opened: then no comma stands before its first element.
    private var opened = false

    public init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    /// How far the text has been read: after an error, about where it is wrong.
    public var offset: Int { at }

    // MARK: What comes next

    /// The kind of the value that comes next, which stays unread.
    @inline(__always)
    public mutating func peek() throws(JSONError) -> JSONKind {
        switch try nextByte() {
        case UInt8(ascii: "\""): return .string
        case UInt8(ascii: "{"): return .object
        case UInt8(ascii: "["): return .array
        case UInt8(ascii: "t"), UInt8(ascii: "f"): return .bool
        case UInt8(ascii: "n"): return .null
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return .number
        default: throw .unexpectedByte
        }
    }

    /// Reads a `null` if one comes next and says whether it did.
    @inline(__always)
    public mutating func skipNull() throws(JSONError) -> Bool {
        guard try nextByte() == UInt8(ascii: "n") else { return false }
        try literal("null")
        return true
    }

    // MARK: Objects and arrays

    @inline(__always)
    public mutating func beginObject() throws(JSONError) { try begin(UInt8(ascii: "{")) }

    /// The next member's key, with its colon read; nil, with the closing brace read, after the last.
    @inline(__always)
    public mutating func nextKey() throws(JSONError) -> JSONString? {
        guard try advance(orEndAt: UInt8(ascii: "}")) else { return nil }
        let key = try string()
        guard try nextByte() == UInt8(ascii: ":") else { throw .unexpectedByte }
        at &+= 1
        return key
    }

    public mutating func beginArray() throws(JSONError) { try begin(UInt8(ascii: "[")) }

    /// Whether a further element comes; false, with the closing bracket read, after the last.
    public mutating func nextElement() throws(JSONError) -> Bool { try advance(orEndAt: UInt8(ascii: "]")) }

    // MARK: Values

    @inline(__always)
    public mutating func string() throws(JSONError) -> JSONString {
        guard try nextByte() == UInt8(ascii: "\"") else { throw .wrongType }
        let start = at &+ 1
        var hasEscapes = false
        at = PlainRun.end(in: bytes, from: start)
        while true {
            guard at < bytes.count else { throw .unexpectedEnd }
            let byte = bytes[at]
            if byte == UInt8(ascii: "\"") { break }
            guard byte == UInt8(ascii: "\\") else { throw .controlCharacter }
            hasEscapes = true
            try checkEscape()
            at = PlainRun.end(in: bytes, from: at)
        }
        let raw = UnsafeRawBufferPointer(rebasing: bytes[start..<at])
        at &+= 1
        return JSONString(raw: raw, hasEscapes: hasEscapes)
    }

    /// A whole number written as one: `5`, not `5.0` or `5e0`. Throws `numberOutOfRange` for what is not an `Int`.
    public mutating func integer() throws(JSONError) -> Int {
        let number = try scanNumber()
        guard number.isWhole else { throw .wrongType }
        guard let magnitude = number.magnitude else { throw .numberOutOfRange }
        if number.isNegative {
            guard magnitude <= Int.min.magnitude else { throw .numberOutOfRange }
            return Int(truncatingIfNeeded: 0 &- magnitude)
        }
        guard let value = Int(exactly: magnitude) else { throw .numberOutOfRange }
        return value
    }

    /// Any number, as the nearest double. Throws `numberOutOfRange` for what has no finite one, or over 128 digits.
    public mutating func double() throws(JSONError) -> Double {
        let start = try nextOffset()
        let number = try scanNumber()
        if number.isWhole, let magnitude = number.magnitude, magnitude < 1 << 53 {
            return number.isNegative ? -Double(magnitude) : Double(magnitude)
        }
        guard at - start <= 128, let value = Double(String(decoding: bytes[start..<at], as: UTF8.self)), value.isFinite
        else { throw .numberOutOfRange }
        return value
    }

    public mutating func bool() throws(JSONError) -> Bool {
        switch try nextByte() {
        case UInt8(ascii: "t"):
            try literal("true")
            return true
        case UInt8(ascii: "f"):
            try literal("false")
            return false
        default: throw .wrongType
        }
    }

    /// Reads a value of whatever kind and forgets it.
    public mutating func skipValue() throws(JSONError) {
        switch try peek() {
        case .string: _ = try string()
        case .number: _ = try scanNumber()
        case .bool: _ = try bool()
        case .null: try literal("null")
        case .object:
            try beginObject()
            while try nextKey() != nil { try skipValue() }
        case .array:
            try beginArray()
            while try nextElement() { try skipValue() }
        }
    }

    /// Reads a value of whatever kind and hands out its bytes, without the whitespace around it.
    public mutating func rawValue() throws(JSONError) -> UnsafeRawBufferPointer {
        let start = try nextOffset()
        try skipValue()
        return UnsafeRawBufferPointer(rebasing: bytes[start..<at])
    }

    /// Throws `trailingBytes` where anything but whitespace follows.
    public mutating func finish() throws(JSONError) {
        skipWhitespace()
        guard at == bytes.count else { throw .trailingBytes }
    }

    // MARK: Inside

    @inline(__always)
    private mutating func skipWhitespace() {
        while at < bytes.count {
            let byte = bytes[at]
            guard byte <= 0x20, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 else { return }
            at &+= 1
        }
    }

    /// The next byte that is not whitespace, which stays unread.
    @inline(__always)
    private mutating func nextByte() throws(JSONError) -> UInt8 {
        skipWhitespace()
        guard at < bytes.count else { throw .unexpectedEnd }
        return bytes[at]
    }

    private mutating func nextOffset() throws(JSONError) -> Int {
        _ = try nextByte()
        return at
    }

    @inline(__always)
    private mutating func begin(_ bracket: UInt8) throws(JSONError) {
        guard try nextByte() == bracket else { throw .wrongType }
        guard depth < JSONScanner.depthLimit else { throw .tooDeep }
        depth += 1
        at &+= 1
        opened = true
    }

    /// Goes to the next element of the innermost object or array, or reads its `close` and returns false.
    @inline(__always)
    private mutating func advance(orEndAt close: UInt8) throws(JSONError) -> Bool {
        let byte = try nextByte()
        if byte == close {
            at &+= 1
            depth -= 1
            opened = false
            return false
        }
        if opened {
            opened = false
            return true
        }
        guard byte == UInt8(ascii: ",") else { throw .unexpectedByte }
        at &+= 1
        return true
    }

    private mutating func literal(_ word: StaticString) throws(JSONError) {
        let length = word.utf8CodeUnitCount
        guard bytes.count - at >= length else { throw .unexpectedEnd }
        guard UnsafeRawBufferPointer(rebasing: bytes[at..<at + length]).equals(word) else { throw .unexpectedByte }
        at += length
    }

    /// Reads the escape whose backslash is at `at`.
    private mutating func checkEscape() throws(JSONError) {
        guard bytes.count - at >= 2 else { throw .unexpectedEnd }
        switch bytes[at + 1] {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
            UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            at += 2
        case UInt8(ascii: "u"):
            guard let unit = JSONString.codeUnit(in: bytes, at: at + 2) else { throw .invalidEscape }
            at += 6
            guard UTF16.isSurrogate(unit) else { return }
            // A surrogate means something only as a leading one with the trailing one right behind it.
            guard UTF16.isLeadSurrogate(unit), bytes.count - at >= 6, bytes[at] == UInt8(ascii: "\\"),
                bytes[at + 1] == UInt8(ascii: "u"), let second = JSONString.codeUnit(in: bytes, at: at + 2),
                UTF16.isTrailSurrogate(second)
            else { throw .loneSurrogate }
            at += 6
        default: throw .invalidEscape
        }
    }

    private struct Number {
        var isNegative: Bool
        /// Written without fraction and exponent.
        var isWhole: Bool
        /// The digits before any fraction; nil where they say more than 64 bits hold.
        var magnitude: UInt64?
    }

    private mutating func scanNumber() throws(JSONError) -> Number {
        let isNegative = try nextByte() == UInt8(ascii: "-")
        if isNegative { at += 1 }
        guard at < bytes.count else { throw .unexpectedEnd }
        guard let first = digit() else { throw isNegative ? .invalidNumber : .wrongType }
        var number = Number(isNegative: isNegative, isWhole: true, magnitude: first)
        if first == 0 {
            guard digit() == nil else { throw .invalidNumber }
        } else {
            while let next = digit() {
                guard let magnitude = number.magnitude else { continue }
                let (tens, overflow) = magnitude.multipliedReportingOverflow(by: 10)
                let (sum, carry) = tens.addingReportingOverflow(next)
                number.magnitude = overflow || carry ? nil : sum
            }
        }
        if at < bytes.count, bytes[at] == UInt8(ascii: ".") {
            number.isWhole = false
            at += 1
            try digits()
        }
        if at < bytes.count, bytes[at] | 0x20 == UInt8(ascii: "e") {
            number.isWhole = false
            at += 1
            if at < bytes.count, bytes[at] == UInt8(ascii: "+") || bytes[at] == UInt8(ascii: "-") { at += 1 }
            try digits()
        }
        return number
    }

    /// The digit that stands next, read; nil where none does.
    @inline(__always)
    private mutating func digit() -> UInt64? {
        guard at < bytes.count else { return nil }
        let value = bytes[at] &- UInt8(ascii: "0")
        guard value < 10 else { return nil }
        at &+= 1
        return UInt64(value)
    }

    /// One digit or more.
    private mutating func digits() throws(JSONError) {
        guard digit() != nil else { throw .invalidNumber }
        while digit() != nil {}
    }
}

public enum JSONKind: Sendable {
    case object, array, string, number, bool, null
}

/// Why a JSON text was refused: it is not JSON, or not what the reader asked for.
public enum JSONError: Error, Hashable, Sendable {
    case unexpectedEnd
    case unexpectedByte
    case trailingBytes
    case tooDeep
    /// A byte below 0x20 in a string, unescaped.
    case controlCharacter
    case invalidEscape
    /// Half of a UTF-16 pair, which is no character.
    case loneSurrogate
    case invalidNumber
    case numberOutOfRange
    /// Well-formed so far, but another kind of value than was asked for.
    case wrongType
}
