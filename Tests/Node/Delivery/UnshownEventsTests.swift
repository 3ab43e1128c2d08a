import ConvergeCRDT
import Testing

@testable import ConvergeNode

@Suite("Events that a room was handed and not shown") struct UnshownEventsTests {
    private static let a = ReplicaID(rawValue: 0xA)
    private static let b = ReplicaID(rawValue: 0xB)
    private static let c = ReplicaID(rawValue: 0xC)

    private func vector(_ a: UInt64, _ b: UInt64, _ c: UInt64 = 0) -> VersionVector {
        VersionVector(
            [Dot(replica: Self.a, seq: a), Dot(replica: Self.b, seq: b), Dot(replica: Self.c, seq: c)]
                .filter { $0.seq > 0 })
    }

    private func shown(
        _ events: UnshownEvents, since entered: VersionVector, cursor: VersionVector = VersionVector()
    ) -> Feed.Shown {
        Feed.Shown(since: entered, position: vector(9, 9, 9), feed: nil, cursor: cursor, unshown: events)
    }

    @Test("one whose twin came before the session is on the page")
    func twinBefore() {
        var events = UnshownEvents()
        let dot = Dot(replica: Self.b, seq: 5)
        events.note(dot, twin: Dot(replica: Self.a, seq: 3))
        #expect(!shown(events, since: vector(4, 4)).covers(dot))
        // The session was there for the twin, or has seen it on another node.
        #expect(shown(events, since: vector(2, 4)).covers(dot))
        #expect(shown(events, since: vector(4, 4), cursor: vector(3, 0)).covers(dot))
        // All others came live.
        #expect(shown(events, since: vector(4, 4)).covers(Dot(replica: Self.b, seq: 6)))
        // It came before the session too.
        #expect(!shown(events, since: vector(4, 5)).covers(dot))
        #expect(shown(events, since: vector(4, 5)).unshown.isEmpty)
    }

    @Test("one without a known twin is on the page")
    func unknownTwin() {
        var events = UnshownEvents()
        events.note(Dot(replica: Self.b, seq: 5), twin: nil)
        #expect(!shown(events, since: vector(0, 0)).covers(Dot(replica: Self.b, seq: 5)))
    }

    @Test("of three the last has the first as its twin, which alone was shown")
    func three() {
        var events = UnshownEvents()
        let (first, second, third) = (
            Dot(replica: Self.a, seq: 3), Dot(replica: Self.b, seq: 5), Dot(replica: Self.c, seq: 7)
        )
        events.note(second, twin: first)
        events.note(third, twin: second)
        #expect(!shown(events, since: vector(4, 4, 4)).covers(third))
        #expect(shown(events, since: vector(2, 4, 4)).covers(third))
    }

    @Test("too many are forgotten, and then shown rather than left out")
    func bound() {
        var events = UnshownEvents()
        for seq in 1...UInt64(UnshownEvents.limit + 1) {
            events.note(Dot(replica: Self.b, seq: seq), twin: Dot(replica: Self.a, seq: 1))
        }
        #expect(events.events.count == UnshownEvents.limit)
        let shown = Feed.Shown(
            since: vector(0, 0), position: vector(9, 900), feed: nil, unshown: events)
        let question = Feed.Question(
            number: 1, purpose: .resume, cursor: VersionVector(), shown: shown, position: VersionVector())
        #expect(question.wants(Dot(replica: Self.b, seq: 1), isSystem: true))
        #expect(!question.wants(Dot(replica: Self.b, seq: 1)))
        #expect(!question.wants(Dot(replica: Self.b, seq: 900), isSystem: true))
    }

    @Test("what a slow client was fed is not among them")
    func fed() {
        var events = UnshownEvents()
        let dot = Dot(replica: Self.b, seq: 5)
        events.note(dot, twin: nil)
        events.feed([nil, dot, Dot(replica: Self.a, seq: 5)], to: 7)
        #expect(shown(events.except(fedTo: 7), since: vector(0, 0)).covers(dot))
        #expect(!shown(events.except(fedTo: 8), since: vector(0, 0)).covers(dot))
        // The number may be another's from here on.
        events.forget(7)
        #expect(!shown(events.except(fedTo: 7), since: vector(0, 0)).covers(dot))
    }
}
