// How a batch is written: entries, their replicas' heads, and what follows from them.
//
// Invariant: a replica's row moves from the head before the batch to the head after it, once a batch, or not at all: a
// second writer would be noticed.

import CSQLite
import ConvergeCRDT
import ConvergeWire

struct SQLiteLog {
    private unowned let connection: SQLiteConnection
    private let effects: SQLiteEffects
    private let pruning: SQLitePruning
    private let stage: SQLiteStage
    private let insertEntry: SQLiteStatement
    private let insertReplica: SQLiteStatement
    private let updateReplica: SQLiteStatement
    private let readMarks: SQLiteStatement
    private let moveReplica: SQLiteStatement

    init(_ connection: SQLiteConnection) throws(StoreError) {
        self.connection = connection
        effects = try SQLiteEffects(connection)
        pruning = try SQLitePruning(connection)
        stage = try SQLiteStage(connection)
        insertEntry = try connection.prepare(
            """
            INSERT INTO entry(replica, seq, ts, shown, kind, namespace, flags, room, hash, deps, payload)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
            """)
        insertReplica = try connection.prepare(
            """
            INSERT INTO replica(replica, head, clock, hash) VALUES (?1, ?2, ?3, ?4)
            ON CONFLICT DO UPDATE SET head = excluded.head, clock = excluded.clock, hash = excluded.hash WHERE head = 0
            """)
        updateReplica = try connection.prepare(
            "UPDATE replica SET head = ?2, clock = max(clock, ?3), hash = ?4 WHERE replica = ?1 AND head = ?5")
        readMarks = try connection.prepare("SELECT floor, horizon FROM replica WHERE replica = ?1")
        moveReplica = try connection.prepare(
            """
            INSERT INTO replica(replica, head, floor, clock, hash, horizon) VALUES (?1, ?2, ?3, ?4, ?5, ?7)
            ON CONFLICT DO UPDATE
            SET head = excluded.head, floor = excluded.floor, clock = max(clock, excluded.clock), hash = excluded.hash,
                horizon = excluded.horizon
            WHERE head = ?6
            """)
    }

    /// Within a transaction. The batch must have been checked against `BatchRules`.
    func store(_ batch: Batch) throws(StoreError) {
        var hiding: Set<Dot> = []
        for case .hide(let dot) in batch.effects { hiding.insert(dot) }
        var heads: [Head] = []
        for entry in batch.entries {
            let hidden = !hiding.isEmpty && hiding.contains(entry.dot)
            try insert(entry, shown: hidden ? .nowhere : BatchRules.shown(entry))
            if let last = heads.indices.last, heads[last].replica == entry.dot.replica {
                heads[last].take(entry)
            } else if let known = heads.firstIndex(where: { $0.replica == entry.dot.replica }) {
                heads[known].take(entry)
            } else {
                heads.append(Head(entry))
            }
        }
        for head in heads { try move(head) }
        for effect in batch.effects { try effects.apply(effect) }
    }

    /// See `StoreWriter.prune`.
    func prune(_ old: Pruning, _ vector: VersionVector) throws(StoreError) -> Pruned { try pruning.run(old, vector) }

    func stage(_ chunk: SnapshotChunk) throws(StoreError) { try stage.take(chunk) }

    /// See `StoreWriter.install`. Returns the vector afterwards.
    func install(_ final: SnapshotChunk, have: VersionVector, _ vector: VersionVector) throws(StoreError)
        -> VersionVector
    {
        let install = try SnapshotInstall(final, have: have, mine: vector)
        try stage.take(final)
        let told = try stage.stagedHorizon()
        var after = vector
        var clocks: [ReplicaID: HybridTimestamp] = [:]
        try stage.install(install, effects) { (entry) throws(StoreError) in
            clocks[entry.dot.replica] = max(clocks[entry.dot.replica] ?? .zero, entry.timestamp)
            try insert(entry, shown: BatchRules.shown(entry))
        } moved: { (end, unbroken) throws(StoreError) in
            // The highest clock of the snapshot stands with one log that has moved: only the maximum counts.
            let clock = max(clocks[end.dot.replica] ?? .zero, install.end.clock)
            try move(end, clock: clock, install, unbroken: unbroken, horizon: told[end.dot.replica])
            after.advance(to: end.dot)
        }
        return after
    }

