import ConvergeCRDT
import ConvergeWire

// Which replica a process writes, in a database that many share.
//
// Invariant: a replica's log is extended only under the epoch that its row has, so by one connection of one process.
// Opening raises the epoch, under the row's lock: that waits until a transaction of the connection before has ended,
// so the head read afterwards is what was committed and nothing can be added behind it. `holder` is a random number of
// the process (of its store value): it tells its own epochs, of which it may not know the last one, from another's.

enum PostgresIdentity {
    struct Taken {
        var replica: ReplicaID
        var epoch: Int64
        var boot: UInt64
        var renewal: RenewalReason?
    }

    /// Takes the node's replica, or a fresh one where the old must not be gone on with, and commits that.
    static func takeReplica(
        _ start: WriterStart, holder: Int64, _ connection: PostgresConnection, by deadline: PostgresDeadline
    ) throws(StoreError) -> Taken {
        // Nodes of one name that come up at once: the loser of the race for the name looks again.
        var attempts = 0
        while true {
            do {
                return try Attempt(start: start, holder: holder, connection: connection, deadline: deadline)
                    .takeReplica()
            } catch {
                attempts += 1
                guard case .database(let failure) = error, failure.isRace, attempts < 5, connection.isOpen else {
                    throw error.storeError(start.freshReplica)
                }
                _ = try connection.query([PostgresStatement("ROLLBACK")], by: deadline)
            }
        }
    }

    private enum Failure: Error {
        case database(PostgresFailure)
        case used

        func storeError(_ fresh: ReplicaID) -> StoreError {
            switch self {
            case .database(.timeout): .timeout("waiting for the row of this node's replica")
            case .database(let failure): failure.storeError(committing: false)
            case .used: .failed("the replica \(fresh) has been used before: each open needs a random one")
            }
        }
    }

    private struct Attempt {
        let start: WriterStart
        let holder: Int64
        let connection: PostgresConnection
        let deadline: PostgresDeadline

        private func run(_ statements: PostgresStatement...) throws(Failure) -> [PostgresResult] {
            do {
                return try connection.run(statements, by: deadline)
            } catch {
                throw .database(error)
            }
        }

        func takeReplica() throws(Failure) -> Taken {
            let taken: Taken
            if let held = start.held {
                taken = try reopen(held)
            } else {
                taken = try takeByName()
            }
            _ = try run(PostgresStatement("COMMIT"))
            return taken
        }

        /// The same process again, after an error.
        private func reopen(_ held: WriterStart.Held) throws(Failure) -> Taken {
            let rows = try run(
                PostgresStatement("BEGIN"),
                PostgresStatement("SELECT holder, head FROM converge_replica WHERE replica = $1 FOR UPDATE")
                    .binding(held.replica.postgres))[1]
            if rows.count == 1, rows.int(0, 0) != holder { return try takeFresh(.fenced, givingUp: held.replica) }
            if start.renew { return try takeFresh(start.reasonToRenew, givingUp: held.replica) }
            guard rows.count == 1, UInt64(clamping: rows.int(0, 1)) >= held.committed, try has(held.vector) else {
                return try takeFresh(.behind, givingUp: held.replica)
            }
            return try take(held.replica, newBoot: false)
        }

        /// Less of anybody's log than this process knows to be committed: the database is an older one, as after a
        /// failover. What this process told of the rest must not be contradicted under its name.
        private func has(_ vector: VersionVector) throws(Failure) -> Bool {
            let missing = try run(
                PostgresStatement(
                    """
                    SELECT count(*) FROM unnest($1::bigint[], $2::bigint[]) AS w (replica, seq)
                    LEFT JOIN converge_replica AS r ON r.replica = w.replica WHERE coalesce(r.head, 0) < w.seq
                    """
                ).binding(dots: vector.components))
            return missing[0].int(0, 0) == 0
        }

        /// A new process: the replica of its name is its own, whoever held it.
        private func takeByName() throws(Failure) -> Taken {
            let rows = try run(
                PostgresStatement("BEGIN"),
                PostgresStatement("SELECT replica FROM converge_replica WHERE node_name = $1 FOR UPDATE")
                    .binding(Text(start.nodeName)))[1]
            guard rows.count == 1 else { return try takeFresh(nil, givingUp: nil) }
            let replica = rows.replica(0, 0)
            if start.renew { return try takeFresh(start.reasonToRenew, givingUp: replica) }
            return try take(replica, newBoot: true)
        }

        private func take(_ replica: ReplicaID, newBoot: Bool) throws(Failure) -> Taken {
            let rows = try run(
                PostgresStatement(
                    """
                    UPDATE converge_replica
                    SET epoch = epoch + 1, holder = $2, boot = boot + $3, machine = $4
                    WHERE replica = $1 RETURNING epoch, boot
                    """
                ).binding(replica.postgres).binding(holder).binding(Int64(newBoot ? 1 : 0))
                    .binding(Text(start.machine)))[0]
            return Taken(
                replica: replica, epoch: rows.int(0, 0), boot: UInt64(clamping: rows.int(0, 1)), renewal: nil)
        }

