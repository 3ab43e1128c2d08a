// Databases that a wrong clock has dated, and what is made of them.

import ConvergeCRDT
import ConvergeStorage
import ConvergeWire
import Testing

@Suite("Dating anew")
final class RedatingTests {
    private let folder: TemporaryFolder
    private let path: String
    private static let day: UInt64 = 86_400_000
    private static let now: UInt64 = 1_700_000_000_000
    private static let bound = HybridTimestamp(milliseconds: now + day, counter: .max)
    private static let century = HybridTimestamp(milliseconds: now + 100 * 365 * day)

    init() throws {
        folder = try TemporaryFolder()
        path = folder.path("converge.db")
    }

    deinit { folder.remove() }

    /// Entries that chain.
    private struct Log {
        let replica: ReplicaID
        var seq: UInt64 = 0
        var hash = EntryHash.zero

        mutating func entry(at timestamp: HybridTimestamp, after: [Dot] = [], room: Text = "room") -> Entry {
            seq += 1
            let dot = Dot(replica: replica, seq: seq)
            let payload = MessagePayload(id: nil, user: "u", displayName: "U", body: Array("\(dot)".utf8))
            var entry = Entry(dot: dot, timestamp: timestamp, kind: .message, room: room, payload: payload.encoded)
            entry.dependencies = after
            entry.hash = EntryChain().hash(after: hash, entry)
            hash = entry.hash
            return entry
        }
    }

    private static func at(_ base: HybridTimestamp, _ step: UInt64) -> HybridTimestamp {
        HybridTimestamp(rawValue: base.rawValue + step)
    }

    private static let register = DocumentID(room: "room", kind: .register, name: "r")
    private static let set = DocumentID(room: "room", kind: .orSet, name: "s")
    private static let counter = DocumentID(room: "room", kind: .counter, name: "c")

    /// Two logs: what is dated rightly, then what is dated a century ahead, one of it at the end of time.
    private static func fill(_ store: any Store) throws -> (history: [Dot], own: Log) {
        let (writer, recovered) = try store.openWriter(.test())
        defer { writer.close() }
        var own = Log(replica: recovered.replica)
        var other = Log(replica: .b)
        let right = HybridTimestamp(milliseconds: now)
        var entries = [own.entry(at: right), other.entry(at: at(right, 1)), own.entry(at: at(right, 2))]
        entries.append(own.entry(at: century))
        entries.append(other.entry(at: at(century, 5), after: [entries[3].dot]))
        entries.append(own.entry(at: at(century, 9), after: [entries[4].dot]))
        entries.append(other.entry(at: .last, after: [entries[5].dot]))
        let far = entries[4]
        try writer.append(
            Batch(
                entries: entries,
                effects: [
                    .key(MessageID(high: 1, low: 1), position: far.position),
                    .write(register, value: "far", dot: far.dot, timestamp: far.timestamp),
                    .insert(set, element: "e", dot: far.dot, timestamp: far.timestamp, replacing: []),
                    .count(counter, CounterTotals(up: 3, down: 1), dot: far.dot, timestamp: far.timestamp),
                    .attendance(
                        AttendanceRecord(
                            room: "room", user: "u", displayName: "U", number: 1, position: far.position)),
                ]))
        return (entries.map(\.dot), own)
    }

