import ConvergeTransport
import ConvergeWire

/// Everything about one node that can be chosen, with a default for each: an embedder sets only what it needs.
///
/// `Settings` fills this from the environment and the command line, within the bounds given there; an embedder's values
/// are taken as they are. Lengths count UTF-8 bytes.
public struct ServerOptions: Sendable {
    // Listening
    /// The address to listen on: a name, an IPv4 or an IPv6 address (without brackets).
    public var host: String
    /// 0: any free port; the server says which.
    public var port: UInt16

    /// The certificate to serve `wss://` and `https://` with; nil: plain `ws://` and `http://`.
    public var tls: TLSFiles?

    // Who may connect
    /// The values of `Origin` that may open a WebSocket; nil allows all, and requests without one.
    public var allowedOrigins: [String]?
    /// What tokens are signed with. Without one, every token is refused.
    public var jwtSecret: Secret?
    /// What `iss` must be, where set.
    public var jwtIssuer: String?
    /// What `aud` must contain, where set.
    public var jwtAudience: String?

    /// Proxies that are believed when they say by `X-Forwarded-For` who a client is. For the log alone.
    public var trustedProxies: [IPRange] = []

    // Limits
    public var maxMessageBytes = 65_536
    public var maxBodyLength = 2_000
    public var maxRoomLength = 64
    public var maxUserLength = 64
    /// The most rooms that one connection may be subscribed to, in the second generation of the protocol.
    public var maxSubscriptions = 128
    /// The most entries in one `history` reply.
    public var historyLimit = 200
    /// How many frames a client may be behind before it is taken off the live stream.
    public var sendBuffer = 256
    /// How many commands may wait to be stored; past that, writes are refused with `busy`.
    public var saveBuffer = 4_096

    // Times
    public var storeTimeout: Duration = .seconds(2)
    /// How long after the beginning of a commit the next one begins at least; `.zero`: as soon as the one before is done.
    public var commitPace: Duration = .zero
    /// How long a client may take nothing of what is waiting for it.
    public var writeWait: Duration = .seconds(10)
    /// How long a client may be silent.
    public var pongWait: Duration = .seconds(60)
    /// How often a client is pinged; less than `pongWait`.
    public var pingPeriod: Duration = .seconds(54)
    /// How long a request's header section may take to arrive.
    public var readTimeout: Duration = .seconds(10)
    /// How long an HTTP response may take to leave.
    public var writeTimeout: Duration = .seconds(10)
    /// How long an HTTP connection may stay open between requests.
    public var idleTimeout: Duration = .seconds(60)

    // The node
    /// The node's name in logs, metrics and status; empty: the host's name.
    public var nodeName = ""
    /// Event loop threads; 0: as many as there are usable cores.
    public var loops = 0
    /// How long the key of a send is remembered at least.
    public var keyWindow: Duration = .seconds(24 * 3_600)
    /// How long messages and document writes are kept; `.zero`: for ever.
    public var retention: Duration = .zero
    public var systemEvents: SystemEvents = .stored
    /// How far ahead of this node's clock entries may be dated before they are held aside; see docs/replication.md, "Clocks".
    public var acceptAhead: Duration = .seconds(24 * 3_600)
    /// Serves `/echo`, a WebSocket echo for conformance tests.
    public var echo = false

    /// The other nodes; nil where the node is alone.
    public var cluster: ClusterSettings?

    // Logs
    public var logLevel: LogLevel = .info
    public var logFormat: LogFormat = .text
    /// Where log records of `logLevel` and above go; nil: to standard error, in `logFormat`. It is called by one thread, the
    /// log's own, in order, and may take as long as it likes: what comes meanwhile waits within bounds, and what is dropped
    /// then is counted and told. It must not stop the server.
    public var log: (@Sendable (LogRecord) -> Void)?

    public init(host: String = "0.0.0.0", port: UInt16 = 8080, jwtSecret: Secret? = nil) {
        self.host = host
        self.port = port
        self.jwtSecret = jwtSecret
    }
}

extension ServerOptions {
    /// A node's name as peers take it: without control characters, which a host's name may have, and at most 64 bytes.
    static func usable(nodeName: String) -> String {
        var name = ""
        for scalar in Text(nodeName).withoutControls.string.unicodeScalars {
            guard name.utf8.count + String(scalar).utf8.count <= 64 else { break }
            name.unicodeScalars.append(scalar)
        }
        return name
    }
}

/// What becomes of "joined" and "left".
public enum SystemEvents: String, CaseIterable, Sendable {
    /// Shown to the room and kept in history.
    case stored
    /// Shown, not stored.
    case live
    case off
}

/// How grave a log line is; a node writes those of its level and above.
public enum LogLevel: String, CaseIterable, Comparable, Sendable {
    case debug, info, warn, error

    /// From 0 for the least grave, without gaps.
    var rank: Int {
        switch self {
        case .debug: 0
        case .info: 1
        case .warn: 2
        case .error: 3
        }
    }

    /// The level of this rank, or the nearest that there is.
    init(rank: Int) { self = Self.allCases[min(max(rank, 0), Self.allCases.count - 1)] }

    public static func < (a: LogLevel, b: LogLevel) -> Bool { a.rank < b.rank }
}

public enum LogFormat: String, CaseIterable, Sendable {
    case text, json
}
