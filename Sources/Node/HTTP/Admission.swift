import ConvergeTransport
import ConvergeWire

/// Decides what becomes of a request: an answer, or a WebSocket and whose.
///
/// The rules stand in docs/protocol.md: the origin first, then the handshake, then the token, then the lengths. A bad token
/// is told after the upgrade, by a close frame, because browsers show scripts nothing of an HTTP error.
struct Admission: ~Copyable {
    enum Decision {
        case respond(HTTPResponse)
        case chat(Handshake, Session)
        /// Upgraded, and who it is comes in the first frame.
        case ask(Handshake)
        /// The page that the request is from may not connect.
        case forbid(origin: Text)
        /// Upgraded, and closed as a violation of policy with this reason; the log gets the cause, a fixed text.
        case refuse(Handshake, reason: Text, cause: String)
        case echo(Handshake)
    }

    /// What the answer to an upgrade says.
    struct Handshake: Sendable {
        /// `Sec-WebSocket-Accept`.
        let accept: [UInt8]
        /// What is spoken, and the subprotocol by which the client has asked for that; nil where it has asked for none.
        var generation = ProtocolGeneration.first
        var subprotocol: StaticString?
    }

    /// Who enters which room.
    struct Session: Sendable {
        let user: Text
        let displayName: Text
        /// Nil in the second generation, which begins in none.
        let room: Text?
        /// What the client says it has been shown of the room, where it resumes.
        let resume: ClientCursor?
    }

    /// What a token is good for. The cause is for the log: whoever sent it learns only the reason.
    enum Answer {
        case bearer(Session)
        case refused(reason: Text, cause: String)
    }

    private let limits: SessionLimits
    private let allowedOrigins: [Text]?
    private let echo: Bool
    private var verifier: TokenVerifier
    private var sha1 = Digester.sha1()

    init(limits: SessionLimits, allowedOrigins: [String]?, echo: Bool, verifier: consuming TokenVerifier) {
        self.limits = limits
        self.allowedOrigins = allowedOrigins?.map { Text($0) }
        self.echo = echo
        self.verifier = verifier
    }

