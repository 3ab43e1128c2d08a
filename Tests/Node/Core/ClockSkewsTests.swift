import ConvergeCRDT
import Testing

@testable import ConvergeNode

@Suite("Clock skews")
struct ClockSkewsTests {
    private static let day: UInt64 = 86_400_000
    private static let now: UInt64 = 1_700_000_000_000

    private static func skews(_ walls: [UInt64]) -> ClockSkews {
        var skews = ClockSkews()
        for (index, wall) in walls.enumerated().reversed() {
            skews.note(ReplicaID(rawValue: UInt64(index)), wall: wall, here: now)
        }
        return skews
    }

    @Test("a node alone may write")
    func alone() { #expect(ClockSkews().isTolerable && ClockSkews().median == nil) }

    @Test("a day off the only peer is still borne, more is not, in either direction")
    func bound() {
        #expect(Self.skews([Self.now + Self.day]).isTolerable)
        #expect(!Self.skews([Self.now + Self.day + 1]).isTolerable)
        #expect(Self.skews([Self.now - Self.day]).isTolerable)
        #expect(!Self.skews([Self.now - Self.day - 1]).isTolerable)
    }

    @Test("one wrong clock among three nodes stops that node only", arguments: [true, false])
    func oneOfThree(_ isAhead: Bool) {
        let wrong = isAhead ? Self.now + 2 * Self.day : Self.now - 2 * Self.day
        #expect(Self.skews([Self.now, wrong]).isTolerable)
        let off = isAhead ? Self.now - 2 * Self.day : Self.now + 2 * Self.day
        #expect(!Self.skews([off, off + 5]).isTolerable)
    }

    @Test("the latest word of each peer counts, and none of who has gone")
    func latest() {
        var skews = Self.skews([Self.now + 3 * Self.day])
        skews.note(ReplicaID(rawValue: 0), wall: Self.now + 7, here: Self.now)
        #expect(skews.median == 7)
        skews.forget(ReplicaID(rawValue: 0))
        #expect(skews.median == nil)
    }

    @Test("a wall time that no clock has is far off, and does not overflow")
    func extreme() {
        #expect(!Self.skews([.max]).isTolerable)
        var skews = ClockSkews()
        skews.note(ReplicaID(rawValue: 1), wall: 0, here: .max)
        #expect(!skews.isTolerable)
    }
}
