// Databases of version 3, which had a table for each kind of document, become those of cells.

import ConvergeCRDT
import ConvergeTestSupport
import ConvergeWire
import Foundation
import Testing

@testable import ConvergeStorage

@Suite("Migration to cells")
final class CellMigrationTests {
    private let folder: TemporaryFolder
    private let path: String

    init() throws {
        folder = try TemporaryFolder()
        path = folder.path("converge.db")
    }

    deinit { folder.remove() }

    private static let documents: [(DocumentKind, Text)] = [
        (.orSet, "d"), (.orSet, "it's"), (.register, "d"), (.register, "e"), (.counter, "d"), (.counter, "e"),
    ]

    /// Rows as an earlier build had them, in an order that is none.
    private static func rows(seed: UInt64, count: Int) -> [DocumentRow] {
        var random = SplitMix64(seed: seed)
        let replicas: [ReplicaID] = [.low, .a, .b, .c]
        let texts: [Text] = ["", "x", "it's", "é", "e\u{301}", Text(String(repeating: "long ", count: 900))]
        var rows: [DocumentRow] = []
        var taken: Set<[String]> = []
        for seq in 1...UInt64(count) {
            let (kind, name) = documents[random.below(documents.count)]
            let document = DocumentID(room: random.chance(70) ? "room" : "raum", kind: kind, name: name)
            let dot = Dot(replica: replicas[random.below(4)], seq: seq << UInt64(random.below(30)))
            let timestamp = HybridTimestamp(rawValue: random.next() >> 1)
            var row = DocumentRow(document: document, value: nil, dot: dot, timestamp: timestamp)
            var place = ["\(document)"]
            switch kind {
            case .orSet:
                row.value = random.chance(50) ? texts[random.below(texts.count)] : Text("e\(random.below(count))")
                place.append("\(dot)")
            case .register: row.value = random.chance(30) ? nil : texts[random.below(texts.count)]
            default:
                let most: [UInt64] = [0, 1, 300, CounterTotals.limit, .max]
                row.totals = CounterTotals(
                    up: most[random.below(5)], down: random.chance(50) ? 0 : most[random.below(5)])
                place.append("\(dot.replica)")
            }
            if taken.insert(place).inserted { rows.append(row) }
        }
        return rows
    }

    /// The cells that the entries would have made which the rows are made of.
    private static func cells(of rows: [DocumentRow]) -> Set<StoredCell> {
        Set(
            rows.flatMap { row in
                let delta: DocumentDelta =
                    switch row.document.kind {
                    case .orSet: .add(element: row.value ?? "", replacing: [])
                    case .register: .set(value: row.value)
                    default: .count(amount: 0, totals: row.totals ?? CounterTotals())
                    }
                return delta.change(of: row.document, dot: row.dot, timestamp: row.timestamp).put
                    .map { StoredCell($0, of: row.document) }
            })
    }

    private static func signed(_ number: UInt64) -> Int64 { Int64(bitPattern: number ^ 1 << 63) }

    // MARK: SQLite

    private static func quoted(_ text: Text) -> String {
        "'" + text.string.replacingOccurrences(of: "'", with: "''") + "'"
    }

    private func makeFile(of rows: [DocumentRow]) throws {
        try SQLiteStore(path: path).openWriter(.test()).writer.close()
        let old = try RawDatabase(path)
        try old.execute(OldSchema.sqliteThree)
        try old.execute("BEGIN")
        for row in rows {
            let document = row.document
            let (room, name) = (Self.quoted(document.room), Self.quoted(document.name))
            let replica = Self.signed(row.dot.replica.rawValue)
            let value = row.value.map(Self.quoted) ?? "NULL"
            let place = "\(row.timestamp.rawValue), \(replica), \(row.dot.seq)"
            switch document.kind {
            case .orSet:
                try old.execute(
                    "INSERT INTO element(room, kind, name, element, ts, replica, seq) "
                        + "VALUES (\(room), 1, \(name), \(value), \(place))")
            case .register:
                try old.execute(
                    "INSERT INTO register(room, name, value, ts, replica, seq) "
                        + "VALUES (\(room), \(name), \(value), \(place))")
            default:
                let totals = row.totals ?? CounterTotals()
                try old.execute(
                    "INSERT INTO counter(room, name, up, down, ts, replica, seq) VALUES (\(room), \(name), "
                        + "\(Self.signed(totals.up)), \(Self.signed(totals.down)), \(place))")
            }
            try old.execute(
                "INSERT OR REPLACE INTO touched(room, kind, name, replica, seq) "
                    + "VALUES (\(room), \(document.kind.rawValue), \(name), \(replica), \(row.dot.seq))")
        }
        try old.execute(
            "INSERT INTO replica(replica, head, floor, clock, hash) "
                + "SELECT replica, max(seq), max(seq), 1, zeroblob(16) FROM touched GROUP BY replica")
        try old.execute("INSERT INTO staged_row VALUES ('room', 1, 'd', 'left over', NULL, NULL, 1, 1, 1); COMMIT")
    }

    @Test("a file of version 3 has the cells that its entries would have made", arguments: UInt64(1)...8)
    func file(seed: UInt64) throws {
        let rows = Self.rows(seed: seed, count: 60)
        try makeFile(of: rows)
        let (writer, recovered) = try SQLiteStore(path: path).openWriter(.test(fresh: .b))
        #expect(Set(recovered.documents) == Self.cells(of: rows), "seed \(seed)")
        #expect(recovered.documents.count == Self.cells(of: rows).count, "seed \(seed)")
        let touched = try SQLiteStore(path: path).openReader().documents(
            of: "room", beyond: VersionVector(), limit: 100)
        #expect(Set(touched) == Set(rows.map(\.document).filter { $0.room == "room" }), "seed \(seed)")
        writer.close()
        let raw = try RawDatabase(path)
        #expect(try raw.rows("PRAGMA integrity_check") == [["ok"]])
        let tables = "SELECT count(*) FROM sqlite_schema WHERE name IN ('element', 'register', 'counter', 'staged_row')"
        #expect(try raw.rows(tables) == [["0"]])
        #expect(try raw.rows("SELECT count(*) FROM staged_cell") == [["0"]])
    }

