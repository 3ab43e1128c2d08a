import ConvergeCRDT
import ConvergeWire

// The write connection to PostgreSQL: one transaction a batch, in one round trip.
//
// Invariant: a batch is committed whole, under this writer's epoch and behind the head it knows, or not at all.
//
//     BEGIN ┬ guard: replica's row ┬ entries ┬ keys, documents, … ┬ COMMIT   one pipeline, one answer
//
// A node writes its own log. Entries of other replicas that a peer pushed were written here by that peer before it pushed
// them, where it shares the database: so a round trip more looks how far those logs are, and what is there is left alone.
// Only what is not (a peer with a database of its own wrote it) is stored, with the rows of those replicas locked. All
// rows of replicas are locked in the order of their ids.

final class PostgresWriter: StoreWriter {
    private let connection: PostgresConnection
    private let timeout: Duration
    private let replica: ReplicaID
    private let epoch: Int64
    private var vector: VersionVector
    private var hash: EntryHash
    private let boot: UInt64
    private let attendanceLimit: Int
    private var stage = SnapshotStage()
    /// Set once the writer must not go on.
    private var spent: StoreError?

    init(
        _ connection: PostgresConnection, taken: PostgresIdentity.Taken, recovered: Recovered,
        attendanceLimit: Int, timeout: Duration
    ) {
        self.connection = connection
        self.timeout = timeout
        replica = taken.replica
        epoch = taken.epoch
        boot = taken.boot
        self.attendanceLimit = attendanceLimit
        vector = recovered.vector
        hash = recovered.headHash
    }

