// The contract of what mends a fork: a peer's state in the place of one's own, and what was only here on top.

import ConvergeCRDT
import ConvergeStorage
import ConvergeWire
import Testing

@Suite("Store contract: reloading after a fork")
struct StoreReloadTests {
    private static let document = DocumentID(room: "room", kind: .orSet, name: "doc")
    private static let counter = DocumentID(room: "room", kind: .counter, name: "sum")

    /// A log in which each entry says what a core would make of it.
    private struct Writer {
        var log: TestLog
        var batch = Batch()
        /// Entries of one dot differ by this.
        var side: UInt64 = 0

        init(_ replica: ReplicaID) { log = TestLog(replica) }

        mutating func take(_ entry: Entry, _ payload: [UInt8], _ effects: (Entry) -> [StoreEffect]) -> Entry {
            var entry = entry
            entry.payload = payload
            entry.hash.high ^= side
            batch.entries.append(entry)
            batch.effects += effects(entry)
            return entry
        }

        @discardableResult
        mutating func say(_ body: String, at time: UInt64, after dependencies: [Dot] = []) -> Entry {
            let payload = MessagePayload(user: "u", displayName: "U", body: Array(body.utf8))
            var entry = log.entry(at: time)
            entry.dependencies = dependencies
            return take(entry, payload.encoded) { _ in [] }
        }

        mutating func add(_ element: Text, at time: UInt64) {
            let payload = DocumentPayload(
                name: "doc", user: "u", displayName: "U", delta: .add(element: element, replacing: []))
            _ = take(log.entry(at: time, kind: .document), payload.encoded) {
                [
                    .insert(document, element: element, dot: $0.dot, timestamp: $0.timestamp, replacing: []),
                    .touch(document, $0.dot),
                ]
            }
        }

        mutating func remove(_ element: Text, _ observed: Dot, at time: UInt64) {
            let payload = DocumentPayload(
                name: "doc", user: "u", displayName: "U", delta: .remove(element: element, observed: [observed]))
            _ = take(log.entry(at: time, kind: .document), payload.encoded) {
                [.delete(document, element: element, dots: [observed]), .touch(document, $0.dot)]
            }
        }

        mutating func count(_ amount: Int64, total: UInt64, at time: UInt64) {
            let totals = CounterTotals(up: total)
            let payload = DocumentPayload(
                name: "sum", user: "u", displayName: "U", delta: .count(amount: amount, totals: totals))
            _ = take(log.entry(at: time, kind: .document), payload.encoded) {
                [.count(counter, totals, dot: $0.dot, timestamp: $0.timestamp), .touch(counter, $0.dot)]
            }
        }

        mutating func taken() -> Batch {
            defer { batch = Batch() }
            return batch
        }
    }

    private func snapshot(of store: FreshStore) throws -> SnapshotChunk {
        let none = VersionVector()
        let chunk = try store.reader().snapshot(
            SnapshotWant(number: 1, have: none, since: none, reached: none, after: nil, limit: 1 << 30))
        #expect(chunk.status == .final)
        return chunk
    }

    private func bodies(_ store: FreshStore) throws -> [String] {
        try store.reader().history(room: "room", before: nil, limit: 99).map { entry in
            let payload = entry.payload.withUnsafeBytes { try? MessagePayload(decoding: $0) }
            return payload.map { String(decoding: $0.body, as: UTF8.self) } ?? "?"
        }
    }

