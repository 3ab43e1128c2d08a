/// Bytes in, one response's head out: what a client reads after asking for an upgrade. RFC 9112, section 4.
///
/// As strict and as bounded as the server's parser: the same lines, the same limits. Bodies are left to the caller.
public struct ResponseParser {
    public enum Step: Sendable {
        case needMore
        case response(ResponseHead)
        case malformed(HTTPViolation)
    }

    private var parser = HeadParser<StatusLine>()

    public init() {}

    /// Takes bytes of the head; `consumed` of them belong to it, what follows (a body, WebSocket frames) is the
    /// caller's. O(bytes), amortized.
    public mutating func receive(_ bytes: UnsafeRawBufferPointer) -> (consumed: Int, step: Step) {
        let (consumed, step) = parser.receive(bytes)
        return switch step {
        case .needMore: (consumed, .needMore)
        case .malformed(let violation): (consumed, .malformed(violation))
        case .head(let line, let fields):
            (consumed, .response(ResponseHead(status: HTTPStatus(rawValue: Int(line.status)), fields: fields)))
        }
    }
}

/// A response without its body.
public struct ResponseHead: Sendable {
    public let status: HTTPStatus
    public let fields: HTTPFields
}

/// `HTTP/1.1 101 Switching Protocols`.
struct StatusLine: HTTPStartLine {
    var minorVersion: UInt8
    var status: UInt16

    static func parse(_ bytes: UnsafeRawBufferPointer, _ line: Range<Int>) throws(HTTPViolation) -> StatusLine {
        let start = line.lowerBound
        // The space behind the code may be missing where no phrase follows.
        guard line.count >= 12 else { throw .malformedStartLine }
        let minor = try HTTPVersion.parseMinor(bytes, at: start)
        guard bytes[start + 8] == 0x20, line.count == 12 || bytes[start + 12] == 0x20 else { throw .malformedStartLine }
        var status: UInt16 = 0
        for at in (start + 9)..<(start + 12) {
            guard 0x30...0x39 ~= bytes[at] else { throw .malformedStartLine }
            status = status * 10 + UInt16(bytes[at] - 0x30)
        }
        guard 100...599 ~= status else { throw .malformedStartLine }
        return StatusLine(minorVersion: minor, status: status)
    }
}
