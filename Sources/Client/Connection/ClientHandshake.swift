import ConvergeWire

/// The opening handshake as a client makes it: the request's bytes, and what the response must say. RFC 6455, section 4.1.
///
/// The key and the digest that must answer it are handed in: randomness and SHA-1 belong to whoever has a machine. The
/// token goes into a header, not into the URL, which servers and proxies log.
public struct ClientHandshake: Sendable {
    public let request: [UInt8]
    /// Over TLS.
    let isSecure: Bool
    /// What `Sec-WebSocket-Accept` must be.
    private let accept: [UInt8]

    /// - Parameters:
    ///   - key: 16 random bytes in base64.
    ///   - accept: base64 of SHA-1 of the key and `UpgradeRequest.acceptSuffix`.
    ///   - token: visible ASCII; a token with anything else can't be sent, and gives nil.
    ///   - cursor: what to resume from, as a cursor's text.
    public init?(
        url: ServerURL, room: String, cursor: String? = nil, token: String?, key: [UInt8], accept: [UInt8]
    ) {
        var headers: [HTTPHeader] = []
        if let token {
            guard token.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else { return nil }
            headers.append(HTTPHeader("Authorization", "Bearer \(token)"))
        }
        var target = url.target(adding: "room", room)
        if let cursor { target += "&cursor=" + ServerURL.encoded(cursor) }
        var buffer = ByteBuffer()
        key.withUnsafeBytes {
            UpgradeRequest.append(
                host: url.authority, target: target, key: $0, headers: headers, to: &buffer)
        }
        request = buffer.array()
        isSecure = url.isSecure
        self.accept = accept
    }

    /// Nil if the connection is a WebSocket from now on, else how it ended.
    func judge(_ response: ResponseHead) -> ConnectionEnd? {
        // What is thrown inside has to be carried out of the closure, which throws nothing.
        accept.withUnsafeBytes { accept -> ConnectionEnd? in
            do throws(UpgradeRefusal) {
                try response.checkUpgrade(accept: accept)
                return nil
            } catch {
                return switch error {
                case .status(let status): .refused(status: status.rawValue, reason: "\(status.phrase)")
                case .missingUpgrade: .notWebSocket("it does not upgrade")
                case .wrongAccept: .notWebSocket("it answers another handshake")
                case .unrequested: .notWebSocket("it wants an extension that was not asked for")
                }
            }
        }
    }
}
