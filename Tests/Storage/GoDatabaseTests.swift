// Files of the earlier Go server, of each of its versions, become logs.

import ConvergeCRDT
import ConvergeStorage
import ConvergeWire
import Foundation
import Testing

@Suite("Go server's SQLite files")
final class GoDatabaseTests {
    let folder: TemporaryFolder
    let path: String

    init() throws {
        folder = try TemporaryFolder()
        path = folder.path("converge.db")
    }

    deinit { folder.remove() }

    /// The columns beside id, type, room, body and ts.
    enum Version: String, CaseIterable, CustomTestStringConvertible {
        case present = "user_id TEXT, display_name TEXT"
        case nameless = "user_id TEXT"
        case old = "\"user\" TEXT, display_name TEXT"
        case oldest = "\"user\" TEXT"

        var testDescription: String { rawValue }
        var hasNames: Bool { self == .present || self == .old }
    }

    /// (id, type, room, user, display name, body, ts)
    typealias Row = (String?, String, String, String, String, String, String)

    private func make(_ version: Version, _ rows: [Row]) throws {
        let database = try RawDatabase(path)
        try database.execute(
            "CREATE TABLE messages(id TEXT PRIMARY KEY, type TEXT, room TEXT, \(version.rawValue), body TEXT, ts TEXT);"
                + "CREATE INDEX idx_messages_room_ts ON messages(room, ts); BEGIN")
        for row in rows {
            let quoted = [row.0, row.1, row.2, row.3, version.hasNames ? row.4 : nil, row.5, row.6].enumerated()
                .filter { $0.offset != 4 || version.hasNames }
                .map { $0.element.map { "'" + $0.replacingOccurrences(of: "'", with: "''") + "'" } ?? "NULL" }
            try database.execute("INSERT INTO messages VALUES (\(quoted.joined(separator: ", ")))")
        }
        try database.execute("COMMIT")
    }

    private func open() throws -> Recovered {
        let (writer, recovered) = try SQLiteStore(path: path).openWriter(.test())
        writer.close()
        return recovered
    }

    private func history(_ room: Text) throws -> [Entry] {
        try SQLiteStore(path: path).openReader().history(room: room, before: nil, limit: 100_000)
    }

    private func words(_ entries: [Entry]) throws -> [String] {
        try entries.map { entry in
            try entry.payload.withUnsafeBytes { bytes in
                if entry.kind == .system {
                    let payload = try SystemPayload(decoding: bytes)
                    return "\(payload.user)/\(payload.displayName) \(payload.event)"
                }
                let payload = try MessagePayload(decoding: bytes)
                return "\(payload.user)/\(payload.displayName): \(String(decoding: payload.body, as: UTF8.self))"
            }
        }
    }

