import ConvergeCRDT
import ConvergeWire

// What a batch's effects come to, as one statement a table.
//
// Invariant: the outcome is that of the effects one after the other. A statement over arrays may not touch a row twice
// (PostgreSQL refuses that in an upsert), so what meets in one row is joined here first; the rows of a statement are
// sorted, so that two nodes that change the same rows take their locks in the same order.

struct PostgresEffects {
    /// All positions of each id, the earliest first.
    private var keys: [MessageID: [Position]] = [:]
    private var redacted: Set<Dot> = []
    private var hidden: Set<Dot> = []
    private var cells = PostgresCells()
    private var attendance: [AttendanceKey: AttendanceRecord] = [:]
    private var members: [Text: StoredMember?] = [:]

    private struct AttendanceKey: Hashable {
        var room: Text
        var user: Text
    }

    /// What follows from an entry that is in the database already is left out: whoever brought the entry in brought that
    /// in with it, and an element of its may have been removed since.
    ///
    /// - Parameters:
    ///   - isNew: whether the entry of a dot is none of those that are there already.
    ///   - withErasures: what is erased counts, too. It doesn't tell the entry it follows from; to do it once more changes
    ///     nothing.
    init(_ effects: [StoreEffect], isNew: (Dot) -> Bool, withErasures: Bool = true) {
        for effect in effects {
            switch effect {
            case .key(let id, let position):
                if isNew(position.dot) { keys[id, default: []].append(position) }
            case .hide(let dot):
                if isNew(dot) { hidden.insert(dot) }
            case .cells(let change):
                if change.touched.isEmpty ? withErasures : change.touched.contains(where: isNew) { cells.take(change) }
            case .redact(let dot):
                if withErasures { redacted.insert(dot) }
            case .attendance(let record):
                guard isNew(record.position.dot) else { continue }
                let key = AttendanceKey(room: record.room, user: record.user)
                if let held = attendance[key], !record.supersedes(held) { continue }
                attendance[key] = record
            case .remember(let member): members[member.address] = .some(member)
            case .forget(let address): members[address] = .some(nil)
            }
        }
    }

    /// Nothing is to be done.
    var isEmpty: Bool {
        keys.isEmpty && redacted.isEmpty && hidden.isEmpty && cells.isEmpty && attendance.isEmpty && members.isEmpty
    }

    func hides(_ dot: Dot) -> Bool { !hidden.isEmpty && hidden.contains(dot) }

    /// - Parameter inserted: the dots whose entries are inserted by this batch, hidden already.
    func statements(inserted: (Dot) -> Bool) -> [PostgresStatement] {
        var statements: [PostgresStatement] = []
        appendKeys(to: &statements)
        appendHidden(hidden.filter { !inserted($0) }.sorted(), to: &statements)
        cells.append(to: &statements)
        appendAttendance(to: &statements)
        appendMembers(to: &statements)
        appendRedacted(to: &statements)
        return statements
    }

    // MARK: One statement a table

    private func appendKeys(to statements: inout [PostgresStatement]) {
        guard !keys.isEmpty else { return }
        let ids = keys.keys.sorted { ($0.high, $0.low) < ($1.high, $1.low) }
        let earliest = ids.map { id in
            keys[id]?.min() ?? .beginning(of: .zero)
        }
        let all = ids.flatMap { id in (keys[id] ?? []).map { (id: id, position: $0) } }
        // The first takes the lock of each id's row, of another's transaction that makes it too; then it is decided.
        statements.append(
            PostgresStatement(
                """
                INSERT INTO converge_message_key AS k (id, ts, replica, seq)
                SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::bigint[])
                ON CONFLICT (id) DO UPDATE SET id = excluded.id
                """
            ).binding(each: ids, bytes: \.postgres).binding(positions: earliest))
        statements.append(
            PostgresStatement(
                """
                UPDATE converge_entry AS e SET shelf = 0
                FROM converge_message_key AS k,
                    unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::bigint[]) AS n (id, ts, replica, seq)
                WHERE k.id = n.id AND (n.ts, n.replica, n.seq) < (k.ts, k.replica, k.seq)
                    AND e.replica = k.replica AND e.seq = k.seq AND e.shelf <> 0
                """
            ).binding(each: ids, bytes: \.postgres).binding(positions: earliest))
        statements.append(
            PostgresStatement(
                """
                UPDATE converge_message_key AS k SET ts = n.ts, replica = n.replica, seq = n.seq
                FROM unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::bigint[]) AS n (id, ts, replica, seq)
                WHERE k.id = n.id AND (n.ts, n.replica, n.seq) < (k.ts, k.replica, k.seq)
                """
            ).binding(each: ids, bytes: \.postgres).binding(positions: earliest))
        statements.append(
            PostgresStatement(
                """
                UPDATE converge_entry AS e SET shelf = 0
                FROM converge_message_key AS k,
                    unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::bigint[]) AS n (id, ts, replica, seq)
                WHERE k.id = n.id AND (n.ts, n.replica, n.seq) <> (k.ts, k.replica, k.seq)
                    AND e.replica = n.replica AND e.seq = n.seq AND e.shelf <> 0
                """
            ).binding(each: all, bytes: \.id.postgres).binding(positions: all.map(\.position)))
    }

