import ConvergeTransport
import ConvergeWire
import Synchronization

/// What all parts of a node log with. A copy logs to the same place. Never a token, a secret or a message's body.
///
/// A line costs its caller the making of a record and a lock that is never held for long; the log's own thread writes it
/// (`LogDesk`). What is below the level is not even made.
struct Logger: Sendable {
    private let desk: LogDesk
    private let threshold: Threshold
    private let node: Text

    /// The level, which may be changed while the node runs.
    private final class Threshold: Sendable {
        let rank: Atomic<Int>
        init(_ level: LogLevel) { rank = Atomic(level.rank) }
    }

    init(level: LogLevel, node: Text, sink: any LogSink, limits: LogBacklog.Limits = LogBacklog.Limits()) {
        self.node = node
        threshold = Threshold(level)
        desk = LogDesk(sink, limits: limits) { lines in
            LogRecord(
                time: SystemClock.wallMilliseconds(), level: .warn, event: "log lines dropped",
                fields: [LogField("node", node), LogField("lines", lines)])
        }
    }

    /// Starts the thread that writes; what was logged before is written then.
    func start() throws(SystemError) { try desk.start() }

    /// Takes nothing more, and waits until what there is has been written, but no longer than this.
    /// - Returns: false where it was not written in that time.
    @discardableResult
    func close(within limit: Duration) -> Bool { desk.close(within: limit) }

    /// Lines that could not be written, or found no room to wait in.
    var dropped: Counter { desk.dropped }
    /// How many lines wait to be written.
    var depth: Int { desk.depth }

    /// The least grave lines that are written.
    var level: LogLevel { LogLevel(rank: threshold.rank.load(ordering: .relaxed)) }

    /// From now on, for all threads.
    func setLevel(_ level: LogLevel) { threshold.rank.store(level.rank, ordering: .relaxed) }

    /// For what happens often: the fields are not even made unless they are written.
    @inline(__always)
    func debug(_ event: StaticString, _ fields: @autoclosure () -> [(String, any LogValueConvertible)]) {
        guard writes(.debug) else { return }
        post(.debug, event, fields().map { LogField($0, $1) })
    }

    /// Whether lines of this level are written now.
    @inline(__always)
    func writes(_ level: LogLevel) -> Bool { level.rank >= threshold.rank.load(ordering: .relaxed) }

    /// - Parameter event: a fixed text. What varies is a field.
    func write(_ level: LogLevel, _ event: StaticString, _ fields: (String, any LogValueConvertible)...) {
        guard writes(level) else { return }
        post(level, event, fields.map { LogField($0, $1) })
    }

    func write(_ level: LogLevel, _ event: StaticString, _ fields: [LogField]) {
        guard writes(level) else { return }
        post(level, event, fields)
    }

    /// Writes whatever the level is: what somebody has asked for.
    func tell(_ event: StaticString, _ fields: [LogField]) { post(.info, event, fields) }

    private func post(_ level: LogLevel, _ event: StaticString, _ fields: [LogField]) {
        desk.post(
            LogRecord(
                time: SystemClock.wallMilliseconds(), level: level, event: event.description,
                fields: [LogField("node", node)] + fields))
    }
}
