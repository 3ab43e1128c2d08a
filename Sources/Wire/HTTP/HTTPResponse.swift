/// HTTP responses, written. RFC 9112, section 4; RFC 9110, section 15 for the status codes.

/// A status code; those that this program answers have names.
public struct HTTPStatus: RawRepresentable, Hashable, Sendable {
    public let rawValue: Int
    public init(rawValue: Int) { self.rawValue = rawValue }

    public static let switchingProtocols = HTTPStatus(rawValue: 101)
    public static let ok = HTTPStatus(rawValue: 200)
    public static let noContent = HTTPStatus(rawValue: 204)
    public static let notModified = HTTPStatus(rawValue: 304)
    public static let badRequest = HTTPStatus(rawValue: 400)
    public static let unauthorized = HTTPStatus(rawValue: 401)
    public static let forbidden = HTTPStatus(rawValue: 403)
    public static let notFound = HTTPStatus(rawValue: 404)
    public static let methodNotAllowed = HTTPStatus(rawValue: 405)
    public static let requestTimeout = HTTPStatus(rawValue: 408)
    public static let contentTooLarge = HTTPStatus(rawValue: 413)
    public static let targetTooLong = HTTPStatus(rawValue: 414)
    public static let upgradeRequired = HTTPStatus(rawValue: 426)
    public static let fieldsTooLarge = HTTPStatus(rawValue: 431)
    public static let internalError = HTTPStatus(rawValue: 500)
    public static let notImplemented = HTTPStatus(rawValue: 501)
    public static let unavailable = HTTPStatus(rawValue: 503)
    public static let versionNotSupported = HTTPStatus(rawValue: 505)

    /// The words beside the number; they mean nothing to programs.
    public var phrase: StaticString {
        switch rawValue {
        case 101: "Switching Protocols"
        case 200: "OK"
        case 204: "No Content"
        case 304: "Not Modified"
        case 400: "Bad Request"
        case 401: "Unauthorized"
        case 403: "Forbidden"
        case 404: "Not Found"
        case 405: "Method Not Allowed"
        case 408: "Request Timeout"
        case 413: "Content Too Large"
        case 414: "URI Too Long"
        case 426: "Upgrade Required"
        case 431: "Request Header Fields Too Large"
        case 500: "Internal Server Error"
        case 501: "Not Implemented"
        case 503: "Service Unavailable"
        case 505: "HTTP Version Not Supported"
        default: ""
        }
    }
}

public struct HTTPHeader: Hashable, Sendable {
    public var name: String
    public var value: String

    public init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }
}

/// A whole response, its body in memory.
public struct HTTPResponse: Hashable, Sendable {
    public var status: HTTPStatus
    /// Without Content-Length and Connection, which `encode` writes.
    public var headers: [HTTPHeader]
    public var body: [UInt8]

    public init(_ status: HTTPStatus, headers: [HTTPHeader] = [], body: [UInt8] = []) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    /// A response of plain text.
    public init(_ status: HTTPStatus, text: String, headers: [HTTPHeader] = []) {
        self.init(
            status, headers: [HTTPHeader("Content-Type", "text/plain; charset=utf-8")] + headers, body: Array(text.utf8)
        )
    }

    /// Appends the response. Without `keepAlive` it says that the connection closes; to a HEAD request the body is left
    /// out, its length is not. O(length).
    public func encode(into buffer: inout ByteBuffer, keepAlive: Bool, isHead: Bool = false) {
        buffer.append("HTTP/1.1 ")
        buffer.append(String(status.rawValue))
        buffer.append(UInt8(ascii: " "))
        buffer.append(status.phrase)
        buffer.append("\r\n")
        for header in headers { header.append(to: &buffer) }
        // 1xx, 204 and 304 have no body and no length (RFC 9110, section 8.6; RFC 9112, section 6.3).
        let mayHaveBody = status.rawValue >= 200 && status != .noContent && status != .notModified
        if mayHaveBody { HTTPHeader("Content-Length", String(body.count)).append(to: &buffer) }
        buffer.append(keepAlive ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n")
        if mayHaveBody, !isHead { buffer.append(body) }
    }

    /// Appends the response that opens a WebSocket. `accept` is the base64 of the SHA-1 of the key followed by
    /// `UpgradeRequest.acceptSuffix`; `subprotocol` is the one that is agreed on, if one is.
    public static func appendSwitchingProtocols(
        accept: UnsafeRawBufferPointer, subprotocol: StaticString? = nil, to buffer: inout ByteBuffer
    ) {
        buffer.append(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ")
        buffer.append(accept)
        if let subprotocol {
            buffer.append("\r\nSec-WebSocket-Protocol: ")
            buffer.append(subprotocol)
        }
        buffer.append("\r\n\r\n")
    }
}

extension HTTPHeader {
    /// Appends the line. Control characters become spaces, so that no value can begin a line of its own.
    func append(to buffer: inout ByteBuffer) {
        for part in [name, ": ", value] {
            for byte in part.utf8 { buffer.append(byte < 0x20 || byte == 0x7F ? 0x20 : byte) }
        }
        buffer.append("\r\n")
    }
}
