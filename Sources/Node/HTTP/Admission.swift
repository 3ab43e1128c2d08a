import ConvergeTransport
import ConvergeWire

/// Decides what becomes of a request: an answer, or a WebSocket and whose.
///
/// The rules stand in docs/protocol.md: the origin first, then the handshake, then the token, then the lengths. A bad token
/// is told after the upgrade, by a close frame, because browsers show scripts nothing of an HTTP error.
struct Admission: ~Copyable {
    enum Decision {
        case respond(HTTPResponse)
        case chat(accept: [UInt8], Session)
        /// The page that the request is from may not connect.
        case forbid(origin: Text)
        /// Upgraded, and closed as a violation of policy with this reason; the log gets the cause, a fixed text.
        case refuse(accept: [UInt8], reason: Text, cause: String)
        case echo(accept: [UInt8])
    }

    /// Who enters which room.
    struct Session: Sendable {
        let user: Text
        let displayName: Text
        let room: Text
        /// What the client says it has been shown of the room, where it resumes.
        let resume: ClientCursor?
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
            if echo, request.hasPath("/echo") { return .echo(accept: accept(try UpgradeRequest(request))) }
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
        let identity: Result<Identity, TokenError>
        do throws(PercentDecodingError) {
            wanted = try request.query("room")
            cursor = try request.query("cursor")
            identity = try self.identity(request, wall)
        } catch {
            throw .malformedQuery
        }
        let accept = accept(upgrade)
        let bearer: Identity
        switch identity {
        case .success(let known): bearer = known
        case .failure(let error):
            metrics.authFailures.add(1)
            return .refuse(accept: accept, reason: "unauthorized", cause: "token: \(error.rawValue)")
        }
        var room = wanted?.trimmed() ?? ""
        if room.isEmpty { room = "lobby" }
        guard room.byteCount <= limits.room, bearer.user.byteCount <= limits.user,
            bearer.displayName.byteCount <= limits.user
        else { return .refuse(accept: accept, reason: "invalid room or user", cause: "a room or user is too long") }
        let resume = cursor.flatMap { text in
            text.isEmpty ? nil : text.withUTF8 { ClientCursor(text: UnsafeRawBufferPointer($0)) }
        }
        return .chat(
            accept: accept,
            Session(user: bearer.user, displayName: bearer.displayName, room: room, resume: resume))
    }

    /// The token's bearer; the header goes before the query.
    private mutating func identity(
        _ request: Request, _ wall: UInt64
    ) throws(PercentDecodingError) -> Result<Identity, TokenError> {
        let seconds = Double(wall) / 1_000
        if let header = request.fields.first("authorization"), let token = Self.bearer(header) {
            return verify(token, seconds)
        }
        let query =
            if let token = try request.query("token"), !token.isEmpty { token } else {
                try request.query("access_token")
            }
        return query.map { verify($0, seconds) } ?? .failure(.missing)
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
