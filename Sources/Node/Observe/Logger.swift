import ConvergeTransport
import ConvergeWire
import Glibc

/// Writes one line for each event to standard error, as text or as JSON. Never a token, a secret or a message's body.
struct Logger: Sendable {
    let level: LogLevel
    let format: LogFormat
    let node: Text

    func write(_ level: LogLevel, _ event: String, _ fields: (String, String)...) {
        guard level >= self.level else { return }
        var line = ByteBuffer(capacity: 256)
        switch format {
        case .text:
            appendTimestamp(to: &line)
            line.append(" \(level.rawValue.uppercased()) ")
            line.append(event)
            for (name, value) in [("node", node.string)] + fields {
                line.append(" \(name)=")
                if value.utf8.allSatisfy({ $0 > 0x20 && $0 != UInt8(ascii: "\"") && $0 != 0x7F }), !value.isEmpty {
                    line.append(value)
                } else {
                    line.appendJSONString(Text(value))
                }
            }
        case .json:
            line.append("{\"time\":\"")
            appendTimestamp(to: &line)
            line.append("\",\"level\":\"\(level.rawValue)\",\"event\":")
            line.appendJSONString(Text(event))
            for (name, value) in [("node", node.string)] + fields {
                line.append(",")
                line.appendJSONString(Text(name))
                line.append(":")
                line.appendJSONString(Text(value))
            }
            line.append("}")
        }
        line.append("\n")
        // One write, so that lines of several threads don't mix. What can't be written is lost: there is nobody to tell.
        _ = Glibc.write(2, line.bytes.baseAddress, line.count)
    }

    private func appendTimestamp(to line: inout ByteBuffer) {
        var writer = TimestampWriter()
        writer.append(milliseconds: SystemClock.wallMilliseconds(), to: &line)
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
        }
    }
}
