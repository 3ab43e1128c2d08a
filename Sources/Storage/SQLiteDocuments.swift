// Documents in the file: an element under each dot, a register's value, a counter's row a replica, and what touched them.

import CSQLite
import ConvergeCRDT
import ConvergeWire

struct SQLiteDocuments {
    private let insert: SQLiteStatement
    private let delete: SQLiteStatement
    private let write: SQLiteStatement
    private let count: SQLiteStatement
    private let touch: SQLiteStatement
    private let rows: SQLiteDocumentRows

    init(_ connection: SQLiteConnection) throws(StoreError) {
        insert = try connection.prepare(
            """
            INSERT OR REPLACE INTO element(room, kind, name, element, replica, seq, ts)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
            """)
        delete = try connection.prepare(
            """
            DELETE FROM element
            WHERE room = ?1 AND kind = ?2 AND name = ?3 AND element = ?4 AND replica = ?5 AND seq = ?6
            """)
        write = try connection.prepare(
            """
            INSERT INTO register(room, name, value, ts, replica, seq) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
            ON CONFLICT DO UPDATE
            SET value = excluded.value, ts = excluded.ts, replica = excluded.replica, seq = excluded.seq
            WHERE (excluded.ts, excluded.replica, excluded.seq) >= (register.ts, register.replica, register.seq)
            """)
        count = try connection.prepare(
            """
            INSERT INTO counter(room, name, replica, up, down, seq, ts) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
            ON CONFLICT DO UPDATE
            SET up = max(up, excluded.up), down = max(down, excluded.down),
                ts = CASE WHEN excluded.seq > seq THEN excluded.ts ELSE ts END, seq = max(seq, excluded.seq)
            """)
        touch = try connection.prepare(
            """
            INSERT INTO touched(room, kind, name, replica, seq) VALUES (?1, ?2, ?3, ?4, ?5)
            ON CONFLICT DO UPDATE SET seq = excluded.seq WHERE excluded.seq > touched.seq
            """)
        rows = try SQLiteDocumentRows(connection)
    }

    /// An effect on a document; others are nothing here.
    func apply(_ effect: StoreEffect) throws(StoreError) {
        switch effect {
        case .insert(let document, let element, let dot, let timestamp, let replacing):
            try remove(replacing, of: element, from: document)
            try put(DocumentRow(document: document, value: element, dot: dot, timestamp: timestamp))
        case .delete(let document, let element, let dots):
            try remove(dots, of: element, from: document)
        case .write(let document, let value, let dot, let timestamp):
            try put(DocumentRow(document: document, value: value, dot: dot, timestamp: timestamp))
        case .count(let document, let totals, let dot, let timestamp):
            try put(DocumentRow(document: document, value: nil, totals: totals, dot: dot, timestamp: timestamp))
        case .touch(let document, let dot):
            try touch(document, dot)
        default: break
        }
    }

    private func put(_ row: DocumentRow) throws(StoreError) {
        let document = row.document
        switch document.kind {
        case .orSet:
            guard let element = row.value else { return }
            insert.bind(document, element, row.dot)
            insert.bind(7, clamping: row.timestamp.rawValue)
            try insert.run()
        case .register:
            write.bind(1, copying: document.room)
            write.bind(2, copying: document.name)
            if let value = row.value { write.bind(3, copying: value) } else { write.bindNull(3) }
            write.bind(4, row.position)
            try write.run()
        case .counter:
            let totals = row.totals ?? CounterTotals()
            count.bind(1, copying: document.room)
            count.bind(2, copying: document.name)
            count.bind(3, row.dot.replica)
            count.bind(4, ordered: totals.up)
            count.bind(5, ordered: totals.down)
            count.bind(6, clamping: row.dot.seq)
            count.bind(7, clamping: row.timestamp.rawValue)
            try count.run()
        }
    }

    private func remove(_ dots: [Dot], of element: Text, from document: DocumentID) throws(StoreError) {
        for dot in dots {
            delete.bind(document, element, dot)
            try delete.run()
        }
    }

    private func touch(_ document: DocumentID, _ dot: Dot) throws(StoreError) {
        touch.bind(document)
        touch.bind(4, dot.replica)
        touch.bind(5, clamping: dot.seq)
        try touch.run()
    }

    /// See SnapshotJoin.swift.
    func join(_ document: SnapshotDocument, context: VersionVector, otherContext: VersionVector) throws(StoreError) {
        let changes = SnapshotJoin.changes(
            try rows.read(document.id), document.rows, of: document.id.kind, context: context,
            otherContext: otherContext)
        for row in changes.removed { if let value = row.value { try remove([row.dot], of: value, from: document.id) } }
        for row in changes.added { try put(row) }
        for dot in document.touched.components { try touch(document.id, dot) }
    }
}

/// Reads the rows of one document, for a reader and a writer alike.
struct SQLiteDocumentRows {
    private let elements: SQLiteStatement
    private let register: SQLiteStatement
    private let counter: SQLiteStatement

    init(_ connection: SQLiteConnection) throws(StoreError) {
        elements = try connection.prepare(
            """
            SELECT element, ts, replica, seq FROM element WHERE room = ?1 AND kind = ?2 AND name = ?3
            ORDER BY element, replica, seq
            """)
        register = try connection.prepare(
            "SELECT value, ts, replica, seq FROM register WHERE room = ?1 AND name = ?2")
        counter = try connection.prepare(
            "SELECT up, down, ts, replica, seq FROM counter WHERE room = ?1 AND name = ?2 ORDER BY replica")
    }

    /// In the order of `DocumentRow.inStoreOrder`.
    func read(_ document: DocumentID) throws(StoreError) -> [DocumentRow] {
        var rows: [DocumentRow] = []
        func add(_ value: Text?, _ position: Position, _ totals: CounterTotals? = nil) {
            rows.append(
                DocumentRow(
                    document: document, value: value, totals: totals, dot: position.dot, timestamp: position.timestamp))
        }
        switch document.kind {
        case .orSet:
            elements.bind(document)
            try elements.forEachRow { (row) throws(StoreError) in add(row.text(0), row.position(1)) }
        case .register:
            register.bind(1, copying: document.room)
            register.bind(2, copying: document.name)
            try register.forEachRow { (row) throws(StoreError) in
                add(row.isNull(0) ? nil : row.text(0), row.position(1))
            }
        case .counter:
            counter.bind(1, copying: document.room)
            counter.bind(2, copying: document.name)
            try counter.forEachRow { (row) throws(StoreError) in
                add(nil, row.position(2), CounterTotals(up: row.ordered(0), down: row.ordered(1)))
            }
        }
        return rows
    }
}

extension SQLiteStatement {
    /// Parameters 1 to 3.
    func bind(_ document: DocumentID) {
        bind(1, copying: document.room)
        bind(2, Int64(document.kind.rawValue))
        bind(3, copying: document.name)
    }

    /// Parameters 1 to 6.
    fileprivate func bind(_ document: DocumentID, _ element: Text, _ dot: Dot) {
        bind(document)
        bind(4, copying: element)
        bind(5, dot.replica)
        bind(6, clamping: dot.seq)
    }
}
