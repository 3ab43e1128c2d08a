// The contract of what a resume may honestly say: whether a message may be missing, and which documents changed.

import ConvergeCRDT
import ConvergeStorage
import ConvergeWire
import Testing

@Suite("Store contract: resume")
struct StoreContractResumeTests {
    private func document(_ log: inout TestLog, at timestamp: UInt64, _ name: Text = "doc") -> Entry {
        var entry = log.entry(at: timestamp, kind: .document)
        entry.payload =
            DocumentPayload(name: name, user: "u", displayName: "U", delta: .add(element: "x", replacing: []))
            .encoded
        return entry
    }

    private func message(_ log: inout TestLog, at timestamp: UInt64, id: MessageID) -> Entry {
        var entry = log.entry(at: timestamp)
        entry.payload = MessagePayload(id: id, user: "u", displayName: "U", body: [1]).encoded
        return entry
    }

    private func older(than timestamp: UInt64) -> Pruning {
        Pruning(entriesBefore: HybridTimestamp(rawValue: timestamp), keysBefore: .zero, limit: 100)
    }

    private func fold(_ dots: Dot...) -> Pruning {
        Pruning(entriesBefore: .zero, keysBefore: .zero, foldThrough: VersionVector(dots), limit: 100)
    }

    private func dot(_ replica: ReplicaID, _ seq: UInt64) -> Dot { Dot(replica: replica, seq: seq) }

    // MARK: The horizon

    @Test(
        "age moves the horizon to the last message or event that goes, folding does not",
        arguments: StoreUnderTest.available)
    func horizon(_ kind: StoreUnderTest) throws {
        let fresh = try kind.make()
        let (writer, _) = try fresh.open()
        var own = TestLog(.a)
        try writer.append(
            Batch(entries: [
                own.entry(at: 10), document(&own, at: 11), own.entry(at: 12),
                own.entry(at: 13, kind: EntryKind(rawValue: 99)), document(&own, at: 14),
                own.entry(at: 15, kind: .system),
                document(&own, at: 16), own.entry(at: 17),
            ]))
        let reader = try fresh.reader()
        func prune(_ pruning: Pruning) throws -> [UInt64] {
            let floors = try writer.prune(pruning).floors
            return [floors[.a], try reader.horizon()[.a]]
        }
        #expect(try prune(fold(dot(.a, 5))) == [5, 0])
        #expect(try reader.horizon().isEmpty)
        // Below the floor, a message, then a kind that nobody knows.
        #expect(try prune(older(than: 12)) == [5, 1])
        #expect(try prune(older(than: 15)) == [5, 3])
        // Above it, an event; then a document's change alone.
        #expect(try prune(older(than: 16)) == [6, 6])
        #expect(try prune(older(than: 17)) == [7, 6])
        #expect(try prune(fold(dot(.a, 8))) == [8, 6])
        writer.close()
        let (again, _) = try fresh.open()
        again.close()
        #expect(try fresh.reader().horizon() == VersionVector(dot(.a, 6)))
    }

    @Test("what history did not show is not missed when it goes", arguments: StoreUnderTest.available)
    func hidden(_ kind: StoreUnderTest) throws {
        let fresh = try kind.make()
        let (writer, _) = try fresh.open()
        defer { writer.close() }
        var own = TestLog(.a)
        var other = TestLog(.b)
        let id = MessageID(high: 5, low: 6)
        let shown = message(&other, at: 10, id: id)
        let erased = own.entry(at: 15)
        let twin = message(&own, at: 20, id: id)
        try writer.append(
            Batch(
                entries: [erased, twin, document(&own, at: 21), shown],
                effects: [.redact(erased.dot), .key(id, position: twin.position), .key(id, position: shown.position)]))
        #expect(try writer.prune(older(than: 30)).floors == VersionVector(own.head, other.head))
        #expect(try fresh.reader().horizon() == VersionVector(shown.dot))
    }

    // MARK: Snapshots

    /// Takes a whole snapshot in pieces of one thing each, from the servers in turn.
    private func transfer(
        to writer: any StoreWriter, have: VersionVector, from servers: [any StoreReader], limit: UInt64 = 1
    ) throws -> (pieces: [SnapshotChunk], recovered: Recovered?) {
        var want = SnapshotWant(
            number: 9, have: have, since: have, reached: VersionVector(), after: nil, limit: limit)
        var began = VersionVector()
        var pieces: [SnapshotChunk] = []
        while pieces.count < 50 {
            let chunk = try servers[min(pieces.count, servers.count - 1)].snapshot(want)
            if want.after == nil { began = chunk.at }
            want.reached.merge(chunk.at)
            pieces.append(chunk)
            if chunk.status == .final { return (pieces, try writer.install(chunk, have: have)) }
            try writer.stage(chunk)
            want.after = chunk.next
            if chunk.status == .passEnded { (want.since, want.after) = (began, nil) }
        }
        return (pieces, nil)
    }

