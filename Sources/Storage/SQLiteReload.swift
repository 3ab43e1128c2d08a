// Another node's state in the place of what is in the file, and what was only here on top.
//
// Invariant: all of it is within the caller's transaction, so readers see the file before or after, and a crash between
// leaves what was here.

import CSQLite
import ConvergeCRDT
import ConvergeWire

struct SQLiteReload {
    private unowned let connection: SQLiteConnection
    private let log: SQLiteLog

    init(_ connection: SQLiteConnection, _ log: SQLiteLog) {
        self.connection = connection
        self.log = log
    }

    /// What is stored beside the members and the identity.
    private static let tables = [
        "replica", "entry", "message_key", "cell", "touched", "attendance",
    ]

    /// Returns the vector afterwards.
    func run(_ final: SnapshotChunk) throws(StoreError) -> VersionVector {
        guard final.status == .final, let end = final.end else {
            throw .failed("a snapshot can't be installed without its final piece")
        }
        let own = try ownSide(final, end)
        let state = try own.state.map { (state) throws(StoreError) in
            try state.read(from: SQLiteSnapshot(connection).begun(), beyond: final.at)
        }
        for table in Self.tables { try connection.execute("DELETE FROM \(table)") }
        var installed = try log.install(final, have: VersionVector(), VersionVector())
        if let state { installed = try log.install(state, have: VersionVector(), installed) }
        let after = try BatchRules.check(own.batch, after: installed)
        try log.store(own.batch)
        return after
    }

    /// See `StoreWriter.fork`.
    func fork(in final: SnapshotChunk) throws(StoreError) -> Dot? {
        guard let end = final.end else { return nil }
        let sides = try Sides(connection, final, end)
        return try SnapshotFork.first(mine: try ends(), theirs: end.heads) { (dot) throws(StoreError) in
            try sides.hashHere(of: dot)
        } there: { (dot) throws(StoreError) in
            try sides.hashThere(of: dot)
        }
    }

    private func ownSide(_ final: SnapshotChunk, _ end: SnapshotEnd) throws(StoreError) -> OwnSide {
        try OwnSide(mine: try ends(), at: final.at, theirs: end.heads, in: Sides(connection, final, end))
    }

    private func ends() throws(StoreError) -> [LogEnd] {
        var mine: [LogEnd] = []
        try connection.prepare("SELECT replica, head, hash FROM replica WHERE head > 0 ORDER BY replica")
            .forEachRow { (row) throws(StoreError) in
                mine.append(LogEnd(dot: Dot(replica: row.replica(0), seq: row.unsigned(1)), hash: row.hash(2)))
            }
        return mine
    }

    private struct Sides: BothSides {
        private let path: String
        private let after: SQLiteStatement
        private let staged: SQLiteStatement
        private let floor: SQLiteStatement
        /// What the final piece tells.
        private var told: [Dot: EntryHash] = [:]

        init(_ connection: SQLiteConnection, _ final: SnapshotChunk, _ end: SnapshotEnd) throws(StoreError) {
            path = connection.path
            after = try connection.prepare(
                "SELECT \(SQLiteStatement.entryColumns) FROM entry WHERE replica = ?1 AND seq > ?2 ORDER BY seq")
            staged = try connection.prepare("SELECT hash FROM staged_entry WHERE replica = ?1 AND seq = ?2")
            floor = try connection.prepare("SELECT floor FROM replica WHERE replica = ?1")
            for entry in final.entries { told[entry.dot] = entry.hash }
            for head in end.heads { told[head.dot] = head.hash }
        }

        func entries(
            of replica: ReplicaID, after seq: UInt64, _ body: (Entry) throws(StoreError) -> Bool
        ) throws(StoreError) {
            after.bind(1, replica)
            after.bind(2, clamping: seq)
            defer { after.reset() }
            while try after.step(), try body(try after.entry(path)) {}
        }

        func hashHere(of dot: Dot) throws(StoreError) -> EntryHash? {
            var found: EntryHash?
            try entries(of: dot.replica, after: dot.seq - 1) { (entry) throws(StoreError) in
                if entry.dot == dot { found = entry.hash }
                return false
            }
            return found
        }

        func floor(of replica: ReplicaID) throws(StoreError) -> UInt64 {
            var found: UInt64 = 0
            floor.bind(1, replica)
            try floor.forEachRow { (row) throws(StoreError) in found = row.unsigned(0) }
            return found
        }

        func hashThere(of dot: Dot) throws(StoreError) -> EntryHash? {
            if let hash = told[dot] { return hash }
            var found: EntryHash?
            staged.bind(1, dot.replica)
            staged.bind(2, clamping: dot.seq)
            try staged.forEachRow { (row) throws(StoreError) in found = row.hash(0) }
            return found
        }
    }
}
