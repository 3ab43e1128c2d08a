/// Splits the head of an HTTP/1.1 message, arriving in pieces, into its first line and its fields. RFC 9112, 2 to 5.
///
/// One parser for both directions; what the first line is, and what the fields must say, is the caller's. Invariants:
/// - Every rule is checked in the order of the bytes, so that cutting them up differently never gives another result.
/// - A line ends with CR LF and nothing else; there is no other control character but a tab. Whoever is lenient here
///   reads other lines than the proxy before it.
/// - At most 16 KiB and 100 fields are taken.
/// - A head that comes whole is read where it lies and copied once; only an incomplete one is gathered.
/// - What follows the head is left alone: it may be the first WebSocket frames.
struct HeadParser<StartLine: HTTPStartLine> {
    enum Step {
        case needMore
        case head(StartLine, HTTPFields)
        case malformed(HTTPViolation)
    }

    private var buffer: [UInt8] = []
    private var fields: [HTTPFields.Field] = []
    private var startLine: StartLine?
    /// Where the current line begins, and up to where bytes have been looked at.
    private var lineStart = 0
    private var scanned = 0
    private var violation: HTTPViolation?

    /// Whether no byte of a head has come since the last one.
    var isIdle: Bool { buffer.isEmpty && violation == nil }

    /// Takes bytes; how many of them belong to the head stands beside the step. After a head the parser is ready for
    /// the next one; after a violation it says the same violation to all that follows. O(bytes), amortized.
    mutating func receive(_ bytes: UnsafeRawBufferPointer) -> (consumed: Int, step: Step) {
        if let violation { return (bytes.count, .malformed(violation)) }
        do throws(HTTPViolation) {
            let before = buffer.count
            let taken = min(bytes.count, HTTPLimits.headBytes - before)
            let piece = UnsafeRawBufferPointer(rebasing: bytes[..<taken])
            let complete: Bool
            if before == 0 {
                complete = try scan(piece)
            } else {
                buffer.append(contentsOf: piece)
                complete = try scanBuffer()
            }
            if complete, let startLine {
                let length = scanned
                let head = before == 0 ? [UInt8](piece[..<length]) : [UInt8](buffer[..<length])
                let step = Step.head(startLine, HTTPFields(head: head, fields: fields))
                self = HeadParser()
                return (length - before, step)
            }
            if before + taken == HTTPLimits.headBytes { throw startLine == nil ? .targetTooLong : .headTooLarge }
            if before == 0 { buffer = [UInt8](piece) }
            return (taken, .needMore)
        } catch {
            self = HeadParser()
            violation = error
            return (bytes.count, .malformed(error))
        }
    }

    private mutating func scanBuffer() throws(HTTPViolation) -> Bool {
        // The buffer is lent out of the parser while the parser's other fields change.
        let gathered = buffer
        buffer = []
        defer { buffer = gathered }
        return try gathered.span.withUnsafeBytes { bytes throws(HTTPViolation) in try scan(bytes) }
    }

    /// Goes on reading lines where it stopped; true when the empty line was found, and `scanned` is behind it.
    private mutating func scan(_ bytes: UnsafeRawBufferPointer) throws(HTTPViolation) -> Bool {
        var at = scanned
        while true {
            at = Self.firstControl(bytes, from: at)
            guard at < bytes.count else { break }
            switch bytes[at] {
            case 0x09: at += 1
            case 0x0D:
                guard at + 1 < bytes.count else {
                    scanned = at
                    return false
                }
                if bytes[at + 1] != 0x0A { throw .bareCarriageReturn }
                let line = lineStart..<at
                at += 2
                lineStart = at
                if try take(line, of: bytes) {
                    scanned = at
                    return true
                }
            case 0x0A: throw .bareLineFeed
            default: throw .controlCharacter
            }
        }
        scanned = at
        return false
    }

    /// Takes one line; true for the empty one that ends the head.
    private mutating func take(_ line: Range<Int>, of bytes: UnsafeRawBufferPointer) throws(HTTPViolation) -> Bool {
        guard startLine != nil else {
            // One empty line before a message is passed over (RFC 9112, section 2.2).
            if line.isEmpty, line.lowerBound == 0 { return false }
            startLine = try StartLine.parse(bytes, line)
            fields.reserveCapacity(16)
            return false
        }
        if line.isEmpty { return true }
        if fields.count == HTTPLimits.fields { throw .tooManyFields }
        fields.append(try Self.field(bytes, line))
        return false
    }

    private static func field(
        _ bytes: UnsafeRawBufferPointer, _ line: Range<Int>
    ) throws(HTTPViolation) -> HTTPFields.Field {
        if HTTPFields.isBlank(bytes[line.lowerBound]) { throw .foldedField }
        var colon = line.lowerBound
        while colon < line.upperBound, ByteSet.token.contains(bytes[colon]) { colon += 1 }
        // Also a blank before the colon ends here.
        guard colon > line.lowerBound, colon < line.upperBound, bytes[colon] == UInt8(ascii: ":") else {
            throw .malformedFieldName
        }
        let value = HTTPFields.trimmed(bytes, (colon + 1)..<line.upperBound)
        return HTTPFields.Field(name: .init(line.lowerBound..<colon), value: .init(value))
    }

    /// The first byte below 20 or equal to 7F, from `start` on; the count where there is none.
    @inline(__always)
    private static func firstControl(_ bytes: UnsafeRawBufferPointer, from start: Int) -> Int {
        guard let base = bytes.baseAddress else { return 0 }
        var at = start
        let ones: UInt64 = 0x0101_0101_0101_0101
        let highs: UInt64 = 0x8080_8080_8080_8080
        while at &+ 8 <= bytes.count {
            let word = UInt64(littleEndian: base.loadUnaligned(fromByteOffset: at, as: UInt64.self))
            let delete = word ^ (ones &* 0x7F)
            // A borrow can make a byte above a hit look like one, never a byte below the first.
            let hits = ((word &- ones &* 0x20) & ~word | (delete &- ones) & ~delete) & highs
            if hits != 0 { return at &+ hits.trailingZeroBitCount >> 3 }
            at &+= 8
        }
        while at < bytes.count, bytes[at] >= 0x20, bytes[at] != 0x7F { at += 1 }
        return at
    }
}

/// What is taken of one message's head at most.
enum HTTPLimits {
    static let headBytes = 16_384
    static let fields = 100
}

/// The first line of a request or of a response.
protocol HTTPStartLine: Sendable {
    /// Reads the line (without its end) that lies there.
    static func parse(_ bytes: UnsafeRawBufferPointer, _ line: Range<Int>) throws(HTTPViolation) -> Self
}

/// `HTTP/1.x`: the eight bytes that end a request's first line and begin a response's.
enum HTTPVersion {
    /// The digit behind the point.
    static func parseMinor(_ bytes: UnsafeRawBufferPointer, at start: Int) throws(HTTPViolation) -> UInt8 {
        let pattern: StaticString = "HTTP/d.d"
        for index in 0..<8 {
            let byte = bytes[start + index]
            let wanted = pattern.utf8Start[index]
            let matches = wanted == UInt8(ascii: "d") ? 0x30...0x39 ~= byte : byte == wanted
            if !matches { throw .malformedStartLine }
        }
        if bytes[start + 5] != UInt8(ascii: "1") { throw .unsupportedVersion }
        return bytes[start + 7] - 0x30
    }
}
