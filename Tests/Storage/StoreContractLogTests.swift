// The contract of the log: what is appended is there whole, in order, after a restart, or not at all.

import ConvergeCRDT
import ConvergeStorage
import ConvergeWire
import Testing

@Suite("Store contract: the log")
struct StoreContractLogTests {
    @Test("a new store is empty and takes the fresh replica", arguments: StoreUnderTest.available)
    func newStore(_ kind: StoreUnderTest) throws {
        let fresh = try kind.make()
        let (writer, recovered) = try fresh.open()
        defer { writer.close() }
        #expect(recovered.replica == .a)
        #expect(recovered.boot == 1)
        #expect(recovered.head == 0)
        #expect(recovered.headHash == .zero)
        #expect(recovered.clock == .zero)
        #expect(recovered.vector == VersionVector())
        #expect(recovered.rows.isEmpty && recovered.attendance.isEmpty)
        #expect(recovered.renewal == nil)
        #expect(recovered.adopted == 0)
    }

    @Test("what is appended is recovered by the next open, to the last bit", arguments: StoreUnderTest.available)
    func recovery(_ kind: StoreUnderTest) throws {
        let fresh = try kind.make()
        let (writer, _) = try fresh.open()
        var own = TestLog(.a)
        var other = TestLog(.c)
        var first = own.entry("r\u{0}öm", at: 1 << 62, text: "a\u{0}b")
        first.dependencies = [Dot(replica: .c, seq: 1), Dot(replica: .low, seq: 0)]
        first.flags = [.redacted]
        first.hash = EntryHash(high: .max, low: 1)
        var second = own.entry("", at: 3, kind: EntryKind(rawValue: 250))
        second.namespace = 255
        second.payload = []
        let third = other.entry(at: 2)
        try writer.append(Batch(entries: [first, third, second]))
        writer.close()

        let (again, recovered) = try fresh.open(.test(fresh: .b))
        defer { again.close() }
        #expect(recovered.replica == .a)
        #expect(recovered.boot == 2)
        #expect(recovered.renewal == nil)
        #expect(recovered.vector == VersionVector(own.head, other.head))
        #expect(recovered.headHash == second.hash)
        #expect(recovered.clock == first.timestamp)
        let reader = try fresh.reader()
        #expect(try reader.entries(of: .a, from: 1, limit: 10) == [first, second])
        #expect(try reader.entries(of: .c, from: 1, limit: 10) == [third])
    }

    @Test("a replica's entries come from seq on, up to the limit", arguments: StoreUnderTest.available)
    func entriesOfReplica(_ kind: StoreUnderTest) throws {
        let fresh = try kind.make()
        let (writer, _) = try fresh.open()
        defer { writer.close() }
        var own = TestLog(.a)
        var other = TestLog(.b)
        let entries = own.entries(5, from: 10)
        try writer.append(Batch(entries: entries + other.entries(5, from: 10)))
        let reader = try fresh.reader()
        #expect(try reader.entries(of: .a, from: 2, limit: 3) == Array(entries[1...3]))
        #expect(try reader.entries(of: .a, from: 5, limit: 3) == [entries[4]])
        #expect(try reader.entries(of: .a, from: 6, limit: 3).isEmpty)
        #expect(try reader.entries(of: .a, from: .max, limit: 3).isEmpty)
        #expect(try reader.entries(of: .c, from: 1, limit: 3).isEmpty)
        #expect(try reader.entries(of: .a, from: 1, limit: 0).isEmpty)
        #expect(try reader.entries(of: .a, from: 1, limit: -1).isEmpty)
        #expect(try reader.entries(of: .a, from: 1, limit: .max) == entries)
    }

