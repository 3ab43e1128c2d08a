import ConvergeCRDT
import ConvergeGossip
import Testing

@testable import ConvergeNode

@Suite("Standing") struct StandingTests {
    private static let one = ReplicaID(rawValue: 1)
    private static let other = ReplicaID(rawValue: 2)

    private static func vector(_ first: UInt64, _ second: UInt64) -> VersionVector {
        VersionVector([Dot(replica: one, seq: first), Dot(replica: other, seq: second)])
    }

    /// Whoever is fed and comes back to the live stream in a turn may be taken off it in the same turn: it has been shown more
    /// than was handed out when that turn began.
    @Test(
        "who is taken off the live stream goes on from the turn's beginning, what pages have shown it, and what it was sent"
    )
    func offLive() {
        var standing = Standing(at: Self.vector(3, 3))
        standing.rejoin(at: Self.vector(9, 4))
        func cursor(_ planted: PlantedFaults) -> VersionVector {
            standing.offLive(
                turnStart: Self.vector(5, 5), since: Self.vector(2, 6), sent: [Dot(replica: Self.other, seq: 7)],
                planted: planted)
        }
        #expect(cursor([]) == Self.vector(9, 7))
        // No seed is known that shows this mistake.
        #expect(cursor(.baseLeftOut) == Self.vector(5, 7))
    }

    @Test("what a resume has shown is the standing from there on, and what goes back is not shown again")
    func resumed() {
        var standing = Standing(at: Self.vector(3, 3))
        standing.resumed(to: Self.vector(8, 2))
        #expect(standing.handed(at: Self.vector(4, 4)) == Self.vector(8, 4))
        standing.keep(Self.vector(8, 5))
        #expect(standing.hasBeenHanded(Dot(replica: Self.other, seq: 5)))
        #expect(!standing.hasBeenHanded(Dot(replica: Self.other, seq: 6)))
    }
}
