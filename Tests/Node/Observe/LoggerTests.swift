import ConvergeTransport
import ConvergeWire
import Glibc
import Testing

@testable import ConvergeNode

@Suite("Logger") struct LoggerTests {
    private static let small = LogBacklog.Limits(records: 8, bytes: 1 << 20)

    @Test("records reach the sink in order, with the node's name first, and all of them when it is closed")
    func inOrder() throws {
        let sink = GatheringSink()
        let log = Logger(level: .info, node: "n1", sink: sink)
        log.write(.info, "before the start", ("number", 0))
        try log.start()
        for number in 1...100 { log.write(.info, "event", ("number", number)) }
        #expect(log.close(within: .seconds(10)))
        #expect(sink.records.map(\.fields) == (0...100).map { [LogField("node", "n1"), LogField("number", $0)] })
        #expect(log.dropped.current == 0)
    }

    @Test("below the level nothing is written, nor are its fields made; the level changes while it runs")
    func level() throws {
        let sink = GatheringSink()
        let log = Logger(level: .info, node: "n1", sink: sink)
        try log.start()
        var made = 0
        func field() -> Int {
            made += 1
            return made
        }
        log.debug("hidden", [("number", field())])
        log.setLevel(.debug)
        log.debug("shown", [("number", field())])
        log.setLevel(.error)
        log.write(.warn, "hidden")
        log.write(.error, "shown, too")
        #expect(log.level == .error)
        log.close(within: .seconds(10))
        #expect(sink.records.map(\.event) == ["shown", "shown, too"])
        #expect(made == 1)
    }

    @Test("a sink that is stuck holds nobody up: what finds no room is dropped, counted, and told when there is room")
    func stuck() throws {
        let sink = GatheringSink(isHeld: true)
        let log = Logger(level: .info, node: "n1", sink: sink, limits: Self.small)
        try log.start()
        log.write(.info, "the first")
        #expect(sink.waitUntilAsked())
        for number in 1...1_000 { log.write(.info, "flood", ("number", number)) }
        #expect(log.depth == 6 && log.dropped.current == 994)
        log.write(.error, "why", ("number", 1))
        log.write(.error, "why", ("number", 2))
        log.write(.error, "why", ("number", 3))
        #expect(log.depth == 8 && log.dropped.current == 995)
        sink.letGo()
        #expect(sink.waitForRecords(10))
        log.write(.info, "after")
        log.close(within: .seconds(10))
        let events = sink.records.map(\.event)
        try #require(
            events == ["the first"] + Array(repeating: "flood", count: 6) + [
                "why", "why", "log lines dropped", "after",
            ])
        #expect(sink.records[9].fields == [LogField("node", "n1"), LogField("lines", 995)])
        #expect(sink.records[9].level == .warn)
    }

    @Test("closing does not wait longer than it is told to for a sink that is stuck")
    func closing() throws {
        let sink = GatheringSink(isHeld: true)
        let log = Logger(level: .info, node: "n1", sink: sink, limits: Self.small)
        try log.start()
        log.write(.info, "never read")
        #expect(!log.close(within: .milliseconds(20)))
        log.write(.info, "too late")
        #expect(log.dropped.current == 1)
        sink.letGo()
        #expect(log.close(within: .seconds(10)))
    }

    @Test("what the sink loses is counted, and told with the next line that gets through")
    func lost() throws {
        let sink = GatheringSink()
        let log = Logger(level: .info, node: "n1", sink: sink)
        try log.start()
        sink.lose(true)
        log.write(.info, "lost")
        while log.dropped.current == 0 { sched_yield() }
        sink.lose(false)
        log.write(.info, "shown")
        log.close(within: .seconds(10))
        #expect(sink.records.map(\.event) == ["shown", "log lines dropped"])
        #expect(sink.records.last?.fields.last == LogField("lines", 1))
    }

    @Test("standard error is written to its end, also through a pipe that another process made non-blocking")
    func pipe() throws {
        var ends: [Int32] = [-1, -1]
        #expect(Glibc.pipe(&ends) == 0)
        defer { for end in ends { close(end) } }
        _ = fcntl(ends[1], F_SETFL, O_NONBLOCK)
        let log = Logger(level: .info, node: "n1", sink: StandardErrorSink(format: .text, descriptor: ends[1]))
        try log.start()
        let count = 2_000
        for number in 0..<count { log.write(.info, "event", ("number", number)) }
        var read: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        var lines = 0
        while lines < count {
            let taken = Glibc.read(ends[0], &buffer, buffer.count)
            guard taken > 0 else { break }
            lines += buffer[..<taken].count { $0 == UInt8(ascii: "\n") }
            read += buffer[..<taken]
        }
        #expect(log.close(within: .seconds(10)))
        let text = String(decoding: read, as: UTF8.self).split(separator: "\n")
        #expect(text.count == count && log.dropped.current == 0)
        #expect(text.enumerated().allSatisfy { $1.hasSuffix(" INFO event node=n1 number=\($0)") })
    }

    @Test("what can't be written is lost and counted, and nobody is held up by it")
    func unwritable() throws {
        let full = open("/dev/full", O_WRONLY | O_CLOEXEC)
        defer { close(full) }
        let log = Logger(level: .info, node: "n1", sink: StandardErrorSink(format: .json, descriptor: full))
        try log.start()
        for _ in 0..<100 { log.write(.info, "event") }
        #expect(log.close(within: .seconds(10)))
        #expect(log.dropped.current == 100)
    }
}