    @Test("a gap or a repeat is refused, with the whole batch", arguments: StoreUnderTest.available)
    func gaps(_ kind: StoreUnderTest) throws {
        let fresh = try kind.make()
        var (writer, _) = try fresh.open()
        var own = TestLog(.a)
        let head = own.entries(2, from: 10)
        try writer.append(Batch(entries: head))
        var other = TestLog(.b)
        let good = other.entry(at: 20)
        var skipping = TestLog(.a, after: 3)
        var repeating = TestLog(.a, after: 1)
        var starting = TestLog(.c, after: 1)
        var zero = good
        zero.dot.seq = 0
        var committed = VersionVector(own.head)
        for bad in [skipping.entry(at: 20), repeating.entry(at: 20), starting.entry(at: 20), zero] {
            let thrown = error { () throws(StoreError) in
                try writer.append(Batch(entries: [good, bad], effects: [.hide(head[0].dot)]))
            }
            #expect(thrown?.name == "failed", "\(bad.dot)")
            writer.close()
            let recovered: Recovered
            (writer, recovered) = try fresh.open(.test(fresh: .low, held: .init(replica: .a, committed: 2)))
            #expect(recovered.vector == committed)
        }
        #expect(try fresh.reader().history(room: "room", before: nil, limit: 9) == head)
        try writer.append(Batch(entries: [good, own.entry(at: 30)]))
        committed = VersionVector(own.head, other.head)
        writer.close()
        #expect(try fresh.open().recovered.vector == committed)
    }

    @Test("numbers beyond 63 bits are refused", arguments: StoreUnderTest.available)
    func hugeNumbers(_ kind: StoreUnderTest) throws {
        let fresh = try kind.make()
        let (writer, _) = try fresh.open()
        var own = TestLog(.a)
        let thrown = error { () throws(StoreError) in
            try writer.append(Batch(entries: [own.entry(at: 1 << 63)]))
        }
        #expect(thrown?.name == "failed")
    }

    @Test("a batch of effects alone and an empty batch are fine", arguments: StoreUnderTest.available)
    func emptyBatches(_ kind: StoreUnderTest) throws {
        let fresh = try kind.make()
        let (writer, _) = try fresh.open()
        defer { writer.close() }
        var own = TestLog(.a)
        let entries = own.entries(2, from: 10)
        try writer.append(Batch())
        try writer.append(Batch(entries: entries))
        try writer.append(Batch(effects: [.hide(entries[0].dot)]))
        #expect(try fresh.reader().history(room: "room", before: nil, limit: 9) == [entries[1]])
    }

    @Test("a large batch and a large payload survive", arguments: StoreUnderTest.available)
    func largeBatch(_ kind: StoreUnderTest) throws {
        let fresh = try kind.make()
        let (writer, _) = try fresh.open()
        var own = TestLog(.a)
        var entries = own.entries(2_000, from: 10)
        entries[1_000].payload = (0..<1_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        try writer.append(Batch(entries: entries))
        writer.close()
        let (again, recovered) = try fresh.open()
        defer { again.close() }
        #expect(recovered.head == 2_000)
        #expect(try fresh.reader().entries(of: .a, from: 1, limit: 5_000) == entries)
    }

    @Test(
        "a reader sees each batch whole, and keeps working while the writer writes", arguments: StoreUnderTest.available
    )
    func readerBesideWriter(_ kind: StoreUnderTest) throws {
        let fresh = try kind.make()
        let (writer, _) = try fresh.open()
        defer { writer.close() }
        let reader = try fresh.reader()
        var own = TestLog(.a)
        var seen: [Int] = []
        for round in 0..<20 {
            try writer.append(Batch(entries: own.entries(5, from: UInt64(10 + round * 5))))
            seen.append(try reader.history(room: "room", before: nil, limit: 1_000).count)
        }
        #expect(seen == (1...20).map { $0 * 5 })
    }

    @Test("a reader on another thread sees whole batches only", arguments: StoreUnderTest.available)
    func concurrentReader(_ kind: StoreUnderTest) async throws {
        let fresh = try kind.make()
        let (writer, _) = try fresh.open()
        defer { writer.close() }
        let store = fresh.store
        let batches = 50
        let reading = Task.detached { () throws -> [Int] in
            let reader = try store.openReader()
            var counts: [Int] = []
            repeat {
                let found = try reader.entries(room: "room", after: VersionVector(), limit: 10_000)
                counts.append(found.entries.count)
                if found.through[.a] != UInt64(found.entries.count) { counts.append(-1) }
            } while counts.last.map { $0 >= 0 && $0 < batches * 7 } == true
            return counts
        }
        var own = TestLog(.a)
        for round in 0..<batches {
            try writer.append(Batch(entries: own.entries(7, from: UInt64(10 + round * 7))))
        }
        let counts = try await reading.value
        #expect(counts.allSatisfy { $0 % 7 == 0 })
        #expect(counts == counts.sorted())
    }
}
