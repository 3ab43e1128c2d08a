import ConvergeCRDT
import ConvergeWire
import Testing

@testable import ConvergeGossip

@Suite("Entries dated too far ahead")
struct HeldLogsTests {
    private static let own = ReplicaID(rawValue: 1)
    private static let far = ReplicaID(rawValue: 2)
    private static let near = ReplicaID(rawValue: 3)
    private static let day: UInt64 = 86_400_000
    private static let wall: UInt64 = 1_700_000_000_000

    /// A replicator with a link to `far` and to `near`, which asks and answers.
    private struct Bench {
        var replicator: Replicator
        var now: UInt64 = 1_000
        var wall = HeldLogsTests.wall
        var effects: [ReplicatorEffect] = []

        init(_ options: ReplicatorOptions = .init()) {
            replicator = Replicator(options: options) { _, entry in
                EntryHash(high: entry.dot.replica.rawValue, low: entry.dot.seq)
            }
            self(.started(replica: own, vector: VersionVector(), ends: [], floors: VersionVector()))
            self(.linked(far))
            self(.linked(near))
        }

        mutating func callAsFunction(_ event: ReplicatorEvent) {
            effects = []
            replicator.handle(event, at: now, wall: wall, into: &effects)
        }

        mutating func push(_ entries: [Entry], from peer: ReplicaID) {
            self(.frame(from: peer, .entries(entries, wantsStored: false)))
        }

        mutating func digest(_ dots: [Dot], from peer: ReplicaID, floors: [Dot] = []) {
            self(
                .frame(
                    from: peer,
                    .digest(
                        PeerDigest(
                            heads: dots.map { HeadDigest(dot: $0, hash: $0.replica.rawValue) }, floors: floors,
                            direct: [], presence: [], wall: wall))))
        }

        mutating func wait(_ milliseconds: UInt64) {
            now += milliseconds
            wall += milliseconds
            self(.tick)
        }

        var applied: [Dot] { effects.compactMap { if case .apply(let entry) = $0 { entry.dot } else { nil } } }
        var held: [Dot] { effects.compactMap { if case .heldAside(let dot, _) = $0 { dot } else { nil } } }
        var wants: [EntriesWant] {
            effects.compactMap { if case .send(_, .want(let want), _) = $0 { want } else { nil } }
        }
        var snapshotWants: [SnapshotWant] {
            effects.compactMap { if case .send(_, .snapshotWant(let want), _) = $0 { want } else { nil } }
        }
    }

    private static func entry(
        _ replica: ReplicaID, _ seq: UInt64, at milliseconds: UInt64 = wall, after: [Dot] = []
    ) -> Entry {
        var entry = Entry(
            dot: Dot(replica: replica, seq: seq), timestamp: HybridTimestamp(milliseconds: milliseconds),
            kind: .message, room: "r", payload: [1])
        entry.dependencies = after
        entry.hash = EntryHash(high: replica.rawValue, low: seq)
        return entry
    }

    @Test("a day ahead is borne, a millisecond more is held aside, and with it its log; the others go on")
    func held() {
        var bench = Bench()
        bench.push([Self.entry(Self.far, 1, at: Self.wall + Self.day)], from: Self.far)
        #expect(bench.applied == [Dot(replica: Self.far, seq: 1)])
        bench.push(
            [Self.entry(Self.far, 2, at: Self.wall + Self.day + 1), Self.entry(Self.far, 3, at: Self.wall)],
            from: Self.far)
        #expect(bench.applied.isEmpty && bench.held == [Dot(replica: Self.far, seq: 2)])
        bench.push([Self.entry(Self.far, 4, at: Self.wall)], from: Self.far)
        #expect(bench.applied.isEmpty && bench.held.isEmpty)
        #expect(bench.replicator.waiting.isEmpty && bench.replicator.counters.heldAside == 3)
        bench.push([Self.entry(Self.near, 1)], from: Self.near)
        #expect(bench.applied == [Dot(replica: Self.near, seq: 1)])
        #expect(bench.replicator.heldAside.map(\.dot) == [Dot(replica: Self.far, seq: 2)])
    }

    @Test("what depends on it is held, too, however it is dated; and what depends on that")
    func dependent() {
        var bench = Bench()
        bench.push([Self.entry(Self.far, 1, at: Self.wall * 2)], from: Self.far)
        bench.push([Self.entry(Self.near, 1, after: [Dot(replica: Self.far, seq: 1)])], from: Self.near)
        #expect(bench.held == [Dot(replica: Self.near, seq: 1)])
        let third = ReplicaID(rawValue: 4)
        bench.push([Self.entry(third, 1, after: [Dot(replica: Self.near, seq: 1)])], from: Self.near)
        #expect(bench.held == [Dot(replica: third, seq: 1)])
        #expect(bench.replicator.waiting.isEmpty && bench.replicator.applied.isEmpty)
    }

    @Test("it is asked for once a minute, and at once when its time has come")
    func pace() throws {
        var bench = Bench()
        let moment = Self.wall + Self.day + 200_000
        let dots = [Dot(replica: Self.far, seq: 1)]
        var asked = 0
        func answer(_ bench: inout Bench) {
            guard let want = bench.wants.first else { return }
            asked += 1
            #expect(want.ranges == [LogRange(replica: Self.far, after: 0, through: 1)])
            let entries = [Self.entry(Self.far, 1, at: moment)]
            bench(
                .frame(from: Self.near, .range(EntriesRange(number: want.number, status: .complete, entries: entries))))
            #expect(bench.wants.isEmpty)
        }
        bench(.unlinked(Self.far))
        bench.digest(dots, from: Self.near)
        answer(&bench)
        #expect(asked == 1)
        for _ in 0..<1_500 {
            bench.wait(100)
            answer(&bench)
        }
        // 150 s have passed.
        #expect((3...4).contains(asked))
        #expect(bench.replicator.applied.isEmpty)
        for _ in 0..<600 where bench.replicator.applied.isEmpty {
            bench.wait(100)
            answer(&bench)
        }
        #expect(bench.replicator.applied == VersionVector(dots))
        // It was taken at its time, and not up to a minute later.
        #expect(bench.wall - (moment - Self.day) < 2_000)
        #expect(bench.replicator.heldAside.isEmpty)
    }