    func append(_ batch: Batch) throws(StoreError) {
        if let spent { throw .failed("the writer ended with an error before: \(spent.message)") }
        do throws(StoreError) {
            let next = try BatchRules.check(batch, after: vector)
            guard connection.isAlive(by: PostgresDeadline(after: timeout)) else {
                throw .unreachable("the connection was lost")
            }
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

    func prune(_ pruning: Pruning) throws(StoreError) -> Pruned {
        try alone { () throws(StoreError) in
            do throws(PostgresFailure) {
                return try PostgresPruning(
                    connection: connection, deadline: PostgresDeadline(after: timeout), pruning: pruning
                ).run(
                    guarded: PostgresBatch(replica: replica, epoch: epoch, head: vector[replica], hash: hash)
                        .guarded([]))
            } catch {
                throw error.storeError(committing: false)
            }
        }
    }

    // MARK: Snapshots

    /// Kept in this process: the stage is as good as lost with it. Beyond this the node must take smaller ones.
    private static let stageLimit = 1 << 30

    func stage(_ chunk: SnapshotChunk) throws(StoreError) {
        try alone { () throws(StoreError) in
            stage.take(chunk)
            if stage.byteCount > Self.stageLimit { throw .failed("a snapshot of over \(Self.stageLimit) bytes") }
        }
    }

    func discardStage() throws(StoreError) { try alone { stage = SnapshotStage() } }

    func install(_ final: SnapshotChunk, have: VersionVector) throws(StoreError) -> Recovered {
        try alone { () throws(StoreError) in
            stage.take(final)
            let guarded = PostgresBatch(replica: replica, epoch: epoch, head: vector[replica], hash: hash).guarded([])
            try PostgresInstall(connection: connection, timeout: timeout)
                .run(stage, final, have: have, guarded: guarded)
            stage = SnapshotStage()
            let recovered = try PostgresIdentity.recover(
                PostgresIdentity.Taken(replica: replica, epoch: epoch, boot: boot, renewal: nil),
                attendanceLimit: attendanceLimit, connection, within: timeout)
            vector = recovered.vector
            hash = recovered.headHash
            return recovered
        }
    }

    /// Other nodes may hold the database, too, and one log has one copy in it: a fork can't be mended from here.
    func reload(_ final: SnapshotChunk) throws(StoreError) -> Recovered {
        throw .failed("a shared database can't be taken over from a peer as a whole")
    }

    /// Does one thing; after an error the writer must not go on.
    private func alone<R>(_ body: () throws(StoreError) -> R) throws(StoreError) -> R {
        if let spent { throw .failed("the writer ended with an error before: \(spent.message)") }
        do throws(StoreError) {
            guard connection.isAlive(by: PostgresDeadline(after: timeout)) else {
                throw .unreachable("the connection was lost")
            }
            return try body()
        } catch {
            spent = error
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
                let foreign = ForeignLogs(batch, besides: replica)
                var known = try foreign.map { (foreign) throws(PostgresFailure) in try look(foreign, by: deadline) }
                var locks = false
                if let foreign, known.map({ !$0.covers(foreign.lasts) }) ?? false {
                    locks = true
                    known = try lock(foreign, by: deadline)
                }
                var statements = PostgresBatch(replica: replica, epoch: epoch, head: vector[replica], hash: hash)
                    .statements(for: batch, known: known)
                if statements.isEmpty, !locks { return }
                if !locks { statements.insert(PostgresStatement("BEGIN ISOLATION LEVEL READ COMMITTED"), at: 0) }
                statements.append(PostgresStatement("COMMIT"))
                committing = true
                let results = try connection.run(statements, by: deadline)
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

    /// Entries of other replicas in a batch.
    private struct ForeignLogs {
        var firsts = VersionVector()
        var lasts = VersionVector()
        /// Of the last of each log, and of the others.
        var hashes: [Dot: EntryHash] = [:]

        /// Nil where there are none.
        init?(_ batch: Batch, besides own: ReplicaID) {
            for entry in batch.entries where entry.dot.replica != own {
                if firsts[entry.dot.replica] == 0 { firsts.advance(to: entry.dot) }
                lasts.advance(to: entry.dot)
                hashes[entry.dot] = entry.hash
            }
            if lasts.components.isEmpty { return nil }
        }
    }

    /// How far the database has the logs of these entries, and where it goes on beyond them, that far.
    private static func heads(of foreign: ForeignLogs) -> PostgresStatement {
        PostgresStatement(
            """
            SELECT w.replica, least(r.head, w.seq), CASE WHEN r.head <= w.seq THEN r.hash ELSE e.hash END
            FROM unnest($1::bigint[], $2::bigint[]) AS w (replica, seq)
            JOIN converge_replica AS r ON r.replica = w.replica
            LEFT JOIN converge_entry AS e ON e.replica = w.replica AND e.seq = w.seq
            """
        ).binding(dots: foreign.lasts.components)
    }

    /// A head moves forward only, so what is there now stays there, locked or not.
    private func look(_ foreign: ForeignLogs, by deadline: PostgresDeadline) throws(PostgresFailure) -> VersionVector {
        try known(try connection.run([Self.heads(of: foreign)], by: deadline)[0], foreign)
    }

    /// Begins a transaction and locks the rows of the entries' replicas and one's own, made where they are missing.
    private func lock(_ foreign: ForeignLogs, by deadline: PostgresDeadline) throws(PostgresFailure) -> VersionVector {
        let replicas = foreign.lasts.components.map(\.replica)
        let rows = try connection.run(
            [
                PostgresStatement("BEGIN ISOLATION LEVEL READ COMMITTED"),
                PostgresStatement(
                    """
                    INSERT INTO converge_replica (replica, hash) SELECT r, $2 FROM unnest($1::bigint[]) AS r
                    ON CONFLICT (replica) DO NOTHING
                    """
                ).binding(each: replicas, int8: \.postgres).binding(EntryHash.zero.postgres),
                PostgresStatement("SELECT 1 FROM converge_replica WHERE replica = ANY ($1) ORDER BY replica FOR UPDATE")
                    .binding(each: (replicas + [replica]).sorted(), int8: \.postgres),
                Self.heads(of: foreign),
            ], by: deadline)[3]
        let known = try known(rows, foreign)
        for first in foreign.firsts.components where known[first.replica] &+ 1 < first.seq {
            throw .refused(
                "40000", message: "the database has lost entries of \(first.replica) since it was opened", column: nil)
        }
        return known
    }

    private func known(_ rows: PostgresResult, _ foreign: ForeignLogs) throws(PostgresFailure) -> VersionVector {
        var known = VersionVector()
        for row in 0..<rows.count {
            let dot = rows.dot(row, 0)
            known.advance(to: dot)
            // Where the entry itself is folded or too old, there is nothing to compare with.
            guard let hash = foreign.hashes[dot], !rows.isNull(row, 2) else { continue }
            if EntryHash(postgres: rows.array(row, 2)) != hash {
                throw .refused(
                    "40000", message: "entry \(dot.seq) of \(dot.replica) is another one in the database", column: nil)
            }
        }
        return known
    }
}