    /// The shell is what `EntryChain.redacted` makes. sha256 is PostgreSQL's own.
    private func appendRedacted(to statements: inout [PostgresStatement]) {
        guard !redacted.isEmpty else { return }
        statements.append(
            PostgresStatement(
                """
                UPDATE converge_entry AS e SET shelf = 0, flags = flags | 1::smallint,
                    payload = sha256(payload) || CASE
                        WHEN namespace = 0 AND length(payload) >= 21 AND substring(payload FROM 1 FOR 2) = $3
                        THEN substring(payload FROM 3 FOR 16) ELSE ''::bytea END
                FROM unnest($1::bigint[], $2::bigint[]) AS r (replica, seq)
                WHERE e.replica = r.replica AND e.seq = r.seq AND e.kind = 1 AND e.flags & 1::smallint = 0
                """
            ).binding(dots: redacted.sorted()).binding([1, 1]))
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

    private func appendAttendance(to statements: inout [PostgresStatement]) {
        guard !attendance.isEmpty else { return }
        let rows = attendance.values.sorted(by: AttendanceRecord.inStoreOrder)
        statements.append(
            PostgresStatement(
                """
                INSERT INTO converge_attendance AS a (room, user_id, display_name, turn, ts, replica, seq)
                SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::bytea[], $4::bigint[], $5::bigint[],
                    $6::bigint[], $7::bigint[])
                ON CONFLICT (room, user_id) DO UPDATE
                SET display_name = excluded.display_name, turn = excluded.turn, ts = excluded.ts,
                    replica = excluded.replica, seq = excluded.seq
                WHERE excluded.turn > a.turn OR (excluded.turn = a.turn
                    AND (excluded.ts, excluded.replica, excluded.seq) < (a.ts, a.replica, a.seq))
                """
            ).binding(each: rows, text: \.room).binding(each: rows, text: \.user)
                .binding(each: rows, text: \.displayName).binding(each: rows, int8: { Int64(clamping: $0.number) })
                .binding(positions: rows.map(\.position)))
    }

    private func appendMembers(to statements: inout [PostgresStatement]) {
        let known = members.keys.sorted()
        let met = known.compactMap { members[$0] ?? nil }
        let gone = known.filter { (members[$0] ?? nil) == nil }
        if !met.isEmpty {
            statements.append(
                PostgresStatement(
                    """
                    INSERT INTO converge_member (address, replica, name, seen)
                    SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::bytea[], $4::bigint[])
                    ON CONFLICT (address) DO UPDATE
                    SET replica = excluded.replica, name = excluded.name, seen = excluded.seen
                    """
                ).binding(each: met, text: \.address).binding(each: met, optionalInt8: { $0.replica?.postgres })
                    .binding(each: met, text: \.name).binding(each: met, int8: { Int64(clamping: $0.seen) }))
        }
        if !gone.isEmpty {
            statements.append(
                PostgresStatement("DELETE FROM converge_member WHERE address = ANY ($1)")
                    .binding(each: gone, text: { $0 }))
        }
    }
}
