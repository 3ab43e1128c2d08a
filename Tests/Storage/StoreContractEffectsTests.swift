// The contract of what stands beside the log: keys, documents, attendance.

import ConvergeCRDT
import ConvergeStorage
import ConvergeWire
import Testing

@Suite("Store contract: effects")
struct StoreContractEffectsTests {
    private let set = DocumentID(room: "room", kind: .orSet, name: "doc")
    private let register = DocumentID(room: "room", kind: .register, name: "doc")

    private func position(_ timestamp: UInt64, _ replica: ReplicaID = .a, _ seq: UInt64 = 1) -> Position {
        Position(timestamp: HybridTimestamp(rawValue: timestamp), dot: Dot(replica: replica, seq: seq))
    }

    /// The documents after each of `batches`, as the next open recovers them.
    private func documents(_ kind: StoreUnderTest, after batches: [[StoreEffect]]) throws -> [[DocumentRow]] {
        let fresh = try kind.make()
        var (writer, _) = try fresh.open()
        var states: [[DocumentRow]] = []
        for effects in batches {
            try writer.append(Batch(effects: effects))
            writer.close()
            let recovered: Recovered
            (writer, recovered) = try fresh.open()
            states.append(recovered.rows)
        }
        writer.close()
        return states
    }

    @Test("of a key's positions the earliest stays", arguments: StoreUnderTest.available)
    func keys(_ kind: StoreUnderTest) throws {
        let fresh = try kind.make()
        let (writer, _) = try fresh.open()
        defer { writer.close() }
        let one = MessageID(high: .max, low: 0)
        let two = MessageID(high: 0, low: .max)
        let three = MessageID(high: 0, low: 1)
        let reader = try fresh.reader()
        try writer.append(Batch(effects: [.key(one, position: position(20, .b)), .key(two, position: position(5))]))
        #expect(try reader.positions(of: [one, two, three]) == [one: position(20, .b), two: position(5)])
        try writer.append(Batch(effects: [.key(one, position: position(20, .c)), .key(two, position: position(6))]))
        #expect(try reader.positions(of: [one, two]) == [one: position(20, .b), two: position(5)])
        try writer.append(
            Batch(effects: [.key(one, position: position(20, .a)), .key(two, position: position(4, .c))]))
        #expect(try reader.positions(of: [one, two, one]) == [one: position(20, .a), two: position(4, .c)])
        try writer.append(Batch(effects: [.key(two, position: position(4, .c, 3)), .key(two, position: position(3))]))
        #expect(try reader.positions(of: [two]) == [two: position(3)])
        #expect(try reader.positions(of: []).isEmpty)
    }

    @Test("an insert takes the place of the dots that it replaces, and no others", arguments: StoreUnderTest.available)
    func insertReplacing(_ kind: StoreUnderTest) throws {
        let stamp = HybridTimestamp(rawValue: 9)
        let one = Dot(replica: .a, seq: 1)
        let two = Dot(replica: .b, seq: 1)
        let three = Dot(replica: .a, seq: 2)
        func row(_ element: Text, _ dot: Dot) -> DocumentRow {
            DocumentRow(document: set, value: element, dot: dot, timestamp: stamp)
        }
        let states = try documents(
            kind,
            after: [
                [
                    .insert(set, element: "x", dot: one, timestamp: stamp, replacing: []),
                    .insert(set, element: "x", dot: two, timestamp: stamp, replacing: []),
                    .insert(set, element: "y", dot: one, timestamp: stamp, replacing: []),
                ],
                [.insert(set, element: "x", dot: three, timestamp: stamp, replacing: [one])],
                [.delete(set, element: "x", dots: [two, Dot(replica: .c, seq: 9)])],
                [.delete(set, element: "y", dots: [two]), .delete(set, element: "z", dots: [one])],
                [.delete(set, element: "y", dots: [one]), .delete(set, element: "x", dots: [three])],
            ])
        #expect(states[0] == [row("x", one), row("x", two), row("y", one)])
        #expect(states[1] == [row("x", three), row("x", two), row("y", one)])
        #expect(states[2] == [row("x", three), row("y", one)])
        #expect(states[3] == states[2])
        #expect(states[4] == [])
    }

