import ConvergeCRDT
import ConvergeWire

// The tables of a shared PostgreSQL database, and how a database comes to have them.
//
// Invariant: however many nodes start at once, one of them migrates, in one transaction under the lock of a row, and
// the others wait for it. Tables begin with `converge_`, since the database may be another program's too.
//
// Plain SQL without extensions, so that engines which speak PostgreSQL's protocol over many machines can have it: no
// foreign keys, no sequences; every key begins with what such an engine would divide the table by.

enum PostgresSchema {
    static let version = 4

    /// Makes or migrates the tables where that is needed.
    ///
    /// Throws `newer` for a version that this build doesn't know.
    static func migrate(_ connection: PostgresConnection, within timeout: Duration) throws(StoreError) {
        // Two nodes that make the first table at the same moment trip over each other in the catalogue: the loser
        // looks again.
        var attempts = 0
        while true {
            do {
                try attempt(connection, within: timeout)
                return
            } catch {
                attempts += 1
                guard case .database(let failure) = error, failure.isRace, attempts < 5, connection.isOpen else {
                    throw error.storeError
                }
                _ = try connection.query([PostgresStatement("ROLLBACK")], by: PostgresDeadline(after: timeout))
            }
        }
    }

    private enum Failure: Error {
        case database(PostgresFailure)
        case newer(Int)

        var storeError: StoreError {
            switch self {
            case .database(let failure): failure.storeError(committing: false)
            case .newer(let found): .newer(found: found, known: PostgresSchema.version)
            }
        }
    }

    private static func attempt(_ connection: PostgresConnection, within timeout: Duration) throws(Failure) {
        func run(_ statements: [String], patiently: Bool = false) throws(Failure) -> [PostgresResult] {
            do {
                let limit = patiently ? max(timeout, patience) : timeout
                return try connection.run(
                    statements.map { PostgresStatement($0) }, by: PostgresDeadline(after: limit))
            } catch {
                throw .database(error)
            }
        }
        let isThere = try run(["SELECT to_regclass('converge_meta') IS NOT NULL"]).first?.bool(0, 0) ?? false
        if isThere, let found = version(in: try run([readVersion]).first), found == version { return }
        if !isThere {
            _ = try run(["CREATE TABLE IF NOT EXISTS converge_meta (name text PRIMARY KEY, value bigint NOT NULL)"])
        }
        let results = try run([
            "INSERT INTO converge_meta (name, value) VALUES ('schema', 0), ('adopted', 0) ON CONFLICT DO NOTHING",
            "BEGIN", readVersion + " FOR UPDATE",
        ])
        let found = version(in: results.last) ?? 0
        if found > version {
            _ = try run(["ROLLBACK"])
            throw .newer(found)
        }
        let steps =
            (found < 1 ? first : []) + (found < 2 ? second : []) + (found < 3 ? third : []) + (found < 4 ? fourth : [])
        _ = try run(
            steps + ["UPDATE converge_meta SET value = \(version) WHERE name = 'schema'", "COMMIT"], patiently: true)
    }

    /// A step may copy whole tables, which takes longer than an operation of every day. Other nodes try again meanwhile.
    private static let patience = Duration.seconds(600)

    private static let readVersion = "SELECT value FROM converge_meta WHERE name = 'schema'"

    private static func version(in result: PostgresResult?) -> Int? {
        result.flatMap { $0.count == 1 ? Int($0.int(0, 0)) : nil }
    }

