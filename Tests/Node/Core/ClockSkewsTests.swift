import ConvergeCRDT
import ConvergeGossip
import Testing

@testable import ConvergeNode

@Suite("Clock skews")
struct ClockSkewsTests {
    private static let day: UInt64 = 86_400_000
    private static let now: UInt64 = 1_700_000_000_000
    private static let monotonic: UInt64 = 5_000

    private static func peer(_ number: UInt64) -> LogSource { .node(ReplicaID(rawValue: number + 1)) }

    private static func skews(_ walls: [UInt64]) -> ClockSkews {
        var skews = ClockSkews()
        for (index, wall) in walls.enumerated().reversed() {
            skews.note(peer(UInt64(index)), wall: wall, at: monotonic)
        }
        return skews
    }

    private static func median(_ skews: ClockSkews) -> Int64? { skews.median(wall: now, at: monotonic) }

    @Test("nobody else's clock is no median")
    func alone() { #expect(Self.median(ClockSkews()) == nil) }

    @Test("one wrong clock among three nodes is far from the median of that node only", arguments: [true, false])
    func oneOfThree(_ isAhead: Bool) {
        let wrong = isAhead ? Self.now + 2 * Self.day : Self.now - 2 * Self.day
        #expect(Self.median(Self.skews([Self.now, wrong])) == 0)
        let off = isAhead ? Self.now - 2 * Self.day : Self.now + 2 * Self.day
        #expect(Self.median(Self.skews([off, off + 5])).map { $0.magnitude > Self.day } == true)
    }

    @Test("the latest word of each counts, the shared store's among them, and none of who has gone")
    func latest() {
        var skews = Self.skews([Self.now + 3 * Self.day])
        skews.note(Self.peer(0), wall: Self.now + 7, at: Self.monotonic)
        #expect(Self.median(skews) == 7)
        skews.note(.sharedStore, wall: Self.now + 3, at: Self.monotonic)
        #expect(Self.median(skews) == 3)
        #expect(skews.skew(of: Self.peer(0), wall: Self.now, at: Self.monotonic) == 7)
        skews.forget(Self.peer(0))
        skews.forget(.sharedStore)
        #expect(Self.median(skews) == nil)
    }

    @Test("time that passes changes nothing, one's own clock being set does, before anybody tells the time again")
    func set() {
        let skews = Self.skews([Self.now])
        #expect(skews.median(wall: Self.now + 60_000, at: Self.monotonic + 60_000) == 0)
        #expect(skews.median(wall: Self.now + 3 * Self.day, at: Self.monotonic) == -3 * Int64(Self.day))
    }

    @Test("a wall time that no clock has is far off, and does not overflow")
    func extreme() {
        #expect(Self.median(Self.skews([.max])).map { $0.magnitude > Self.day } == true)
        var skews = ClockSkews()
        skews.note(Self.peer(1), wall: 0, at: .max)
        #expect(skews.median(wall: .max, at: 0).map { $0.magnitude > Self.day } == true)
    }
}