    @Test(
        "a receiver takes over the horizon of what it lacked, and of nothing else", arguments: StoreUnderTest.available)
    func installed(_ kind: StoreUnderTest) throws {
        let server = try kind.make()
        let (serving, _) = try server.open(.test(fresh: .a))
        defer { serving.close() }
        var theirs = TestLog(.a)
        let entries = theirs.entries(4, from: 10) + [document(&theirs, at: 14), theirs.entry(at: 15)]
        try serving.append(Batch(entries: entries))
        _ = try serving.prune(older(than: 13))
        #expect(try server.reader().horizon() == VersionVector(dot(.a, 3)))

        for (known, expected) in [(0, 3), (2, 3), (3, 0), (4, 0)] as [(Int, UInt64)] {
            let fresh = try kind.make()
            let (writer, _) = try fresh.open(.test(fresh: .b))
            defer { writer.close() }
            try writer.append(Batch(entries: Array(entries[..<known])))
            let have = VersionVector(known > 0 ? [dot(.a, UInt64(known))] : [])
            let reader = try server.reader()
            let (pieces, recovered) = try transfer(to: writer, have: have, from: [reader], limit: 1 << 20)
            #expect(pieces.count == 1 && recovered?.vector == VersionVector(theirs.head))
            #expect(try fresh.reader().horizon()[.a] == expected, "with \(known) entries")
        }
        // Who has more of the log is told nothing by it.
        let fresh = try kind.make()
        let (writer, _) = try fresh.open(.test(fresh: .b))
        defer { writer.close() }
        try writer.append(Batch(entries: entries + [theirs.entry(at: 20)]))
        _ = try writer.prune(older(than: 11))
        _ = try transfer(to: writer, have: VersionVector(), from: [try server.reader()], limit: 1 << 20)
        #expect(try fresh.reader().horizon() == VersionVector(dot(.a, 1)))
    }

    @Test(
        "of servers with other horizons that take turns each is believed of its part",
        arguments: StoreUnderTest.available)
    func turns(_ kind: StoreUnderTest) throws {
        var log = TestLog(.a)
        let change = document(&log, at: 10)
        let document = DocumentID(room: "room", kind: .orSet, name: "doc")
        let entries = [change] + log.entries(5, from: 11)
        func serving(_ pruning: Pruning?) throws -> (FreshStore, any StoreWriter) {
            let fresh = try kind.make()
            let (writer, _) = try fresh.open(.test(fresh: .a))
            try writer.append(Batch(entries: entries, effects: [.touch(document, change.dot)]))
            if let pruning { _ = try writer.prune(pruning) }
            return (fresh, writer)
        }
        let short = try serving(older(than: 14))
        let long = try serving(fold(dot(.a, 6)))
        #expect(try short.0.reader().horizon() == VersionVector(dot(.a, 4)))
        #expect(try long.0.reader().horizon().isEmpty)
        func received(from servers: [any StoreReader]) throws -> ([VersionVector], VersionVector) {
            let fresh = try kind.make()
            let (writer, _) = try fresh.open(.test(fresh: .b))
            defer { writer.close() }
            let (pieces, recovered) = try transfer(to: writer, have: VersionVector(), from: servers)
            #expect(recovered?.vector == VersionVector(log.head))
            return (pieces.map(\.horizon), try fresh.reader().horizon())
        }
        let (one, other) = (try short.0.reader(), try long.0.reader())
        // The document; entry 5; entry 6, with which the pass ends; nothing.
        let lost = VersionVector(dot(.a, 4))
        #expect(try received(from: [one]) == ([VersionVector(), lost, lost, VersionVector()], lost))
        // The first piece has no entry yet.
        #expect(try received(from: [one, other]).1.isEmpty)
        let (told, horizon) = try received(from: [other, one, other])
        #expect(horizon == lost && told.last == VersionVector())
        // With all entries there without a gap it does not matter who lacks some.
        let whole = try serving(nil)
        let third = try whole.0.reader()
        let (late, none) = try received(from: [third, third, third, third, third, third, one, third])
        #expect(late.contains(lost) && none.isEmpty)

        // What was staged of a snapshot that was given up says nothing of the next.
        let fresh = try kind.make()
        let (writer, _) = try fresh.open(.test(fresh: .b))
        var stray = SnapshotChunk(number: 1, status: .more, at: VersionVector(log.head))
        stray.horizon = VersionVector(dot(.a, 5))
        try writer.stage(stray)
        try writer.discardStage()
        _ = try transfer(to: writer, have: VersionVector(), from: [other])
        #expect(try fresh.reader().horizon().isEmpty)
        for writer in [writer, short.1, long.1, whole.1] { writer.close() }
    }

