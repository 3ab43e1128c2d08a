import ConvergeCRDT
import ConvergeWire
import Testing

@testable import ConvergeGossip

@Suite("A store that others write, as a peer")
struct ReplicatorSharedStoreTests {
    private static let own = ReplicaID(rawValue: 1)
    private static let other = ReplicaID(rawValue: 2)

    private static func entry(_ replica: ReplicaID, _ seq: UInt64) -> Entry {
        var entry = Entry(
            dot: Dot(replica: replica, seq: seq), timestamp: HybridTimestamp(rawValue: seq), kind: .message, room: "r",
            payload: [1])
        entry.hash = EntryHash(high: replica.rawValue, low: seq)
        return entry
    }

    private static func end(_ replica: ReplicaID, _ seq: UInt64, _ low: UInt64? = nil) -> LogEnd {
        LogEnd(dot: Dot(replica: replica, seq: seq), hash: EntryHash(high: replica.rawValue, low: low ?? seq))
    }

    /// Has stored two entries of its own log and one of another.
    private static func replicator() -> Replicator {
        var replicator = Replicator { _, entry in EntryHash(high: entry.dot.replica.rawValue, low: entry.dot.seq) }
        var effects: [ReplicatorEffect] = []
        replicator.handle(
            .started(
                replica: own, vector: VersionVector([Dot(replica: own, seq: 2), Dot(replica: other, seq: 1)]),
                ends: [end(own, 2), end(other, 1)], floors: VersionVector()), at: 0, wall: 0, into: &effects)
        return replicator
    }

    private static func handle(
        _ replicator: inout Replicator, _ event: ReplicatorEvent, at now: UInt64 = 0
    ) -> [ReplicatorEffect] {
        var effects: [ReplicatorEffect] = []
        replicator.handle(event, at: now, wall: now, into: &effects)
        return effects
    }

    @Test("what it has more is wanted of it and applied once; its word on the own log is not news")
    func wants() throws {
        var replicator = Self.replicator()
        let heads = ReplicatorEvent.sharedStore(
            ends: [Self.end(Self.own, 3), Self.end(Self.other, 3)], floors: .init())
        let asked = Self.handle(&replicator, heads)
        guard asked.count == 1, case .askSharedStore(.want(let want)) = asked[0] else {
            Issue.record("\(asked)")
            return
        }
        #expect(want.ranges == [LogRange(replica: Self.other, after: 1, through: 3)])
        #expect(Self.handle(&replicator, heads).isEmpty)
        let entries = [Self.entry(Self.other, 2), Self.entry(Self.other, 3)]
        let answer = EntriesRange(number: want.number, status: .complete, entries: entries)
        let applied = Self.handle(&replicator, .sharedStoreRead(answer))
        #expect(applied.count == 2 && replicator.applied[Self.other] == 3)
        #expect(Self.handle(&replicator, .sharedStoreRead(answer)).isEmpty)
    }

    @Test("it is told nothing, and no peer hears of it")
    func silent() {
        var replicator = Self.replicator()
        _ = Self.handle(&replicator, .sharedStore(ends: [Self.end(Self.other, 1)], floors: .init()))
        _ = Self.handle(&replicator, .linked(Self.other))
        #expect(replicator.direct == [Self.other])
        let entry = Self.entry(Self.own, 3)
        replicator.place(entry)
        var told: [ReplicaID] = []
        var asked = 0
        for effects in [
            Self.handle(&replicator, .stored([entry], wantsStored: false)),
            Self.handle(&replicator, .tick, at: 60_000),
        ] {
            for effect in effects {
                if case .send(let peer, _, _) = effect { told.append(peer) }
                if case .askSharedStore = effect { asked += 1 }
            }
        }
        #expect(asked == 0 && !told.isEmpty && told.allSatisfy { $0 == Self.other })
    }

    @Test("below its floor the whole is wanted, and another entry under a known number is told")
    func wholly() {
        var replicator = Self.replicator()
        let floors = VersionVector([Dot(replica: Self.other, seq: 5)])
        let effects = Self.handle(&replicator, .sharedStore(ends: [Self.end(Self.other, 9)], floors: floors))
        #expect(effects.contains { if case .askSharedStore(.snapshotWant) = $0 { true } else { false } })
        var again = Self.replicator()
        let forked = Self.handle(&again, .sharedStore(ends: [Self.end(Self.other, 1, 77)], floors: .init()))
        #expect(forked.contains { if case .forked(Self.other, 1, .sharedStore) = $0 { true } else { false } })
    }
}
