// From a table for each kind of document to one of cells: the file's fourth version.
//
// Invariant: every row becomes the cells that its entries would have made, so that a node which comes this way and one that
// takes the same entries up anew hold the same.

import CSQLite
import ConvergeCRDT
import ConvergeWire

enum SQLiteCellMigration {
    /// Within a transaction. O(n) for n rows.
    static func run(_ connection: SQLiteConnection) throws(StoreError) {
        try connection.execute(tables)
        let put = try connection.prepare(
            "INSERT INTO cell(\(SQLiteStatement.cellColumns)) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")
        func add(_ row: SQLiteStatement, _ kind: DocumentKind, name: Int32, _ cells: [DocumentCell]) throws(StoreError)
        {
            let document = DocumentID(room: row.text(0), kind: kind, name: row.text(name))
            for cell in cells {
                put.bind(document, cell, kind.rule)
                try put.run()
            }
        }
        try connection.forEachRow(of: "SELECT room, kind, name, element, ts, replica, seq FROM element") {
            (row) throws(StoreError) in
            let position = row.position(4)
            let cell = DocumentCell(
                key: row.text(3), value: .none, dot: position.dot, timestamp: position.timestamp)
            try add(row, .orSet, name: 2, [cell])
        }
        try connection.forEachRow(of: "SELECT room, name, value, ts, replica, seq FROM register") {
            (row) throws(StoreError) in
            let position = row.position(3)
            let cell = DocumentCell(
                key: "", value: row.isNull(2) ? .none : .text(row.text(2)), dot: position.dot,
                timestamp: position.timestamp)
            try add(row, .register, name: 1, [cell])
        }
        try connection.forEachRow(of: "SELECT room, name, up, down, ts, replica, seq FROM counter") {
            (row) throws(StoreError) in
            let totals = CounterTotals(up: row.ordered(2), down: row.ordered(3))
            let position = row.position(4)
            try add(
                row, .counter, name: 1,
                CounterForm.cells(of: totals, dot: position.dot, timestamp: position.timestamp))
        }
        try connection.execute(
            "DROP TABLE element; DROP TABLE register; DROP TABLE counter; DROP TABLE staged_row")
    }

    private static let tables = """
        -- Documents of all kinds. slot: replica and seq of a cell that stands under a dot, 8 bytes each; empty where a key
        -- has one cell. value: a text, a number's 8 bytes, or NULL.
        CREATE TABLE cell(
            room TEXT NOT NULL,
            kind INTEGER NOT NULL,
            name TEXT NOT NULL,
            key TEXT NOT NULL,
            slot BLOB NOT NULL,
            ts INTEGER NOT NULL,
            replica INTEGER NOT NULL,
            seq INTEGER NOT NULL,
            value,
            PRIMARY KEY(room, kind, name, key, slot)
        ) WITHOUT ROWID;
        -- As cell, of a snapshot that is on its way.
        CREATE TABLE staged_cell(
            room TEXT NOT NULL,
            kind INTEGER NOT NULL,
            name TEXT NOT NULL,
            key TEXT NOT NULL,
            slot BLOB NOT NULL,
            ts INTEGER NOT NULL,
            replica INTEGER NOT NULL,
            seq INTEGER NOT NULL,
            value
        );
        CREATE INDEX staged_cell_document ON staged_cell(room, kind, name);
        -- What a resume asks for: a room's documents that entries beyond its cursor affected.
        CREATE INDEX touched_since ON touched(room, replica, seq);
        """
}
