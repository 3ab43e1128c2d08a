import Testing

@testable import ConvergeNode

@Suite("Log backlog") struct LogBacklogTests {
    private static func record(_ level: LogLevel, _ text: String = "") -> LogRecord {
        LogRecord(time: 0, level: level, event: "event", fields: [LogField("text", text)])
    }

    @Test("it is bounded in records; the last quarter is for warnings and errors")
    func records() {
        var backlog = LogBacklog(.init(records: 100, bytes: 1 << 20))
        let chatter = (0..<200).count { _ in backlog.put(Self.record(.info)) }
        let grave = (0..<200).count { _ in backlog.put(Self.record(.warn)) }
        #expect(chatter == 75 && grave == 25 && backlog.count == 100)
        let taken = backlog.takeAll()
        #expect(taken.records.count == 100 && taken.dropped == 300)
        let again = backlog.put(Self.record(.debug))
        #expect(again)
    }

    @Test("it is bounded in bytes, whatever a line's length is")
    func bytes() {
        var backlog = LogBacklog(.init(records: 1_000_000, bytes: 1 << 20))
        let long = String(repeating: "x", count: 10_000)
        let taken = (0..<1_000).count { _ in backlog.put(Self.record(.error, long)) }
        #expect((90...105).contains(taken))
        _ = backlog.takeAll()
        let never = backlog.put(Self.record(.error, String(repeating: "x", count: 2 << 20)))
        #expect(!never && !backlog.isEmpty)
    }
}