    @Test(
        "the losing side of a fork stands under another name, all else stays",
        arguments: [StoreUnderTest.memory, .sqlite])
    func reload(_ kind: StoreUnderTest) throws {
        let winner = try kind.make()
        let losers = [try kind.make(), try kind.make()]
        var common = Writer(.a)
        common.say("one", at: 10)
        common.count(3, total: 3, at: 11)
        let shared = common.taken()
        let (first, _) = try winner.open(.test(fresh: .c))
        try first.append(shared)
        var longer = common
        longer.say("kept", at: 30)
        longer.add("x", at: 31)
        longer.count(1, total: 4, at: 32)
        try first.append(longer.taken())
        // One has all of the other side, the second the beginning of it.
        var ends: [Recovered] = []
        for (index, loser) in losers.enumerated() {
            let (writer, _) = try loser.open(.test(fresh: .b))
            try writer.append(shared)
            var other = common
            other.side = 1
            other.say("lost", at: 20)
            if index == 0 { other.count(7, total: 10, at: 21) }
            try writer.append(other.taken())
            if index == 0 {
                var own = Writer(.b)
                own.say("mine", at: 25, after: [Dot(replica: .a, seq: 3)])
                try writer.append(own.taken())
            }
            ends.append(try writer.reload(try snapshot(of: winner)))
            writer.close()
        }
        #expect(try bodies(losers[0]) == ["one", "lost", "mine", "kept"])
        #expect(try bodies(losers[1]) == ["one", "lost", "kept"])
        let (all, part) = (ends[0], ends[1])
        #expect(all.vector[.a] == 5 && all.vector[.b] == 1 && all.vector.components.count == 3)
        let renamed = try #require(all.vector.components.map(\.replica).first { $0 != .a && $0 != .b })
        #expect(all.vector[renamed] == 2 && part.vector[renamed] == 1)
        let logs = try losers.map { try $0.reader().entries(of: renamed, from: 1, limit: 9) }
        #expect(logs[0].first == logs[1].first)
        #expect(EntryChain().verifies(logs[0], after: .zero))
        #expect(logs[0][0].dependencies == [Dot(replica: .a, seq: 2)])
        let id = logs[0][0].payload.withUnsafeBytes { try? MessagePayload(decoding: $0) }?.id
        #expect(id == MessageID(Dot(replica: .a, seq: 3)))
        // 3 + 1 of the log that stays, and 7 of the other.
        let sums = all.rows.filter { $0.document == Self.counter }.compactMap(\.totals?.up)
        #expect(sums.sorted() == [4, 7])
        #expect(all.rows.contains { $0.document == Self.document && $0.value == "x" })
    }

    @Test(
        "what depends on what is nowhere any more goes under another name with it",
        arguments: [StoreUnderTest.memory, .sqlite])
    func tainted(_ kind: StoreUnderTest) throws {
        let (winner, loser) = (try kind.make(), try kind.make())
        var common = Writer(.a)
        common.say("one", at: 10)
        let shared = common.taken()
        let (first, _) = try winner.open(.test(fresh: .c))
        try first.append(shared)
        let (writer, _) = try loser.open(.test(fresh: .b))
        var own = Writer(.b)
        var gone = Writer(.c)
        gone.say("gone", at: 20)
        own.say("answer", at: 21, after: [Dot(replica: .c, seq: 1), Dot(replica: .low, seq: 4)])
        try writer.append(shared)
        try writer.append(gone.taken())
        try writer.append(own.taken())
        let after = try writer.reload(try snapshot(of: winner))
        // What the other side merely lacks stays as it is; the answer depends on an entry that neither has.
        #expect(after.vector[.c] == 1 && after.vector[.b] == 0)
        let renamed = try #require(after.vector.components.map(\.replica).first { $0 != .a && $0 != .c })
        let entries = try loser.reader().entries(of: renamed, from: 1, limit: 9)
        #expect(entries.map(\.dependencies) == [[Dot(replica: .c, seq: 1)]])
        #expect(try bodies(loser) == ["one", "gone", "answer"])
    }

    @Test(
        "what depends on a number that was written again later keeps its name",
        arguments: [StoreUnderTest.memory, .sqlite])
    func writtenAgain(_ kind: StoreUnderTest) throws {
        let (winner, loser) = (try kind.make(), try kind.make())
        var common = Writer(.a)
        common.say("one", at: 10)
        let shared = common.taken()
        let (first, _) = try winner.open(.test(fresh: .c))
        try first.append(shared)
        var longer = common
        for number in 0..<3 { longer.say("kept \(number)", at: 50 + UInt64(number)) }
        try first.append(longer.taken())
        let (writer, _) = try loser.open(.test(fresh: .low))
        // The log of `a` is the other side here; that of `b` was set back as well, but nobody has more of it.
        var other = common
        other.side = 1
        other.say("lost", at: 20)
        var (again, own) = (Writer(.b), Writer(.low))
        let late = again.say("again", at: 40)
        let answer = own.say("answer", at: 30, after: [late.dot])
        try writer.append(shared)
        for batch in [other.taken(), again.taken(), own.taken()] { try writer.append(batch) }
        let after = try writer.reload(try snapshot(of: winner))
        #expect(after.vector[.b] == 1 && after.vector[.low] == 1)
        #expect(try loser.reader().entries(of: .low, from: 1, limit: 9) == [answer])
        #expect(try bodies(loser) == ["one", "lost", "answer", "again", "kept 0", "kept 1", "kept 2"])
    }

