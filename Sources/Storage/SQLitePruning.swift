// How old entries leave the file.
//
// Invariant: a log loses a prefix, and its floor moves to the end of it in the same transaction. A replica's timestamps grow
// with its seq, so what is older than a moment is such a prefix.

import CSQLite
import ConvergeCRDT
import ConvergeWire

struct SQLitePruning {
    private let lastOld: SQLiteStatement
    private let deleteEntries: SQLiteStatement
    private let moveFloor: SQLiteStatement
    private let deleteKeys: SQLiteStatement
    private unowned let connection: SQLiteConnection

    init(_ connection: SQLiteConnection) throws(StoreError) {
        self.connection = connection
        lastOld = try connection.prepare(
            """
            SELECT max(seq) FROM (
                SELECT seq, ts FROM entry
                WHERE replica = ?1 AND seq > (SELECT floor FROM replica WHERE replica = ?1)
                ORDER BY seq LIMIT ?2)
            WHERE ts < ?3
            """)
        deleteEntries = try connection.prepare("DELETE FROM entry WHERE replica = ?1 AND seq <= ?2")
        moveFloor = try connection.prepare("UPDATE replica SET floor = ?2 WHERE replica = ?1")
        deleteKeys = try connection.prepare(
            "DELETE FROM message_key WHERE id IN (SELECT id FROM message_key WHERE ts < ?1 ORDER BY ts LIMIT ?2)")
    }

    /// How many entries and ids went.
    func run(_ pruning: Pruning, _ vector: VersionVector) throws(StoreError) -> Int {
        var dropped = 0
        for head in vector.components {
            guard let last = try lastOldSeq(of: head.replica, pruning) else { continue }
            deleteEntries.bind(1, head.replica)
            deleteEntries.bind(2, clamping: last)
            try deleteEntries.run()
            dropped += connection.changes
            moveFloor.bind(1, head.replica)
            moveFloor.bind(2, clamping: last)
            try moveFloor.run()
        }
        deleteKeys.bind(1, clamping: pruning.keysBefore.rawValue)
        deleteKeys.bind(2, Int64(clamping: pruning.limit))
        try deleteKeys.run()
        return dropped + connection.changes
    }

    private func lastOldSeq(of replica: ReplicaID, _ pruning: Pruning) throws(StoreError) -> UInt64? {
        lastOld.bind(1, replica)
        lastOld.bind(2, Int64(clamping: pruning.limit))
        lastOld.bind(3, clamping: pruning.entriesBefore.rawValue)
        var last: UInt64?
        try lastOld.forEachRow { (row) throws(StoreError) in last = row.isNull(0) ? nil : row.unsigned(0) }
        return last
    }
}
