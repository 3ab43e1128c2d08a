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
}
