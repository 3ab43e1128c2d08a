import ConvergeWire

/// The opening handshake as a client makes it: the request's bytes, and what the response must say. RFC 6455, section 4.1.
///
/// The key and the digest that must answer it are handed in: randomness and SHA-1 belong to whoever has a machine. The
/// token goes into a header, not into the URL, which servers and proxies log.
///
/// The second generation of the protocol is offered by whoever has a token, and the URL names a room and a cursor all the
/// same. A node of an older build passes over the offer and lets the client into that room, as it always has; one that
/// agrees passes over the room. So one request does for both, and no older node lets anybody into its lobby only to see him
/// leave. Without a token nothing is offered: a node that agreed would wait for one in a frame.
public struct ClientHandshake: Sendable {
    public let request: [UInt8]
    /// Over TLS.
    let isSecure: Bool
    /// The subprotocols that the request offers.
    private let offered: [Text]
    /// What `Sec-WebSocket-Accept` must be.
    private let accept: [UInt8]

    /// - Parameters:
    ///   - key: 16 random bytes in base64.
    ///   - accept: base64 of SHA-1 of the key and `UpgradeRequest.acceptSuffix`.
    ///   - token: visible ASCII; a token with anything else can't be sent, and gives nil.
    ///   - room: for a server of the first generation.
    ///   - cursor: what to resume from there, as a cursor's text.
    public init?(
        url: ServerURL, room: String, cursor: String? = nil, token: String?, key: [UInt8], accept: [UInt8]
    ) {
        var headers: [HTTPHeader] = []
        var offered: [Text] = []
        if let token {
            guard token.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else { return nil }
            headers.append(HTTPHeader("Authorization", "Bearer \(token)"))
            let subprotocol = "\(ProtocolGeneration.second.subprotocol)"
            headers.append(HTTPHeader("Sec-WebSocket-Protocol", subprotocol))
            offered = [Text(subprotocol)]
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
        self.offered = offered
        self.accept = accept
    }

    enum Verdict: Hashable {
        /// The connection is a WebSocket from now on.
        case open(ProtocolGeneration)
        case ended(ConnectionEnd)
    }

    func judge(_ response: ResponseHead) -> Verdict {
        // What is thrown inside has to be carried out of the closure, which throws nothing.
        accept.withUnsafeBytes { accept -> Verdict in
            do throws(UpgradeRefusal) {
                let chosen = try response.checkUpgrade(accept: accept, offered: offered)
                return .open(chosen == nil ? .first : .second)
            } catch {
                return switch error {
                case .status(let status): .ended(.refused(status: status.rawValue, reason: "\(status.phrase)"))
                case .missingUpgrade: .ended(.notWebSocket("it does not upgrade"))
                case .wrongAccept: .ended(.notWebSocket("it answers another handshake"))
                case .unrequested:
                    .ended(.notWebSocket("it wants an extension or a subprotocol that was not asked for"))
                }
            }
        }
    }
}
