// The contract of retention: a log loses a prefix and nothing else is lost with it.

import ConvergeCRDT
import ConvergeStorage
import ConvergeWire
import Testing

@Suite("Store contract: pruning")
struct StoreContractPruningTests {
    private func pruning(entries: UInt64, keys: UInt64 = 0, limit: Int = 100) -> Pruning {
        Pruning(
            entriesBefore: HybridTimestamp(rawValue: entries), keysBefore: HybridTimestamp(rawValue: keys), limit: limit
        )
    }

    @Test("what is older goes from every log, in steps, and what is left is whole", arguments: StoreUnderTest.available)
    func steps(_ kind: StoreUnderTest) throws {
        let fresh = try kind.make()
        let (writer, _) = try fresh.open()
        defer { writer.close() }
        var own = TestLog(.a)
        var other = TestLog(.b)
        let mine = own.entries(10, from: 100)
        let theirs = other.entries(4, from: 103)
        try writer.append(Batch(entries: mine + theirs))

        #expect(try writer.prune(pruning(entries: 106, limit: 4)).dropped == 7)
        #expect(try writer.prune(pruning(entries: 106, limit: 4)).dropped == 2)
        #expect(try writer.prune(pruning(entries: 106, limit: 4)).dropped == 0)

        let reader = try fresh.reader()
        #expect(
            try reader.horizon()
                == VersionVector([Dot(replica: .a, seq: 6), Dot(replica: .b, seq: 3)]))
        let kept = (mine[6...] + theirs[3...]).sorted { $0.position < $1.position }
        #expect(try reader.history(room: "room", before: nil, limit: 100) == kept)
        #expect(try reader.entries(room: "room", after: VersionVector(), limit: 100).entries == kept)
        #expect(try reader.entries(of: .a, from: 7, limit: 2) == Array(mine[6...7]))
        #expect(try reader.entries(of: .a, from: 6, limit: 2).isEmpty)
        #expect(try reader.entries(of: .a, from: 9, limit: 100) == Array(mine[8...]))
        #expect(try reader.entries(of: .b, from: 4, limit: 100) == Array(theirs[3...]))
    }

    @Test("a log that has lost all its entries goes on where it was", arguments: StoreUnderTest.available)
    func allGone(_ kind: StoreUnderTest) throws {
        let fresh = try kind.make()
        let (writer, _) = try fresh.open()
        var own = TestLog(.a)
        let entries = own.entries(3, from: 100)
        try writer.append(Batch(entries: entries))
        #expect(try writer.prune(pruning(entries: .max >> 1)).dropped == 3)
        writer.close()

        let (again, recovered) = try fresh.open()
        defer { again.close() }
        #expect(recovered.replica == .a)
        #expect(recovered.vector == VersionVector(own.head))
        #expect(recovered.headHash == entries[2].hash)
        #expect(recovered.clock == entries[2].timestamp)
        let next = own.entry(at: 200)
        try again.append(Batch(entries: [next]))
        #expect(try fresh.reader().history(room: "room", before: nil, limit: 10) == [next])
    }

    @Test("documents and attendance outlive the entries that made them", arguments: StoreUnderTest.available)
    func stateStays(_ kind: StoreUnderTest) throws {
        let fresh = try kind.make()
        let (writer, _) = try fresh.open()
        var own = TestLog(.a)
        let entry = own.entry(at: 100, kind: .document)
        let document = DocumentID(room: "room", kind: .orSet, name: "tags")
        let who = AttendanceRecord(
            room: "room", user: "ana", displayName: "Ana", number: 1, position: entry.position)
        try writer.append(
            Batch(
                entries: [entry],
                effects: [
                    .insert(document, element: "x", dot: entry.dot, timestamp: entry.timestamp, replacing: []),
                    .attendance(who),
                ]))
        #expect(try writer.prune(pruning(entries: 1_000)).dropped == 1)
        writer.close()
        let (again, recovered) = try fresh.open()
        again.close()
        #expect(recovered.rows.map(\.value) == ["x"])
        #expect(recovered.attendance == [who])
    }

    @Test("keys go by their own age, oldest first", arguments: StoreUnderTest.available)
    func keys(_ kind: StoreUnderTest) throws {
        let fresh = try kind.make()
        let (writer, _) = try fresh.open()
        defer { writer.close() }
        var own = TestLog(.a)
        let entries = own.entries(3, from: 100)
        let ids = (1...3).map { MessageID(high: UInt64(10 - $0), low: 7) }
        try writer.append(
            Batch(entries: entries, effects: zip(ids, entries).map { .key($0, position: $1.position) }))

        #expect(try writer.prune(pruning(entries: 0, keys: 102, limit: 1)).dropped == 1)
        #expect(Set(try fresh.reader().positions(of: ids).keys) == Set(ids[1...]))
        #expect(try writer.prune(pruning(entries: 0, keys: 102)).dropped == 1)
        #expect(try fresh.reader().positions(of: ids) == [ids[2]: entries[2].position])
    }
}
