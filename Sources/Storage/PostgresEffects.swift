import COpenSSL
import ConvergeCRDT
import ConvergeWire

// What a batch's effects come to, as one statement a table.
//
// Invariant: the outcome is that of the effects one after the other. A statement over arrays may not touch a row twice
// (PostgreSQL refuses that in an upsert), so what meets in one row is settled here first; the rows of a statement are
// sorted, so that two nodes that change the same rows take their locks in the same order.

struct PostgresEffects {
    private var keys: [MessageID: Position] = [:]
    private var hidden: Set<Dot> = []
    private var elements: [ElementKey: ElementChange] = [:]
    private var registers: [DocumentID: DocumentRow] = [:]
    private var touched: [TouchKey: UInt64] = [:]
    private var attendance: [AttendanceKey: AttendanceRow] = [:]

    private struct ElementKey: Hashable {
        var document: DocumentID
        var element: Text
        var dot: Dot
    }

    private enum ElementChange {
        case present(HybridTimestamp)
        case absent
    }

    private struct TouchKey: Hashable {
        var document: DocumentID
        var replica: ReplicaID
    }

    private struct AttendanceKey: Hashable {
        var room: Text
        var user: Text
    }

    private struct AttendanceRow {
        var displayName: Text
        var joined: Bool
        var position: Position
    }

    /// - Parameter isNew: whether the entry of a dot comes into the database with this batch. Where it was there
    ///   already (another node wrote it), an element of its may have been removed since, and must not come back.
    init(_ effects: [StoreEffect], isNew: (Dot) -> Bool) {
        for effect in effects {
            switch effect {
            case .key(let id, let position):
                keys[id] = min(keys[id] ?? position, position)
            case .hide(let dot):
                hidden.insert(dot)
            case .insert(let document, let element, let dot, let timestamp, let replacing):
                for gone in replacing {
                    elements[ElementKey(document: document, element: element, dot: gone)] = .absent
                }
                if isNew(dot) {
                    elements[ElementKey(document: document, element: element, dot: dot)] = .present(timestamp)
                }
            case .delete(let document, let element, let dots):
                for gone in dots {
                    elements[ElementKey(document: document, element: element, dot: gone)] = .absent
                }
            case .write(let document, let value, let dot, let timestamp):
                let row = DocumentRow(document: document, value: value, dot: dot, timestamp: timestamp)
                if let held = registers[document], row.position < held.position { continue }
                registers[document] = row
            case .touch(let document, let dot):
                let key = TouchKey(document: document, replica: dot.replica)
                touched[key] = max(touched[key] ?? 0, dot.seq)
            case .count, .redact, .remember, .forget: break
            case .attendance(let who):
                let (joined, position) = (who.isJoined, who.position)
                let key = AttendanceKey(room: who.room, user: who.user)
                if let held = attendance[key], position < held.position { continue }
                attendance[key] = AttendanceRow(displayName: who.displayName, joined: joined, position: position)
            }
        }
    }

    func hides(_ dot: Dot) -> Bool { !hidden.isEmpty && hidden.contains(dot) }

    /// - Parameter settled: the dots whose entries are inserted by this batch, hidden already.
    func statements(settled: (Dot) -> Bool) -> [PostgresStatement] {
        var statements: [PostgresStatement] = []
        appendKeys(to: &statements)
        appendHidden(hidden.filter { !settled($0) }.sorted(), to: &statements)
        appendElements(to: &statements)
        appendRegisters(to: &statements)
        appendTouched(to: &statements)
        appendAttendance(to: &statements)
        return statements
    }

    // MARK: One statement a table

    private func appendKeys(to statements: inout [PostgresStatement]) {
        guard !keys.isEmpty else { return }
        let rows = keys.sorted { ($0.key.high, $0.key.low) < ($1.key.high, $1.key.low) }
        statements.append(
            PostgresStatement(
                """
                INSERT INTO converge_message_key AS k (id, ts, replica, seq)
                SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::bigint[])
                ON CONFLICT (id) DO UPDATE SET ts = excluded.ts, replica = excluded.replica, seq = excluded.seq
                WHERE (excluded.ts, excluded.replica, excluded.seq) < (k.ts, k.replica, k.seq)
                """
            ).binding(each: rows, bytes: \.key.postgres).binding(positions: rows.map(\.value)))
    }

    private func appendHidden(_ dots: [Dot], to statements: inout [PostgresStatement]) {
        guard !dots.isEmpty else { return }
        statements.append(
            PostgresStatement(
                """
                UPDATE converge_entry AS e SET shelf = 0
                FROM unnest($1::bigint[], $2::bigint[]) AS h (replica, seq)
                WHERE e.replica = h.replica AND e.seq = h.seq AND e.shelf <> 0
                """
            ).binding(each: dots, int8: \.replica.postgres).binding(each: dots, int8: \.postgresSeq))
    }