    @Test("a register keeps the latest write by timestamp and replica", arguments: StoreUnderTest.available)
    func registers(_ kind: StoreUnderTest) throws {
        func write(_ value: Text?, _ at: UInt64, _ replica: ReplicaID, _ seq: UInt64 = 1) -> (StoreEffect, DocumentRow)
        {
            let dot = Dot(replica: replica, seq: seq)
            let stamp = HybridTimestamp(rawValue: at)
            return (
                .write(register, value: value, dot: dot, timestamp: stamp),
                DocumentRow(document: register, value: value, dot: dot, timestamp: stamp)
            )
        }
        let first = write("first", 10, .b)
        let older = write("older", 9, .c)
        let lower = write("lower", 10, .a)
        let higher = write("higher", 10, .c)
        let cleared = write(nil, 11, .a)
        let empty = write("", 12, .a)
        let states = try documents(
            kind, after: [[first.0], [older.0, lower.0], [higher.0], [cleared.0, first.0], [empty.0]])
        #expect(states == [[first.1], [first.1], [higher.1], [cleared.1], [empty.1]])
    }

    @Test("documents of one name in other rooms or of another kind are others", arguments: StoreUnderTest.available)
    func manyDocuments(_ kind: StoreUnderTest) throws {
        let fresh = try kind.make()
        let (writer, _) = try fresh.open()
        var rows: [DocumentRow] = []
        var effects: [StoreEffect] = []
        let stamp = HybridTimestamp(rawValue: 1)
        for room: Text in ["b", "a", "é", "e\u{301}", ""] {
            for name: Text in ["2", "1", "a\u{0}b"] {
                let dot = Dot(replica: .b, seq: UInt64(rows.count + 1))
                let ids = [DocumentKind.register, .orSet].map { DocumentID(room: room, kind: $0, name: name) }
                effects.append(.write(ids[0], value: "v\u{0}", dot: dot, timestamp: stamp))
                effects.append(.insert(ids[1], element: "v\u{0}", dot: dot, timestamp: stamp, replacing: []))
                effects.append(.touch(ids[0], dot))
                effects.append(.touch(ids[0], Dot(replica: .b, seq: 1)))
                rows += ids.map { DocumentRow(document: $0, value: "v\u{0}", dot: dot, timestamp: stamp) }
            }
        }
        try writer.append(Batch(effects: effects))
        writer.close()
        let (again, recovered) = try fresh.open()
        defer { again.close() }
        #expect(Set(recovered.rows) == Set(rows))
        #expect(recovered.rows.count == rows.count)
    }

