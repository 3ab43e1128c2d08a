import ConvergeCRDT
import ConvergeWire

// A batch as statements: entries, heads and effects.
//
// Invariant: they take effect only where the replica's row has the epoch and the head that are named here. The first
// statement locks that row and checks both on the server: where one is not as expected it sets a column to NULL that may
// not be, and so takes the rest of the transaction with it, a COMMIT that is already on its way included.

struct PostgresBatch {
    let replica: ReplicaID
    let epoch: Int64
    /// The log's last seq and its hash.
    let head: UInt64
    let hash: EntryHash

    /// Between BEGIN and COMMIT.
    ///
    /// - Parameter known: how much the database has of the other replicas' logs, their rows locked; nil where the batch
    ///   has entries of this replica only.
    func statements(for batch: Batch, known: VersionVector? = nil) -> [PostgresStatement] {
        let isForeign = { [replica] (dot: Dot) in dot.replica != replica }
        let isNew = { (dot: Dot) in !isForeign(dot) || known.map { !$0.covers(dot) } ?? true }
        let fresh = known == nil ? batch.entries : batch.entries.filter { isNew($0.dot) }
        let effects = PostgresEffects(batch.effects, isNew: isNew)

        var statements = [guarded(fresh)]
        if known != nil { statements += foreignHeads(fresh) }
        if !fresh.isEmpty {
            statements.append(
                Self.insert(fresh) { effects.hides($0.dot) ? .hidden : BatchRules.shelf(of: $0) })
        }
        let stored = Set(batch.effects.isEmpty ? [] : fresh.map(\.dot))
        return statements + effects.statements(settled: stored.contains)
    }

    static func insert(_ entries: [Entry], shelf: (Entry) -> BatchRules.Shelf) -> PostgresStatement {
        PostgresStatement(
            """
            INSERT INTO converge_entry
                (replica, seq, ts, shelf, kind, namespace, flags, room, hash, deps, payload)
            SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::smallint[], $5::smallint[],
                $6::smallint[], $7::smallint[], $8::bytea[], $9::bytea[], $10::bytea[], $11::bytea[])
            """
        ).binding(dots: entries.map(\.dot)).binding(each: entries, int8: \.timestamp.postgres)
            .binding(each: entries, int2: { Int16(shelf($0).rawValue) })
            .binding(each: entries, int2: { Int16($0.kind.rawValue) })
            .binding(each: entries, int2: { Int16($0.namespace) })
            .binding(each: entries, int2: { Int16($0.flags.rawValue) })
            .binding(each: entries, text: \.room).binding(each: entries, bytes: \.hash.postgres)
            .binding(each: entries, bytes: { $0.encodedDependencies })
            .binding(each: entries, bytes: \.payload)
    }

    /// Locks this replica's row, checks epoch and head (see PostgresFailure for what becomes of their NULLs), and moves
    /// the head to the batch's end.
    func guarded(_ entries: [Entry]) -> PostgresStatement {
        let own = entries.filter { $0.dot.replica == replica }
        return PostgresStatement(
            """
            UPDATE converge_replica
            SET epoch = CASE WHEN epoch = $2 THEN epoch END, head = CASE WHEN head = $3 THEN $4 END,
                clock = greatest(clock, $5), hash = $6
            WHERE replica = $1
            """
        ).binding(replica.postgres).binding(epoch).binding(Int64(clamping: head))
            .binding(Int64(clamping: own.last?.dot.seq ?? head))
            .binding((own.map(\.timestamp).max() ?? .zero).postgres).binding((own.last?.hash ?? hash).postgres)
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
