import ConvergeTransport
import ConvergeStorage

/// Every setting of one node, in the order in which they are read and shown.
///
/// The bounds are there to catch slips (a timeout in the wrong unit, a limit that would take all memory), not to
/// forbid; each value within them works.
extension Setting {
    public static let all: [Setting] = listening + storage + access + limits + times + cluster + node

    private static let second: Duration = .seconds(1)
    private static let hour: Duration = .seconds(3_600)

    /// `CONVERGE_ADDR` comes after the two that it overrides.
    private static let listening: [Setting] = [
        Setting("PORT", .listening, "listen port; 0: any free one", accepted: "must be a whole number from 0 to 65535")
        {
            "\($0.options.port)"
        } read: { value, settings in
            guard let port = ListenAddress.port(value) else { return "must be a whole number from 0 to 65535" }
            settings.options.port = port
            return nil
        },
        Setting("CONVERGE_HOST", .listening, "listen host", accepted: "must be a host name or an IP address") {
            $0.options.host
        } read: { value, settings in
            guard let host = ListenAddress.host(value) else {
                return "must be a host name or an IP address (a port belongs in PORT or CONVERGE_ADDR)"
            }
            settings.options.host = host
            return nil
        },
        Setting(
            "CONVERGE_ADDR", .listening, "host:port, over both", accepted: ListenAddress.accepted, default: ""
        ) {
            ListenAddress(host: $0.options.host, port: $0.options.port).text
        } read: { value, settings in
            guard let address = ListenAddress(value) else { return ListenAddress.accepted }
            settings.options.host = address.host
            settings.options.port = address.port
            return nil
        },
        .text(
            "CONVERGE_TLS_CERT", .listening, "a certificate (PEM): serve wss:// and https://", \.tlsCertificate,
            limit: 4_096, isFile: true),
        .text("CONVERGE_TLS_KEY", .listening, "its key (PEM, no passphrase)", \.tlsKey, limit: 4_096, isFile: true),
    ]

    private static let storage: [Setting] = [
        Setting(
            "CONVERGE_DB_ADAPTER", .storage, "which database", accepted: "must be sqlite, postgres or postgresql",
            aliases: ["adapter"]
        ) {
            $0.adapter.rawValue
        } read: { value, settings in
            switch value.lowercased() {
            case "sqlite": settings.adapter = .sqlite
            case "postgres", "postgresql": settings.adapter = .postgres
            default: return "must be sqlite, postgres or postgresql"
            }
            return nil
        },
        Setting(
            "CONVERGE_DB_PATH", .storage, "SQLite file", accepted: "must be the path of a file", isFile: true,
            aliases: ["db"]
        ) {
            $0.sqlitePath
        } read: { value, settings in
            guard value.utf8.count <= 4_096, !value.utf8.contains(0), !value.hasSuffix("/") else {
                return "must be the path of a file"
            }
            guard value != ":memory:" else { return "must be the path of a file: a node's log has to outlive it" }
            settings.sqlitePath = value
            return nil
        },
        Setting(
            "CONVERGE_DB_DSN", .storage, "PostgreSQL connection string, URL or key=value",
            accepted: ConnectionString.accepted, default: "", aliases: ["dsn"]
        ) {
            $0.postgresDSN.map { String(decoding: $0.bytes, as: UTF8.self) }.flatMap { ConnectionString($0)?.masked }
                ?? ""
        } read: { value, settings in
            guard ConnectionString(value) != nil else { return ConnectionString.accepted }
            if let problem = PostgresOptions.problem(in: value) { return problem }
            settings.postgresDSN = Secret(value)
            return nil
        },
        .choice(
            "CONVERGE_SQLITE_SYNC", .storage, "full: on disk before it is acknowledged; normal: soon after",
            \.sqliteSync, of: [SyncMode.full, .normal]),
        .duration(
            "CONVERGE_STORE_TIMEOUT", .storage, "how long a store operation may take", \.options.storeTimeout,
            in: .milliseconds(1)...hour),
        .duration(
            "CONVERGE_COMMIT_PACE", .storage, "how long after a commit began the next may begin; 0: as soon as it can",
            \.options.commitPace, in: .microseconds(50)...second, zero: "as soon as it can"),
        .duration(
            "CONVERGE_RETENTION", .storage, "how long messages and document writes are kept; 0: for ever",
            \.options.retention, in: second...(hour * 876_000), zero: "for ever"),
        .duration(
            "CONVERGE_KEY_WINDOW", .storage, "how long the key of a send is remembered at least", \.options.keyWindow,
            in: second...(hour * 8_760)),
        .duration(
            "CONVERGE_ACCEPT_AHEAD", .storage, "how far ahead of its clock a node takes others' entries",
            \.options.acceptAhead, in: (hour * 24)...(hour * 876_000)),
    ]

