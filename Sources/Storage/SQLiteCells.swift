// Documents in the file: a row a cell, and what touched each document.

import CSQLite
import ConvergeCRDT
import ConvergeWire

struct SQLiteCells {
    private let put: [MergeRule: SQLiteStatement]
    private let remove: SQLiteStatement
    private let touch: SQLiteStatement
    private let cells: SQLiteDocumentCells

    init(_ connection: SQLiteConnection) throws(StoreError) {
        var put: [MergeRule: SQLiteStatement] = [:]
        for rule in MergeRule.allCases {
            put[rule] = try connection.prepare(
                "INSERT INTO cell(\(SQLiteStatement.cellColumns)) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) "
                    + "ON CONFLICT DO UPDATE " + Self.merge(rule))
        }
        self.put = put
        remove = try connection.prepare(
            "DELETE FROM cell WHERE room = ?1 AND kind = ?2 AND name = ?3 AND key = ?4 AND slot = ?5")
        touch = try connection.prepare(
            """
            INSERT INTO touched(room, kind, name, replica, seq) VALUES (?1, ?2, ?3, ?4, ?5)
            ON CONFLICT DO UPDATE SET seq = excluded.seq WHERE excluded.seq > touched.seq
            """)
        cells = try SQLiteDocumentCells(connection, table: "cell")
    }

    /// What `MergeRule.merged` says of a cell that meets one in its place.
    private static func merge(_ rule: MergeRule) -> String {
        let later = "(excluded.ts, excluded.replica, excluded.seq) > (cell.ts, cell.replica, cell.seq)"
        switch rule {
        case .observed, .latest:
            return "SET value = excluded.value, ts = excluded.ts, replica = excluded.replica, seq = excluded.seq "
                + "WHERE \(later)"
        case .greatest:
            return """
                SET value = max(cell.value, excluded.value),
                    ts = CASE WHEN \(later) THEN excluded.ts ELSE cell.ts END,
                    replica = CASE WHEN \(later) THEN excluded.replica ELSE cell.replica END,
                    seq = CASE WHEN \(later) THEN excluded.seq ELSE cell.seq END
                """
        }
    }

    func apply(_ change: DocumentChange) throws(StoreError) {
        for place in change.removed {
            remove.bind(change.document)
            remove.bind(place)
            try remove.run()
        }
        let rule = change.document.kind.rule
        if let put = put[rule] {
            for cell in change.put {
                put.bind(change.document, cell, rule)
                try put.run()
            }
        }
        for dot in change.touched {
            touch.bind(change.document)
            touch.bind(4, dot.replica)
            touch.bind(5, clamping: dot.seq)
            try touch.run()
        }
    }

    /// See SnapshotJoin.swift.
    func join(_ document: SnapshotDocument, context: VersionVector, otherContext: VersionVector) throws(StoreError) {
        try apply(document.joined(to: cells.read(document.id), context: context, otherContext: otherContext))
    }
}

/// Reads the cells of one document, for a reader and a writer alike.
struct SQLiteDocumentCells {
    private let cells: SQLiteStatement

    /// - Parameter table: `cell`, or another of its columns.
    init(_ connection: SQLiteConnection, table: StaticString) throws(StoreError) {
        cells = try connection.prepare(
            """
            SELECT \(SQLiteStatement.cellColumns) FROM \(table) WHERE room = ?1 AND kind = ?2 AND name = ?3
            ORDER BY key, slot
            """)
    }

    /// By key, then slot.
    func read(_ document: DocumentID) throws(StoreError) -> [DocumentCell] {
        var found: [DocumentCell] = []
        cells.bind(document)
        try cells.forEachRow { (row) throws(StoreError) in found.append(row.cell(of: document.kind)) }
        return found
    }

    /// Goes through rows of (room, kind, name, replica, seq), sorted, one call a document, until `body` returns false;
    /// and says whether it got to the end. Kinds that this build doesn't know are left out.
    static func forEachDocument(
        in rows: SQLiteStatement, _ body: (DocumentID, VersionVector) throws(StoreError) -> Bool
    ) throws(StoreError) -> Bool {
        defer { rows.reset() }
        var open: (id: DocumentID, touched: VersionVector)?
        while try rows.step() {
            guard let id = rows.document() else { continue }
            if let last = open, last.id != id {
                if try !body(last.id, last.touched) { return false }
                open = nil
            }
            if open == nil { open = (id, VersionVector()) }
            open?.touched.advance(to: Dot(replica: rows.replica(3), seq: rows.unsigned(4)))
        }
        return try open.map { (last) throws(StoreError) in try body(last.id, last.touched) } ?? true
    }
}

extension SQLiteStatement {
    /// In the order that `cell` reads and `bind` of a cell fills.
    static let cellColumns = "room, kind, name, key, slot, ts, replica, seq, value"

    /// Parameters 1 to 3.
    func bind(_ document: DocumentID) {
        bind(1, copying: document.room)
        bind(2, Int64(document.kind.rawValue))
        bind(3, copying: document.name)
    }

    /// Parameters 4 and 5.
    func bind(_ place: CellPlace<Text>) {
        bind(4, copying: place.key)
        bind(5, copying: place.storedSlot)
    }

    /// Parameters 1 to 9.
    func bind(_ document: DocumentID, _ cell: DocumentCell, _ rule: MergeRule) {
        bind(document)
        bind(cell.place(under: rule))
        bind(6, Position(timestamp: cell.timestamp, dot: cell.dot))
        switch cell.value {
        case .none: bindNull(9)
        case .text(let text): bind(9, copying: text)
        case .number(let number): bind(9, copying: number.storedBytes)
        }
    }

    /// The columns 0 to 2; nil for a kind that this build doesn't know.
    func document() -> DocumentID? {
        DocumentKind(rawValue: UInt8(clamping: int(1))).map { DocumentID(room: text(0), kind: $0, name: text(2)) }
    }

    /// The columns that `cellColumns` names.
    func cell(of kind: DocumentKind) -> DocumentCell {
        let position = position(5)
        let value: CellValue =
            if isNull(8) {
                .none
            } else if kind.rule == .greatest {
                .number(UInt64(storedBytes: blob(8)))
            } else {
                .text(text(8))
            }
        return DocumentCell(key: text(3), value: value, dot: position.dot, timestamp: position.timestamp)
    }
}
