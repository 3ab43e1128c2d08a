import ConvergeCRDT
import ConvergeWire

// The write connection to PostgreSQL: one transaction a batch, in one round trip.
//
// Invariant: a batch is committed whole, under this writer's epoch and behind the head it knows, or not at all.
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
    private let boot: UInt64
    private let attendanceLimit: Int
    private var stage = SnapshotStage()
    /// Set once the writer must not go on.
    private var spent: StoreError?

    init(
        _ connection: PostgresConnection, settled: PostgresIdentity.Settled, recovered: Recovered,
        attendanceLimit: Int, timeout: Duration
    ) {
        self.connection = connection
        self.timeout = timeout
        replica = settled.replica
        epoch = settled.epoch
        boot = settled.boot
        self.attendanceLimit = attendanceLimit
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
                PostgresIdentity.Settled(replica: replica, epoch: epoch, boot: boot, renewal: nil),
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
            guard connection.isAlive() else { throw .unreachable("the connection was lost") }
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
                let known = try lockForeign(batch, by: deadline)
                committing = true
                var statements = known == nil ? [PostgresStatement("BEGIN ISOLATION LEVEL READ COMMITTED")] : []
                statements += PostgresBatch(replica: replica, epoch: epoch, head: vector[replica], hash: hash)
                    .statements(for: batch, known: known)
                statements.append(PostgresStatement("COMMIT"))
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
}
