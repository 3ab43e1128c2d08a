// The identity of the node in its file's `meta` table, and what a node needs to go on from there.

import CSQLite
import ConvergeCRDT
import ConvergeWire

enum SQLiteIdentity {
    /// nil in a new database.
    static func load(_ connection: SQLiteConnection) throws(StoreError) -> StoredIdentity? {
        guard let name = try meta("replica", connection) else { return nil }
        guard let replica = ReplicaID(name),
            let boot = try meta("boot", connection).flatMap({ UInt64($0) }),
            let machine = try meta("machine", connection),
            let machineBoot = try meta("machine_boot", connection),
            let file = try meta("file", connection).flatMap({ FileIdentity(text: $0) })
        else { throw .corrupt("\(connection.path): the table meta does not name the replica") }
        return StoredIdentity(
            replica: replica, boot: boot, machine: machine, machineBoot: machineBoot, file: file,
            clean: try meta("clean", connection) == "1",
            synced: try meta("sync", connection) == SyncMode.full.rawValue)
    }

    static func save(_ identity: StoredIdentity, nodeName: String, _ connection: SQLiteConnection) throws(StoreError) {
        let rows = [
            ("replica", identity.replica.description),
            ("boot", String(identity.boot)),
            ("machine", identity.machine),
            ("machine_boot", identity.machineBoot),
            ("file", identity.file.text),
            ("clean", identity.clean ? "1" : "0"),
            ("sync", (identity.synced ? SyncMode.full : .normal).rawValue),
            ("node", nodeName),
        ]
        let insert = try connection.prepare("INSERT OR REPLACE INTO meta(key, value) VALUES (?1, ?2)")
        for (key, value) in rows {
            insert.bind(1, copying: Text(key))
            insert.bind(2, copying: Text(value))
            try insert.run()
        }
    }

    static func markClean(_ connection: SQLiteConnection) throws(StoreError) {
        try connection.execute("UPDATE meta SET value = '1' WHERE key = 'clean'")
    }

    /// Within a transaction: whoever opens the file next is a new replica, as of a new file.
    static func erase(_ connection: SQLiteConnection) throws(StoreError) {
        try connection.execute(
            """
            DELETE FROM meta WHERE key IN
                ('replica', 'boot', 'machine', 'machine_boot', 'file', 'clean', 'sync', 'node')
            """)
    }

    private static func meta(_ key: StaticString, _ connection: SQLiteConnection) throws(StoreError) -> String? {
        try connection.text("SELECT value FROM meta WHERE key = '\(key)'")
    }

    // MARK: What was stored

    static func vector(_ connection: SQLiteConnection) throws(StoreError) -> VersionVector {
        var vector = VersionVector()
        try connection.prepare("SELECT replica, head FROM replica WHERE head > 0 ORDER BY replica")
            .forEachRow { (row) throws(StoreError) in vector[row.replica(0)] = row.unsigned(1) }
        return vector
    }

    /// All that `Recovered` tells of, under the identity that was chosen.
    static func recover(
        _ connection: SQLiteConnection, under identity: StoredIdentity, vector: VersionVector, attendanceLimit: Int,
        renewal: RenewalReason? = nil, adopted: Int = 0
    ) throws(StoreError) -> Recovered {
        var recovered = Recovered(
            replica: identity.replica, boot: identity.boot, vector: vector, renewal: renewal, adopted: adopted)
        try connection.forEachRow(of: "SELECT replica, head, floor, clock, hash FROM replica ORDER BY 1") {
            (row) throws(StoreError) in
            let head = Dot(replica: row.replica(0), seq: row.unsigned(1))
            recovered.floors[head.replica] = row.unsigned(2)
            recovered.clock = max(recovered.clock, HybridTimestamp(rawValue: row.unsigned(3)))
            if head.seq > 0 { recovered.ends.append(LogEnd(dot: head, hash: row.hash(4))) }
            if head.replica == identity.replica { recovered.headHash = row.hash(4) }
        }
        try documents(connection, into: &recovered.documents)
        try attendance(connection, limit: attendanceLimit, into: &recovered)
        try connection.forEachRow(of: "SELECT address, replica, name, seen FROM member ORDER BY 1") {
            (row) throws(StoreError) in
            recovered.members.append(
                StoredMember(
                    address: row.text(0), replica: row.isNull(1) ? nil : row.replica(1), name: row.text(2),
                    seen: row.unsigned(3)))
        }
        return recovered
    }

    private static func documents(
        _ connection: SQLiteConnection, into documents: inout [StoredCell]
    ) throws(StoreError) {
        try connection.forEachRow(
            of: "SELECT \(SQLiteStatement.cellColumns) FROM cell ORDER BY room, kind, name, key, slot"
        ) { (row) throws(StoreError) in
            guard let document = row.document() else { return }
            documents.append(StoredCell(row.cell(of: document.kind), of: document))
        }
    }

    private static func attendance(
        _ connection: SQLiteConnection, limit: Int, into recovered: inout Recovered
    ) throws(StoreError) {
        let columns = "SELECT room, user, display_name, turn, ts, replica, seq FROM attendance"
        var told: [AttendanceRecord] = []
        // One more than the limit tells whether there are more.
        try connection.forEachRow(
            of: columns + " WHERE turn & 1 = 0 ORDER BY ts DESC, replica DESC, seq DESC LIMIT \(max(0, limit) &+ 1)"
        ) { (row) throws(StoreError) in told.append(row.attendanceRecord()) }
        recovered.attendanceComplete = told.count <= max(0, limit)
        if !recovered.attendanceComplete { told.removeLast() }
        try connection.forEachRow(of: columns + " WHERE turn & 1 = 1") {
            (row) throws(StoreError) in told.append(row.attendanceRecord())
        }
        told.sort(by: AttendanceRecord.inStoreOrder)
        recovered.attendance = told
    }
}