    private func move(
        _ end: LogEnd, clock: HybridTimestamp, _ install: SnapshotInstall, unbroken: UInt64, horizon told: UInt64
    ) throws(StoreError) {
        var own: UInt64 = 0
        var horizon: UInt64 = 0
        readMarks.bind(1, end.dot.replica)
        try readMarks.forEachRow { (row) throws(StoreError) in
            own = row.unsigned(0)
            horizon = row.unsigned(1)
        }
        moveReplica.bind(1, end.dot.replica)
        moveReplica.bind(2, clamping: end.dot.seq)
        let floor = install.floor(of: end.dot.replica, own: own, unbroken: unbroken)
        moveReplica.bind(3, clamping: floor)
        moveReplica.bind(4, clamping: clock.rawValue)
        end.hash.withBytes { moveReplica.bind(5, copying: Array($0)) }
        moveReplica.bind(6, clamping: install.mine[end.dot.replica])
        moveReplica.bind(7, clamping: install.horizon(of: end.dot.replica, own: horizon, told: told, floor: floor))
        try moveReplica.run()
        guard connection.changes == 1 else {
            throw .fenced("the log of \(end.dot.replica) was written by somebody else")
        }
    }

    private func insert(_ entry: Entry, shown: BatchRules.Shown) throws(StoreError) {
        let statement = insertEntry
        statement.bind(1, entry.dot.replica)
        statement.bind(2, clamping: entry.dot.seq)
        statement.bind(3, clamping: entry.timestamp.rawValue)
        statement.bind(4, shown.rawValue)
        statement.bind(5, Int64(entry.kind.rawValue))
        statement.bind(6, Int64(entry.namespace))
        statement.bind(7, Int64(entry.flags.rawValue))
        if entry.dependencies.isEmpty {
            statement.bindNull(10)
        } else {
            statement.bind(10, copying: entry.encodedDependencies)
        }
        let code = entry.room.withUTF8 { room in
            entry.hash.withBytes { hash in
                entry.payload.withUnsafeBytes { payload in
                    statement.bind(8, text: room)
                    statement.bind(9, blob: hash)
                    statement.bind(11, blob: payload)
                    return statement.runForCode()
                }
            }
        }
        if code & 0xFF == SQLITE_CONSTRAINT {
            throw .fenced("entry \(entry.dot.seq) of \(entry.dot.replica) is in the database already")
        }
        try statement.check(code)
    }

    /// What a batch makes of one replica's row.
    private struct Head {
        let replica: ReplicaID
        let before: UInt64
        var seq: UInt64
        var clock: HybridTimestamp
        var hash: EntryHash

        init(_ entry: Entry) {
            replica = entry.dot.replica
            before = entry.dot.seq - 1
            seq = entry.dot.seq
            clock = entry.timestamp
            hash = entry.hash
        }

        mutating func take(_ entry: Entry) {
            seq = entry.dot.seq
            clock = max(clock, entry.timestamp)
            hash = entry.hash
        }
    }

    private func move(_ head: Head) throws(StoreError) {
        let statement = head.before == 0 ? insertReplica : updateReplica
        statement.bind(1, head.replica)
        statement.bind(2, clamping: head.seq)
        statement.bind(3, clamping: head.clock.rawValue)
        if head.before != 0 { statement.bind(5, clamping: head.before) }
        let code = head.hash.withBytes { hash in
            statement.bind(4, blob: hash)
            return statement.runForCode()
        }
        try statement.check(code)
        guard connection.changes == 1 else { throw .fenced("the log of \(head.replica) was written by somebody else") }
    }
}
