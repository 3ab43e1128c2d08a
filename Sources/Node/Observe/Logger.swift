import ConvergeTransport
import ConvergeWire
import Glibc

/// Writes one line for each event to standard error, as text or as JSON. Never a token, a secret or a message's body.
struct Logger: Sendable {
    let level: LogLevel
    let format: LogFormat
    let node: Text

    /// For what happens often: the fields are not even made unless they are written.
    @inline(__always)
    func debug(_ event: String, _ fields: @autoclosure () -> [(String, String)]) {
        guard level <= .debug else { return }
        put(line(.debug, event, fields(), at: SystemClock.wallMilliseconds()))
    }

    func write(_ level: LogLevel, _ event: String, _ fields: (String, String)...) {
        write(level, event, fields)
    }

    func write(_ level: LogLevel, _ event: String, _ fields: [(String, String)]) {
        guard level >= self.level else { return }
        put(line(level, event, fields, at: SystemClock.wallMilliseconds()))
    }

    private func put(_ line: consuming ByteBuffer) {
        // One write, so that lines of several threads don't mix. What can't be written is lost: there is nobody to tell.
        _ = Glibc.write(2, line.bytes.baseAddress, line.count)
    }

    /// The line with its end. Whatever the words are, there is no other line end in it.
    func line(
        _ level: LogLevel, _ event: String, _ fields: [(String, String)], at milliseconds: UInt64
    ) -> ByteBuffer {
        var line = ByteBuffer(capacity: 256)
        var timestamps = TimestampWriter()
        let fields = [("node", node.string)] + fields
        switch format {
        case .text:
            timestamps.append(milliseconds: milliseconds, to: &line)
            line.append(" \(level.rawValue.uppercased()) ")
            line.append(event)
            for (name, value) in fields {
                line.append(" \(name)=")
                if Self.isPlain(value) { line.append(value) } else { line.appendJSONString(Text(value)) }
            }
        case .json:
            line.append("{\"time\":\"")
            timestamps.append(milliseconds: milliseconds, to: &line)
            line.append("\",\"level\":\"\(level.rawValue)\",\"event\":")
            line.appendJSONString(Text(event))
            for (name, value) in fields {
                line.append(",")
                line.appendJSONString(Text(name))
                line.append(":")
                line.appendJSONString(Text(value))
            }
            line.append("}")
        }
        line.append("\n")
        return line
    }

    /// Whether a value can stand in a text line as it is, told from the next field and from a quoted one.
    private static func isPlain(_ value: String) -> Bool {
        !value.isEmpty && value.utf8.allSatisfy { $0 > 0x20 && $0 != UInt8(ascii: "\"") && $0 != 0x7F }
    }

    /// What the core reports, in words.
    func write(_ report: CoreReport, store: String) {
        switch report {
        case .storeOpened(let replica, let head, let boot, let adopted):
            write(
                .info, "store opened", ("store", store), ("replica", replica.description), ("head", String(head)),
                ("boot", String(boot)))
            if adopted > 0 { write(.info, "rows of the earlier server taken over", ("rows", String(adopted))) }
        case .identityRenewed(let reason):
            write(.warn, "going on under a new replica", ("reason", reason.rawValue))
        case .storeUnavailable(let error, let wait):
            write(
                .error, "store unavailable", ("store", store), ("error", error.message),
                ("retry_in", "\(wait.milliseconds)ms"))
        case .peerLinked(let peer, let name, let address):
            write(
                .info, "peer linked", ("peer", peer.description), ("name", name.string), ("address", address.string))
        case .peerUnlinked(let peer):
            write(.info, "peer link lost", ("peer", peer.description))
        case .memberChanged(let member, let state):
            write(.info, "member changed", ("peer", member.description), ("state", "\(state)"))
        case .memberForgotten(let member):
            write(.info, "member forgotten", ("peer", member.description))
        case .ownLogForeign(let peer, let seq):
            write(
                .error, "a peer knows this node's log otherwise; going on under a new replica",
                ("peer", peer.description), ("seq", String(seq)))
        case .twin:
            write(.error, "another process uses this node's replica; going on under a new one")
        case .forked(let replica, let seq, let peer):
            write(
                .error, "two copies of a log differ", ("replica", replica.description), ("seq", String(seq)),
                ("peer", peer.description))
        case .peerViolation(let what):
            write(.warn, "a peer broke the protocol", ("error", what))
        case .snapshotInstalled(let floors):
            write(.info, "snapshot installed", ("logs", String(floors.components.count)))
        case .reloaded:
            write(.warn, "another log of the same name stays: a peer's state was taken over")
        case .clockSkewed(let milliseconds):
            write(
                .error, "this node's clock is too far from its peers': writes are refused",
                ("ahead", "\(milliseconds)ms"))
        case .clockMended:
            write(.info, "this node's clock agrees with its peers' again")
        }
    }
}