    @Test("a file whose migration was cut off by a kill is as before, and is taken forward by the next opening")
    func killedFile() throws {
        let rows = Self.rows(seed: 11, count: 4_000)
        try makeFile(of: rows)
        let killed = folder.path("killed.db")
        do {
            let connection = try SQLiteConnection(path: path, mode: .readWrite, timeout: .seconds(2))
            // So small that most of what is done lies in the log, not committed, when the process dies.
            try connection.execute("PRAGMA journal_mode = WAL; PRAGMA cache_size = 10; BEGIN IMMEDIATE")
            try SQLiteSchema.migrate(connection, from: try SQLiteSchema.inspect(connection))
            for suffix in ["", "-wal"] {
                try FileManager.default.copyItem(atPath: path + suffix, toPath: killed + suffix)
            }
            connection.rollBack()
        }
        let written = try FileManager.default.attributesOfItem(atPath: killed + "-wal")[.size] as? UInt64 ?? 0
        #expect(written > 100_000, "nothing of the migration was written")
        #expect(try RawDatabase(killed).rows("SELECT count(*) FROM element") != [["0"]])
        let (writer, recovered) = try SQLiteStore(path: killed).openWriter(
            .test(fresh: ReplicaID(rawValue: 77)))
        writer.close()
        #expect(Set(recovered.documents) == Self.cells(of: rows))
    }

    @Test("what a migration makes and what a snapshot brings are the same to the byte")
    func sameBytes() throws {
        let rows = Self.rows(seed: 12, count: 200)
        try makeFile(of: rows)
        let (writer, _) = try SQLiteStore(path: path).openWriter(.test(fresh: .b))
        writer.close()
        let fresh = folder.path("fresh.db")
        let (other, _) = try SQLiteStore(path: fresh).openWriter(.test(fresh: .c))
        try other.append(
            Batch(effects: Self.cells(of: rows).map { .cells(DocumentChange($0.document, put: [$0.cell])) }))
        other.close()
        let all = "SELECT room, kind, name, key, hex(slot), ts, replica, seq, typeof(value), hex(value) FROM cell"
        #expect(try RawDatabase(path).rows(all) == RawDatabase(fresh).rows(all))
    }

    // MARK: PostgreSQL

    private static func hex(_ text: Text) -> String {
        "'\\x" + text.withUTF8 { $0.map { String(format: "%02x", $0) }.joined() } + "'::bytea"
    }

    private func makeDatabase(of rows: [DocumentRow]) throws -> PostgresTestDatabase {
        let database = try PostgresTestDatabase(on: StoreUnderTest.postgresDSN ?? "")
        try PostgresStore(dsn: database.dsn).openWriter(.test()).writer.close()
        try database.execute(OldSchema.postgresThree)
        for row in rows {
            let document = row.document
            let names = "\(Self.hex(document.room)), \(document.kind.rawValue), \(Self.hex(document.name))"
            let value = row.value.map(Self.hex) ?? "NULL"
            let place = "\(row.timestamp.rawValue), \(Self.signed(row.dot.replica.rawValue)), \(row.dot.seq)"
            switch document.kind {
            case .orSet:
                try database.execute(
                    "INSERT INTO converge_element (room, kind, name, element, digest, ts, replica, seq) "
                        + "VALUES (\(names), \(value), substring(sha256(\(value)) FOR 16), \(place))")
            case .register:
                try database.execute(
                    "INSERT INTO converge_register (room, kind, name, value, ts, replica, seq) "
                        + "VALUES (\(names), \(value), \(place))")
            default:
                let totals = row.totals ?? CounterTotals()
                try database.execute(
                    "INSERT INTO converge_counter (room, kind, name, up, down, ts, replica, seq) VALUES "
                        + "(\(names), \(Self.signed(totals.up)), \(Self.signed(totals.down)), \(place))")
            }
        }
        return database
    }

    @Test(
        "a database of version 3 has the cells that its entries would have made, also after a migration that was cut off",
        .enabled(if: StoreUnderTest.postgresDSN != nil), arguments: [UInt64(1), 2, 3])
    func database(seed: UInt64) throws {
        let rows = Self.rows(seed: seed, count: 60)
        let database = try makeDatabase(of: rows)
        defer { database.remove() }
        // The connection ends with its transaction open.
        try database.execute((["BEGIN"] + PostgresSchema.fourth).joined(separator: ";"))
        let (writer, recovered) = try PostgresStore(dsn: database.dsn).openWriter(.test(fresh: .b))
        #expect(Set(recovered.documents) == Self.cells(of: rows), "seed \(seed)")
        #expect(recovered.documents.count == Self.cells(of: rows).count, "seed \(seed)")
        // What is put in again meets what the migration made, key for key.
        try writer.append(
            Batch(effects: Self.cells(of: rows).map { .cells(DocumentChange($0.document, put: [$0.cell])) }))
        writer.close()
        let again = try PostgresStore(dsn: database.dsn).openWriter(.test(fresh: .c)).recovered
        #expect(again.documents == recovered.documents, "seed \(seed)")
        #expect(try database.execute("SELECT to_regclass('converge_element') IS NULL") == ["t"])
    }
}
