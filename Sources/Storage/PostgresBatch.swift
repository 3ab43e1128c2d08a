import ConvergeCRDT
import ConvergeWire

// A batch as statements: entries, heads and effects.
//
// Invariants:
// - They take effect only where the replica's row has the epoch and the head that are named here, and the database has
//   what the entries depend on. The first statement locks that row and checks all three on the server: where one is not
//   as expected it sets a column to NULL that may not be, and so takes the rest of the transaction with it, a COMMIT that
//   is already on its way included.
// - So the entries in the database are, at each moment, a prefix of each log and closed under their dependencies, and
//   what follows from an entry came in the transaction that brought it in, once, whichever node that was. What the rows
//   beside the log hold is therefore a function of the set of entries: an observed cell is put in once, with its entry, and
//   taken away by entries that came behind it; a latest one is the maximum of writes, a greatest one of values, a key's
//   row the minimum of positions, attendance's the best record. None of these minds the order of transactions.

struct PostgresBatch {
    let replica: ReplicaID
    let epoch: Int64
    /// The log's last seq and its hash.
    let head: UInt64
    let hash: EntryHash

    /// Between BEGIN and COMMIT; none where the database has it all.
    ///
    /// - Parameter known: how much the database has of the other replicas' logs that are in the batch: exactly, their rows
    ///   locked, or at least that, where it is all that the batch has of them; nil where the batch has entries of this
    ///   replica only.
    func statements(for batch: Batch, known: VersionVector? = nil) -> [PostgresStatement] {
        let isNew = { [replica] (dot: Dot) in dot.replica == replica || !(known?.covers(dot) ?? false) }
        let fresh = known == nil ? batch.entries : batch.entries.filter { isNew($0.dot) }
        let isThere = known != nil && fresh.isEmpty
        let effects = PostgresEffects(batch.effects, isNew: isNew, withErasures: !isThere)
        if isThere, effects.isEmpty { return [] }

        var statements = [guarded(fresh, after: outerDependencies(of: fresh, in: batch))]
        if known != nil { statements += foreignHeads(fresh) }
        if !fresh.isEmpty {
            statements.append(
                Self.insert(fresh) { effects.hides($0.dot) ? .nowhere : BatchRules.shown($0) })
        }
        let stored = Set(batch.effects.isEmpty ? [] : fresh.map(\.dot))
        return statements + effects.statements(inserted: stored.contains)
    }

    static func insert(_ entries: [Entry], shown: (Entry) -> BatchRules.Shown) -> PostgresStatement {
        PostgresStatement(
            """
            INSERT INTO converge_entry
                (replica, seq, ts, shelf, kind, namespace, flags, room, hash, deps, payload)
            SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::smallint[], $5::smallint[],
                $6::smallint[], $7::smallint[], $8::bytea[], $9::bytea[], $10::bytea[], $11::bytea[])
            """
        ).binding(dots: entries.map(\.dot)).binding(each: entries, int8: \.timestamp.postgres)
            .binding(each: entries, int2: { Int16(shown($0).rawValue) })
            .binding(each: entries, int2: { Int16($0.kind.rawValue) })
            .binding(each: entries, int2: { Int16($0.namespace) })
            .binding(each: entries, int2: { Int16($0.flags.rawValue) })
            .binding(each: entries, text: \.room).binding(each: entries, bytes: \.hash.postgres)
            .binding(each: entries, bytes: { $0.encodedDependencies })
            .binding(each: entries, bytes: \.payload)
    }

    /// Locks this replica's row, checks epoch, head and dependencies (see PostgresFailure for what becomes of the NULLs),
    /// moves the head to the batch's end, and shows that the writer lives.
    func guarded(_ entries: [Entry], after dependencies: VersionVector = VersionVector()) -> PostgresStatement {
        let own = entries.filter { $0.dot.replica == replica }
        let isCovered = """
            AND NOT EXISTS (
                SELECT 1 FROM unnest($7::bigint[], $8::bigint[]) AS d (replica, seq)
                LEFT JOIN converge_replica AS r ON r.replica = d.replica WHERE coalesce(r.head, 0) < d.seq)
            """
        let isFree = dependencies.components.isEmpty
        let statement = PostgresStatement(
            """
            UPDATE converge_replica
            SET epoch = CASE WHEN epoch = $2 THEN epoch END, head = CASE WHEN head = $3 \(isFree ? "" : isCovered) THEN $4 END,
                clock = greatest(clock, $5), hash = $6, beat = beat + 1
            WHERE replica = $1
            """
        ).binding(replica.postgres).binding(epoch).binding(Int64(clamping: head))
            .binding(Int64(clamping: own.last?.dot.seq ?? head))
            .binding((own.map(\.timestamp).max() ?? .zero).postgres).binding((own.last?.hash ?? hash).postgres)
        return isFree ? statement : statement.binding(dots: dependencies.components)
    }

    /// What the entries depend on and the batch itself does not have.
    private func outerDependencies(of entries: [Entry], in batch: Batch) -> VersionVector {
        var firsts = VersionVector()
        for entry in batch.entries where firsts[entry.dot.replica] == 0 { firsts.advance(to: entry.dot) }
        var outer = VersionVector()
        for entry in entries {
            for dot in entry.dependencies where firsts[dot.replica] == 0 || dot.seq < firsts[dot.replica] {
                outer.advance(to: dot)
            }
        }
        return outer
    }

    /// The rows are locked and what they hold is known, so they are simply set.
    private func foreignHeads(_ entries: [Entry]) -> [PostgresStatement] {
        var lasts = VersionVector()
        var hashes: [ReplicaID: EntryHash] = [:]
        var clocks: [ReplicaID: HybridTimestamp] = [:]
        for entry in entries where entry.dot.replica != replica {
            lasts.advance(to: entry.dot)
            hashes[entry.dot.replica] = entry.hash
            clocks[entry.dot.replica] = max(clocks[entry.dot.replica] ?? .zero, entry.timestamp)
        }
        guard !lasts.components.isEmpty else { return [] }
        return [
            PostgresStatement(
                """
                UPDATE converge_replica AS r SET head = n.head, clock = greatest(r.clock, n.clock), hash = n.hash
                FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bytea[]) AS n (replica, head, clock, hash)
                WHERE r.replica = n.replica
                """
            ).binding(each: lasts.components, int8: \.replica.postgres)
                .binding(each: lasts.components, int8: \.postgresSeq)
                .binding(each: lasts.components, int8: { (clocks[$0.replica] ?? .zero).postgres })
                .binding(each: lasts.components, bytes: { (hashes[$0.replica] ?? .zero).postgres })
        ]
    }
}
