// How entries leave the file: by age, and by being folded.
//
// Invariant: above its floor a log has no gap: the floor moves in the transaction in which entries go. A replica's
// timestamps grow with its seq, so what is older than a moment is a log's beginning, of what is retained too.

import CSQLite
import ConvergeCRDT
import ConvergeWire

struct SQLitePruning {
    private let marks: SQLiteStatement
    private let first: SQLiteStatement
    private let folding: SQLiteStatement
    private let deleteBeginning: SQLiteStatement
    private let deleteEntry: SQLiteStatement
    private let moveMarks: SQLiteStatement
    private let deleteKeys: SQLiteStatement
    private unowned let connection: SQLiteConnection

    init(_ connection: SQLiteConnection) throws(StoreError) {
        self.connection = connection
        marks = try connection.prepare("SELECT floor, horizon FROM replica WHERE replica = ?1")
        first = try connection.prepare("SELECT seq, ts, shown FROM entry WHERE replica = ?1 ORDER BY seq LIMIT ?2")
        folding = try connection.prepare(
            """
            SELECT seq, namespace, flags, kind, CASE WHEN kind = \(EntryKind.document.rawValue) THEN payload END
            FROM entry WHERE replica = ?1 AND seq > ?2 AND seq <= ?3 ORDER BY seq LIMIT ?4
            """)
        deleteBeginning = try connection.prepare("DELETE FROM entry WHERE replica = ?1 AND seq <= ?2")
        deleteEntry = try connection.prepare("DELETE FROM entry WHERE replica = ?1 AND seq = ?2")
        moveMarks = try connection.prepare("UPDATE replica SET floor = ?2, horizon = ?3 WHERE replica = ?1")
        deleteKeys = try connection.prepare(
            "DELETE FROM message_key WHERE id IN (SELECT id FROM message_key WHERE ts < ?1 ORDER BY ts LIMIT ?2)")
    }

    /// Within a transaction.
    func run(_ pruning: Pruning, _ vector: VersionVector) throws(StoreError) -> Pruned {
        var pruned = Pruned(dropped: 0, floors: VersionVector(), hasMore: false)
        let limit = max(0, pruning.limit)
        for head in vector.components {
            let replica = head.replica
            let before = try marks(of: replica)
            var after = before
            let old = try dropOld(of: replica, pruning.entriesBefore, limit, &after)
            let through = min(pruning.foldThrough[replica], head.seq)
            let (gone, seen) = try fold(replica, through: through, limit: limit - old, &after.floor)
            pruned.dropped += old + gone
            if old + seen == limit { pruned.hasMore = true }
            pruned.floors[replica] = after.floor
            if after != before {
                moveMarks.bind(1, replica)
                moveMarks.bind(2, clamping: after.floor)
                moveMarks.bind(3, clamping: after.horizon)
                try moveMarks.run()
            }
        }
        guard pruning.keysBefore > .zero else { return pruned }
        deleteKeys.bind(1, clamping: pruning.keysBefore.rawValue)
        deleteKeys.bind(2, Int64(limit))
        try deleteKeys.run()
        pruned.dropped += connection.changes
        if connection.changes == limit { pruned.hasMore = true }
        return pruned
    }

    private struct Marks: Equatable {
        var floor: UInt64 = 0
        var horizon: UInt64 = 0
    }

    private func marks(of replica: ReplicaID) throws(StoreError) -> Marks {
        var found = Marks()
        marks.bind(1, replica)
        try marks.forEachRow { (row) throws(StoreError) in
            found = Marks(floor: row.unsigned(0), horizon: row.unsigned(1))
        }
        return found
    }

    /// How many entries went.
    private func dropOld(
        of replica: ReplicaID, _ moment: HybridTimestamp, _ limit: Int, _ marks: inout Marks
    ) throws(StoreError) -> Int {
        guard moment > .zero else { return 0 }
        first.bind(1, replica)
        first.bind(2, Int64(limit))
        defer { first.reset() }
        var last: UInt64?
        while try first.step(), HybridTimestamp(rawValue: first.unsigned(1)) < moment {
            last = first.unsigned(0)
            if first.int(2) == BatchRules.Shown.history.rawValue {
                marks.horizon = max(marks.horizon, first.unsigned(0))
            }
        }
        guard let last else { return 0 }
        first.reset()
        deleteBeginning.bind(1, replica)
        deleteBeginning.bind(2, clamping: last)
        try deleteBeginning.run()
        marks.floor = max(marks.floor, last)
        return connection.changes
    }

    private func fold(
        _ replica: ReplicaID, through: UInt64, limit: Int, _ floor: inout UInt64
    ) throws(StoreError) -> (gone: Int, seen: Int) {
        guard through > floor, limit > 0 else { return (0, 0) }
        folding.bind(1, replica)
        folding.bind(2, clamping: floor)
        folding.bind(3, clamping: through)
        folding.bind(4, Int64(limit))
        defer { folding.reset() }
        var folded: [UInt64] = []
        var seen = 0
        walk: while try folding.step() {
            var entry = Entry(
                dot: Dot(replica: replica, seq: folding.unsigned(0)), timestamp: .zero,
                kind: EntryKind(rawValue: UInt8(clamping: folding.int(3))), room: "", payload: folding.blob(4))
            entry.namespace = UInt8(clamping: folding.int(1))
            entry.flags = Entry.Flags(rawValue: UInt8(clamping: folding.int(2)))
            switch entry.folding {
            case .folded: folded.append(entry.dot.seq)
            case .retained: break
            case .barred: break walk
            }
            seen += 1
            floor = entry.dot.seq
        }
        folding.reset()
        for seq in folded {
            deleteEntry.bind(1, replica)
            deleteEntry.bind(2, clamping: seq)
            try deleteEntry.run()
        }
        return (folded.count, seen)
    }
}
