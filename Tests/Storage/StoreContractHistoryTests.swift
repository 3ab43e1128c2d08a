// The contract of history and resume: one order on every node, nothing twice, nothing left out.

import ConvergeTestSupport
import ConvergeCRDT
import ConvergeStorage
import ConvergeWire
import Testing

@Suite("Store contract: history")
struct StoreContractHistoryTests {
    @Test("the newest come, oldest first, and before pages back", arguments: StoreUnderTest.available)
    func paging(_ kind: StoreUnderTest) throws {
        let fresh = try kind.make()
        let (writer, _) = try fresh.open()
        defer { writer.close() }
        var own = TestLog(.a)
        let entries = own.entries(10, from: 100)
        try writer.append(Batch(entries: entries + own.entries(3, "other", from: 200)))
        let reader = try fresh.reader()
        #expect(try reader.history(room: "room", before: nil, limit: 4) == Array(entries[6...]))
        #expect(try reader.history(room: "room", before: entries[6].position, limit: 4) == Array(entries[2...5]))
        #expect(try reader.history(room: "room", before: entries[2].position, limit: 4) == Array(entries[0...1]))
        #expect(try reader.history(room: "room", before: entries[0].position, limit: 4).isEmpty)
        #expect(try reader.history(room: "room", before: nil, limit: 0).isEmpty)
        #expect(try reader.history(room: "room", before: nil, limit: -5).isEmpty)
        #expect(try reader.history(room: "room", before: nil, limit: .max) == entries)
        #expect(try reader.history(room: "nowhere", before: nil, limit: 4).isEmpty)
        #expect(try reader.history(room: "Room", before: nil, limit: 4).isEmpty)
        let beyond = Position(timestamp: HybridTimestamp(rawValue: .max), dot: Dot(replica: .c, seq: .max))
        #expect(try reader.history(room: "room", before: beyond, limit: 4) == Array(entries[6...]))
    }

    @Test(
        "order is by timestamp, then replica, then seq, whatever the order of arrival",
        arguments: StoreUnderTest.available)
    func order(_ kind: StoreUnderTest) throws {
        let fresh = try kind.make()
        let (writer, _) = try fresh.open()
        defer { writer.close() }
        var logs = [TestLog(.low), TestLog(.a), TestLog(.b), TestLog(.c)]
        var entries: [Entry] = []
        // Later replicas first, and every timestamp in all four logs, twice in some.
        for timestamp: UInt64 in [10, 10, 11, 13, 13, 13, 20] {
            for index in logs.indices.reversed() { entries.append(logs[index].entry(at: timestamp)) }
        }
        var late = TestLog(.c, after: logs[3].seq)
        try writer.append(Batch(entries: entries))
        try writer.append(Batch(entries: [late.entry(at: 12)]))
        entries.append(try #require(try fresh.reader().entries(of: .c, from: late.seq, limit: 1).first))
        let sorted = entries.sorted { $0.position < $1.position }
        let reader = try fresh.reader()
        #expect(try reader.history(room: "room", before: nil, limit: 100) == sorted)
        var wrong: [Int] = []
        for index in sorted.indices {
            let page = try reader.history(room: "room", before: sorted[index].position, limit: 3)
            if page != Array(sorted[max(0, index - 3)..<index]) { wrong.append(index) }
        }
        #expect(wrong.isEmpty)
    }

    @Test("history has messages and system events, resume every kind", arguments: StoreUnderTest.available)
    func kinds(_ kind: StoreUnderTest) throws {
        let fresh = try kind.make()
        let (writer, _) = try fresh.open()
        defer { writer.close() }
        var own = TestLog(.a)
        let kinds: [EntryKind] = [.system, .document, .message, EntryKind(rawValue: 99), .message]
        let entries = kinds.enumerated().map { own.entry(at: UInt64(10 + $0.offset), kind: $0.element) }
        var foreign = own.entry(at: 30)
        foreign.namespace = 1
        try writer.append(Batch(entries: entries + [foreign]))
        let reader = try fresh.reader()
        #expect(try reader.history(room: "room", before: nil, limit: 9) == [entries[0], entries[2], entries[4]])
        #expect(try reader.history(room: "room", before: nil, limit: 2) == [entries[2], entries[4]])
        #expect(try reader.entries(room: "room", after: VersionVector(), limit: 9).entries == entries)
        #expect(try reader.entries(of: .a, from: 6, limit: 9) == [foreign])
    }

    @Test("a hidden entry stays in the log and is shown nowhere", arguments: StoreUnderTest.available)
    func hidden(_ kind: StoreUnderTest) throws {
        let fresh = try kind.make()
        let (writer, _) = try fresh.open()
        defer { writer.close() }
        var own = TestLog(.a)
        let entries = own.entries(4, from: 10)
        var document = own.entry(at: 20, kind: .document)
        document.payload = [1]
        // In the same batch, and later; twice does no harm; what isn't there is nothing to hide.
        try writer.append(Batch(entries: entries + [document], effects: [.hide(entries[1].dot), .hide(document.dot)]))
        try writer.append(
            Batch(effects: [.hide(entries[2].dot), .hide(entries[1].dot), .hide(Dot(replica: .c, seq: 1))]))
        let reader = try fresh.reader()
        #expect(try reader.history(room: "room", before: nil, limit: 9) == [entries[0], entries[3]])
        #expect(
            try reader.entries(room: "room", after: VersionVector(), limit: 9).entries == [entries[0], entries[3]])
        #expect(try reader.entries(of: .a, from: 1, limit: 9) == entries + [document])
    }