    private static let access: [Setting] = [
        Setting(
            "CONVERGE_JWT_SECRET", .access, "what tokens are signed with; environment only",
            accepted: "must be at most 4096 bytes, and not blank", default: "", secret: true
        ) {
            $0.options.jwtSecret == nil ? "" : Secret.mask
        } read: { value, settings in
            do throws(SettingsError) {
                settings.options.jwtSecret = try Secret(variable: "CONVERGE_JWT_SECRET", value: value)
                return nil
            } catch {
                return error.problem
            }
        },
        .text(
            "CONVERGE_JWT_SECRET_FILE", .access, "a file with that secret, instead of the variable", \.jwtSecretFile,
            limit: 4_096, isFile: true),
        .onOff(
            "CONVERGE_REQUIRE_STRONG_SECRET", .access, "do not start with a secret under 32 bytes",
            \.requiresStrongSecret),
        .text("CONVERGE_JWT_ISSUER", .access, "what iss must be", \.options.jwtIssuer, limit: 1_024),
        .text("CONVERGE_JWT_AUDIENCE", .access, "what aud must contain", \.options.jwtAudience, limit: 1_024),
        Setting(
            "CONVERGE_ALLOWED_ORIGINS", .access,
            "origins of web pages, comma-separated, or *: all; programs that say no origin are let in",
            accepted: OriginList.accepted, default: "*"
        ) {
            $0.options.allowedOrigins?.joined(separator: ",") ?? "*"
        } read: { value, settings in
            do throws(OriginList.Refusal) {
                settings.options.allowedOrigins = try OriginList(value).origins
                return nil
            } catch {
                return error.problem
            }
        },
        Setting(
            "CONVERGE_TRUSTED_PROXIES", .access, "proxies whose X-Forwarded-For is believed, for the log",
            accepted: trustedProxiesAccepted, default: ""
        ) {
            $0.options.trustedProxies.map(\.description).joined(separator: ",")
        } read: { value, settings in
            let items = value.split(separator: ",").map(\.trimmed).filter { !$0.isEmpty }
            let ranges = items.compactMap { IPRange($0) }
            guard ranges.count == items.count, (1...100).contains(items.count) else { return trustedProxiesAccepted }
            settings.options.trustedProxies = ranges
            return nil
        },
    ]

    private static let limits: [Setting] = [
        .whole(
            "CONVERGE_MAX_MESSAGE_BYTES", .limits, "largest WebSocket message", \.options.maxMessageBytes,
            in: 1...67_108_864),
        .whole("CONVERGE_MAX_BODY_LENGTH", .limits, "chat body, bytes", \.options.maxBodyLength, in: 1...16_777_216),
        .whole("CONVERGE_MAX_ROOM_LENGTH", .limits, "room name, bytes", \.options.maxRoomLength, in: 1...4_096),
        .whole(
            "CONVERGE_MAX_USER_LENGTH", .limits, "user id and display name, bytes", \.options.maxUserLength,
            in: 1...4_096),
        .whole(
            "CONVERGE_MAX_SUBSCRIPTIONS", .limits, "rooms a connection, in the second generation of the protocol",
            \.options.maxSubscriptions, in: 1...10_000),
        .whole(
            "CONVERGE_HISTORY_LIMIT", .limits, "most entries in one history reply", \.options.historyLimit,
            in: 1...10_000),
        .whole(
            "CONVERGE_SEND_BUFFER", .limits, "frames a client may be behind", \.options.sendBuffer, in: 1...1_000_000),
        .whole(
            "CONVERGE_SAVE_BUFFER", .limits, "commands waiting to be stored", \.options.saveBuffer, in: 1...1_000_000),
    ]

    private static let times: [Setting] = [
        .duration(
            "CONVERGE_WRITE_WAIT", .times, "how long a client may take nothing", \.options.writeWait,
            in: .milliseconds(1)...hour),
        .duration(
            "CONVERGE_PONG_WAIT", .times, "how long a client may be silent", \.options.pongWait,
            in: .milliseconds(10)...(hour * 24)),
        .duration(
            "CONVERGE_PING_PERIOD", .times, "how often clients are pinged; less than the pong wait",
            \.options.pingPeriod, in: .milliseconds(1)...(hour * 24), default: "9/10 of CONVERGE_PONG_WAIT"),
        .duration(
            "CONVERGE_READ_TIMEOUT", .times, "an HTTP request's arrival", \.options.readTimeout,
            in: .milliseconds(1)...hour),
        .duration(
            "CONVERGE_WRITE_TIMEOUT", .times, "an HTTP response's departure", \.options.writeTimeout,
            in: .milliseconds(1)...hour),
        .duration(
            "CONVERGE_IDLE_TIMEOUT", .times, "an HTTP connection between requests", \.options.idleTimeout,
            in: .milliseconds(1)...(hour * 24)),
    ]

    private static let node: [Setting] = [
        Setting(
            "CONVERGE_NODE_NAME", .node, "name in logs, metrics and status", accepted: nodeNameAccepted,
            default: "host name"
        ) {
            $0.options.nodeName.isEmpty ? "host name" : $0.options.nodeName
        } read: { value, settings in
            let allowed = value.utf8.allSatisfy { byte in
                (48...57).contains(byte) || (97...122).contains(byte | 0x20) || byte == 45 || byte == 46 || byte == 95
            }
            guard allowed, value.utf8.count <= 64 else { return nodeNameAccepted }
            settings.options.nodeName = value
            return nil
        },
        .whole(
            "CONVERGE_LOOPS", .node, "event loop threads; 0: one a usable core", \.options.loops, in: 0...LoopSet.limit),
        .choice(
            "CONVERGE_SYSTEM_EVENTS", .node, "joined and left: stored, live (shown, not stored) or off",
            \.options.systemEvents, of: SystemEvents.allCases),
        .onOff("CONVERGE_ECHO", .node, "serve /echo, for conformance tests", \.options.echo),
        .choice("CONVERGE_LOG", .node, "least grave log lines to write", \.options.logLevel, of: LogLevel.allCases),
        .choice("CONVERGE_LOG_FORMAT", .node, "how log lines look", \.options.logFormat, of: LogFormat.allCases),
    ]

    private static let trustedProxiesAccepted =
        "must be addresses or ranges such as 127.0.0.1 or 10.0.0.0/8, at most 100, separated by commas"
    private static let nodeNameAccepted = "must be at most 64 letters, digits, dots, dashes and underscores"
}
