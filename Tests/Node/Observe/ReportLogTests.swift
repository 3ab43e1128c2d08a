import ConvergeCRDT
import ConvergeGossip
import ConvergeWire
import Testing

@testable import ConvergeNode

@Suite("Lines that others can cause") struct ReportLogTests {
    private static let second: UInt64 = 1_000_000_000

    private static func log() -> ReportLog {
        ReportLog(log: Logger(level: .error, node: "n", sink: GatheringSink()))
    }

    /// How many lines come of so many reports, one each millisecond.
    private static func lines(_ report: CoreReport, count: Int, in log: inout ReportLog, from start: UInt64 = 0) -> Int
    {
        (0..<count).reduce(0) { $0 + log.lines(report, store: "", at: start + UInt64($1) * 1_000_000).count }
    }

    @Test("a stranger causes one line of a kind in ten seconds, which says how many were left out")
    func strangers() {
        for report in [CoreReport.peerViolation("x"), .twin, .renewalDoubted] {
            var log = Self.log()
            #expect(Self.lines(report, count: 9_999, in: &log) == 1)
            let next = log.lines(report, store: "", at: 10 * Self.second)
            #expect(next.first?.fields.last == LogField("left_out", 9_998))
        }
    }

    @Test(
        "a link that comes and goes a thousand times a second fills no log; a cluster that comes up has all its lines")
    func links() {
        let linked = CoreReport.peerLinked(ReplicaID(rawValue: 1), name: "n", address: "a:1")
        var log = Self.log()
        let atOnce = Self.lines(linked, count: 100, in: &log)
        let flood = Self.lines(linked, count: 20_000, in: &log, from: Self.second)
        let others = Self.lines(.peerUnlinked(ReplicaID(rawValue: 1), name: "n"), count: 1, in: &log)
        #expect(atOnce == 100 && flood == 10 && others == 1)
    }

    @Test("a node that is dead, or cut off, is told as a warning, with its name")
    func faulty() {
        for (state, level) in [(MemberState.faulty, LogLevel.warn), (.suspect, .info), (.alive, .info), (.left, .info)]
        {
            var log = Self.log()
            let report = CoreReport.memberChanged(ReplicaID(rawValue: 1), name: "node2", state)
            let line = log.lines(report, store: "", at: 0).first
            #expect(line?.level == level && line?.fields.contains(LogField("name", "node2")) == true)
        }
    }

    @Test("what only the node itself causes is always written")
    func own() {
        var log = Self.log()
        let lines = Self.lines(.storeUnavailable(.unreachable("gone"), retryIn: .seconds(2)), count: 1_000, in: &log)
        #expect(lines == 1_000)
    }

    @Test("after a rest the whole burst may be written again, and not more")
    func refills() {
        var budget = LineBudget(burst: 3, interval: 10)
        let times: [UInt64] = [0, 0, 0, 0, 0, 9, 10, 11, 1_000, 1_000, 1_000, 1_000]
        let left = times.map { budget.take("a", at: $0) }
        #expect(left == [0, 0, 0, nil, nil, nil, 3, nil, 1, 0, 0, nil])
        let other = budget.take("b", at: 1_000)
        #expect(other == 0)
    }
}
