import ConvergeWire
import Foundation
import Testing

@testable import ConvergeNode

@Suite("Logger") struct LoggerTests {
    private func line(_ format: LogFormat, _ event: String, _ fields: [(String, String)], node: Text = "n1") -> String {
        let logger = Logger(level: .info, format: format, node: node)
        let line = logger.line(.warn, event, fields, at: 1_700_000_000_123)
        return String(decoding: line.bytes, as: UTF8.self)
    }

    @Test("a text line has time, level, event, then fields, quoted where they must be")
    func text() {
        #expect(
            line(.text, "listening", [("port", "80"), ("host", "a b"), ("empty", ""), ("quote", "\"")])
                == #"2023-11-14T22:13:20.123Z WARN listening node=n1 port=80 host="a b" empty="" quote="\"""# + "\n")
    }

    @Test("a JSON line is one object")
    func json() throws {
        let line = line(.json, "listening", [("host", "a\"b\\c\n")])
        let object = try #require(JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: String])
        #expect(
            object == [
                "time": "2023-11-14T22:13:20.123Z", "level": "warn", "event": "listening", "node": "n1",
                "host": "a\"b\\c\n",
            ])
    }

    @Test("no value, and no node's name, makes a second line or a control sequence", arguments: LogFormat.allCases)
    func injection(_ format: LogFormat) {
        for nasty in ["a\nERROR forged", "\r\n", "a\u{1b}[2J", "\u{7f}", "\0", "a\u{0b}b\u{0c}c"] {
            let line = line(format, "event", [("value", nasty)], node: Text(nasty))
            let ends = line.unicodeScalars.filter { $0.value < 0x20 }
            #expect(ends.elementsEqual(["\n"]) && line.hasSuffix("\n"), "\(nasty.debugDescription)")
        }
    }
}
