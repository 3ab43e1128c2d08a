// The contract of what is read within a vector: a store that is ahead of its node shows clients no more than the node has.

import ConvergeCRDT
import ConvergeStorage
import ConvergeTestSupport
import ConvergeWire
import Testing

@Suite("Store contract: within")
struct StoreContractWithinTests {
    @Test(
        "history, and what a cursor lacks, leave out what is beyond the vector, and nothing else",
        arguments: StoreUnderTest.available)
    func entries(_ kind: StoreUnderTest) throws {
        let fresh = try kind.make()
        let (writer, _) = try fresh.open()
        defer { writer.close() }
        var logs = [TestLog(.a), TestLog(.b), TestLog(.c)]
        var random = SplitMix64(seed: 11)
        var entries: [Entry] = []
        var clock: UInt64 = 100
        for _ in 0..<300 {
            clock += UInt64.random(in: 1...2, using: &random)
            let at = Int.random(in: 0..<3, using: &random)
            let kind: EntryKind = random.once(in: 4) ? .document : .message
            entries.append(logs[at].entry(random.once(in: 3) ? "other" : "room", at: clock, kind: kind))
        }
        try writer.append(Batch(entries: entries))
        let all = VersionVector(logs[0].head, logs[1].head, logs[2].head)
        let reader = try fresh.reader()
        var wrong: [String] = []
        func some() -> VersionVector {
            var vector = VersionVector()
            for log in logs where !random.once(in: 4) { vector[log.replica] = .random(in: 0...log.seq, using: &random) }
            return vector
        }
        for round in 0..<40 {
            // It may cover more than the store has, and what the store has never heard of.
            var bound = some()
            if random.once(in: 3) { bound[.a] = logs[0].seq + 9 }
            if random.once(in: 3) { bound[.low] = 3 }
            let cursor = round % 4 == 0 ? bound : some()
            let limit = [1, 7, 1_000][round % 3]
            let there = entries.filter { $0.room == "room" && bound.covers($0.dot) }
            let before = random.once(in: 2) ? there.randomElement(using: &random)?.position : nil
            let shown = there.filter { entry in
                entry.kind == .message && before.map { entry.position < $0 } ?? true
            }
            let history = try reader.history(room: "room", before: before, limit: limit, within: bound)
            if history != Array(shown.suffix(limit)) { wrong.append("history within \(bound.components)") }
            let missed = there.filter { !cursor.covers($0.dot) }
            let found = try reader.entries(room: "room", after: cursor, limit: limit, within: bound)
            if found.entries != Array(missed.prefix(limit)) || found.through != all {
                wrong.append("after \(cursor.components) within \(bound.components)")
            }
        }
        #expect(wrong == [], "seed 11")
        #expect(try reader.history(room: "room", before: nil, limit: 9, within: VersionVector()).isEmpty)
        let nothing = try reader.entries(room: "room", after: VersionVector(), limit: 9, within: VersionVector())
        #expect(nothing.entries.isEmpty && nothing.through == all)
    }
}
