import COpenSSL
import ConvergeCRDT
import ConvergeWire

// What a batch does to documents, as one statement a rule, one for what is taken away, and one for what touched them.
//
// Invariant: as in PostgresEffects.swift. Upserts are conditional: what a cell becomes is decided on the server, where it
// meets what another node's transaction has put there since this node last looked.

struct PostgresCells {
    private var cells: [CellKey: CellWrite<CellValue>?] = [:]
    private var touched: [TouchKey: UInt64] = [:]

    private struct CellKey: Hashable {
        var document: DocumentID
        var place: CellPlace<Text>
    }

    private struct TouchKey: Hashable {
        var document: DocumentID
        var replica: ReplicaID
    }

    private typealias Row = (document: DocumentID, place: CellPlace<Text>, write: CellWrite<CellValue>)

    var isEmpty: Bool { cells.isEmpty && touched.isEmpty }

    mutating func take(_ change: DocumentChange) {
        let rule = change.document.kind.rule
        for place in change.removed { cells[CellKey(document: change.document, place: place)] = .some(nil) }
        for cell in change.put {
            let key = CellKey(document: change.document, place: cell.place(under: rule))
            let held = cells[key] ?? nil
            cells[key] = held.map { rule.merged($0, cell.write) } ?? cell.write
        }
        for dot in change.touched {
            let key = TouchKey(document: change.document, replica: dot.replica)
            touched[key] = max(touched[key] ?? 0, dot.seq)
        }
    }

    func append(to statements: inout [PostgresStatement]) {
        var gone: [CellKey] = []
        var put: [MergeRule: [Row]] = [:]
        for (key, write) in cells.sorted(by: { Self.inOrder($0.key, $1.key) }) {
            if let write {
                put[key.document.kind.rule, default: []].append((key.document, key.place, write))
            } else {
                gone.append(key)
            }
        }
        for rule in MergeRule.allCases {
            if let rows = put[rule] { statements.append(Self.put(rows, rule)) }
        }
        if !gone.isEmpty { statements.append(Self.remove(gone)) }
        appendTouched(to: &statements)
    }

    /// In the order of the tables' keys.
    private static func inOrder(_ a: CellKey, _ b: CellKey) -> Bool {
        a.document == b.document ? a.place < b.place : DocumentID.inStoreOrder(a.document, b.document)
    }

    private static func put(_ rows: [Row], _ rule: MergeRule) -> PostgresStatement {
        PostgresStatement(
            """
            INSERT INTO converge_cell AS c (room, kind, name, digest, slot, key, ts, replica, seq, value)
            SELECT * FROM unnest($1::bytea[], $2::smallint[], $3::bytea[], $4::bytea[], $5::bytea[], $6::bytea[],
                $7::bigint[], $8::bigint[], $9::bigint[], $10::bytea[])
            ON CONFLICT (room, kind, name, digest, slot) DO UPDATE \(merge(rule))
            """
        ).binding(documents: rows.map(\.document)).binding(each: rows, bytes: { digest($0.place.key) })
            .binding(each: rows, bytes: \.place.storedSlot).binding(each: rows, text: \.place.key)
            .binding(positions: rows.map { Position(timestamp: $0.write.timestamp, dot: $0.write.dot) })
            .binding(each: rows, optionalBytes: \.write.value.stored)
    }

    /// What `MergeRule.merged` says of a cell that meets one in its place.
    private static func merge(_ rule: MergeRule) -> String {
        let later = "(excluded.ts, excluded.replica, excluded.seq) > (c.ts, c.replica, c.seq)"
        switch rule {
        case .observed, .latest:
            return "SET ts = excluded.ts, replica = excluded.replica, seq = excluded.seq, value = excluded.value "
                + "WHERE \(later)"
        case .greatest:
            return """
                SET value = greatest(c.value, excluded.value),
                    ts = CASE WHEN \(later) THEN excluded.ts ELSE c.ts END,
                    replica = CASE WHEN \(later) THEN excluded.replica ELSE c.replica END,
                    seq = CASE WHEN \(later) THEN excluded.seq ELSE c.seq END
                """
        }
    }

    private static func remove(_ keys: [CellKey]) -> PostgresStatement {
        PostgresStatement(
            """
            DELETE FROM converge_cell AS c
            USING unnest($1::bytea[], $2::smallint[], $3::bytea[], $4::bytea[], $5::bytea[])
                AS g (room, kind, name, digest, slot)
            WHERE c.room = g.room AND c.kind = g.kind AND c.name = g.name AND c.digest = g.digest AND c.slot = g.slot
            """
        ).binding(documents: keys.map(\.document)).binding(each: keys, bytes: { digest($0.place.key) })
            .binding(each: keys, bytes: \.place.storedSlot)
    }

    private func appendTouched(to statements: inout [PostgresStatement]) {
        guard !touched.isEmpty else { return }
        let rows = touched.sorted { a, b in
            a.key.document == b.key.document
                ? a.key.replica < b.key.replica : DocumentID.inStoreOrder(a.key.document, b.key.document)
        }
        statements.append(
            PostgresStatement(
                """
                INSERT INTO converge_touched AS t (room, kind, name, replica, seq)
                SELECT * FROM unnest($1::bytea[], $2::smallint[], $3::bytea[], $4::bigint[], $5::bigint[])
                ON CONFLICT (room, kind, name, replica) DO UPDATE SET seq = excluded.seq WHERE excluded.seq > t.seq
                """
            ).binding(documents: rows.map(\.key.document)).binding(each: rows, int8: \.key.replica.postgres)
                .binding(each: rows, int8: { Int64(clamping: $0.value) }))
    }

    /// Stands for a key in the table's own key, since an index takes no row of more than some 2,700 bytes: a key of under
    /// 32 bytes is itself, and of a longer one it is the SHA-256, which has 32.
    private static func digest(_ key: Text) -> [UInt8] {
        key.withUTF8 { utf8 in
            guard utf8.count >= 32 else { return Array(utf8) }
            var digest = [UInt8](repeating: 0, count: 32)
            _ = SHA256(utf8.baseAddress, utf8.count, &digest)
            return digest
        }
    }
}

extension CellValue {
    /// As it stands in the column; nil is NULL.
    fileprivate var stored: [UInt8]? {
        switch self {
        case .none: nil
        case .text(let text): text.withUTF8 { Array($0) }
        case .number(let number): number.storedBytes
        }
    }
}

extension PostgresResult {
    static let cellColumns = "room, kind, name, key, ts, replica, seq, value"

    /// The columns 0 to 2; nil for a kind that this build doesn't know.
    func document(_ row: Int) -> DocumentID? {
        DocumentKind(rawValue: UInt8(clamping: int(row, 1))).map {
            DocumentID(room: text(row, 0), kind: $0, name: text(row, 2))
        }
    }

    /// The columns that `cellColumns` names.
    func cell(_ row: Int, of kind: DocumentKind) -> DocumentCell {
        let position = position(row, 4)
        let value: CellValue =
            if isNull(row, 7) {
                .none
            } else if kind.rule == .greatest {
                .number(UInt64(storedBytes: array(row, 7)))
            } else {
                .text(text(row, 7))
            }
        return DocumentCell(key: text(row, 3), value: value, dot: position.dot, timestamp: position.timestamp)
    }
}