    @Test(
        "resume gives what the cursor lacks, in order, with the vector of that view",
        arguments: StoreUnderTest.available)
    func resume(_ kind: StoreUnderTest) throws {
        let fresh = try kind.make()
        let (writer, _) = try fresh.open()
        defer { writer.close() }
        var logs = [TestLog(.a), TestLog(.b), TestLog(.c)]
        var random = SplitMix64(seed: 7)
        var entries: [Entry] = []
        var clock: UInt64 = 100
        for _ in 0..<400 {
            clock += UInt64.random(in: 1...2, using: &random)
            let at = Int.random(in: 0..<3, using: &random)
            entries.append(logs[at].entry(Bool.random(using: &random) ? "room" : "other", at: clock))
        }
        try writer.append(Batch(entries: entries))
        let through = VersionVector(logs[0].head, logs[1].head, logs[2].head)
        let reader = try fresh.reader()
        var wrong: [VersionVector] = []
        for round in 0..<40 {
            var cursor = VersionVector()
            for log in logs where !Bool.random(using: &random) || round == 0 {
                cursor[log.replica] = UInt64.random(in: 0...log.seq, using: &random)
            }
            cursor[.low] = 5
            let expected = entries.filter { $0.room == "room" && !cursor.covers($0.dot) }
            let limit = [1, 7, 1_000][round % 3]
            let found = try reader.entries(room: "room", after: cursor, limit: limit)
            if found.entries != Array(expected.prefix(limit)) || found.through != through { wrong.append(cursor) }
        }
        #expect(wrong.isEmpty, "seed 7")
        let nothing = try reader.entries(room: "room", after: through, limit: 10)
        #expect(nothing.entries.isEmpty && nothing.through == through)
        #expect(try reader.entries(room: "room", after: VersionVector(), limit: 0).entries.isEmpty)
    }

    @Test("resuming page by page gives each entry once", arguments: StoreUnderTest.available)
    func resumePages(_ kind: StoreUnderTest) throws {
        let fresh = try kind.make()
        let (writer, _) = try fresh.open()
        defer { writer.close() }
        var logs = [TestLog(.a), TestLog(.b)]
        var entries: [Entry] = []
        for timestamp in 10..<UInt64(40) {
            entries.append(logs[0].entry(at: timestamp))
            entries.append(logs[1].entry(at: timestamp, kind: timestamp % 2 == 0 ? .document : .message))
        }
        try writer.append(Batch(entries: entries))
        let reader = try fresh.reader()
        var cursor = VersionVector()
        var got: [Entry] = []
        while true {
            let page = try reader.entries(room: "room", after: cursor, limit: 7).entries
            for entry in page { cursor.advance(to: entry.dot) }
            got += page
            if page.count < 7 { break }
        }
        #expect(got == entries)
    }
}
