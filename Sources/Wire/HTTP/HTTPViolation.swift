/// What is wrong with the head of an HTTP message. Each of them ends the connection: where one side has misread the
/// other, nothing that follows can be trusted to be what it seems (request smuggling; RFC 9112, section 11.2).
public enum HTTPViolation: Error, Hashable, Sendable, CaseIterable {
    case bareCarriageReturn
    case bareLineFeed
    case controlCharacter
    case malformedStartLine
    case malformedTarget
    case unsupportedVersion
    case foldedField
    case malformedFieldName
    case targetTooLong
    case headTooLarge
    case tooManyFields
    case missingHost
    case repeatedHost
    case malformedHost
    case malformedContentLength
    case conflictingContentLength
    case contentLengthWithTransferEncoding
    case transferEncodingInHTTP10
    /// A coding other than chunked, or more than one: where the body ends can't be known (RFC 9112, section 6.1).
    case unknownTransferCoding

    /// What a server answers.
    public var status: HTTPStatus {
        switch self {
        case .bareCarriageReturn, .bareLineFeed, .controlCharacter, .malformedStartLine, .malformedTarget, .foldedField,
            .malformedFieldName, .missingHost, .repeatedHost, .malformedHost, .malformedContentLength,
            .conflictingContentLength, .contentLengthWithTransferEncoding, .transferEncodingInHTTP10:
            .badRequest
        case .unsupportedVersion: .versionNotSupported
        case .unknownTransferCoding: .notImplemented
        case .targetTooLong: .targetTooLong
        case .headTooLarge, .tooManyFields: .fieldsTooLarge
        }
    }

    /// One line for the answer's body and the log.
    public var reason: String {
        switch self {
        case .bareCarriageReturn: "a carriage return without a line feed"
        case .bareLineFeed: "a line feed without a carriage return"
        case .controlCharacter: "a control character in the head"
        case .malformedStartLine: "malformed first line"
        case .malformedTarget: "malformed request target"
        case .unsupportedVersion: "only HTTP/1.0 and HTTP/1.1 are spoken here"
        case .foldedField: "a folded header line"
        case .malformedFieldName: "malformed header name"
        case .targetTooLong: "request target too long"
        case .headTooLarge: "the header section is over 16 KiB"
        case .tooManyFields: "over 100 headers"
        case .missingHost: "no Host header"
        case .repeatedHost: "more than one Host header"
        case .malformedHost: "malformed Host header"
        case .malformedContentLength: "malformed Content-Length"
        case .conflictingContentLength: "two different Content-Lengths"
        case .contentLengthWithTransferEncoding: "both Content-Length and Transfer-Encoding"
        case .transferEncodingInHTTP10: "Transfer-Encoding in HTTP/1.0"
        case .unknownTransferCoding: "a Transfer-Encoding other than chunked"
        }
    }
}
