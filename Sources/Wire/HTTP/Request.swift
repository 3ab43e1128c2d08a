/// One HTTP request, without its body. RFC 9112, section 3.
///
/// A request that exists is sound: one Host (in HTTP/1.1), at most one meaning of its length.
public struct Request: Sendable {
    public let method: HTTPMethod
    /// The x of HTTP/1.x.
    public let minorVersion: Int
    public let fields: HTTPFields
    /// The declared length of the body; nil without one declared.
    public let contentLength: Int?
    public let hasTransferEncoding: Bool
    /// Whether the connection may go on after the response. RFC 9112, section 9.3.
    public let keepAlive: Bool

    let line: RequestLine

    /// Whether bytes of a body follow the head.
    public var hasBody: Bool { hasTransferEncoding || (contentLength ?? 0) > 0 }

    /// As it was sent: path and query.
    public var target: Text { fields.text(line.target) }

    /// Not decoded. For the absolute form without a path it is empty.
    public var path: Text { fields.text(line.path) }

    /// The method as it was sent.
    public var methodName: Text { fields.text(line.method) }

    /// Whether the path is this, byte for byte.
    public func hasPath(_ path: StaticString) -> Bool {
        fields.head.withUnsafeBytes { bytes in
            let range = line.path.range
            guard range.count == path.utf8CodeUnitCount else { return false }
            for index in 0..<range.count where bytes[range.lowerBound + index] != path.utf8Start[index] { return false }
            return true
        }
    }

    /// The value of the first query parameter of this name, decoded, `+` being a space; nil without one. Throws where
    /// that value is no UTF-8 text in percent-encoding. O(query).
    public func query(_ name: StaticString) throws(PercentDecodingError) -> Text? {
        try fields.head.span.withUnsafeBytes { bytes throws(PercentDecodingError) in
            try Query.first(name, in: UnsafeRawBufferPointer(rebasing: bytes[line.query.range]))
        }
    }

    init(_ line: RequestLine, _ fields: HTTPFields) throws(HTTPViolation) {
        let framing = try fields.head.span.withUnsafeBytes { bytes throws(HTTPViolation) in
            var framing = Framing()
            for field in fields.fields { try framing.take(field, bytes) }
            return framing
        }
        if framing.hosts == 0, line.minorVersion >= 1 { throw .missingHost }
        if framing.hasTransferEncoding {
            if framing.contentLength != nil { throw .contentLengthWithTransferEncoding }
            if line.minorVersion == 0 { throw .transferEncodingInHTTP10 }
            if framing.hasOtherCoding { throw .unknownTransferCoding }
        }
        self.line = line
        self.fields = fields
        method = fields.head.withUnsafeBytes { HTTPMethod($0, line.method) }
        minorVersion = Int(line.minorVersion)
        contentLength = framing.contentLength
        hasTransferEncoding = framing.hasTransferEncoding
        keepAlive = !framing.close && (line.minorVersion >= 1 || framing.keepAlive)
    }

    /// What the fields say about where this request ends and the next one begins.
    private struct Framing {
        var hosts = 0
        var contentLength: Int?
        var hasTransferEncoding = false
        var codings = 0
        var hasOtherCoding = false
        var close = false
        var keepAlive = false

        mutating func take(
            _ field: HTTPFields.Field, _ bytes: UnsafeRawBufferPointer
        ) throws(HTTPViolation) {
            let value = field.value.range
            if HTTPFields.matches(bytes, field.name, "host") {
                hosts += 1
                if hosts > 1 { throw .repeatedHost }
                for at in value where !ByteSet.host.contains(bytes[at]) { throw .malformedHost }
            } else if HTTPFields.matches(bytes, field.name, "connection") {
                close = close || HTTPFields.list(bytes, value, contains: "close")
                keepAlive = keepAlive || HTTPFields.list(bytes, value, contains: "keep-alive")
            } else if HTTPFields.matches(bytes, field.name, "content-length") {
                let length = try Self.length(bytes, value)
                if let contentLength, contentLength != length { throw .conflictingContentLength }
                contentLength = length
            } else if HTTPFields.matches(bytes, field.name, "transfer-encoding") {
                hasTransferEncoding = true
                codings += 1
                // Chunked is the one coding that every recipient must know (RFC 9112, section 7); a list of several, or
                // the field twice, says that there are others below it, or that it is applied twice.
                let isChunked = HTTPFields.matches(bytes, .init(value), "chunked")
                hasOtherCoding = hasOtherCoding || !isChunked || codings > 1
            }
        }

        /// Digits and nothing else, at most 18, so that no number overflows.
        private static func length(_ bytes: UnsafeRawBufferPointer, _ value: Range<Int>) throws(HTTPViolation) -> Int {
            guard 1...18 ~= value.count else { throw .malformedContentLength }
            var length = 0
            for at in value {
                guard 0x30...0x39 ~= bytes[at] else { throw .malformedContentLength }
                length = length * 10 + Int(bytes[at] - 0x30)
            }
            return length
        }
    }
}

/// The methods of RFC 9110, section 9, and PATCH. They are case-sensitive.
public enum HTTPMethod: String, Sendable, CaseIterable {
    case get = "GET"
    case head = "HEAD"
    case post = "POST"
    case put = "PUT"
    case delete = "DELETE"
    case options = "OPTIONS"
    case patch = "PATCH"
    case trace = "TRACE"
    case connect = "CONNECT"
    /// Any other token.
    case other = ""

    init(_ bytes: UnsafeRawBufferPointer, _ span: HTTPFields.Span) {
        if HTTPMethod.get.isSpelled(bytes, span) {
            self = .get
        } else {
            self = HTTPMethod.allCases.first { $0.isSpelled(bytes, span) } ?? .other
        }
    }

    func isSpelled(_ bytes: UnsafeRawBufferPointer, _ span: HTTPFields.Span) -> Bool {
        bytes[span.range].elementsEqual(rawValue.utf8)
    }
}