    /// - Parameter wall: milliseconds since 1970, for the token's times.
    mutating func decide(_ request: Request, metrics: Metrics, wall: UInt64) -> Decision {
        do throws(HTTPRefusal) {
            if request.hasPath("/ws") { return try admit(request, metrics, wall) }
            if request.hasBody { throw .hasBody }
            if request.hasPath("/health") {
                try demandRead(request)
                return .respond(HTTPResponse(.ok, text: "ok"))
            }
            if request.hasPath("/ready") {
                try demandRead(request)
                return .respond(
                    metrics.isReady
                        ? HTTPResponse(.ok, text: metrics.readiness)
                        : HTTPResponse(.unavailable, text: metrics.unreadiness))
            }
            if request.hasPath("/metrics") {
                try demandRead(request)
                let type = HTTPHeader("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
                return .respond(HTTPResponse(.ok, headers: [type], body: Array(metrics.exposition().utf8)))
            }
            if request.hasPath("/cluster") {
                try demandRead(request)
                return .respond(metrics.status.response(at: SystemClock.monotonic()))
            }
            if echo, request.hasPath("/echo") { return .echo(Handshake(accept: accept(try UpgradeRequest(request)))) }
            throw .notFound
        } catch {
            return .respond(error.response)
        }
    }

    private func demandRead(_ request: Request) throws(HTTPRefusal) {
        guard request.method == .get || request.method == .head else { throw .methodNotAllowed(allow: "GET, HEAD") }
    }

    private mutating func admit(_ request: Request, _ metrics: Metrics, _ wall: UInt64) throws(HTTPRefusal) -> Decision
    {
        guard request.method == .get else { throw .methodNotAllowed(allow: "GET") }
        // Programs that are no browser say none, and could say any: the list is for pages, whose browsers don't let them lie.
        if let allowedOrigins, let origin = request.fields.all("origin").first(where: { !allowedOrigins.contains($0) })
        {
            metrics.originsRefused.add(1)
            return .forbid(origin: origin)
        }
        let upgrade = try UpgradeRequest(request)
        let wanted: Text?
        let cursor: Text?
        let query: Text?
        do throws(PercentDecodingError) {
            wanted = try request.query("room")
            cursor = try request.query("cursor")
            query =
                if let token = try request.query("token"), !token.isEmpty { token } else {
                    try request.query("access_token")
                }
        } catch {
            throw .malformedQuery
        }
        var handshake = Handshake(accept: accept(upgrade))
        guard let offered = upgrade.subprotocols else {
            metrics.authFailures.add(1)
            return .refuse(handshake, reason: "unauthorized", cause: "the list of subprotocols is malformed")
        }
        let known = [ProtocolGeneration.second, .first].first { offered.contains(Text("\($0.subprotocol)")) }
        if let known {
            handshake.generation = known
            handshake.subprotocol = known.subprotocol
        }
        let token = request.fields.first("authorization").flatMap(Self.bearer) ?? query ?? Self.bearer(among: offered)
        if token == nil, handshake.generation == .second { return .ask(handshake) }
        var room = wanted?.trimmed() ?? ""
        if room.isEmpty { room = "lobby" }
        let resume = cursor.flatMap { text in
            text.isEmpty ? nil : text.withUTF8 { ClientCursor(text: UnsafeRawBufferPointer($0)) }
        }
        let isFirst = handshake.generation == .first
        switch session(token, room: isFirst ? room : nil, resume: isFirst ? resume : nil, wall: wall) {
        case .bearer(let session): return .chat(handshake, session)
        case .refused(let reason, let cause):
            if reason == Self.unauthorized { metrics.authFailures.add(1) }
            return .refuse(handshake, reason: reason, cause: cause)
        }
    }

    /// What a client is told whose token is not good, whatever is wrong with it.
    static var unauthorized: Text { "unauthorized" }

    /// Whose session a token begins.
    mutating func session(_ token: Text?, room: Text?, resume: ClientCursor?, wall: UInt64) -> Answer {
        switch token.map({ verify($0, Double(wall) / 1_000) }) ?? .failure(.missing) {
        case .failure(let error): return .refused(reason: Self.unauthorized, cause: "token: \(error.rawValue)")
        case .success(let bearer):
            guard (room ?? "").byteCount <= limits.room, bearer.user.byteCount <= limits.user,
                bearer.displayName.byteCount <= limits.user
            else { return .refused(reason: "invalid room or user", cause: "a room or user is too long") }
            return .bearer(
                Session(user: bearer.user, displayName: bearer.displayName, room: room, resume: resume))
        }
    }

    /// The token that a browser offers as a subprotocol, since its scripts can set no header.
    private static func bearer(among offered: [Text]) -> Text? {
        let prefix = "bearer."
        guard let token = offered.first(where: { $0.string.hasPrefix(prefix) }) else { return nil }
        return Text(String(token.string.dropFirst(prefix.count)))
    }

    private mutating func verify(_ token: Text, _ seconds: Double) -> Result<Identity, TokenError> {
        token.withUTF8 { bytes in
            do throws(TokenError) {
                return .success(try verifier.identity(of: UnsafeRawBufferPointer(bytes), at: seconds))
            } catch {
                return .failure(error)
            }
        }
    }

    /// `Bearer T` (RFC 6750, 2.1), the scheme in any case.
    private static func bearer(_ header: Text) -> Text? {
        let words = header.string.split(separator: " ", maxSplits: 1)
        guard words.count == 2, words[0].lowercased() == "bearer" else { return nil }
        return Text(String(words[1])).trimmed()
    }

    /// base64(SHA-1(key + GUID)), RFC 6455, 4.2.2.
    private mutating func accept(_ upgrade: UpgradeRequest) -> [UInt8] {
        var text = ByteBuffer(capacity: 64)
        text.append(upgrade.key)
        text.append(UpgradeRequest.acceptSuffix)
        return Base64.encode(sha1.hash(text.bytes))
    }
}