    @Test("rows of every version enter in the order of their times", arguments: Version.allCases)
    func versions(_ version: Version) throws {
        try make(
            version,
            [
                ("4", "message", "dev", "bob", "Bob", "four", "2024-05-01T10:00:00.5Z"),
                ("1", "system", "dev", "ann", "Ann", "Ann joined", "2024-05-01T09:59:59.123456789Z"),
                ("3", "message", "dev", "ann", "Ann", "three", "2024-05-01T12:00:00+02:00"),
                ("5", "message", "dev", "ann", "", "five 'é'", "2024-05-01T10:00:00.5Z"),
                ("6", "system", "dev", "ann", "Ann", "Ann left", "2024-05-01T10:00:01Z"),
                ("2", "message", "other", "ann", "Ann", "two", "2024-05-01T09:59:59.5Z"),
            ])
        let recovered = try open()
        #expect(recovered.adopted == 6)
        #expect(recovered.head == 6)
        #expect(recovered.attendance.filter(\.isJoined).isEmpty)
        #expect(recovered.renewal == nil)
        let ann = version.hasNames ? "ann/Ann" : "ann/ann"
        let bob = version.hasNames ? "bob/Bob" : "bob/bob"
        let dev = try history("dev")
        #expect(
            try words(dev) == [
                "ann/Ann joined", "\(ann): three", "\(bob): four", "ann/ann: five 'é'", "ann/Ann left",
            ])
        #expect(try words(history("other")) == ["\(ann): two"])
        #expect(dev.map { $0.timestamp.milliseconds % 1_000 } == [123, 0, 500, 500, 0])
        #expect(dev[1].timestamp.milliseconds == 1_714_557_600_000)
        #expect(dev[3].timestamp.counter == dev[2].timestamp.counter + 1)
        let log = try SQLiteStore(path: path).openReader().entries(of: .a, from: 1, limit: 100)
        #expect(EntryChain().verifies(log, after: .zero))
        #expect(recovered.headHash == log.last?.hash)
        #expect(recovered.clock == log.last?.timestamp)
    }

    @Test("taking over happens once, and the old table stays")
    func once() throws {
        try make(.present, [("1", "message", "dev", "ann", "Ann", "hello", "2024-05-01T10:00:00Z")])
        #expect(try open().adopted == 1)
        let again = try open()
        #expect(again.adopted == 0)
        #expect(again.head == 1)
        #expect(try RawDatabase(path).rows("SELECT id, body FROM go_messages") == [["1", "hello"]])
        #expect(try RawDatabase(path).rows("SELECT 1 FROM sqlite_schema WHERE name = 'messages'").isEmpty)
    }

    @Test("a message has the id of the key go/ID, and is found by it")
    func identifiers() throws {
        try make(
            .present,
            [
                ("m-1", "message", "dev", "ann", "Ann", "hello", "2024-05-01T10:00:00Z"),
                (nil, "message", "dev", "ann", "Ann", "no id", "2024-05-01T10:00:01Z"),
            ])
        _ = try open()
        let entries = try history("dev")
        let chain = EntryChain()
        let ids = [
            chain.messageID(room: "dev", user: "ann", key: "go/m-1"),
            chain.messageID(room: "dev", user: "ann", key: "go/row2"),
        ]
        let stored = try entries.map { try $0.payload.withUnsafeBytes { try MessagePayload(decoding: $0).id } }
        #expect(stored == ids)
        let found = try SQLiteStore(path: path).openReader().positions(of: ids)
        #expect(found == [ids[0]: entries[0].position, ids[1]: entries[1].position])
    }

    @Test("an id that is a UUID or 32 hexadecimal digits stays, unless another row or an entry here has it")
    func keptIdentifiers() throws {
        let uuid = "0188d7a4-3c5e-7f00-8abc-0123456789ab"
        let replica = ReplicaID.a.description
        let rows = [
            (uuid, "message", "m"), ("00112233445566778899aabbccddeeff", "message", "m"),
            // The same number, written otherwise.
            (uuid.uppercased(), "message", "m"), ("FFEEDDCCBBAA99887766554433221100", "system", "u joined"),
            // Zero, and what an entry of this node will be called.
            (String(repeating: "0", count: 32), "message", "m"), (replica + "0000000000000001", "message", "m"),
            // Not quite.
            ("0188d7a43-c5e-7f00-8abc-0123456789ab", "message", "m"),
            ("0011223344556677 8899aabbccddeeff", "message", "m"),
            ("+0112233445566778899aabbccddeeff", "message", "m"), ("{" + uuid + "}", "message", "m"),
        ]
        try make(
            .present,
            rows.enumerated().map { ($1.0, $1.1, "dev", "u", "U", $1.2, "2024-05-01T10:00:0\($0)Z") })
        #expect(try open().adopted == 10)
        let chain = EntryChain()
        let derived = rows.map { chain.messageID(room: "dev", user: "u", key: Text("go/" + $0.0)) }
        let stored = try history("dev").map { entry in
            try entry.payload.withUnsafeBytes { bytes in
                try entry.kind == .system ? SystemPayload(decoding: bytes).id : MessagePayload(decoding: bytes).id
            }
        }
        #expect(
            stored == [
                MessageID(high: 0x0188_d7a4_3c5e_7f00, low: 0x8abc_0123_4567_89ab),
                MessageID(high: 0x0011_2233_4455_6677, low: 0x8899_aabb_ccdd_eeff), derived[2],
                MessageID(high: 0xFFEE_DDCC_BBAA_9988, low: 0x7766_5544_3322_1100),
            ] + derived[4...])
        let found = try SQLiteStore(path: path).openReader().positions(of: stored.compactMap { $0 })
        #expect(found.count == 10)
    }

    @Test("the same file taken over twice gives twins, whatever the ids are")
    func twins() throws {
        try make(
            .present,
            [
                ("0188d7a4-3c5e-7f00-8abc-0123456789ab", "message", "dev", "u", "U", "kept", "2024-05-01T10:00:00Z"),
                ("m-1", "message", "dev", "u", "U", "derived", "2024-05-01T10:00:01Z"),
            ])
        let copy = folder.path("copy.db")
        try FileManager.default.copyItem(atPath: path, toPath: copy)
        _ = try open()
        try SQLiteStore(path: copy).openWriter(.test(fresh: .b)).writer.close()
        func ids(_ path: String) throws -> [MessageID?] {
            try SQLiteStore(path: path).openReader().history(room: "dev", before: nil, limit: 9).map {
                try $0.payload.withUnsafeBytes { try MessagePayload(decoding: $0).id }
            }
        }
        #expect(try ids(path) == ids(copy))
        #expect(try ids(path).count == 2)
    }

    @Test("times that can't be read take that of the row before, and the future is now")
    func oddTimes() throws {
        try make(
            .present,
            [
                ("1", "message", "dev", "u", "U", "first", "yesterday"),
                ("2", "message", "dev", "u", "U", "second", "2024-05-01T10:00:00Z"),
                ("3", "message", "dev", "u", "U", "third", ""),
                ("4", "message", "dev", "u", "U", "earlier", "2023-05-01T10:00:00Z"),
                ("5", "message", "dev", "u", "U", "with it", "2023-13-01T10:00:00Z"),
                ("6", "message", "dev", "u", "U", "future", "9999-12-31T23:59:59Z"),
                ("7", "message", "dev", "u", "U", "ancient", "0001-01-01T00:00:00Z"),
            ])
        _ = try open()
        let entries = try history("dev")
        #expect(
            try words(entries)
                == ["ancient", "earlier", "with it", "first", "second", "third", "future"].map { "u/U: \($0)" })
        let now = UInt64(Date().timeIntervalSince1970 * 1_000)
        #expect(entries[6].timestamp.milliseconds <= now)
        #expect(entries[6].timestamp.milliseconds > now - 60_000)
        #expect(zip(entries, entries.dropFirst()).allSatisfy { $0.timestamp < $1.timestamp })
    }

    @Test("system words that are no event are kept as messages, other types stay in the old table")
    func otherRows() throws {
        try make(
            .present,
            [
                ("1", "system", "dev", "", "", "Ann B joined", "2024-05-01T10:00:00Z"),
                ("2", "system", "dev", "", "", "maintenance at 8", "2024-05-01T10:00:01Z"),
                ("3", "system", "dev", "", "", " joined", "2024-05-01T10:00:02Z"),
                ("4", "welcome", "dev", "x", "X", "hello", "2024-05-01T10:00:03Z"),
                ("5", "", "dev", "x", "X", "typeless", "2024-05-01T10:00:04Z"),
                ("6", "message", "dev", "x", "X", "x joined", "2024-05-01T10:00:05Z"),
            ])
        let recovered = try open()
        #expect(recovered.adopted == 5)
        #expect(recovered.attendance.filter(\.isJoined).map(\.user) == ["Ann B"])
        #expect(
            try words(history("dev")) == [
                "Ann B/Ann B joined", "/: maintenance at 8", "/:  joined", "x/X: typeless", "x/X: x joined",
            ])
        #expect(try RawDatabase(path).rows("SELECT count(*) FROM go_messages") == [["6"]])
    }

    @Test("where there is no room for all, nothing is taken over, and the next try takes all")
    func interrupted() throws {
        let text = String(repeating: "x", count: 500)
        try make(
            .present,
            (0..<2_500).map { ("\($0)", "message", "dev", "u", "U", text, "2024-05-01T10:00:00.\(1_000 + $0)Z") })
        let size = try #require(try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int)
        let tight = SQLiteStore(path: path, maximumBytes: size + 1_000_000)
        #expect(error { () throws(StoreError) in _ = try tight.openWriter(.test()) }?.name == "full")
        #expect(try RawDatabase(path).rows("SELECT count(*) FROM messages") == [["2500"]])
        #expect(try RawDatabase(path).rows("SELECT count(*) FROM sqlite_schema WHERE name = 'entry'") == [["0"]])
        #expect(try open().adopted == 2_500)
        #expect(try history("dev").count == 2_500)
    }

    @Test("an empty table is taken over too")
    func emptyTable() throws {
        try make(.old, [])
        let recovered = try open()
        #expect(recovered.adopted == 0)
        #expect(recovered.head == 0)
    }
}
