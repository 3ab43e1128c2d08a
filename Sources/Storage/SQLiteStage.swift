// A snapshot on its way into the file: pieces in tables of their own, where nobody sees them, and then all at once.
//
// Invariant: `install` is within one transaction, and what is here afterwards is what the entries that either side's
// vector covers make of it (SnapshotJoin.swift, SnapshotInstall.swift).

import CSQLite
import ConvergeCRDT
import ConvergeWire

struct SQLiteStage {
    private unowned let connection: SQLiteConnection
    private let dropTouched: SQLiteStatement
    private let dropCells: SQLiteStatement
    private let addTouched: SQLiteStatement
    private let addCell: SQLiteStatement
    private let addAttendance: SQLiteStatement
    private let addKey: SQLiteStatement
    private let addEntry: SQLiteStatement
    private let addHorizon: SQLiteStatement
    private let documents: SQLiteStatement
    private let cells: SQLiteDocumentCells
    private let attendance: SQLiteStatement
    private let keys: SQLiteStatement
    private let entries: SQLiteStatement
    private let horizon: SQLiteStatement

    private static let tables = [
        "staged_touched", "staged_cell", "staged_attendance", "staged_key", "staged_entry",
        "staged_horizon",
    ]

    init(_ connection: SQLiteConnection) throws(StoreError) {
        self.connection = connection
        let document = "WHERE room = ?1 AND kind = ?2 AND name = ?3"
        dropTouched = try connection.prepare("DELETE FROM staged_touched \(document)")
        dropCells = try connection.prepare("DELETE FROM staged_cell \(document)")
        addTouched = try connection.prepare(
            "INSERT INTO staged_touched(room, kind, name, replica, seq) VALUES (?1, ?2, ?3, ?4, ?5)")
        addCell = try connection.prepare(
            """
            INSERT INTO staged_cell(\(SQLiteStatement.cellColumns)) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
            """)
        addAttendance = try connection.prepare(
            """
            INSERT INTO staged_attendance(room, user, display_name, turn, ts, replica, seq)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
            """)
        addKey = try connection.prepare("INSERT INTO staged_key(id, ts, replica, seq) VALUES (?1, ?2, ?3, ?4)")
        addEntry = try connection.prepare(
            """
            INSERT OR REPLACE INTO staged_entry(\(SQLiteStatement.entryColumns))
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
            """)
        addHorizon = try connection.prepare(
            """
            INSERT INTO staged_horizon(replica, seq) VALUES (?1, ?2)
            ON CONFLICT DO UPDATE SET seq = max(seq, excluded.seq)
            """)
        documents = try connection.prepare(
            "SELECT room, kind, name, replica, seq FROM staged_touched ORDER BY room, kind, name, replica")
        cells = try SQLiteDocumentCells(connection, table: "staged_cell")
        attendance = try connection.prepare(
            "SELECT room, user, display_name, turn, ts, replica, seq FROM staged_attendance")
        keys = try connection.prepare("SELECT id, ts, replica, seq FROM staged_key")
        entries = try connection.prepare(
            "SELECT \(SQLiteStatement.entryColumns) FROM staged_entry ORDER BY replica, seq")
        horizon = try connection.prepare("SELECT replica, seq FROM staged_horizon")
    }

    static func clear(_ connection: SQLiteConnection) throws(StoreError) {
        for table in tables { try connection.execute("DELETE FROM \(table)") }
    }

    /// Within a transaction. Of what comes twice the later counts.
    func take(_ chunk: SnapshotChunk) throws(StoreError) {
        for document in chunk.documents { try take(document) }
        for record in chunk.attendance {
            addAttendance.bind(1, copying: record.room)
            addAttendance.bind(2, copying: record.user)
            addAttendance.bind(3, copying: record.displayName)
            addAttendance.bind(4, clamping: record.number)
            addAttendance.bind(5, record.position)
            try addAttendance.run()
        }
        for key in chunk.keys {
            key.id.withBytes { addKey.bind(1, copying: Array($0)) }
            addKey.bind(2, key.position)
            try addKey.run()
        }
        for entry in chunk.entries { try take(entry) }
        for dot in chunk.horizon.components {
            addHorizon.bind(1, dot.replica)
            addHorizon.bind(2, clamping: dot.seq)
            try addHorizon.run()
        }
    }

    /// What all pieces so far said.
    func stagedHorizon() throws(StoreError) -> VersionVector {
        var found = VersionVector()
        try horizon.forEachRow { (row) throws(StoreError) in found[row.replica(0)] = row.unsigned(1) }
        return found
    }

    private func take(_ document: SnapshotDocument) throws(StoreError) {
        for statement in [dropTouched, dropCells] {
            statement.bind(document.id)
            try statement.run()
        }
        for dot in document.touched.components {
            addTouched.bind(document.id)
            addTouched.bind(4, dot.replica)
            addTouched.bind(5, clamping: dot.seq)
            try addTouched.run()
        }
        for cell in document.cells {
            addCell.bind(document.id, cell, document.id.kind.rule)
            try addCell.run()
        }
    }

    private func take(_ entry: Entry) throws(StoreError) {
        addEntry.bind(1, entry.dot.replica)
        addEntry.bind(2, clamping: entry.dot.seq)
        addEntry.bind(3, clamping: entry.timestamp.rawValue)
        addEntry.bind(4, Int64(entry.kind.rawValue))
        addEntry.bind(5, Int64(entry.namespace))
        addEntry.bind(6, Int64(entry.flags.rawValue))
        if entry.dependencies.isEmpty {
            addEntry.bindNull(7)
        } else {
            addEntry.bind(7, copying: entry.encodedDependencies)
        }
        addEntry.bind(8, copying: entry.room)
        addEntry.bind(9, copying: entry.payload)
        entry.hash.withBytes { addEntry.bind(10, copying: Array($0)) }
        try addEntry.run()
    }

    // MARK: Installing

    /// Within a transaction, with the final piece staged: moves all that is staged to where it is seen.
    ///
    /// - Parameters:
    ///   - log: puts an entry into its log.
    ///   - moved: notes a log's new end and, given the first seq of the run that it ends with, its floor.
    func install(
        _ install: SnapshotInstall, _ effects: SQLiteEffects, log: (Entry) throws(StoreError) -> Void,
        moved: (LogEnd, _ unbroken: UInt64) throws(StoreError) -> Void
    ) throws(StoreError) {
        _ = try SQLiteDocumentCells.forEachDocument(in: documents) { (id, touched) throws(StoreError) in
            let document = SnapshotDocument(id: id, touched: touched, cells: try cells.read(id))
            try effects.cells.join(document, context: install.mine, otherContext: install.theirs)
            return true
        }
        var runs = SnapshotInstall.Runs()
        try entries.forEachRow { (row) throws(StoreError) in
            let dot = Dot(replica: row.replica(0), seq: row.unsigned(1))
            guard install.takes(dot) else { return }
            runs.take(dot)
            try log(try row.entry(connection.path))
        }
        for end in install.news { try moved(end, runs.unbroken(upTo: end.dot, after: install.mine)) }
        try entries.forEachRow { (row) throws(StoreError) in
            guard install.takes(Dot(replica: row.replica(0), seq: row.unsigned(1))) else { return }
            for effect in SnapshotInstall.followUp(of: try row.entry(connection.path)) { try effects.apply(effect) }
        }
        try keys.forEachRow { (row) throws(StoreError) in
            let key = row.keyPosition()
            try effects.take(key.id, at: key.position)
        }
        try attendance.forEachRow { (row) throws(StoreError) in try effects.take(row.attendanceRecord()) }
        try Self.clear(connection)
    }
}