    /// Replica ids have their top bit turned over, so that the signed order is theirs; `ts` are hybrid timestamps.
    /// Texts from users are `bytea`: `convert_from(room, 'UTF8')` shows them.
    private static let first = [
        // One row a replica: who writes it (node_name, holder, epoch; no name: nobody), how much of its log is here
        // (head, with the hash and the highest timestamp), and from where on it can be served (floor).
        """
        CREATE TABLE IF NOT EXISTS converge_replica (
            replica bigint PRIMARY KEY,
            node_name bytea UNIQUE,
            holder bigint NOT NULL DEFAULT 0,
            epoch bigint NOT NULL DEFAULT 0,
            boot bigint NOT NULL DEFAULT 0,
            machine bytea,
            head bigint NOT NULL DEFAULT 0,
            clock bigint NOT NULL DEFAULT 0,
            hash bytea NOT NULL,
            floor bigint NOT NULL DEFAULT 0)
        """,
        // shelf is what SQLite calls shown: 0 in the log alone, 1 history, 2 other kinds. deps as in EntryCodec.
        """
        CREATE TABLE IF NOT EXISTS converge_entry (
            replica bigint NOT NULL,
            seq bigint NOT NULL,
            ts bigint NOT NULL,
            shelf smallint NOT NULL,
            kind smallint NOT NULL,
            namespace smallint NOT NULL,
            flags smallint NOT NULL,
            room bytea NOT NULL,
            hash bytea NOT NULL,
            deps bytea NOT NULL,
            payload bytea NOT NULL,
            PRIMARY KEY (replica, seq))
        """,
        "CREATE INDEX IF NOT EXISTS converge_entry_history ON converge_entry (room, shelf, ts, replica, seq)",
        "CREATE INDEX IF NOT EXISTS converge_entry_missed ON converge_entry (room, replica, seq) WHERE shelf <> 0",
        """
        CREATE TABLE IF NOT EXISTS converge_message_key (
            id bytea PRIMARY KEY,
            ts bigint NOT NULL,
            replica bigint NOT NULL,
            seq bigint NOT NULL)
        """,
        "CREATE INDEX IF NOT EXISTS converge_message_key_age ON converge_message_key (ts)",
        // digest: SHA-256 of the element, cut to 16 bytes; elements can be longer than an index takes.
        """
        CREATE TABLE IF NOT EXISTS converge_element (
            room bytea NOT NULL,
            kind smallint NOT NULL,
            name bytea NOT NULL,
            replica bigint NOT NULL,
            seq bigint NOT NULL,
            digest bytea NOT NULL,
            ts bigint NOT NULL,
            element bytea NOT NULL,
            PRIMARY KEY (room, kind, name, replica, seq, digest))
        """,
        """
        CREATE TABLE IF NOT EXISTS converge_register (
            room bytea NOT NULL,
            kind smallint NOT NULL,
            name bytea NOT NULL,
            value bytea,
            ts bigint NOT NULL,
            replica bigint NOT NULL,
            seq bigint NOT NULL,
            PRIMARY KEY (room, kind, name))
        """,
        // The highest seq of each replica that affected a document; kept also when the document is empty.
        """
        CREATE TABLE IF NOT EXISTS converge_touched (
            room bytea NOT NULL,
            kind smallint NOT NULL,
            name bytea NOT NULL,
            replica bigint NOT NULL,
            seq bigint NOT NULL,
            PRIMARY KEY (room, kind, name, replica))
        """,
        """
        CREATE TABLE IF NOT EXISTS converge_attendance (
            room bytea NOT NULL,
            user_id bytea NOT NULL,
            display_name bytea NOT NULL,
            joined boolean NOT NULL,
            ts bigint NOT NULL,
            replica bigint NOT NULL,
            seq bigint NOT NULL,
            PRIMARY KEY (room, user_id))
        """,
    ]
    /// Attendance is numbered, in the column `turn`: an event of version 1 is the first or second of its (room, user).
    /// Counters and members.
    private static let second = [
        "ALTER TABLE converge_attendance ADD COLUMN turn bigint NOT NULL DEFAULT 0",
        "UPDATE converge_attendance SET turn = CASE WHEN joined THEN 1 ELSE 2 END",
        "ALTER TABLE converge_attendance DROP COLUMN joined",
        "CREATE INDEX IF NOT EXISTS converge_attendance_newest ON converge_attendance (ts, replica, seq)",
        // One row a replica: what it has added and taken away in all, with the top bit turned over as in replica ids.
        """
        CREATE TABLE IF NOT EXISTS converge_counter (
            room bytea NOT NULL,
            kind smallint NOT NULL,
            name bytea NOT NULL,
            replica bigint NOT NULL,
            up bigint NOT NULL,
            down bigint NOT NULL,
            seq bigint NOT NULL,
            ts bigint NOT NULL,
            PRIMARY KEY (room, kind, name, replica))
        """,
        // Addresses of other nodes.
        """
        CREATE TABLE IF NOT EXISTS converge_member (
            address bytea PRIMARY KEY,
            replica bigint,
            name bytea NOT NULL,
            seen bigint NOT NULL)
        """,
    ]
    /// Horizons (StoreReader.horizon): of what version 2 dropped only the floor is known. And beats, which grow with each
    /// batch of the replica's writer, an empty one too: others see by them that the writer lives.
    private static let third = [
        "ALTER TABLE converge_replica ADD COLUMN horizon bigint NOT NULL DEFAULT 0",
        "UPDATE converge_replica SET horizon = floor",
        "ALTER TABLE converge_replica ADD COLUMN beat bigint NOT NULL DEFAULT 0",
    ]
    /// Documents become cells, of all kinds in one table. A key of 32 bytes or more is in the table's own key by its SHA-256,
    /// since an index takes no long ones. slot: replica and seq of an observed cell, 8 bytes each; empty for others. A number
    /// is 8 bytes. What a counter's replica has taken has a row where it ever took something.
    static let fourth = [
        """
        CREATE TABLE converge_cell (
            room bytea NOT NULL,
            kind smallint NOT NULL,
            name bytea NOT NULL,
            digest bytea NOT NULL,
            slot bytea NOT NULL,
            key bytea NOT NULL,
            ts bigint NOT NULL,
            replica bigint NOT NULL,
            seq bigint NOT NULL,
            value bytea,
            PRIMARY KEY (room, kind, name, digest, slot))
        """,
        """
        INSERT INTO converge_cell (room, kind, name, digest, slot, key, ts, replica, seq)
        SELECT room, kind, name, CASE WHEN length(element) < 32 THEN element ELSE sha256(element) END,
            \(bytes(unsigned("replica"))) || \(bytes("seq")), element, ts, replica, seq FROM converge_element
        """,
        """
        INSERT INTO converge_cell (room, kind, name, digest, slot, key, ts, replica, seq, value)
        SELECT room, kind, name, ''::bytea, ''::bytea, ''::bytea, ts, replica, seq, value FROM converge_register
        """,
        """
        INSERT INTO converge_cell (room, kind, name, digest, slot, key, ts, replica, seq, value)
        SELECT room, kind, name, \(part("+")), ''::bytea, \(part("+")), ts, replica, seq, \(bytes(unsigned("up")))
        FROM converge_counter
        """,
        """
        INSERT INTO converge_cell (room, kind, name, digest, slot, key, ts, replica, seq, value)
        SELECT room, kind, name, \(part("-")), ''::bytea, \(part("-")), ts, replica, seq, \(bytes(unsigned("down")))
        FROM converge_counter WHERE down <> -9223372036854775808
        """,
        // What a resume asks for: a room's documents that entries beyond its cursor affected.
        "CREATE INDEX converge_touched_since ON converge_touched (room, replica, seq)",
        "DROP TABLE converge_element", "DROP TABLE converge_register", "DROP TABLE converge_counter",
    ]

    /// A number whose top bit was turned over, as it was.
    private static func unsigned(_ column: String) -> String { "(\(column) # (-9223372036854775808))" }

    private static func digits(_ number: String) -> String { "lpad(to_hex(\(number)), 16, '0')" }

    /// 8 bytes, big-endian.
    private static func bytes(_ number: String) -> String { "decode(\(digits(number)), 'hex')" }

    /// The key of what a replica has added to a counter, or taken from it.
    private static func part(_ sign: String) -> String {
        "convert_to(\(digits(unsigned("replica"))) || '\(sign)', 'UTF8')"
    }
}
