import ConvergeCRDT
import Testing

@testable import ConvergeNode

@Suite("What the clocks let a node do")
struct ClockStandingTests {
    private static let wall: UInt64 = 1_700_000_000_000
    private static let day = HybridClock.tolerance

    private static func judge(
        ahead: UInt64, median: Int64? = nil, lead: UInt64 = day, hasPeers: Bool = true
    ) -> ClockStanding {
        ClockStanding.judge(
            HybridTimestamp(milliseconds: wall + ahead), wall: wall, median: median, lead: lead, hasPeers: hasPeers)
    }

    @Test("up to a day ahead of one's own clock is right, and so is anything behind it")
    func right() {
        #expect(Self.judge(ahead: Self.day) == .right)
        #expect(ClockStanding.judge(.zero, wall: Self.wall, median: nil, lead: Self.day, hasPeers: true) == .right)
    }

    @Test("further ahead is refused where others would hold it aside; alone it is told")
    func ahead() {
        #expect(Self.judge(ahead: Self.day + 1) == .ahead(Self.day + 1, refuses: true))
        #expect(Self.judge(ahead: Self.day + 1, hasPeers: false) == .ahead(Self.day + 1, refuses: false))
        #expect(Self.judge(ahead: Self.day + 1, lead: 2 * Self.day) == .ahead(Self.day + 1, refuses: false))
    }

    @Test("where no dates are left nothing is written, alone or not, however early that is")
    func spent() {
        let last = ClockStanding.judge(.last, wall: Self.wall, median: nil, lead: .max, hasPeers: false)
        #expect(!last.mayWrite)
        let wall = HybridTimestamp.last.milliseconds
        #expect(!ClockStanding.judge(.zero, wall: wall, median: nil, lead: .max, hasPeers: false).mayWrite)
        #expect(!ClockStanding.judge(.zero, wall: .max, median: nil, lead: .max, hasPeers: false).mayWrite)
    }

    @Test("a wall clock more than a day from the others' comes first, in either direction")
    func skewed() {
        #expect(Self.judge(ahead: 0, median: 86_400_000) == .right)
        #expect(Self.judge(ahead: 3 * Self.day, median: 86_400_001) == .skewed(86_400_001))
        #expect(Self.judge(ahead: 0, median: -86_400_001) == .skewed(-86_400_001))
        #expect(Self.judge(ahead: 0, median: .min) == .skewed(.min))
    }
}
