import ConvergeWire

/// Decides when and where a client connects: which of several servers, after which wait, with a fresh token or not, and
/// when to give up.
///
/// A core: events and the time (nanoseconds of any monotonic clock) go in, effects come out. Invariants: at most one
/// attempt is under way; each failure moves on to the next server; between two attempts there is a wait, save for one
/// jump to each other server that is told to go elsewhere; only a refusal that no attempt can mend ends it. A token that
/// was refused, and a fresh one after it, is such a refusal unless the options say that it is waited for a better one.
public struct ReconnectMachine: Sendable {
    public struct Options: Hashable, Sendable {
        /// The first wait is for each server of the list; then it doubles with every round.
        public var backoff = Backoff(first: .milliseconds(250), greatest: .seconds(30))
        /// A connection that lasted so long makes earlier failures forgotten.
        public var stableAfter: Duration = .seconds(10)
        /// How long it waits before it asks for a token again when a fresh one was refused, too; nil: it is over then. For
        /// programs with a person before them, who may get the token mended.
        public var unauthorizedBackoff: Backoff?

        public init() {}
    }

    public enum Event: Hashable, Sendable {
        case start
        /// The token that was asked for is there.
        case token
        /// It could not be had.
        case tokenFailed(String)
        /// The server has said welcome.
        case live
        /// There is no connection, or none any more.
        case failed(String)
        case ended(ConnectionEnd)
        /// Somebody does not want to wait for the next attempt.
        case retry
        case stop
    }

    public enum Effect: Hashable, Sendable {
        /// - Parameter isRefused: the one that was used last was refused.
        case askToken(isRefused: Bool)
        /// - Parameter server: its place in the list.
        case connect(server: Int, attempt: Int)
        case wait(Duration, reason: String)
        case end(EndReason)
    }

    enum Phase: Hashable {
        case idle
        case asking
        case connecting
        case live(since: UInt64)
        case waiting(until: UInt64)
        case over
    }

    private(set) var phase = Phase.idle
    /// Which server is the next to be tried, or is being.
    private(set) var server: Int
    private let servers: Int
    private let options: Options
    private var generator: SeededGenerator
    private var failures = 0
    /// How often it went on at once since the last wait.
    private var jumps = 0
    private var hasAskedAnew = false
    /// How many fresh tokens in a row were refused.
    private var refusedTokens = 0

    /// - Parameters:
    ///   - servers: how many there are, at least 1.
    ///   - first: which to begin with.
    public init(servers: Int, first: Int = 0, options: Options = .init(), generator: SeededGenerator) {
        precondition(servers > 0, "a client needs a server")
        self.servers = servers
        server = min(max(first, 0), servers - 1)
        self.options = options
        self.generator = generator
    }

    public var isOver: Bool { phase == .over }

    /// From an attempt's beginning until the server's welcome, or the attempt's end.
    public var isConnecting: Bool { phase == .connecting }

    /// Which attempt it is, or was, since there last was a lasting connection: from 1.
    public var attempt: Int { failures + 1 }

    /// When `tick` is to be called; `.max` for never.
    public var nextTick: UInt64 {
        if case .waiting(let until) = phase { return until }
        return .max
    }

    public mutating func tick(at now: UInt64, into effects: inout [Effect]) {
        guard case .waiting(let until) = phase, now >= until else { return }
        askAgain(&effects)
    }

    /// The wait is over. A token that was refused is not shown a second time.
    private mutating func askAgain(_ effects: inout [Effect]) {
        jumps = 0
        ask(isRefused: refusedTokens > 0, &effects)
    }

    public mutating func handle(_ event: Event, at now: UInt64, into effects: inout [Effect]) {
        switch (event, phase) {
        case (_, .over): break
        case (.start, .idle): ask(isRefused: false, &effects)
        case (.token, .asking):
            phase = .connecting
            effects.append(.connect(server: server, attempt: failures + 1))
        case (.tokenFailed(let reason), .asking):
            failures = min(failures + 1, 1_000_000)
            wait(reason, at: now, &effects)
        case (.live, .connecting):
            phase = .live(since: now)
            hasAskedAnew = false
            refusedTokens = 0
        case (.failed(let reason), .connecting), (.failed(let reason), .live):
            move(reason, atOnce: false, at: now, &effects)
        case (.ended(let end), .connecting), (.ended(let end), .live):
            ended(end, at: now, &effects)
        case (.retry, .waiting): askAgain(&effects)
        case (.stop, _): finish(.left, &effects)
        default: break
        }
    }

    private mutating func ask(isRefused: Bool, _ effects: inout [Effect]) {
        phase = .asking
        effects.append(.askToken(isRefused: isRefused))
    }

    private mutating func ended(_ end: ConnectionEnd, at now: UInt64, _ effects: inout [Effect]) {
        switch end {
        case .closed(.policyViolation?, "unauthorized", byUs: false), .refused(401, _):
            if hasAskedAnew {
                unauthorized(at: now, &effects)
            } else {
                hasAskedAnew = true
                ask(isRefused: true, &effects)
            }
        case .closed(.policyViolation?, "invalid room or user", byUs: false): finish(.invalidRoomOrUser, &effects)
        case .closed(.serviceRestart?, _, _), .closed(.tryAgainLater?, _, _):
            move(end.explanation, atOnce: true, at: now, &effects)
        default: move(end.explanation, atOnce: false, at: now, &effects)
        }
    }

    /// A fresh token was refused, too.
    private mutating func unauthorized(at now: UInt64, _ effects: inout [Effect]) {
        guard let backoff = options.unauthorizedBackoff else { return finish(.unauthorized, &effects) }
        refusedTokens = min(refusedTokens + 1, 1_000_000)
        // Another server may have the secret that this one lacks.
        server = (server + 1) % servers
        wait(backoff.delay(after: refusedTokens - 1, &generator), EndReason.unauthorized.message, at: now, &effects)
    }

    /// Goes on to the next server.
    private mutating func move(_ reason: String, atOnce: Bool, at now: UInt64, _ effects: inout [Effect]) {
        if case .live(let since) = phase, now - min(since, now) >= options.stableAfter.wholeNanoseconds {
            failures = 0
            jumps = 0
        }
        failures = min(failures + 1, 1_000_000)
        server = (server + 1) % servers
        if atOnce, jumps < servers - 1 {
            jumps += 1
            ask(isRefused: false, &effects)
        } else {
            wait(reason, at: now, &effects)
        }
    }

    private mutating func wait(_ reason: String, at now: UInt64, _ effects: inout [Effect]) {
        wait(options.backoff.delay(after: (failures - 1) / servers, &generator), reason, at: now, &effects)
    }

    private mutating func wait(_ delay: UInt64, _ reason: String, at now: UInt64, _ effects: inout [Effect]) {
        phase = .waiting(until: now + delay)
        effects.append(.wait(.nanoseconds(Int64(delay)), reason: reason))
    }

    private mutating func finish(_ reason: EndReason, _ effects: inout [Effect]) {
        phase = .over
        effects.append(.end(reason))
    }
}
