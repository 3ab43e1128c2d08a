import ConvergeTestSupport
import ConvergeCRDT
import ConvergeWire
import Testing

@testable import ConvergeGossip

@Suite("Waiting room")
struct WaitingRoomTests {
    private static func entry(_ replica: UInt64, _ seq: UInt64, time: UInt64, bytes: Int = 4) -> Entry {
        Entry(
            dot: Dot(replica: ReplicaID(rawValue: replica), seq: seq), timestamp: HybridTimestamp(rawValue: time),
            kind: .message, room: "r", payload: [UInt8](repeating: 1, count: bytes))
    }

    /// As `insert`; a value that changes can't stand inside an expectation.
    private static func insert(_ entry: Entry, _ room: inout WaitingRoom) -> Bool { room.insert(entry, at: 9) }

    @Test("entries of a log come out in the order of the log, however they came in")
    func order() {
        var room = WaitingRoom(limit: 10, byteLimit: 10_000)
        for seq in [5, 3, 9, 4] as [UInt64] { _ = room.insert(Self.entry(1, seq, time: seq), at: 0) }
        _ = room.insert(Self.entry(2, 7, time: 1), at: 0)
        var seqs: [UInt64] = []
        while let first = room.first(of: ReplicaID(rawValue: 1)) {
            seqs.append(first.dot.seq)
            room.removeFirst(of: first.dot.replica)
        }
        #expect(seqs == [3, 4, 5, 9])
        #expect(room.replicas == [ReplicaID(rawValue: 2)] && room.count == 1)
    }

    @Test("the same entry twice is one, and drives nobody out of a full room")
    func twice() {
        var room = WaitingRoom(limit: 3, byteLimit: 10_000)
        for seq in 2...4 as ClosedRange<UInt64> { _ = room.insert(Self.entry(1, seq, time: seq), at: 0) }
        let bytes = room.byteCount
        let isKept1 = Self.insert(Self.entry(1, 2, time: 2), &room)
        #expect(isKept1)
        #expect(room.count == 3 && room.byteCount == bytes && room.overflowed == 0)
    }

    @Test("from a full room the entry with the highest position goes, of whichever log, the new one too")
    func farthest() {
        var room = WaitingRoom(limit: 3, byteLimit: 10_000)
        _ = room.insert(Self.entry(1, 2, time: 20), at: 0)
        _ = room.insert(Self.entry(2, 2, time: 40), at: 0)
        _ = room.insert(Self.entry(3, 2, time: 30), at: 0)
        let isKept2 = Self.insert(Self.entry(1, 3, time: 50), &room)
        #expect(!isKept2)
        #expect(room.count == 3)
        let isKept3 = Self.insert(Self.entry(4, 1, time: 10), &room)
        #expect(isKept3)
        #expect(room.replicas.map(\.rawValue) == [1, 3, 4])
        #expect(room.overflowed == 2)
    }

    @Test("bytes are bounded, too: a large entry drives out as many as it needs, and never fits a room too small")
    func bytes() {
        let size = Self.entry(1, 1, time: 1).waitingBytes
        var room = WaitingRoom(limit: 100, byteLimit: size * 4)
        for seq in 2...5 as ClosedRange<UInt64> { _ = room.insert(Self.entry(1, seq, time: 100 + seq), at: 0) }
        #expect(room.byteCount == size * 4)
        let isKept4 = Self.insert(Self.entry(2, 2, time: 1, bytes: 4 + 2 * size - 10), &room)
        #expect(isKept4)
        #expect(room.byteCount <= size * 4 && room.count == 2, "\(room.count)")
        let isKept5 = Self.insert(Self.entry(3, 2, time: 0, bytes: size * 5), &room)
        #expect(!isKept5)
    }

    @Test("what has waited too long goes, whatever stands before or behind it")
    func expiry() {
        var room = WaitingRoom(limit: 10, byteLimit: 10_000)
        _ = room.insert(Self.entry(1, 2, time: 2), at: 50)
        _ = room.insert(Self.entry(1, 3, time: 3), at: 10)
        _ = room.insert(Self.entry(1, 4, time: 4), at: 60)
        _ = room.insert(Self.entry(2, 2, time: 4), at: 10)
        room.expire(before: 50)
        #expect(room.count == 2 && room.expired == 2 && room.replicas.count == 1)
        #expect(room.first(of: ReplicaID(rawValue: 1))?.dot.seq == 2)
    }

    @Test(
        "random comings and goings keep the counts, the bounds and the order", arguments: 1...20 as ClosedRange<UInt64>)
    func random(_ seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var room = WaitingRoom(limit: 20, byteLimit: 3_000)
        var model: [Dot: (entry: Entry, since: UInt64)] = [:]
        var faults = 0
        for step in 0..<400 as Range<UInt64> {
            switch random.below(10) {
            case ..<7:
                let seq = UInt64(1 + random.below(30))
                let entry = Self.entry(UInt64(1 + random.below(4)), seq, time: seq * 10, bytes: random.below(200))
                if model[entry.dot] != nil {
                    if !room.insert(entry, at: step) { faults += 1 }
                    break
                }
                let isKept = room.insert(entry, at: step)
                model[entry.dot] = (entry, step)
                // The farthest go until the rest fits.
                while model.count > 20 || model.values.reduce(0, { $0 + $1.entry.waitingBytes }) > 3_000 {
                    let last = model.values.max { $0.entry.position < $1.entry.position }!
                    model[last.entry.dot] = nil
                }
                if isKept != (model[entry.dot] != nil) { faults += 1 }
            case 7:
                var vector = VersionVector()
                for replica in 1...4 as ClosedRange<UInt64> {
                    vector[ReplicaID(rawValue: replica)] = UInt64(random.below(8))
                }
                room.drop(coveredBy: vector)
                model = model.filter { !vector.covers($0.key) }
            case 8:
                room.expire(before: step - min(step, 60))
                model = model.filter { $0.value.since >= step - min(step, 60) }
            default:
                let replica = ReplicaID(rawValue: UInt64(1 + random.below(4)))
                let first = model.keys.filter { $0.replica == replica }.min()
                if room.first(of: replica)?.dot != first { faults += 1 }
                room.removeFirst(of: replica)
                if let first { model[first] = nil }
            }
            if room.count != model.count { faults += 1 }
            if room.byteCount != model.values.reduce(0, { $0 + $1.entry.waitingBytes }) { faults += 1 }
        }
        #expect(faults == 0, "seed \(seed)")
    }
}