        /// The log of `old` stays as it is. Its name goes to the fresh replica, unless it is another process's now:
        /// then the fresh one is named by its id too.
        private func takeFresh(_ renewal: RenewalReason?, givingUp old: ReplicaID?) throws(Failure) -> Taken {
            guard start.freshReplica != old else { throw .used }
            let name = Text(start.nodeName)
            if renewal != nil, renewal != .fenced, let old {
                _ = try run(
                    PostgresStatement(
                        "UPDATE converge_replica SET node_name = NULL WHERE node_name = $1 AND (holder = $2 OR replica = $3)"
                    ).binding(name).binding(holder).binding(old.postgres))
            }
            // A row of this id is fine only where an earlier try of this process made it and wrote nothing yet.
            let rows = try run(
                PostgresStatement(
                    """
                    INSERT INTO converge_replica (replica, node_name, holder, epoch, boot, machine, hash)
                    SELECT $1, CASE WHEN EXISTS (SELECT 1 FROM converge_replica WHERE node_name = $2) THEN $3 ELSE $2 END,
                        $4, 1, 1, $5, $6
                    ON CONFLICT (replica) DO UPDATE SET epoch = converge_replica.epoch + 1
                    WHERE converge_replica.holder = $4 AND converge_replica.head = 0
                    RETURNING epoch, boot
                    """
                ).binding(start.freshReplica.postgres).binding(name)
                    .binding(Text("\(start.nodeName)#\(start.freshReplica)")).binding(holder)
                    .binding(Text(start.machine)).binding(EntryHash.zero.postgres))[0]
            guard rows.count == 1 else { throw .used }
            return Taken(
                replica: start.freshReplica, epoch: rows.int(0, 0), boot: UInt64(clamping: rows.int(0, 1)),
                renewal: renewal)
        }
    }

    /// All that a node needs to go on, as of one moment.
    ///
    /// Its length has no bound but the documents', so `timeout` is for each wait, not for the whole.
    static func recover(
        _ taken: Taken, adopted: Int = 0, attendanceLimit: Int, _ connection: PostgresConnection,
        within timeout: Duration
    ) throws(StoreError) -> Recovered {
        let attendance = "SELECT room, user_id, display_name, turn, ts, replica, seq FROM converge_attendance"
        // One more than the limit tells whether there are more.
        let limit = Int64(clamping: max(0, attendanceLimit)).addingReportingOverflow(1)
        let results = try connection.query(
            [
                PostgresStatement("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"),
                PostgresStatement(
                    "SELECT replica, head, clock, hash, floor, \(PostgresReader.wall) FROM converge_replica "
                        + "ORDER BY replica"),
                PostgresStatement(
                    "SELECT \(PostgresResult.cellColumns) FROM converge_cell ORDER BY room, kind, name, key, slot"),
                PostgresStatement(attendance + " WHERE turn & 1 = 1"),
                PostgresStatement(
                    attendance + " WHERE turn & 1 = 0 ORDER BY ts DESC, replica DESC, seq DESC LIMIT $1"
                ).binding(limit.overflow ? Int64.max : limit.partialValue),
                PostgresStatement("SELECT address, replica, name, seen FROM converge_member ORDER BY address"),
                PostgresStatement("COMMIT"),
            ], by: PostgresDeadline(after: timeout), renewing: timeout)
        var recovered = Recovered(
            replica: taken.replica, boot: taken.boot, renewal: taken.renewal, adopted: adopted,
            isShared: true)
        recovered.canReload = false
        let replicas = results[1]
        if replicas.count > 0 { recovered.wall = UInt64(clamping: replicas.int(0, 5)) }
        for row in 0..<replicas.count {
            let dot = replicas.dot(row, 0)
            let hash = EntryHash(postgres: replicas.array(row, 3))
            recovered.vector[dot.replica] = dot.seq
            recovered.clock = max(recovered.clock, replicas.timestamp(row, 2))
            recovered.floors[dot.replica] = UInt64(clamping: replicas.int(row, 4))
            if dot.seq > 0 { recovered.ends.append(LogEnd(dot: dot, hash: hash)) }
            if dot.replica == taken.replica { recovered.headHash = hash }
        }
        let cells = results[2]
        for row in 0..<cells.count {
            guard let document = cells.document(row) else { continue }
            recovered.documents.append(StoredCell(cells.cell(row, of: document.kind), of: document))
        }
        let left = results[4]
        recovered.attendanceComplete = left.count <= max(0, attendanceLimit)
        recovered.attendance =
            (0..<results[3].count).map { results[3].attendanceRecord($0) }
            + (0..<min(left.count, max(0, attendanceLimit))).map { left.attendanceRecord($0) }
        recovered.attendance.sort(by: AttendanceRecord.inStoreOrder)
        let members = results[5]
        // Of this node itself others tell, for their own sake.
        for row in 0..<members.count where members.isNull(row, 1) || members.replica(row, 1) != taken.replica {
            recovered.members.append(
                StoredMember(
                    address: members.text(row, 0), replica: members.isNull(row, 1) ? nil : members.replica(row, 1),
                    name: members.text(row, 2), seen: UInt64(clamping: members.int(row, 3))))
        }
        return recovered
    }
}

extension PostgresResult {
    /// The columns `room, user, display_name, turn, ts, replica, seq`.
    func attendanceRecord(_ row: Int) -> AttendanceRecord {
        AttendanceRecord(
            room: text(row, 0), user: text(row, 1), displayName: text(row, 2), number: UInt64(clamping: int(row, 3)),
            position: position(row, 4))
    }

    /// The columns that `PostgresReader.columns` names.
    func entry(_ row: Int) throws(StoreError) -> Entry {
        var entry = Entry(
            dot: dot(row, 0), timestamp: timestamp(row, 2), kind: EntryKind(rawValue: UInt8(clamping: int(row, 3))),
            room: text(row, 7), payload: array(row, 8))
        entry.namespace = UInt8(clamping: int(row, 4))
        entry.flags = Entry.Flags(rawValue: UInt8(clamping: int(row, 5)))
        entry.hash = EntryHash(postgres: array(row, 9))
        guard let dependencies = try? Entry.dependencies(decoding: bytes(row, 6)) else {
            throw .corrupt("entry \(entry.dot.seq) of \(entry.dot.replica) has torn dependencies")
        }
        entry.dependencies = dependencies
        return entry
    }
}
