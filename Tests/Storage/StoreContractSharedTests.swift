// The contract of what several nodes' logs need: twins, redaction, folding, ranges, snapshots.

import ConvergeCRDT
import ConvergeStorage
import ConvergeWire
import Testing

@Suite("Store contract: several logs")
struct StoreContractSharedTests {
    private func message(_ log: inout TestLog, at timestamp: UInt64, id: MessageID? = nil, _ body: String = "hello")
        -> Entry
    {
        var entry = log.entry(at: timestamp)
        entry.payload = MessagePayload(id: id, user: "u", displayName: "U", body: Array(body.utf8)).encoded
        return entry
    }

    private func change(_ log: inout TestLog, at timestamp: UInt64, _ element: Text) -> (Entry, [StoreEffect]) {
        var entry = log.entry(at: timestamp, kind: .document)
        entry.payload =
            DocumentPayload(name: "doc", user: "u", displayName: "U", delta: .add(element: element, replacing: []))
            .encoded
        let document = DocumentID(room: "room", kind: .orSet, name: "doc")
        return (
            entry,
            [
                .insert(document, element: element, dot: entry.dot, timestamp: entry.timestamp, replacing: []),
                .touch(document, entry.dot),
            ]
        )
    }

    private func fold(_ dots: Dot..., limit: Int = 100) -> Pruning {
        Pruning(entriesBefore: .zero, keysBefore: .zero, foldThrough: VersionVector(dots), limit: limit)
    }

    private func want(_ have: VersionVector = VersionVector(), limit: UInt64 = 1 << 30) -> SnapshotWant {
        SnapshotWant(number: 9, have: have, since: have, reached: VersionVector(), after: nil, limit: limit)
    }

    // MARK: Twins

