import ConvergeWire
import Foundation
import Testing

@testable import ConvergeNode

@Suite("Log lines") struct LogLineTests {
    private func line(_ format: LogFormat, _ event: String, _ fields: [(String, any LogValueConvertible)]) -> String {
        var line = ByteBuffer()
        let record = LogRecord(
            time: 1_700_000_000_123, level: .warn, event: event, fields: fields.map { LogField($0, $1) })
        LogLine.append(record, format, to: &line)
        return String(decoding: line.bytes, as: UTF8.self)
    }

    @Test("a text line has time, level, event, then fields, quoted where they must be")
    func text() {
        #expect(
            line(
                .text, "listening",
                [
                    ("port", 80), ("host", "a b"), ("empty", ""), ("quote", "\""), ("tls", false), ("share", 0.5),
                    ("wait", Duration.milliseconds(1_500)), ("ahead", Duration.zero - .seconds(90)),
                ])
                == "2023-11-14T22:13:20.123Z WARN listening "
                + #"port=80 host="a b" empty="" quote="\"" tls=false share=0.5 wait=1.5s ahead=-1m30s"# + "\n")
    }

    @Test("a JSON line is one object, in which numbers are numbers and truth is truth")
    func json() throws {
        let line = line(
            .json, "listening",
            [
                ("host", "a\"b\\c\n"), ("port", UInt16(80)), ("tls", true), ("share", 0.5), ("none", Double.infinity),
                ("wait", Duration.milliseconds(1_500)), ("ahead", Duration.zero - .seconds(90)), ("huge", UInt64.max),
            ])
        let fields =
            #""host":"a\"b\\c\n","port":80,"tls":true,"share":0.5,"none":null,"wait":1.5,"ahead":-90.0,"#
            + #""huge":"18446744073709551615""#
        #expect(
            line == #"{"time":"2023-11-14T22:13:20.123Z","level":"warn","event":"listening","# + fields + "}\n")
        _ = try #require(JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
    }

    @Test("no value, and no node's name, makes a second line or a control sequence", arguments: LogFormat.allCases)
    func injection(_ format: LogFormat) {
        for nasty in ["a\nERROR forged", "\r\n", "a\u{1b}[2J", "\u{7f}", "\0", "a\u{0b}b\u{0c}c"] {
            let line = line(format, "event", [("node", nasty), ("value", nasty)])
            let ends = line.unicodeScalars.filter { $0.value < 0x20 }
            #expect(ends.elementsEqual(["\n"]) && line.hasSuffix("\n"), "\(nasty.debugDescription)")
        }
    }
}
