import ConvergeWire

/// How a record looks as a line, as text or as JSON. Whatever the words in it are, there is no line end but the last.
///
///     2023-11-14T22:13:20.123Z INFO listening node=n1 port=8080 host="a b" tls=false
///     {"time":"2023-11-14T22:13:20.123Z","level":"info","event":"listening","node":"n1","port":8080,"tls":false}
enum LogLine {
    static func append(_ record: LogRecord, _ format: LogFormat, to line: inout ByteBuffer) {
        var timestamps = TimestampWriter()
        switch format {
        case .text:
            timestamps.append(milliseconds: record.time, to: &line)
            line.append(" \(record.level.rawValue.uppercased()) ")
            line.append(record.event)
            for field in record.fields {
                line.append(" \(field.name)=")
                appendText(field.value, to: &line)
            }
        case .json:
            line.append("{\"time\":\"")
            timestamps.append(milliseconds: record.time, to: &line)
            line.append("\",\"level\":\"\(record.level.rawValue)\",\"event\":")
            line.appendJSONString(Text(record.event))
            for field in record.fields {
                line.append(",")
                line.appendJSONString(Text(field.name))
                line.append(":")
                appendJSON(field.value, to: &line)
            }
            line.append("}")
        }
        line.append("\n")
    }

    private static func appendText(_ value: LogValue, to line: inout ByteBuffer) {
        switch value {
        case .text(let text):
            if isPlain(text) { line.append(text) } else { line.appendJSONString(Text(text)) }
        case .number(let number): line.append(String(number))
        case .real(let real): line.append(String(real))
        case .flag(let flag): line.append(flag ? "true" : "false")
        case .duration(let duration): line.append(DurationText.text(duration))
        }
    }

    private static func appendJSON(_ value: LogValue, to line: inout ByteBuffer) {
        switch value {
        case .text(let text): line.appendJSONString(Text(text))
        case .number(let number): line.append(String(number))
        case .real(let real):
            // JSON has no infinity.
            if real.isFinite { line.append(String(real)) } else { line.append("null") }
        case .flag(let flag): line.append(flag ? "true" : "false")
        case .duration(let duration):
            let (seconds, attoseconds) = duration.components
            line.append(String(Double(seconds) + Double(attoseconds) * 1e-18))
        }
    }

    /// Whether a value can stand in a text line as it is, told from the next field and from a quoted one. What is not ASCII
    /// is quoted: there are characters among it that end a line or that a terminal acts upon, and in quotes they are escaped.
    private static func isPlain(_ value: String) -> Bool {
        !value.isEmpty && value.utf8.allSatisfy { $0 > 0x20 && $0 != UInt8(ascii: "\"") && $0 < 0x7F }
    }
}