    /// What holds of a database that was dated anew.
    private static func check(_ store: any Store, _ history: [Dot], _ own: Log) throws {
        let reader = try store.openReader()
        let shown = try reader.history(room: "room", before: nil, limit: 99)
        #expect(shown.map(\.dot) == history)
        #expect(shown.allSatisfy { $0.timestamp <= bound })
        #expect(shown.map(\.position) == shown.map(\.position).sorted())
        for replica in [own.replica, ReplicaID.b] {
            let log = try reader.entries(of: replica, from: 1, limit: 99)
            #expect(EntryChain().verifies(log, after: .zero))
        }
        let position = shown[4].position
        #expect(try reader.positions(of: [MessageID(high: 1, low: 1)]) == [MessageID(high: 1, low: 1): position])

        let (writer, recovered) = try store.openWriter(.test(fresh: .c))
        #expect(recovered.clock <= bound && recovered.clock == shown.last?.timestamp)
        #expect(recovered.replica == own.replica && recovered.headHash == shown[5].hash)
        #expect(recovered.rows.count == 3)
        #expect(recovered.rows.allSatisfy { $0.timestamp == position.timestamp && $0.dot == position.dot })
        #expect(recovered.attendance.map(\.position) == [position])
        // And the log goes on, dated rightly.
        var next = Log(replica: own.replica, seq: own.seq, hash: recovered.headHash)
        try writer.append(Batch(entries: [next.entry(at: HybridTimestamp(milliseconds: now + 60_000))]))
        writer.close()
    }

    @Test("what is dated far ahead comes to stand behind what is not, in its order, chained anew")
    func sqlite() throws {
        let store = SQLiteStore(path: path)
        let (history, own) = try Self.fill(store)
        let trial = try SQLiteRedating.run(path, laterThan: Self.bound, isTrial: true)
        #expect(trial.logs.map(\.entries) == [2, 2] && trial.before == .last)
        #expect(try SQLiteRedating.run(path, laterThan: Self.bound, isTrial: true) == trial)
        let redated = try SQLiteRedating.run(path, laterThan: Self.bound, isTrial: false)
        #expect(redated == trial && redated.after <= Self.bound)
        try Self.check(store, history, own)
        let again = try SQLiteRedating.run(path, laterThan: Self.bound, isTrial: false)
        #expect(again.logs.isEmpty && again.before == again.after)
    }

    @Test("the same of a PostgreSQL database, which no node may be writing", .needsPostgres)
    func postgres() throws {
        let database = try PostgresTestDatabase(on: StoreUnderTest.postgresDSN ?? "")
        defer { database.remove() }
        let store = PostgresStore(dsn: database.dsn, timeout: .seconds(5))
        let (history, own) = try Self.fill(store)
        let trial = try store.redate(laterThan: Self.bound, isTrial: true)
        #expect(trial.logs.map(\.entries) == [2, 2] && trial.before == .last)
        let redated = try store.redate(laterThan: Self.bound, isTrial: false)
        #expect(redated == trial && redated.after <= Self.bound)
        try Self.check(store, history, own)
    }

    @Test("a log whose entry before the first of them is gone is served as state from then on")
    func broken() throws {
        let store = SQLiteStore(path: path)
        let (writer, recovered) = try store.openWriter(.test())
        var own = Log(replica: recovered.replica)
        try writer.append(
            Batch(entries: [own.entry(at: HybridTimestamp(milliseconds: 1_000)), own.entry(at: Self.century)]))
        _ = try writer.prune(
            Pruning(
                entriesBefore: HybridTimestamp(milliseconds: 2_000), keysBefore: .zero,
                foldThrough: VersionVector(), limit: 10))
        writer.close()
        #expect(try SQLiteRedating.run(path, laterThan: Self.bound, isTrial: false).logs.count == 1)
        let (again, after) = try store.openWriter(.test(fresh: .c))
        #expect(after.floors[recovered.replica] == 2 && after.head == 2)
        #expect(try store.openReader().history(room: "room", before: nil, limit: 9).count == 1)
        again.close()
    }

    @Test("it is refused while a node has the database open, and where there is none")
    func refused() throws {
        let store = SQLiteStore(path: path)
        let writer = try store.openWriter(.test()).writer
        let thrown = error { () throws(StoreError) in
            _ = try SQLiteRedating.run(self.path, laterThan: Self.bound, isTrial: false, timeout: .milliseconds(20))
        }
        #expect(thrown?.name == "locked")
        writer.close()
        let missing = folder.path("none.db")
        let none = error { () throws(StoreError) in
            _ = try SQLiteRedating.run(missing, laterThan: Self.bound, isTrial: false)
        }
        #expect(none?.name == "unreachable")
    }
}