    // MARK: Documents

    @Test(
        "the documents beyond a cursor are those that any entry beyond it affected", arguments: StoreUnderTest.available
    )
    func documents(_ kind: StoreUnderTest) throws {
        let fresh = try kind.make()
        let (writer, _) = try fresh.open()
        defer { writer.close() }
        var own = TestLog(.a)
        var other = TestLog(.b)
        func id(_ kind: DocumentKind, _ name: Text, _ room: Text = "room") -> DocumentID {
            DocumentID(room: room, kind: kind, name: name)
        }
        let touching: [(DocumentID, Entry)] = [
            (id(.register, "a"), document(&own, at: 10, "a")),
            (id(.orSet, "b"), document(&own, at: 11, "b")),
            (id(.orSet, "b"), document(&other, at: 12, "b")),
            (id(.counter, "c", "elsewhere"), document(&own, at: 13, "c")),
            (id(.orSet, "a"), document(&other, at: 14, "a")),
            (id(.counter, ""), document(&own, at: 15, "")),
        ]
        try writer.append(
            Batch(entries: touching.map(\.1), effects: touching.map { .touch($0.0, $0.1.dot) }))
        let all = [id(.orSet, "a"), id(.orSet, "b"), id(.register, "a"), id(.counter, "")]
        let reader = try fresh.reader()
        func beyond(_ dots: Dot..., limit: Int = 10) throws -> [DocumentID] {
            try reader.documents(of: "room", beyond: VersionVector(dots), limit: limit)
        }
        for _ in 0..<2 {
            #expect(try beyond() == all)
            #expect(try beyond(limit: 2) == Array(all[..<2]) && beyond(limit: 4) == all)
            #expect(try beyond(limit: 0).isEmpty && beyond(limit: -1).isEmpty)
            #expect(try beyond(dot(.a, 2)) == [all[0], all[1], all[3]])
            #expect(try beyond(dot(.a, 1), dot(.b, 9)) == [all[1], all[3]])
            #expect(try beyond(dot(.a, 3), dot(.b, 2), dot(.c, 7)) == [all[3]])
            #expect(try beyond(own.head, other.head).isEmpty)
            #expect(
                try reader.documents(of: "elsewhere", beyond: VersionVector(dot(.a, 2)), limit: 9).map(\.name) == ["c"])
            #expect(try reader.documents(of: "nowhere", beyond: VersionVector(), limit: 9).isEmpty)
            // And again when their entries have gone, and none of them holds anything.
            _ = try writer.prune(fold(own.head, other.head))
            #expect(try reader.entries(room: "room", after: VersionVector(), limit: 9).entries.isEmpty)
        }
    }

    @Test("what a snapshot brings of a document counts as what its entries would", arguments: StoreUnderTest.available)
    func documentsOfSnapshot(_ kind: StoreUnderTest) throws {
        let server = MemoryStore()
        let serving = try server.openWriter(.test(fresh: .a)).writer
        var theirs = TestLog(.a)
        let first = document(&theirs, at: 10, "first")
        let second = document(&theirs, at: 11, "second")
        let ids = ["first", "second"].map { DocumentID(room: "room", kind: .orSet, name: $0) }
        try serving.append(
            Batch(entries: [first, second], effects: [.touch(ids[0], first.dot), .touch(ids[1], second.dot)]))
        _ = try serving.prune(fold(theirs.head))
        let fresh = try kind.make()
        let (writer, _) = try fresh.open(.test(fresh: .b))
        defer { writer.close() }
        _ = try transfer(to: writer, have: VersionVector(), from: [try server.openReader()])
        let reader = try fresh.reader()
        #expect(try reader.documents(of: "room", beyond: VersionVector(), limit: 9) == ids)
        #expect(try reader.documents(of: "room", beyond: VersionVector(first.dot), limit: 9) == [ids[1]])
        #expect(try reader.horizon().isEmpty)
    }
}