    @Test("what nobody has any more is forgotten after a minute; what somebody has is not")
    func forgotten() {
        var bench = Bench()
        bench.push([Self.entry(Self.far, 1, at: Self.wall * 2)], from: Self.far)
        bench.digest([Dot(replica: Self.far, seq: 1)], from: Self.near)
        bench(.unlinked(Self.far))
        for _ in 0..<3 { bench.wait(50_000) }
        #expect(bench.replicator.heldAside.count == 1)
        bench.digest([], from: Self.near)
        for _ in 0..<3 { bench.wait(50_000) }
        #expect(bench.replicator.heldAside.isEmpty)
    }

    @Test("another entry under its number, dated rightly, lets the log go on")
    func corrected() {
        var bench = Bench()
        bench.push([Self.entry(Self.far, 1, at: Self.wall * 2)], from: Self.near)
        bench.push([Self.entry(Self.far, 1), Self.entry(Self.far, 2)], from: Self.far)
        #expect(bench.applied.count == 2 && bench.replicator.heldAside.isEmpty)
    }

    @Test("where an operator bears more, it is taken")
    func accepted() {
        var options = ReplicatorOptions()
        options.lead = 40 * 365 * Self.day
        var bench = Bench(options)
        bench.push([Self.entry(Self.far, 1, at: Self.wall + 39 * 365 * Self.day)], from: Self.far)
        #expect(bench.applied.count == 1)
        bench.push([Self.entry(Self.far, 2, at: Self.wall + 41 * 365 * Self.day)], from: Self.far)
        #expect(bench.applied.isEmpty && bench.held.count == 1)
    }

    @Test("a snapshot dated too far ahead is not taken in any of its pieces, and is asked for ever more seldom")
    func snapshot() throws {
        var bench = Bench()
        bench(.unlinked(Self.far))
        let head = Dot(replica: Self.far, seq: 9)
        var times: [UInt64] = []
        bench.digest([head], from: Self.near, floors: [Dot(replica: Self.far, seq: 9)])
        for round in 0..<60_000 {
            for want in bench.snapshotWants {
                times.append(bench.now)
                var chunk = SnapshotChunk(
                    number: want.number, status: round % 2 == 0 ? .final : .more, at: VersionVector([head]))
                if chunk.status == .final {
                    chunk.end = SnapshotEnd(
                        heads: [LogEnd(dot: head, hash: .zero)], floors: VersionVector([head]),
                        clock: HybridTimestamp(milliseconds: Self.wall * 2))
                } else {
                    chunk.keys = [
                        KeyPosition(
                            id: MessageID(high: 1, low: 1),
                            position: Self.entry(Self.far, 3, at: Self.wall * 2).position)
                    ]
                }
                bench(.frame(from: Self.near, .snapshotChunk(chunk)))
                #expect(
                    !bench.effects.contains {
                        switch $0 {
                        case .install, .stage, .reload: true
                        default: false
                        }
                    })
                #expect(bench.effects.contains { if case .heldSnapshot = $0 { true } else { false } })
            }
            bench.wait(100)
        }
        // 100 minutes: after 1, 2, 4, 8, 16, 32 minutes.
        let pauses = zip(times, times.dropFirst()).map { ($1 - $0) / 60_000 }
        #expect(pauses == [1, 2, 4, 8, 16, 32], "\(pauses)")
        // What is pushed meanwhile is taken.
        bench.push([Self.entry(Self.near, 1)], from: Self.near)
        #expect(bench.applied.count == 1)
    }

    @Test("a store that is shared is held to the same")
    func shared() throws {
        var bench = Bench()
        let end = LogEnd(dot: Dot(replica: Self.far, seq: 1), hash: EntryHash(high: 2, low: 1))
        bench(.unlinked(Self.far))
        bench(.sharedStore(ends: [end], floors: VersionVector()))
        guard case .askSharedStore(.want(let want))? = bench.effects.first else {
            Issue.record("nothing is asked")
            return
        }
        let range = EntriesRange(
            number: want.number, status: .complete, entries: [Self.entry(Self.far, 1, at: Self.wall * 2)])
        bench(.sharedStoreRead(range))
        #expect(bench.held == [end.dot] && bench.applied.isEmpty)
        for _ in 0..<50 {
            bench.now += 500
            bench(.sharedStore(ends: [end], floors: VersionVector()))
            #expect(bench.effects.isEmpty)
        }
    }

    @Test("however many logs are held, what is kept of them is bounded")
    func bounded() {
        var bench = Bench()
        for log in 10..<(20 + UInt64(HeldLogs.limit)) {
            bench.push([Self.entry(ReplicaID(rawValue: log), 1, at: Self.wall * 2)], from: Self.near)
        }
        #expect(bench.replicator.heldAside.count == HeldLogs.limit)
        #expect(bench.replicator.waiting.isEmpty && bench.replicator.applied.isEmpty)
    }
}
