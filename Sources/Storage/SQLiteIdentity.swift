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

    /// All that `Recovered` tells of, under the identity that was settled.
    static func recover(
        _ connection: SQLiteConnection, under identity: StoredIdentity, vector: VersionVector,
        renewal: RenewalReason?, adopted: Int
    ) throws(StoreError) -> Recovered {
        var recovered = Recovered(
            replica: identity.replica, boot: identity.boot, vector: vector, renewal: renewal, adopted: adopted)
        try connection.prepare("SELECT replica, clock, hash FROM replica").forEachRow { (row) throws(StoreError) in
            recovered.clock = max(recovered.clock, HybridTimestamp(rawValue: row.unsigned(1)))
            if row.replica(0) == identity.replica { recovered.headHash = row.hash(2) }
        }
        try connection.prepare(
            "SELECT room, kind, name, element, ts, replica, seq FROM element ORDER BY 1, 2, 3, 4, 6, 7"
        ).forEachRow { (row) throws(StoreError) in
            guard let kind = DocumentKind(rawValue: UInt8(clamping: row.int(1))) else { return }
            let position = row.position(4)
            recovered.documents.append(
                DocumentRow(
                    document: DocumentID(room: row.text(0), kind: kind, name: row.text(2)), value: row.text(3),
                    dot: position.dot, timestamp: position.timestamp))
        }
        try connection.prepare("SELECT room, name, value, ts, replica, seq FROM register ORDER BY 1, 2")
            .forEachRow { (row) throws(StoreError) in
                let position = row.position(3)
                recovered.documents.append(
                    DocumentRow(
                        document: DocumentID(room: row.text(0), kind: .register, name: row.text(1)),
                        value: row.isNull(2) ? nil : row.text(2), dot: position.dot, timestamp: position.timestamp))
            }
        return recovered
    }
}
