import ConvergeCRDT
import ConvergeWire

// How entries leave a shared database: those of all logs, whoever wrote them, since a replica that is gone drops nothing
// any more.
//
// Invariant: above its floor a log has no gap. The replicas' rows are locked, in the order of their ids as everywhere,
// so nobody's batch or pruning comes between what is read and what is dropped.

struct PostgresPruning {
    let connection: PostgresConnection
    let deadline: PostgresDeadline
    let pruning: Pruning

    /// Within one transaction, from BEGIN to COMMIT.
    ///
    /// - Parameter guarded: checks that the replica is still this process's.
    func run(guarded: PostgresStatement) throws(PostgresFailure) -> Pruned {
        var pruned = Pruned(dropped: 0, floors: VersionVector(), hasMore: false)
        let limit = max(0, pruning.limit)
        let begun = try connection.run(
            [
                PostgresStatement("BEGIN ISOLATION LEVEL READ COMMITTED"),
                PostgresStatement("SELECT replica, head, floor FROM converge_replica ORDER BY replica FOR UPDATE"),
                guarded,
                PostgresStatement(
                    """
                    SELECT o.replica, max(f.seq), count(*), coalesce(max(f.seq) FILTER (WHERE f.shelf = 1), 0)
                    FROM converge_replica AS o
                    CROSS JOIN LATERAL (
                        SELECT seq, ts, shelf FROM converge_entry WHERE replica = o.replica ORDER BY seq LIMIT $2) AS f
                    WHERE f.ts < $1 GROUP BY o.replica
                    """
                ).binding(pruning.entriesBefore.postgres).binding(Int64(limit)),
            ], by: deadline)
        let heads = (0..<begun[1].count).map { begun[1].dot($0, 0) }.filter { $0.seq > 0 }
        for row in 0..<begun[1].count {
            pruned.floors[begun[1].replica(row, 0)] = UInt64(clamping: begun[1].int(row, 2))
        }
        var lasts: [Dot] = []
        var lost = VersionVector()
        var left: [ReplicaID: Int] = [:]
        for row in 0..<begun[3].count {
            let last = begun[3].dot(row, 0)
            let count = Int(begun[3].int(row, 2))
            lasts.append(last)
            left[last.replica] = limit - count
            pruned.dropped += count
            pruned.floors.advance(to: last)
            lost[last.replica] = UInt64(clamping: begun[3].int(row, 3))
        }

        let wanted = heads.map { head in
            let through = min(pruning.foldThrough[head.replica], head.seq)
            return (after: Dot(replica: head.replica, seq: pruned.floors[head.replica]), through: through)
        }
        let read = try connection.run(
            [
                PostgresStatement(
                    """
                    DELETE FROM converge_entry AS e USING unnest($1::bigint[], $2::bigint[]) AS o (replica, seq)
                    WHERE e.replica = o.replica AND e.seq <= o.seq
                    """
                ).binding(dots: lasts),
                PostgresStatement(
                    """
                    SELECT e.replica, e.seq, e.namespace, e.flags, e.kind,
                        CASE WHEN e.kind = 3 THEN e.payload ELSE ''::bytea END
                    FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[])
                        AS w (replica, after, through, most)
                    CROSS JOIN LATERAL (
                        SELECT * FROM converge_entry WHERE replica = w.replica AND seq > w.after AND seq <= w.through
                        ORDER BY seq LIMIT w.most) AS e
                    ORDER BY e.replica, e.seq
                    """
                ).binding(dots: wanted.map(\.after)).binding(each: wanted, int8: { Int64(clamping: $0.through) })
                    .binding(each: wanted, int8: { Int64(left[$0.after.replica] ?? limit) }),
            ], by: deadline)[1]
        let folded = fold(read, &pruned, &left, limit)
        if heads.contains(where: { left[$0.replica] == 0 }) { pruned.hasMore = true }

        let results = try connection.run(
            [
                PostgresStatement(
                    """
                    DELETE FROM converge_entry AS e USING unnest($1::bigint[], $2::bigint[]) AS f (replica, seq)
                    WHERE e.replica = f.replica AND e.seq = f.seq
                    """
                ).binding(dots: folded),
                PostgresStatement(
                    """
                    UPDATE converge_replica AS r
                    SET floor = greatest(r.floor, n.floor), horizon = greatest(r.horizon, n.horizon)
                    FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS n (replica, floor, horizon)
                    WHERE r.replica = n.replica AND (r.floor < n.floor OR r.horizon < n.horizon)
                    """
                ).binding(dots: pruned.floors.components)
                    .binding(each: pruned.floors.components, int8: { Int64(clamping: lost[$0.replica]) }),
                PostgresStatement(
                    """
                    DELETE FROM converge_message_key WHERE id IN (
                        SELECT id FROM converge_message_key WHERE ts < $1 ORDER BY ts LIMIT $2)
                    """
                ).binding(pruning.keysBefore.postgres).binding(Int64(limit)),
                PostgresStatement("COMMIT"),
            ], by: deadline)
        guard results.last?.tag == "COMMIT" else {
            throw .refused("40000", message: "the transaction was rolled back", column: nil)
        }
        let keys = results[2].affected
        pruned.dropped += keys
        if keys == limit, pruning.keysBefore > .zero { pruned.hasMore = true }
        return pruned
    }

    /// Which of the entries read go; the floors move behind those that were looked at.
    private func fold(
        _ rows: PostgresResult, _ pruned: inout Pruned, _ left: inout [ReplicaID: Int], _ limit: Int
    ) -> [Dot] {
        var folded: [Dot] = []
        var barred: ReplicaID?
        for row in 0..<rows.count {
            let dot = rows.dot(row, 0)
            if dot.replica == barred { continue }
            var entry = Entry(
                dot: dot, timestamp: .zero, kind: EntryKind(rawValue: UInt8(clamping: rows.int(row, 4))), room: "",
                payload: rows.array(row, 5))
            entry.namespace = UInt8(clamping: rows.int(row, 2))
            entry.flags = Entry.Flags(rawValue: UInt8(clamping: rows.int(row, 3)))
            switch entry.folding {
            case .folded: folded.append(dot)
            case .retained: break
            case .barred:
                barred = dot.replica
                continue
            }
            left[dot.replica, default: limit] -= 1
            pruned.floors.advance(to: dot)
        }
        pruned.dropped += folded.count
        return folded
    }
}
