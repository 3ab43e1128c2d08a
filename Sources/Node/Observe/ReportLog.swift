import ConvergeCRDT
import ConvergeTransport
import ConvergeWire

/// What the core reports, in words. What peers can cause at will is written within a budget, so that neither they nor, on
/// links without a secret, strangers can fill the log.
struct ReportLog {
    struct Line {
        let level: LogLevel
        let event: StaticString
        var fields: [LogField] = []
    }

    private let log: Logger
    private var peers = LineBudget.peers
    private var strangers = LineBudget.strangers

    init(log: Logger) { self.log = log }

    /// - Parameters:
    ///   - store: what the store is, for those who read.
    ///   - now: monotonic nanoseconds.
    mutating func write(_ report: CoreReport, store: String, at now: UInt64) {
        for line in lines(report, store: store, at: now) { log.write(line.level, line.event, line.fields) }
    }

    /// The lines of a report; none where they are left out.
    mutating func lines(_ report: CoreReport, store: String, at now: UInt64) -> [Line] {
        var lines = report.lines(store: store)
        guard let event = lines.first?.event.description else { return [] }
        let left: Int?
        switch report.cause {
        case .node: left = 0
        case .peer: left = peers.take(event, at: now)
        case .stranger: left = strangers.take(event, at: now)
        }
        guard let left else { return [] }
        if left > 0 { lines[0].fields.append(LogField("left_out", left)) }
        return lines
    }
}

extension CoreReport {
    /// Who can make it happen, as often as they like.
    fileprivate enum Cause { case node, peer, stranger }

    fileprivate var cause: Cause {
        switch self {
        case .storeOpened, .identityRenewed, .storeUnavailable, .filesTightened, .filesExposed, .snapshotInstalled,
            .reloaded:
            .node
        case .peerLinked, .peerUnlinked, .memberChanged, .memberReplaced, .memberForgotten, .forked, .clockSkewed,
            .clockAhead, .clockMended, .heldAside, .heldSnapshot:
            .peer
        case .peerViolation, .ownLogForeign, .twin, .renewalDoubted: .stranger
        }
    }

    fileprivate func lines(store: String) -> [ReportLog.Line] {
        func line(
            _ level: LogLevel, _ event: StaticString, _ fields: (String, any LogValueConvertible)...
        ) -> [ReportLog.Line] {
            [ReportLog.Line(level: level, event: event, fields: fields.map { LogField($0, $1) })]
        }
        switch self {
        case .storeOpened(let replica, let head, let boot, let adopted):
            let opened = line(
                .info, "store opened", ("store", store), ("replica", replica.description), ("head", head),
                ("boot", boot))
            guard adopted > 0 else { return opened }
            return opened + line(.info, "rows of the earlier server taken over", ("rows", adopted))
        case .identityRenewed(let reason):
            return line(.warn, "going on under a new replica", ("reason", reason.rawValue))
        case .storeUnavailable(let error, let wait):
            return line(
                .error, "store unavailable", ("store", store), ("error", error.message),
                ("retry_in", wait))
        case .filesTightened:
            return line(.info, "the database's files are their owner's alone now: others could open them")
        case .filesExposed(let file):
            return line(
                .warn, "others on this machine can open the database, and this user can't change that", ("file", file))
        case .peerLinked(let peer, let name, let address):
            return line(
                .info, "peer linked", ("peer", peer.description), ("name", name), ("address", address))
        case .peerUnlinked(let peer, let name):
            return line(.info, "peer link lost", ("peer", peer.description), ("name", name))
        case .memberChanged(let member, let name, let state):
            // A node that is dead, or cut off: somebody has to look.
            return line(
                state == .faulty ? .warn : .info, "member changed", ("peer", member.description), ("name", name),
                ("state", "\(state)"))
        case .memberReplaced(let member, let name, let successor):
            return line(
                .info, "member replaced: its node goes on under another replica", ("peer", member.description),
                ("name", name), ("by", successor.description))
        case .memberForgotten(let member, let name):
            return line(.info, "member forgotten", ("peer", member.description), ("name", name))
        case .ownLogForeign(let peer, let seq):
            return line(
                .error, "a peer knows this node's log otherwise; going on under a new replica",
                ("peer", peer.description), ("seq", seq))
        case .twin:
            return line(.error, "another process uses this node's replica; going on under a new one")
        case .renewalDoubted:
            return line(
                .warn, "a peer claims this node's replica, which is new: not believed, for it can be nobody else's")
        case .forked(let replica, let seq, let peer):
            return line(
                .error, "two copies of a log differ", ("replica", replica.description), ("seq", seq),
                ("peer", peer.node?.description ?? "the shared database"))
        case .peerViolation(let what):
            return line(.warn, "a peer broke the protocol", ("error", what))
        case .snapshotInstalled(let floors):
            return line(.info, "snapshot installed", ("logs", floors.components.count))
        case .reloaded:
            return line(.warn, "another log of the same name stays: a peer's state was taken over")
        case .clockSkewed(let milliseconds):
            return line(
                .error, "this node's clock is too far from its peers' or the database's: writes are refused",
                ("ahead", Duration.milliseconds(milliseconds)))
        case .clockMended:
            return line(.info, "this node's clock agrees with the others' again, and with what is stored")
        case .clockAhead(let milliseconds, let refuses):
            return line(
                .error,
                refuses
                    ? "what is stored is dated far ahead of this node's clock: writes are refused"
                    : "what is stored is dated far ahead of this node's clock, and what is written is, too",
                ("ahead", Duration.milliseconds(Int64(clamping: milliseconds))),
                ("mend", "set the clock if it is wrong; if it is right, stop the node and see `converge help redate`"))
        case .heldAside(let dot, let moment):
            return line(
                .error, "an entry dated too far ahead is held aside: its log goes no further here",
                ("replica", dot.replica.description), ("seq", dot.seq),
                ("until", moment.text))
        case .heldSnapshot(let source, let moment):
            return line(
                .error, "a peer's snapshot is dated too far ahead: it is not taken",
                ("peer", source.node?.description ?? "the shared database"),
                ("until", moment.text))
        }
    }
}

extension HybridTimestamp {
    /// The moment, as log lines have it.
    fileprivate var text: String {
        var out = ByteBuffer(capacity: 24)
        var timestamps = TimestampWriter()
        timestamps.append(milliseconds: milliseconds, to: &out)
        return String(decoding: out.bytes, as: UTF8.self)
    }
}
