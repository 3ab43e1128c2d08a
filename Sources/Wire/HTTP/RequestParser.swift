/// Bytes in, one request's head out. RFC 9112; the checks that keep two readers of the same bytes from reading two
/// different requests are its sections 3.2 (Host) and 6.3 (which length a body has).
///
/// Bodies are not read: the request says whether it has one, and whoever routes it refuses it and closes.
public struct RequestParser {
    public enum Step: Sendable {
        case needMore
        case request(Request)
        /// To be answered and closed.
        case refused(HTTPRefusal)
    }

    private var parser = HeadParser<RequestLine>()
    private var violation: HTTPViolation?

    public init() {}

    /// Whether the connection rests between two requests: silence now is no request that came too slowly.
    public var isIdle: Bool { parser.isIdle && violation == nil }

    /// Takes bytes of the head, at most 16 KiB; `consumed` of them belong to it, what follows is the caller's. After a
    /// request the parser is ready for the next one on the connection; after a refusal it refuses all that follows.
    /// O(bytes), amortized.
    public mutating func receive(_ bytes: UnsafeRawBufferPointer) -> (consumed: Int, step: Step) {
        if let violation { return (bytes.count, .refused(.malformed(violation))) }
        let (consumed, step) = parser.receive(bytes)
        switch step {
        case .needMore: return (consumed, .needMore)
        case .malformed(let violation): return (consumed, .refused(.malformed(violation)))
        case .head(let line, let fields):
            do throws(HTTPViolation) {
                return (consumed, .request(try Request(line, fields)))
            } catch {
                violation = error
                return (bytes.count, .refused(.malformed(error)))
            }
        }
    }
}

/// `GET /ws?room=lobby HTTP/1.1`: where its parts lie in the head.
struct RequestLine: HTTPStartLine {
    var method: HTTPFields.Span
    var target: HTTPFields.Span
    var path: HTTPFields.Span
    /// Behind the question mark; empty without one.
    var query: HTTPFields.Span
    var minorVersion: UInt8

    static func parse(_ bytes: UnsafeRawBufferPointer, _ line: Range<Int>) throws(HTTPViolation) -> RequestLine {
        var methodEnd = line.lowerBound
        while methodEnd < line.upperBound, ByteSet.token.contains(bytes[methodEnd]) { methodEnd += 1 }
        let target = (methodEnd + 1)..<max(methodEnd + 1, line.upperBound - 9)
        guard methodEnd > line.lowerBound, !target.isEmpty, bytes[methodEnd] == 0x20, bytes[target.upperBound] == 0x20
        else { throw .malformedStartLine }
        let minor = try HTTPVersion.parseMinor(bytes, at: target.upperBound + 1)
        // Bytes from 80 up are not URI characters, yet clients send them in queries, which are checked as UTF-8.
        var end = target.lowerBound
        while end < target.upperBound, bytes[end] != UInt8(ascii: "?") {
            if isOutsideTarget(bytes[end]) { throw .malformedTarget }
            end &+= 1
        }
        var at = end
        while at < target.upperBound {
            if isOutsideTarget(bytes[at]) { throw .malformedTarget }
            at &+= 1
        }
        let method = HTTPFields.Span(line.lowerBound..<methodEnd)
        let start = try pathStart(bytes, target.lowerBound..<end, method)
        return RequestLine(
            method: method, target: .init(target), path: .init(start..<end),
            query: .init(min(end + 1, target.upperBound)..<target.upperBound), minorVersion: minor)
    }

    /// Blanks, and the fragment's sign, which is never sent. (Control characters don't come as far as here.)
    @inline(__always)
    private static func isOutsideTarget(_ byte: UInt8) -> Bool {
        byte == 0x20 || byte == 0x09 || byte == UInt8(ascii: "#")
    }

    /// The four forms of a target, RFC 9112, section 3.2: `/path`, `http://host/path`, `*` and `host:port`.
    private static func pathStart(
        _ bytes: UnsafeRawBufferPointer, _ target: Range<Int>, _ method: HTTPFields.Span
    ) throws(HTTPViolation) -> Int {
        let start = target.lowerBound
        guard !target.isEmpty else { throw .malformedTarget }
        if bytes[start] == UInt8(ascii: "/") { return start }
        let isOptions = HTTPMethod.options.isSpelled(bytes, method)
        if target.count == 1, bytes[start] == UInt8(ascii: "*"), isOptions { return start }
        if HTTPMethod.connect.isSpelled(bytes, method) { return start }
        var colon = start
        while colon < target.upperBound, bytes[colon] != UInt8(ascii: ":") { colon += 1 }
        let scheme = HTTPFields.Span(start..<colon)
        guard HTTPFields.matches(bytes, scheme, "http") || HTTPFields.matches(bytes, scheme, "https"),
            colon + 3 < target.upperBound, bytes[colon + 1] == UInt8(ascii: "/"), bytes[colon + 2] == UInt8(ascii: "/")
        else { throw .malformedTarget }
        var path = colon + 3
        while path < target.upperBound, bytes[path] != UInt8(ascii: "/") { path += 1 }
        guard path > colon + 3 else { throw .malformedTarget }
        return path
    }
}
