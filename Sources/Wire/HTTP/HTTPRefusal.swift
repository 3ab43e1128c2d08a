/// Why a request is not served, and the answer that says so.
public enum HTTPRefusal: Error, Hashable, Sendable {
    /// The head broke the protocol: answer, then close.
    case malformed(HTTPViolation)
    /// The head did not come in time.
    case timedOut
    /// No body is taken here.
    case hasBody
    case notFound
    /// `allow`: the methods that are, comma-separated.
    case methodNotAllowed(allow: String)
    case originNotAllowed
    case malformedQuery
    case upgradeRequired
    case notAnUpgradeConnection
    case malformedWebSocketKey
    case unsupportedWebSocketVersion
    /// Starting, draining, or too many connections.
    case unavailable

    public var status: HTTPStatus {
        switch self {
        case .malformed(let violation): violation.status
        case .timedOut: .requestTimeout
        case .hasBody: .contentTooLarge
        case .notFound: .notFound
        case .methodNotAllowed: .methodNotAllowed
        case .originNotAllowed: .forbidden
        case .malformedQuery, .notAnUpgradeConnection, .malformedWebSocketKey: .badRequest
        case .upgradeRequired, .unsupportedWebSocketVersion: .upgradeRequired
        case .unavailable: .unavailable
        }
    }

    public var reason: String {
        switch self {
        case .malformed(let violation): violation.reason
        case .timedOut: "the request did not come in time"
        case .hasBody: "no request body is taken here"
        case .notFound: "not found"
        case .methodNotAllowed(let allow): "only \(allow) here"
        case .originNotAllowed: "origin not allowed"
        case .malformedQuery: "malformed query"
        case .upgradeRequired: "this is a WebSocket: ask with Upgrade: websocket"
        case .notAnUpgradeConnection: "Upgrade without Connection: Upgrade"
        case .malformedWebSocketKey: "Sec-WebSocket-Key must be there once, the base64 of 16 bytes"
        case .unsupportedWebSocketVersion: "Sec-WebSocket-Version must be 13"
        case .unavailable: "not available now"
        }
    }

    /// What the answer must carry beside the reason.
    public var headers: [HTTPHeader] {
        switch self {
        case .methodNotAllowed(let allow): [HTTPHeader("Allow", allow)]
        case .upgradeRequired: [HTTPHeader("Upgrade", "websocket")]
        // A 426 must name the protocol (RFC 9110, section 15.5.22), a refused version the one that is spoken (RFC 6455,
        // section 4.4).
        case .unsupportedWebSocketVersion:
            [HTTPHeader("Upgrade", "websocket"), HTTPHeader("Sec-WebSocket-Version", "13")]
        case .malformed, .timedOut, .hasBody, .notFound, .originNotAllowed, .malformedQuery, .notAnUpgradeConnection,
            .malformedWebSocketKey, .unavailable:
            []
        }
    }

    /// The answer, its reason as plain text.
    public var response: HTTPResponse { HTTPResponse(status, text: reason + "\n", headers: headers) }

    /// Whether the connection can't go on after it: the next request's beginning is not known.
    public var mustClose: Bool {
        switch self {
        case .malformed, .timedOut, .hasBody, .unavailable: true
        case .notFound, .methodNotAllowed, .originNotAllowed, .malformedQuery, .upgradeRequired,
            .notAnUpgradeConnection, .malformedWebSocketKey, .unsupportedWebSocketVersion:
            false
        }
    }
}