    @Test(
        "what is folded here beyond the other side is kept, with all behind it",
        arguments: [StoreUnderTest.memory, .sqlite])
    func foldedHere(_ kind: StoreUnderTest) throws {
        let (winner, loser) = (try kind.make(), try kind.make())
        var common = Writer(.a)
        common.say("one", at: 10)
        common.add("gone", at: 11)
        common.count(3, total: 3, at: 12)
        let shared = common.taken()
        let (first, _) = try winner.open(.test(fresh: .c))
        try first.append(shared)
        var longer = common
        for number in 0..<3 { longer.say("kept \(number)", at: 60 + UInt64(number)) }
        longer.add("there", at: 63)
        try first.append(longer.taken())
        let (writer, _) = try loser.open(.test(fresh: .low))
        var other = common
        other.side = 1
        other.say("lost", at: 20)
        other.add("moved", at: 21)
        // Of this log the other side has nothing, and most of it is folded.
        var (log, own) = (Writer(.b), Writer(.low))
        log.say("first", at: 30)
        log.add("here", at: 31)
        log.remove("gone", Dot(replica: .a, seq: 2), at: 32)
        log.count(4, total: 4, at: 33)
        log.say("second", at: 34)
        log.add("late", at: 35)
        own.say("fine", at: 40, after: [Dot(replica: .b, seq: 4)])
        own.say("answer", at: 41, after: [Dot(replica: .c, seq: 9)])
        for batch in [shared, other.taken(), log.taken(), own.taken()] { try writer.append(batch) }
        _ = try writer.prune(
            Pruning(
                entriesBefore: .zero, keysBefore: .zero, foldThrough: VersionVector(Dot(replica: .b, seq: 4)), limit: 99
            ))
        let after = try writer.reload(try snapshot(of: winner))
        #expect(
            try bodies(loser) == ["one", "lost", "first", "second", "fine", "answer", "kept 0", "kept 1", "kept 2"])
        #expect(after.vector[.a] == 7 && after.vector[.b] == 6 && after.vector[.low] == 1)
        #expect(after.floors[.b] == 4 && after.vector.components.count == 5)
        #expect(Set(after.rows.compactMap { $0.value?.string }) == ["there", "moved", "here", "late"])
        #expect(after.rows.compactMap(\.totals?.up).sorted() == [3, 4])
        // Both logs go on from where they were.
        #expect(after.ends.first { $0.dot.replica == .b }?.hash == EntryHash(high: ReplicaID.b.rawValue, low: ~6))
        writer.close()
        let (again, opened) = try loser.open(.test(fresh: .low))
        #expect(opened.vector == after.vector && opened.rows.count == after.rows.count)
        log.say("third", at: 70)
        try again.append(log.taken())
        again.close()
    }

    @Test(
        "a message whose number is folded on the other side is of another log, and stays",
        arguments: [StoreUnderTest.memory, .sqlite])
    func folded(_ kind: StoreUnderTest) throws {
        let (winner, loser) = (try kind.make(), try kind.make())
        var common = Writer(.a)
        common.say("one", at: 10)
        let shared = common.taken()
        let (first, _) = try winner.open(.test(fresh: .c))
        try first.append(shared)
        var longer = common
        for number in 0..<4 { longer.add("x", at: 30 + UInt64(number)) }
        try first.append(longer.taken())
        _ = try first.prune(
            Pruning(
                entriesBefore: .zero, keysBefore: .zero, foldThrough: VersionVector(Dot(replica: .a, seq: 5)), limit: 99
            ))
        let (writer, _) = try loser.open(.test(fresh: .b))
        var other = common
        other.side = 1
        other.say("lost", at: 20)
        other.add("y", at: 21)
        try writer.append(shared)
        try writer.append(other.taken())
        let after = try writer.reload(try snapshot(of: winner))
        #expect(try bodies(loser) == ["one", "lost"])
        #expect(after.vector[.a] == 5 && after.vector.components.count == 2)
        // It is known where they part, so the other side's document is there, too.
        #expect(Set(after.rows.compactMap { $0.value?.string }) == ["x", "y"])
    }

    @Test(
        "where the ends can't be compared, who can take the state as a whole does", arguments: StoreUnderTest.available)
    func uncompared(_ kind: StoreUnderTest) throws {
        let store = try kind.make()
        let (writer, _) = try store.open(.test(fresh: .c))
        defer { writer.close() }
        var log = Writer(.c)
        for number in 0..<3 { log.add("x", at: 10 + UInt64(number)) }
        try writer.append(log.taken())
        _ = try writer.prune(
            Pruning(
                entriesBefore: .zero, keysBefore: .zero, foldThrough: VersionVector(Dot(replica: .c, seq: 3)), limit: 99
            ))
        func status(_ have: VersionVector, mayReload: Bool) throws -> SnapshotChunk.Status {
            try store.reader().snapshot(
                SnapshotWant(
                    number: 1, have: have, since: have, reached: VersionVector(), after: nil, limit: 1 << 20,
                    hashes: have.components.map { _ in 7 }, mayReload: mayReload)
            ).status
        }
        let behind = VersionVector(Dot(replica: .c, seq: 2))
        let withNews = VersionVector(Dot(replica: .c, seq: 2), Dot(replica: .b, seq: 1))
        #expect(try status(behind, mayReload: false) == .forked)
        #expect(try status(withNews, mayReload: true) == .forked)
        // It has folded what nobody else has: that would be lost.
        #expect(try status(withNews, mayReload: false) == .final)
    }

    @Test("a snapshot is not joined over a fork", arguments: StoreUnderTest.available)
    func compared(_ kind: StoreUnderTest) throws {
        let store = try kind.make()
        let (writer, _) = try store.open(.test(fresh: .c))
        defer { writer.close() }
        var log = Writer(.c)
        let entries = [log.say("one", at: 10), log.say("two", at: 11)]
        try writer.append(log.taken())
        func status(_ seq: UInt64, _ hash: UInt64) throws -> SnapshotChunk.Status {
            let have = VersionVector([Dot(replica: .c, seq: seq)])
            return try store.reader().snapshot(
                SnapshotWant(
                    number: 1, have: have, since: have, reached: VersionVector(), after: nil, limit: 1 << 20,
                    hashes: [hash])
            ).status
        }
        let hashes = entries.map(\.hash.high)
        #expect(try status(1, hashes[0]) == .final && status(2, hashes[1]) == .final && status(3, 9) == .final)
        #expect(try status(1, hashes[0] ^ 1) == .forked && status(2, hashes[1] - 1) == .forked)
        #expect(try status(2, hashes[1] + 1) == .unavailable)
    }

    /// What differs is above what the receiver asked from, or beyond what the server has: that the server can't compare.
    @Test("a snapshot that tells of another copy of a log is known to", arguments: [StoreUnderTest.memory, .sqlite])
    func parted(_ kind: StoreUnderTest) throws {
        let (here, there) = (try kind.make(), try kind.make())
        var common = Writer(.a)
        common.say("one", at: 10)
        let shared = common.taken()
        let (mine, _) = try here.open(.test(fresh: .b))
        defer { mine.close() }
        let (theirs, _) = try there.open(.test(fresh: .c))
        defer { theirs.close() }
        try theirs.append(shared)
        #expect(try mine.fork(in: try snapshot(of: there)) == nil)
        try mine.append(shared)
        #expect(try mine.fork(in: try snapshot(of: there)) == nil)
        var (longer, other) = (common, common)
        for number in 0..<3 { longer.say("kept \(number)", at: 20 + UInt64(number)) }
        try mine.append(longer.taken())
        #expect(try mine.fork(in: try snapshot(of: there)) == nil, "that is the beginning of what is here")
        other.side = 1
        other.say("lost", at: 15)
        other.add("lost", at: 16)
        try theirs.append(other.taken())
        #expect(try mine.fork(in: try snapshot(of: there)) == Dot(replica: .a, seq: 3))
        for number in 0..<4 { other.say("lost \(number)", at: 30 + UInt64(number)) }
        try theirs.append(other.taken())
        #expect(try mine.fork(in: try snapshot(of: there)) == Dot(replica: .a, seq: 4))
        // And it can be installed if it is to be: nothing was taken yet.
        #expect(try bodies(here) == ["one", "kept 0", "kept 1", "kept 2"])
    }
}