    private func appendElements(to statements: inout [PostgresStatement]) {
        var present: [(ElementKey, HybridTimestamp)] = []
        var absent: [ElementKey] = []
        for (key, change) in elements.sorted(by: { Self.inOrder($0.key, $1.key) }) {
            switch change {
            case .present(let timestamp): present.append((key, timestamp))
            case .absent: absent.append(key)
            }
        }
        if !present.isEmpty {
            statements.append(
                PostgresStatement(
                    """
                    INSERT INTO converge_element (room, kind, name, replica, seq, digest, ts, element)
                    SELECT * FROM unnest($1::bytea[], $2::smallint[], $3::bytea[], $4::bigint[], $5::bigint[],
                        $6::bytea[], $7::bigint[], $8::bytea[])
                    ON CONFLICT (room, kind, name, replica, seq, digest) DO UPDATE SET ts = excluded.ts
                    """
                ).binding(documents: present.map(\.0.document)).binding(each: present, int8: \.0.dot.replica.postgres)
                    .binding(each: present, int8: \.0.dot.postgresSeq)
                    .binding(each: present, bytes: { Self.digest($0.0.element) }).binding(
                        each: present, int8: \.1.postgres
                    )
                    .binding(each: present, text: \.0.element))
        }
        if !absent.isEmpty {
            statements.append(
                PostgresStatement(
                    """
                    DELETE FROM converge_element AS e
                    USING unnest($1::bytea[], $2::smallint[], $3::bytea[], $4::bigint[], $5::bigint[], $6::bytea[])
                        AS g (room, kind, name, replica, seq, digest)
                    WHERE e.room = g.room AND e.kind = g.kind AND e.name = g.name AND e.replica = g.replica
                        AND e.seq = g.seq AND e.digest = g.digest
                    """
                ).binding(documents: absent.map(\.document)).binding(each: absent, int8: \.dot.replica.postgres)
                    .binding(each: absent, int8: \.dot.postgresSeq)
                    .binding(each: absent, bytes: { Self.digest($0.element) }))
        }
    }

    private func appendRegisters(to statements: inout [PostgresStatement]) {
        guard !registers.isEmpty else { return }
        let rows = registers.values.sorted { Self.inOrder($0.document, $1.document) }
        statements.append(
            PostgresStatement(
                """
                INSERT INTO converge_register AS r (room, kind, name, value, ts, replica, seq)
                SELECT * FROM unnest($1::bytea[], $2::smallint[], $3::bytea[], $4::bytea[], $5::bigint[],
                    $6::bigint[], $7::bigint[])
                ON CONFLICT (room, kind, name) DO UPDATE
                SET value = excluded.value, ts = excluded.ts, replica = excluded.replica, seq = excluded.seq
                WHERE (excluded.ts, excluded.replica, excluded.seq) >= (r.ts, r.replica, r.seq)
                """
            ).binding(documents: rows.map(\.document)).binding(each: rows, optionalText: \.value)
                .binding(positions: rows.map(\.position)))
    }

    private func appendTouched(to statements: inout [PostgresStatement]) {
        guard !touched.isEmpty else { return }
        let rows = touched.sorted { a, b in
            a.key.document == b.key.document
                ? a.key.replica < b.key.replica : Self.inOrder(a.key.document, b.key.document)
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

    private func appendAttendance(to statements: inout [PostgresStatement]) {
        guard !attendance.isEmpty else { return }
        let rows = attendance.sorted { a, b in
            a.key.room == b.key.room ? a.key.user < b.key.user : a.key.room < b.key.room
        }
        statements.append(
            PostgresStatement(
                """
                INSERT INTO converge_attendance AS a (room, user_id, display_name, joined, ts, replica, seq)
                SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::bytea[], $4::boolean[], $5::bigint[],
                    $6::bigint[], $7::bigint[])
                ON CONFLICT (room, user_id) DO UPDATE
                SET display_name = excluded.display_name, joined = excluded.joined, ts = excluded.ts,
                    replica = excluded.replica, seq = excluded.seq
                WHERE (excluded.ts, excluded.replica, excluded.seq) >= (a.ts, a.replica, a.seq)
                """
            ).binding(each: rows, text: \.key.room).binding(each: rows, text: \.key.user)
                .binding(each: rows, text: \.value.displayName).binding(each: rows, bool: \.value.joined)
                .binding(positions: rows.map(\.value.position)))
    }

    // MARK: Order

    private static func inOrder(_ a: DocumentID, _ b: DocumentID) -> Bool {
        if a.room != b.room { return a.room < b.room }
        if a.kind != b.kind { return a.kind.rawValue < b.kind.rawValue }
        return a.name < b.name
    }

    private static func inOrder(_ a: ElementKey, _ b: ElementKey) -> Bool {
        if a.document != b.document { return inOrder(a.document, b.document) }
        return a.dot == b.dot ? a.element < b.element : a.dot < b.dot
    }

    /// The first 16 bytes of SHA-256: stands for the element in the table's key.
    private static func digest(_ element: Text) -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: 32)
        element.withUTF8 { utf8 in _ = SHA256(utf8.baseAddress, utf8.count, &digest) }
        return Array(digest[..<16])
    }
}

extension PostgresStatement {
    /// Three parameters: ts, replica, seq.
    fileprivate func binding(positions: [Position]) -> PostgresStatement {
        binding(each: positions, int8: \.timestamp.postgres).binding(each: positions, int8: \.dot.replica.postgres)
            .binding(each: positions, int8: \.dot.postgresSeq)
    }

    /// Three parameters: room, kind, name.
    fileprivate func binding(documents: [DocumentID]) -> PostgresStatement {
        binding(each: documents, text: \.room).binding(each: documents, int2: { Int16($0.kind.rawValue) })
            .binding(each: documents, text: \.name)
    }
}