    @Test("of three twins only the earliest is shown, in whatever order they come", arguments: StoreUnderTest.available)
    func twins(_ kind: StoreUnderTest) throws {
        let id = MessageID(high: 5, low: 6)
        let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]]
        for (number, order) in orders.enumerated() {
            let fresh = try kind.make()
            let (writer, _) = try fresh.open()
            defer { writer.close() }
            var logs = [TestLog(.a), TestLog(.b), TestLog(.c)]
            let entries = (0..<3).map { message(&logs[$0], at: UInt64(20 - $0), id: id) }
            let batches = order.map {
                Batch(entries: [entries[$0]], effects: [.key(id, position: entries[$0].position)])
            }
            if number % 2 == 0 {
                for batch in batches { try writer.append(batch) }
            } else {
                try writer.append(Batch(entries: batches.flatMap(\.entries), effects: batches.flatMap(\.effects)))
            }
            let reader = try fresh.reader()
            #expect(try reader.history(room: "room", before: nil, limit: 9) == [entries[2]], "order \(order)")
            #expect(try reader.positions(of: [id]) == [id: entries[2].position])
            #expect(try reader.entries(of: .a, from: 1, limit: 9) == [entries[0]])
        }
    }

    // MARK: Redaction

    @Test("a redacted message leaves its shell in the log and nothing in history", arguments: StoreUnderTest.available)
    func redaction(_ kind: StoreUnderTest) throws {
        let fresh = try kind.make()
        let (writer, _) = try fresh.open()
        defer { writer.close() }
        var own = TestLog(.a)
        let id = MessageID(high: 0x0102_0304_0506_0708, low: 9)
        let plain = message(&own, at: 10)
        let keyed = message(&own, at: 11, id: id)
        let kept = message(&own, at: 12)
        let system = own.entry(at: 13, kind: .system)
        try writer.append(Batch(entries: [plain, keyed, kept, system], effects: [.key(id, position: keyed.position)]))
        try writer.append(
            Batch(effects: [
                .redact(plain.dot), .redact(keyed.dot), .redact(system.dot), .redact(Dot(replica: .c, seq: 4)),
            ]))
        try writer.append(Batch(effects: [.redact(plain.dot)]))
        let reader = try fresh.reader()
        #expect(try reader.history(room: "room", before: nil, limit: 9) == [kept, system])
        let chain = EntryChain()
        let log = try reader.entries(of: .a, from: 1, limit: 9)
        #expect(log == [chain.redacted(plain), chain.redacted(keyed), kept, system])
        #expect(log[0].payload.count == 32 && log[1].payload.count == 48)
        #expect(try reader.positions(of: [id]) == [id: keyed.position])
    }

    @Test("a shell that arrives is kept, not shown, and hides its later twin", arguments: StoreUnderTest.available)
    func shells(_ kind: StoreUnderTest) throws {
        let fresh = try kind.make()
        let (writer, _) = try fresh.open()
        defer { writer.close() }
        var own = TestLog(.a)
        var other = TestLog(.b)
        let id = MessageID(high: 1, low: 9)
        let twin = message(&own, at: 20, id: id)
        let shell = EntryChain().redacted(message(&other, at: 10, id: id))
        try writer.append(Batch(entries: [twin], effects: [.key(id, position: twin.position)]))
        try writer.append(Batch(entries: [shell], effects: [.key(id, position: shell.position)]))
        let reader = try fresh.reader()
        #expect(try reader.history(room: "room", before: nil, limit: 9).isEmpty)
        #expect(try reader.entries(of: .b, from: 1, limit: 9) == [shell])
    }

    // MARK: Folding

    @Test("folding drops document entries and keeps the rest below the floor", arguments: StoreUnderTest.available)
    func folding(_ kind: StoreUnderTest) throws {
        let fresh = try kind.make()
        let (writer, _) = try fresh.open()
        var own = TestLog(.a)
        let first = change(&own, at: 10, "x")
        let shown = message(&own, at: 11)
        let unknown = own.entry(at: 12, kind: EntryKind(rawValue: 99))
        let second = change(&own, at: 13, "y")
        let last = change(&own, at: 14, "z")
        try writer.append(
            Batch(
                entries: [first.0, shown, unknown, second.0, last.0], effects: first.1 + second.1 + last.1))

        let some = try writer.prune(fold(Dot(replica: .a, seq: 4), limit: 2))
        #expect(some == Pruned(dropped: 1, floors: VersionVector(Dot(replica: .a, seq: 2)), hasMore: true))
        let more = try writer.prune(fold(Dot(replica: .a, seq: 4), Dot(replica: .b, seq: 9)))
        #expect(more == Pruned(dropped: 1, floors: VersionVector(Dot(replica: .a, seq: 4)), hasMore: false))
        #expect(try writer.prune(fold(Dot(replica: .a, seq: 4))).dropped == 0)

        let reader = try fresh.reader()
        #expect(try reader.history(room: "room", before: nil, limit: 9) == [shown])
        #expect(
            try reader.entries(room: "room", after: VersionVector(), limit: 9).entries == [shown, unknown, last.0])
        #expect(try reader.entries(of: .a, from: 2, limit: 9).isEmpty)
        #expect(try reader.entries(of: .a, from: 5, limit: 9) == [last.0])
        #expect(try reader.hash(of: shown.dot) == shown.hash)
        #expect(try reader.hash(of: first.0.dot) == nil)
        #expect(try reader.hash(of: Dot(replica: .a, seq: 6)) == nil)
        // All that is there, and beyond it nothing.
        #expect(try writer.prune(fold(Dot(replica: .a, seq: 99))).floors == VersionVector(last.0.dot))
        #expect(try reader.hash(of: last.0.dot) == last.0.hash)
        writer.close()

        let (again, recovered) = try fresh.open()
        #expect(recovered.vector == VersionVector(last.0.dot))
        #expect(recovered.floors == recovered.vector)
        #expect(recovered.ends == [LogEnd(dot: last.0.dot, hash: last.0.hash)])
        #expect(recovered.rows.map(\.value) == ["x", "y", "z"])
        // By age all of it goes, also what is retained.
        let old = Pruning(entriesBefore: HybridTimestamp(rawValue: 12), keysBefore: .zero, limit: 9)
        #expect(try again.prune(old) == Pruned(dropped: 1, floors: VersionVector(last.0.dot), hasMore: false))
        #expect(try reader.entries(room: "room", after: VersionVector(), limit: 9).entries == [unknown])
        again.close()
    }

    @Test("a change that this build can't read is not folded, nor what follows it", arguments: StoreUnderTest.available)
    func barred(_ kind: StoreUnderTest) throws {
        let fresh = try kind.make()
        let (writer, _) = try fresh.open()
        defer { writer.close() }
        var own = TestLog(.a)
        let known = change(&own, at: 10, "x")
        var newer = change(&own, at: 11, "y").0
        newer.payload[1] = 200
        let after = change(&own, at: 12, "z")
        try writer.append(Batch(entries: [known.0, newer, after.0], effects: known.1 + after.1))
        let pruned = try writer.prune(fold(own.head))
        #expect(pruned == Pruned(dropped: 1, floors: VersionVector(known.0.dot), hasMore: false))
        #expect(try fresh.reader().entries(of: .a, from: 2, limit: 9) == [newer, after.0])
    }

    // MARK: Ranges

    @Test(
        "what depends on a number that was written again later comes after it, however little an answer holds",
        arguments: StoreUnderTest.available)
    func rangesOfForks(_ kind: StoreUnderTest) throws {
        let fresh = try kind.make()
        let (writer, _) = try fresh.open()
        defer { writer.close() }
        // The log of `a` was set back: its second and third are later than what was written on top of those that were lost.
        var (a, b, c) = (TestLog(.a), TestLog(.b), TestLog(.c))
        let first = a.entry(at: 10)
        let again = [a.entry(at: 90), a.entry(at: 91)]
        var answer = b.entry(at: 20)
        answer.dependencies = [again[0].dot]
        var other = c.entry(at: 30)
        other.dependencies = [answer.dot]
        var last = b.entry(at: 40)
        last.dependencies = [again[1].dot, other.dot]
        let order = [first, again[0], answer, other, again[1], last]
        try writer.append(Batch(entries: order))
        var vector = VersionVector()
        var taken: [Entry] = []
        for _ in order {
            let ranges = [a, b, c].map { LogRange(replica: $0.replica, after: vector[$0.replica], through: $0.seq) }
            let read = try fresh.reader().range(ranges, limit: 1)
            #expect(read.entries.count == 1)
            for entry in read.entries {
                #expect(entry.dependencies.allSatisfy(vector.covers), "\(entry.dot)")
                vector.advance(to: entry.dot)
                taken.append(entry)
            }
        }
        #expect(taken == order)
    }

    @Test("ranges come in order of position, up to a limit, and go on", arguments: StoreUnderTest.available)
    func ranges(_ kind: StoreUnderTest) throws {
        let fresh = try kind.make()
        let (writer, _) = try fresh.open()
        defer { writer.close() }
        var logs = [TestLog(.low), TestLog(.a), TestLog(.b)]
        var entries: [Entry] = []
        for number in 0..<90 { entries.append(logs[number % 7 % 3].entry(at: UInt64(100 + number / 2))) }
        try writer.append(Batch(entries: entries))
        let reader = try fresh.reader()
        func ranges(after vector: VersionVector) -> [LogRange] {
            logs.map { LogRange(replica: $0.replica, after: vector[$0.replica], through: $0.seq + 5) }
        }
        var taken: [Entry] = []
        var vector = VersionVector()
        var rounds = 0
        while rounds < 200 {
            let read = try reader.range(ranges(after: vector), limit: 400)
            taken += read.entries
            for entry in read.entries { vector.advance(to: entry.dot) }
            rounds += 1
            if read.isComplete { break }
        }
        #expect(taken == entries.sorted { $0.position < $1.position })
        #expect(rounds > 5)
        #expect(try reader.range(ranges(after: VersionVector()), limit: 0).entries.count == 1)
        let part = try reader.range([LogRange(replica: .a, after: 2, through: 4)], limit: .max)
        #expect(part.entries.map(\.dot.seq) == [3, 4] && part.isComplete)
        let none = RangeRead(entries: [], isComplete: true, belowFloor: false)
        #expect(try reader.range([LogRange(replica: .c, after: 0, through: 9)], limit: 99) == none)
        #expect(try reader.range([LogRange(replica: .a, after: 4, through: 4)], limit: 99) == none)

        _ = try writer.prune(Pruning(entriesBefore: HybridTimestamp(rawValue: 110), keysBefore: .zero, limit: 100))
        let below = try reader.range(ranges(after: VersionVector()), limit: 999)
        #expect(below == RangeRead(entries: [], isComplete: false, belowFloor: true))
    }

    // MARK: Snapshots

    @Test(
        "what is staged is seen by nobody until it is installed, and then all of it",
        arguments: StoreUnderTest.available)
    func staging(_ kind: StoreUnderTest) throws {
        let server = MemoryStore()
        let serving = try server.openWriter(.test(fresh: .a)).writer
        var theirs = TestLog(.a)
        let id = MessageID(high: 7, low: 7)
        let changes = (0..<6).map { change(&theirs, at: UInt64(10 + $0), Text("e\($0)")) }
        let keyed = message(&theirs, at: 20, id: id)
        let record = AttendanceRecord(room: "room", user: "u", displayName: "U", number: 1, position: keyed.position)
        try serving.append(
            Batch(
                entries: changes.map(\.0) + [keyed],
                effects: changes.flatMap(\.1) + [.key(id, position: keyed.position), .attendance(record)]))
        _ = try serving.prune(fold(Dot(replica: .a, seq: 5)))

        let fresh = try kind.make()
        let (writer, _) = try fresh.open(.test(fresh: .b))
        var own = TestLog(.b)
        let twin = message(&own, at: 30, id: id)
        try writer.append(Batch(entries: [twin], effects: [.key(id, position: twin.position)]))
        let have = VersionVector(twin.dot)
        let reader = try fresh.reader()

        var request = want(have, limit: 1)
        var pieces = 0
        var final: SnapshotChunk?
        while final == nil, pieces < 20 {
            let chunk = try server.openReader().snapshot(request)
            pieces += 1
            switch chunk.status {
            case .final: final = chunk
            case .more:
                #expect(chunk.documents.count + chunk.attendance.count + chunk.keys.count + chunk.entries.count == 1)
                request.after = chunk.next
                try writer.stage(chunk)
            case .passEnded:
                (request.since, request.after) = (chunk.at, nil)
                try writer.stage(chunk)
            case .behind, .unavailable, .forked: Issue.record("\(chunk.status)")
            }
            #expect(try reader.history(room: "room", before: nil, limit: 9) == [twin])
            #expect(try reader.attendance(of: [("room", "u")]).isEmpty)
        }
        #expect(pieces == 6)
        let recovered = try writer.install(try #require(final), have: have)
        #expect(recovered.vector == VersionVector(theirs.head, own.head))
        #expect(recovered.floors == VersionVector(Dot(replica: .a, seq: 5)))
        #expect(recovered.ends.map(\.hash) == [keyed.hash, twin.hash])
        #expect(recovered.rows.map(\.value) == (0..<6).map { Text("e\($0)") })
        #expect(recovered.attendance == [record])
        #expect(recovered.replica == .b && recovered.headHash == twin.hash)
        #expect(recovered.clock == twin.timestamp)
        #expect(try reader.history(room: "room", before: nil, limit: 9) == [keyed])
        #expect(try reader.positions(of: [id]) == [id: keyed.position])
        #expect(try reader.entries(of: .a, from: 6, limit: 9) == [changes[5].0, keyed])
        #expect(try reader.entries(of: .a, from: 5, limit: 9).isEmpty)

        // Both logs go on where they are.
        try writer.append(Batch(entries: [own.entry(at: 40), theirs.entry(at: 41)]))
        writer.close()
        let (again, reopened) = try fresh.open(.test(fresh: .c))
        again.close()
        #expect(reopened.vector == VersionVector(theirs.head, own.head))
        #expect(reopened.floors == recovered.floors)
        #expect(reopened.rows == recovered.rows)
    }

    @Test("a pass goes by names, the empty ones first", arguments: StoreUnderTest.available)
    func passOrder(_ kind: StoreUnderTest) throws {
        let fresh = try kind.make()
        let (writer, _) = try fresh.open()
        defer { writer.close() }
        var own = TestLog(.a)
        let entry = own.entry(at: 10)
        var effects: [StoreEffect] = []
        var names: [String] = []
        for room: Text in ["", "!", "a", "é"] {
            for name: Text in ["", "~"] {
                names.append("\(room)/\(name)")
                effects.append(
                    .attendance(
                        AttendanceRecord(room: room, user: name, displayName: "", number: 2, position: entry.position)))
                effects.append(.touch(DocumentID(room: room, kind: .counter, name: name), entry.dot))
            }
        }
        try writer.append(Batch(entries: [entry], effects: effects.reversed()))
        let reader = try fresh.reader()
        for limit: UInt64 in [1, 100, 1 << 30] {
            var request = want(limit: limit)
            var documents: [String] = []
            var attendance: [String] = []
            for _ in 0..<40 {
                let chunk = try reader.snapshot(request)
                documents += chunk.documents.map { "\($0.id.room)/\($0.id.name)" }
                attendance += chunk.attendance.map { "\($0.room)/\($0.user)" }
                request.after = chunk.next
                if chunk.status != .more { break }
            }
            #expect(documents == names && attendance == names, "limit \(limit)")
        }
    }

    @Test(
        "a discarded stage leaves nothing, and a piece that does not fit is refused",
        arguments: StoreUnderTest.available)
    func discarded(_ kind: StoreUnderTest) throws {
        let server = MemoryStore()
        let serving = try server.openWriter(.test(fresh: .a)).writer
        var theirs = TestLog(.a)
        let entry = change(&theirs, at: 10, "x")
        try serving.append(Batch(entries: [entry.0], effects: entry.1))
        let final = try server.openReader().snapshot(want())
        #expect(final.status == .final)
        var behind = want()
        behind.reached = VersionVector(Dot(replica: .c, seq: 1))
        #expect(try server.openReader().snapshot(behind).status == .behind)

        let fresh = try kind.make()
        let (writer, _) = try fresh.open(.test(fresh: .b))
        var stray = SnapshotChunk(number: 1, status: .more, at: VersionVector())
        var foreign = TestLog(.c)
        stray.entries = [foreign.entry(at: 5)]
        stray.documents = [
            SnapshotDocument(
                id: DocumentID(room: "room", kind: .orSet, name: "stray"), touched: VersionVector(foreign.head),
                cells: [])
        ]
        try writer.stage(stray)
        try writer.discardStage()
        let recovered = try writer.install(final, have: VersionVector())
        #expect(recovered.vector == VersionVector(entry.0.dot))
        #expect(try fresh.reader().snapshot(want()).documents.map(\.id.name) == ["doc"])
        // A second time it changes nothing.
        #expect(try writer.install(final, have: VersionVector()).rows == recovered.rows)

        let thrown = error { () throws(StoreError) in
            _ = try writer.install(final, have: VersionVector(Dot(replica: .c, seq: 3)))
        }
        #expect(thrown?.name == "failed")
        writer.close()
        let (again, _) = try fresh.open(.test(fresh: .b))
        let notFinal = error { () throws(StoreError) in _ = try again.install(stray, have: VersionVector()) }
        #expect(notFinal?.name == "failed")
        again.close()
    }

    @Test(
        "a document's dots that one side covers and lacks are gone, and others stay",
        arguments: StoreUnderTest.available)
    func joining(_ kind: StoreUnderTest) throws {
        let document = DocumentID(room: "room", kind: .orSet, name: "doc")
        let server = MemoryStore()
        let serving = try server.openWriter(.test(fresh: .a)).writer
        var a = TestLog(.a)
        let first = change(&a, at: 10, "removed there")
        try serving.append(Batch(entries: [first.0], effects: first.1))

        let fresh = try kind.make()
        let (writer, _) = try fresh.open(.test(fresh: .b))
        defer { writer.close() }
        try writer.append(Batch(entries: [first.0], effects: first.1))
        let have = VersionVector(first.0.dot)
        var b = TestLog(.b)
        let mine = change(&b, at: 11, "mine")
        try writer.append(Batch(entries: [mine.0], effects: mine.1))
        let theirs = change(&a, at: 12, "theirs")
        var removal = a.entry(at: 13, kind: .document)
        removal.payload = theirs.0.payload
        try serving.append(
            Batch(
                entries: [theirs.0, removal],
                effects: theirs.1 + [
                    .delete(document, element: "removed there", dots: [first.0.dot]), .touch(document, removal.dot),
                ]))
        let recovered = try writer.install(try server.openReader().snapshot(want(have)), have: have)
        #expect(recovered.rows.map(\.value) == ["mine", "theirs"])
    }
}