    @Test(
        "of two system events the higher number stays, and of one number the earlier position",
        arguments: StoreUnderTest.available)
    func attendance(_ kind: StoreUnderTest) throws {
        let fresh = try kind.make()
        var (writer, _) = try fresh.open()
        func record(_ user: Text, _ name: Text, number: UInt64, _ position: Position, room: Text = "room")
            -> AttendanceRecord
        {
            AttendanceRecord(room: room, user: user, displayName: name, number: number, position: position)
        }
        func after(_ records: [AttendanceRecord]) throws -> [AttendanceRecord] {
            try writer.append(Batch(effects: records.map { .attendance($0) }))
            writer.close()
            let recovered: Recovered
            (writer, recovered) = try fresh.open()
            return recovered.attendance
        }
        let u = record("u", "U", number: 1, position(10))
        let v = record("v", "V", number: 3, position(10))
        let elsewhere = record("u", "Elsewhere", number: 2, position(10), room: "a")
        #expect(try after([u, v, elsewhere]) == [elsewhere, u, v])
        // Later in time, but of a lower number or the same.
        let late = record("v", "Late", number: 2, position(99))
        let left = record("u", "Left", number: 2, position(5))
        #expect(try after([late, record("v", "Twin", number: 3, position(11)), left]) == [elsewhere, left, v])
        let twin = record("v", "Earlier", number: 3, position(10, .low))
        let joined = record("u", "Joined", number: 3, position(12))
        #expect(
            try after([twin, joined, record("u", "Between", number: 2, position(4))]) == [elsewhere, joined, twin])
        let reader = try fresh.reader()
        #expect(
            try reader.attendance(of: [("room", "v"), ("room", "w"), ("a", "u"), ("b", "u")]) == [twin, elsewhere])
        #expect(try reader.attendance(of: []).isEmpty)
        writer.close()
    }

    @Test("of those who have left the newest are told, up to the limit", arguments: StoreUnderTest.available)
    func attendanceLimit(_ kind: StoreUnderTest) throws {
        let fresh = try kind.make()
        let (writer, _) = try fresh.open()
        let records = (1...9).map { number in
            AttendanceRecord(
                room: "room", user: Text("u\(number)"), displayName: "", number: number % 3 == 0 ? 1 : 2,
                position: position(UInt64(100 - number)))
        }
        try writer.append(Batch(effects: records.map { .attendance($0) }))
        writer.close()
        var start = WriterStart.test()
        for (limit, users) in [
            (6, [1, 2, 3, 4, 5, 6, 7, 8, 9]), (2, [1, 2, 3, 6, 9]), (0, [3, 6, 9]),
        ] {
            start.attendanceLimit = limit
            let (again, recovered) = try fresh.open(start)
            again.close()
            #expect(recovered.attendance == users.map { records[$0 - 1] })
            #expect(recovered.attendanceComplete == (limit == 6))
        }
    }

    @Test("a counter is one row a replica, whose totals never fall", arguments: StoreUnderTest.available)
    func counters(_ kind: StoreUnderTest) throws {
        let counter = DocumentID(room: "room", kind: .counter, name: "doc")
        func count(_ up: UInt64, _ down: UInt64, _ replica: ReplicaID, _ seq: UInt64) -> (StoreEffect, DocumentRow) {
            let dot = Dot(replica: replica, seq: seq)
            let stamp = HybridTimestamp(rawValue: 10 + seq)
            let totals = CounterTotals(up: up, down: down)
            return (
                .count(counter, totals, dot: dot, timestamp: stamp),
                DocumentRow(document: counter, value: nil, totals: totals, dot: dot, timestamp: stamp)
            )
        }
        let first = count(5, 0, .a, 1)
        let other = count(1, UInt64.max, .b, 1)
        let second = count(5, 2, .a, 3)
        let states = try documents(
            kind, after: [[first.0], [other.0], [second.0, first.0], [count(4, 9, .a, 2).0], [other.0]])
        #expect(states[0] == [first.1])
        #expect(states[1] == [first.1, other.1])
        #expect(states[2] == [second.1, other.1])
        let mixed = count(5, 9, .a, 3)
        #expect(states[3] == [mixed.1, other.1])
        #expect(states[4] == states[3])
    }

    @Test("members are remembered by address until they are forgotten", arguments: StoreUnderTest.available)
    func members(_ kind: StoreUnderTest) throws {
        let fresh = try kind.make()
        func after(_ effects: [StoreEffect]) throws -> [StoredMember] {
            let (writer, _) = try fresh.open()
            try writer.append(Batch(effects: effects))
            writer.close()
            let (again, recovered) = try fresh.open()
            again.close()
            return recovered.members
        }
        let one = StoredMember(address: "b:1", replica: .c, name: "eins", seen: 5)
        let two = StoredMember(address: "a:1", replica: nil, name: "", seen: 6)
        #expect(try after([.remember(one), .remember(two)]) == [two, one])
        let later = StoredMember(address: "b:1", replica: .low, name: "neu", seen: 9)
        #expect(try after([.remember(later), .forget(address: "a:1"), .forget(address: "z")]) == [later])
        #expect(try after([.remember(two), .forget(address: "b:1"), .remember(one)]) == [two, one])
    }

    @Test("a failed batch leaves no effect behind", arguments: StoreUnderTest.available)
    func rollback(_ kind: StoreUnderTest) throws {
        let fresh = try kind.make()
        let (writer, _) = try fresh.open()
        var log = TestLog(.a, after: 1)
        let id = MessageID(high: 1, low: 2)
        let stamp = HybridTimestamp(rawValue: 1)
        let dot = Dot(replica: .a, seq: 1)
        let thrown = error { () throws(StoreError) in
            try writer.append(
                Batch(
                    entries: [log.entry(at: 5)],
                    effects: [
                        .key(id, position: position(5)),
                        .insert(set, element: "x", dot: dot, timestamp: stamp, replacing: []),
                        .write(register, value: "x", dot: dot, timestamp: stamp),
                        .attendance(
                            AttendanceRecord(
                                room: "room", user: "u", displayName: "U", number: 1, position: position(5))),
                    ]))
        }
        #expect(thrown?.name == "failed")
        writer.close()
        let (again, recovered) = try fresh.open()
        defer { again.close() }
        #expect(recovered.rows.isEmpty)
        #expect(recovered.attendance.isEmpty)
        #expect(recovered.vector == VersionVector())
        #expect(try fresh.reader().positions(of: [id]).isEmpty)
    }
}
