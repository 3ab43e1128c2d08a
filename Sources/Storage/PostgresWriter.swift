import ConvergeCRDT
import ConvergeWire

// The write connection to PostgreSQL: one transaction a batch, in one round trip.
//
// Invariant: a batch is committed whole, under this writer's epoch and behind the head it knows, or not at all. The
// first statement locks the replica's row and checks both on the server: where one is not as expected it sets a column
// to NULL that may not be, and so takes the rest of the transaction with it, COMMIT included.
//
//     BEGIN ┬ guard: replica's row ┬ entries ┬ keys, documents, … ┬ COMMIT   one pipeline, one answer
//
// Entries of other replicas, which another node may have stored here, take a round trip more: their rows are locked,
// and what is there already is left out. All rows of replicas are locked in the order of their ids.

final class PostgresWriter: StoreWriter {
    private let connection: PostgresConnection
    private let timeout: Duration
    private let replica: ReplicaID
    private let epoch: Int64
    private var vector: VersionVector
    private var hash: EntryHash
    /// Set once the writer must not go on.
    private var spent: StoreError?

    init(
        _ connection: PostgresConnection, settled: PostgresIdentity.Settled, recovered: Recovered, timeout: Duration
    ) {
        self.connection = connection
        self.timeout = timeout
        replica = settled.replica
        epoch = settled.epoch
        vector = recovered.vector
        hash = recovered.headHash
    }

    func append(_ batch: Batch) throws(StoreError) {
        if let spent { throw .failed("the writer ended with an error before: \(spent.message)") }
        do throws(StoreError) {
            let next = try BatchRules.check(batch, after: vector)
            guard connection.isAlive() else { throw .unreachable("the connection was lost") }
            try store(batch)
            vector = next
            if let last = batch.entries.last(where: { $0.dot.replica == replica }) { hash = last.hash }
        } catch {
            spent = error
            // Ends the transaction too, if one is open.
            connection.close()
            throw error
        }
    }

    func close() {
        spent = spent ?? .failed("the writer was closed")
        connection.close()
    }

    // MARK: One batch

    /// Again where the server had to roll the transaction back for another's sake, as long as there is time.
    private func store(_ batch: Batch) throws(StoreError) {
        let deadline = PostgresDeadline(after: timeout)
        while true {
            var committing = false
            do throws(PostgresFailure) {
                let known = try lockForeign(batch, by: deadline)
                committing = true
                let results = try connection.run(statements(for: batch, known: known), by: deadline)
                guard results.last?.tag == "COMMIT" else {
                    throw .refused("40000", message: "the transaction was rolled back", column: nil)
                }
                return
            } catch {
                guard error.isSerialization, !deadline.hasPassed else {
                    throw error.storeError(committing: committing)
                }
            }
            _ = try connection.query([PostgresStatement("ROLLBACK")], by: deadline)
        }
    }

    /// How much of the other replicas' logs is in the database, their rows and one's own locked; nil (and no transaction
    /// begun) where the batch has entries of one's own only.
    private func lockForeign(
        _ batch: Batch, by deadline: PostgresDeadline
    ) throws(PostgresFailure) -> VersionVector? {
        var firsts = VersionVector()
        for entry in batch.entries where entry.dot.replica != replica && firsts[entry.dot.replica] == 0 {
            firsts[entry.dot.replica] = entry.dot.seq
        }
        guard !firsts.components.isEmpty else { return nil }
        let foreign = firsts.components.map(\.replica)
        let rows = try connection.run(
            [
                PostgresStatement("BEGIN ISOLATION LEVEL READ COMMITTED"),
                PostgresStatement(
                    """
                    INSERT INTO converge_replica (replica, hash) SELECT r, $2 FROM unnest($1::bigint[]) AS r
                    ON CONFLICT (replica) DO NOTHING
                    """
                ).binding(each: foreign, int8: \.postgres).binding(EntryHash.zero.postgres),
                PostgresStatement(
                    "SELECT replica, head FROM converge_replica WHERE replica = ANY ($1) ORDER BY replica FOR UPDATE"
                ).binding(each: (foreign + [replica]).sorted(), int8: \.postgres),
            ], by: deadline)[2]
        var known = VersionVector()
        for row in 0..<rows.count { known.advance(to: rows.dot(row, 0)) }
        for first in firsts.components where known[first.replica] &+ 1 < first.seq {
            throw .refused(
                "40000", message: "the database has lost entries of \(first.replica) since it was opened", column: nil)
        }
        return known
    }

    private func statements(for batch: Batch, known: VersionVector?) -> [PostgresStatement] {
        let isForeign = { [replica] (dot: Dot) in dot.replica != replica }
        let isNew = { (dot: Dot) in !isForeign(dot) || known.map { !$0.covers(dot) } ?? true }
        let fresh = known == nil ? batch.entries : batch.entries.filter { isNew($0.dot) }
        let effects = PostgresEffects(batch.effects, isNew: isNew)

        var statements = known == nil ? [PostgresStatement("BEGIN ISOLATION LEVEL READ COMMITTED")] : []
        statements.append(guarded(fresh))
        if known != nil { statements += foreignHeads(fresh) }
        if !fresh.isEmpty {
            statements.append(
                PostgresStatement(
                    """
                    INSERT INTO converge_entry
                        (replica, seq, ts, shelf, kind, namespace, flags, room, hash, deps, payload)
                    SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::smallint[], $5::smallint[],
                        $6::smallint[], $7::smallint[], $8::bytea[], $9::bytea[], $10::bytea[], $11::bytea[])
                    """
                ).binding(each: fresh, int8: \.dot.replica.postgres).binding(each: fresh, int8: \.dot.postgresSeq)
                    .binding(each: fresh, int8: \.timestamp.postgres)
                    .binding(
                        each: fresh,
                        int2: { entry in
                            Int16((effects.hides(entry.dot) ? .hidden : BatchRules.shelf(of: entry)).rawValue)
                        }
                    ).binding(each: fresh, int2: { Int16($0.kind.rawValue) })
                    .binding(each: fresh, int2: { Int16($0.namespace) })
                    .binding(each: fresh, int2: { Int16($0.flags.rawValue) })
                    .binding(each: fresh, text: \.room).binding(each: fresh, bytes: \.hash.postgres)
                    .binding(each: fresh, bytes: { $0.encodedDependencies })
                    .binding(each: fresh, bytes: \.payload))
        }
        let stored = Set(batch.effects.isEmpty ? [] : fresh.map(\.dot))
        statements += effects.statements(settled: stored.contains)
        statements.append(PostgresStatement("COMMIT"))
        return statements
    }

    /// Locks this replica's row, checks epoch and head (see PostgresFailure for what becomes of their NULLs), and moves
    /// the head to the batch's end.
    private func guarded(_ entries: [Entry]) -> PostgresStatement {
        let own = entries.filter { $0.dot.replica == replica }
        let head = vector[replica]
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
