/// The handshake that turns an HTTP connection into a WebSocket, both sides of it. RFC 6455, sections 4.1 and 4.2.
///
/// The digest itself, base64(SHA-1(key + `acceptSuffix`)), is computed by whoever has SHA-1; here are the rules.

/// A request that may be answered with 101.
public struct UpgradeRequest: Hashable, Sendable {
    /// The `Sec-WebSocket-Key` as it was sent: 24 characters of base64.
    public let key: [UInt8]
    /// The subprotocols that the client offers, in its order; nil where the list is not one (RFC 6455, section 4.1).
    public let subprotocols: [Text]?

    /// The most subprotocols that a client may offer.
    static let subprotocolLimit = 16

    /// What is appended to the key before it is digested.
    public static let acceptSuffix: StaticString = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

    /// Checks what section 4.2.1 demands. Extensions are not agreed on, which the 101 says by silence.
    public init(_ request: Request) throws(HTTPRefusal) {
        guard request.method == .get else { throw .methodNotAllowed(allow: "GET") }
        // What would be its body would be read as frames.
        if request.hasBody { throw .hasBody }
        // In HTTP/1.0 an Upgrade means nothing (RFC 9110, section 7.8).
        guard request.minorVersion >= 1, request.fields.list("upgrade", contains: "websocket") else {
            throw .upgradeRequired
        }
        guard request.fields.list("connection", contains: "upgrade") else { throw .notAnUpgradeConnection }
        guard request.fields.count(of: "sec-websocket-version") == 1,
            request.fields.withFirst("sec-websocket-version", { $0.elementsEqual("13".utf8) }) == true
        else { throw .unsupportedWebSocketVersion }
        guard request.fields.count(of: "sec-websocket-key") == 1,
            let key = request.fields.withFirst("sec-websocket-key", { Self.isKey($0) ? [UInt8]($0) : nil }) ?? nil
        else { throw .malformedWebSocketKey }
        self.key = key
        subprotocols = Self.subprotocols(request.fields.all("sec-websocket-protocol"))
    }

    /// The elements of a list of tokens (RFC 9110, section 5.6.2), each once; nil where it has anything else.
    private static func subprotocols(_ fields: [Text]) -> [Text]? {
        var all: [Text] = []
        for field in fields {
            for element in field.string.split(separator: ",", omittingEmptySubsequences: false) {
                let token = Text(String(element)).trimmed()
                guard !token.isEmpty, token.string.utf8.allSatisfy(isTokenByte), !all.contains(token),
                    all.count < subprotocolLimit
                else { return nil }
                all.append(token)
            }
        }
        return all
    }

    private static func isTokenByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "a")...UInt8(ascii: "z"):
            true
        default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
        }
    }

    /// 22 characters of base64 and two of padding: 16 bytes.
    private static func isKey(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard bytes.count == 24, bytes[22] == UInt8(ascii: "="), bytes[23] == UInt8(ascii: "=") else { return false }
        return bytes[..<22].allSatisfy {
            switch $0 {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"): true
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "/"): true
            default: false
            }
        }
    }

    /// Appends a client's request. `target` is path and query, already percent-encoded; `key` the base64 of 16 random
    /// bytes.
    public static func append(
        host: String, target: String, key: UnsafeRawBufferPointer, headers: [HTTPHeader] = [],
        to buffer: inout ByteBuffer
    ) {
        buffer.append("GET ")
        // No byte of the target may end the line or begin another.
        for byte in target.utf8 where byte > 0x20 && byte != 0x7F { buffer.append(byte) }
        buffer.append(" HTTP/1.1\r\n")
        HTTPHeader("Host", host).append(to: &buffer)
        buffer.append("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ")
        buffer.append(key)
        buffer.append("\r\n")
        for header in headers { header.append(to: &buffer) }
        buffer.append("\r\n")
    }
}

/// Why the answer to an upgrade request is none.
public enum UpgradeRefusal: Error, Hashable, Sendable {
    /// The server answered with another status than 101.
    case status(HTTPStatus)
    case missingUpgrade
    /// `Sec-WebSocket-Accept` is not the digest of the key that was sent.
    case wrongAccept
    /// A subprotocol or an extension that was not asked for.
    case unrequested
}

extension ResponseHead {
    /// Checks what section 4.1 demands of the answer; `accept` is the digest of the key that was sent.
    ///
    /// - Parameter offered: the subprotocols that were.
    /// - Returns: the one that the server has chosen; nil for none.
    @discardableResult
    public func checkUpgrade(
        accept: UnsafeRawBufferPointer, offered: [Text] = []
    ) throws(UpgradeRefusal) -> Text? {
        guard status == .switchingProtocols else { throw .status(status) }
        guard fields.list("upgrade", contains: "websocket"), fields.list("connection", contains: "upgrade") else {
            throw .missingUpgrade
        }
        guard fields.count(of: "sec-websocket-accept") == 1,
            fields.withFirst("sec-websocket-accept", { $0.elementsEqual(accept) }) == true
        else { throw .wrongAccept }
        let chosen = fields.all("sec-websocket-protocol")
        guard fields.count(of: "sec-websocket-extensions") == 0, chosen.count <= 1, chosen.allSatisfy(offered.contains)
        else { throw .unrequested }
        return chosen.first
    }
}
