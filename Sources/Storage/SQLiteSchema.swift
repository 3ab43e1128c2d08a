// The tables of a node's SQLite file, and how a file comes to have them.
//
// Invariant: a file is of a version or the next, never between: each step forward is part of one transaction. A file of
// a newer version, or of another program, is not touched.

import CSQLite
import ConvergeWire

enum SQLiteSchema {
    /// `PRAGMA user_version`.
    static let version = 4
    /// `PRAGMA application_id`: "Cnvg".
    static let applicationID = 0x436E_7667

    enum Found: Equatable {
        /// No tables at all.
        case empty
        /// The table of the earlier Go server, and nothing of ours.
        case goServer
        /// Ours, of this version.
        case current
        /// Ours, of an earlier version.
        case older(Int)
    }

    /// What lies in the file. Reads only.
    ///
    /// Throws `newer` for a version that this build doesn't know, `failed` for another program's database.
    static func inspect(_ connection: SQLiteConnection) throws(StoreError) -> Found {
        let application = try connection.number("PRAGMA application_id") ?? 0
        let found = Int(try connection.number("PRAGMA user_version") ?? 0)
        if application == applicationID {
            if found > version { throw .newer(found: found, known: version) }
            if found == version { return .current }
            if found >= 1 { return .older(found) }
        } else if application != 0 {
            throw .failed("\(connection.path) is the database of another program (application id \(application))")
        }
        let tables = try connection.number("SELECT count(*) FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'") ?? 0
        if tables == 0 { return .empty }
        if try GoDatabase.isPresent(in: connection) { return .goServer }
        throw .failed(
            "\(connection.path) is the database of another program: it has tables that converge does not know")
    }

    /// Within a transaction: makes the tables of the present version, of nothing or of an earlier one.
    static func migrate(_ connection: SQLiteConnection, from found: Found) throws(StoreError) {
        switch found {
        case .current: return
        case .empty, .goServer: for step in steps { try take(step, connection) }
        case .older(let version): for step in steps[version...] { try take(step, connection) }
        }
        try connection.execute("PRAGMA application_id = \(applicationID); PRAGMA user_version = \(version)")
    }

    /// The step at n leads from version n to n + 1.
    private static let steps: [Step] = [.sql(first), .sql(second), .sql(third), .cells]

    private enum Step: Sendable {
        case sql(String)
        /// SQLiteCellMigration.swift
        case cells
    }

    private static func take(_ step: Step, _ connection: SQLiteConnection) throws(StoreError) {
        switch step {
        case .sql(let sql): try connection.execute(sql)
        case .cells: try SQLiteCellMigration.run(connection)
        }
    }

    /// Replica ids are stored with the top bit flipped, so that SQLite's signed order is theirs. `ts` are hybrid
    /// timestamps. Hashes and ids of messages are 16 bytes.
    private static let first = """
        CREATE TABLE meta(
            key TEXT PRIMARY KEY,
            value NOT NULL
        ) WITHOUT ROWID;

        -- One row a replica: how much of its log is here (head), and from where on it can be served (floor).
        CREATE TABLE replica(
            replica INTEGER PRIMARY KEY,
            head INTEGER NOT NULL,
            floor INTEGER NOT NULL DEFAULT 0,
            clock INTEGER NOT NULL,
            hash BLOB NOT NULL
        );

        -- The logs of all replicas, in the order in which this node applied them. shown: 0 in the log alone, 1 in
        -- history, 2 other kinds. Each shown entry is in one of the two indexes by room, so that history never wades
        -- through document writes and an entry costs one insertion. (shown stands in them, at one byte, to make them
        -- covering.)
        CREATE TABLE entry(
            ordinal INTEGER PRIMARY KEY,
            replica INTEGER NOT NULL,
            seq INTEGER NOT NULL,
            ts INTEGER NOT NULL,
            shown INTEGER NOT NULL,
            kind INTEGER NOT NULL,
            namespace INTEGER NOT NULL,
            flags INTEGER NOT NULL,
            room TEXT NOT NULL,
            hash BLOB NOT NULL,
            deps BLOB,
            payload BLOB NOT NULL
        );
        CREATE UNIQUE INDEX entry_log ON entry(replica, seq);
        CREATE INDEX entry_history ON entry(room, ts, replica, seq, shown) WHERE shown = 1;
        CREATE INDEX entry_others ON entry(room, ts, replica, seq, shown) WHERE shown = 2;

        -- Where the message with an id that was made from a key stands.
        CREATE TABLE message_key(
            id BLOB PRIMARY KEY,
            ts INTEGER NOT NULL,
            replica INTEGER NOT NULL,
            seq INTEGER NOT NULL
        ) WITHOUT ROWID;
        CREATE INDEX message_key_age ON message_key(ts);

        -- OR-Sets: an element under each of its dots.
        CREATE TABLE element(
            room TEXT NOT NULL,
            kind INTEGER NOT NULL,
            name TEXT NOT NULL,
            element TEXT NOT NULL,
            replica INTEGER NOT NULL,
            seq INTEGER NOT NULL,
            ts INTEGER NOT NULL,
            PRIMARY KEY(room, kind, name, element, replica, seq)
        ) WITHOUT ROWID;

        -- Registers; value is NULL where it was cleared.
        CREATE TABLE register(
            room TEXT NOT NULL,
            name TEXT NOT NULL,
            value TEXT,
            ts INTEGER NOT NULL,
            replica INTEGER NOT NULL,
            seq INTEGER NOT NULL,
            PRIMARY KEY(room, name)
        ) WITHOUT ROWID;

        -- For each document the highest seq of each replica that affected it; kept also when the document is empty.
        CREATE TABLE touched(
            room TEXT NOT NULL,
            kind INTEGER NOT NULL,
            name TEXT NOT NULL,
            replica INTEGER NOT NULL,
            seq INTEGER NOT NULL,
            PRIMARY KEY(room, kind, name, replica)
        ) WITHOUT ROWID;

        -- The last system entry for each room and user.
        CREATE TABLE attendance(
            room TEXT NOT NULL,
            user TEXT NOT NULL,
            display_name TEXT NOT NULL,
            joined INTEGER NOT NULL,
            ts INTEGER NOT NULL,
            replica INTEGER NOT NULL,
            seq INTEGER NOT NULL,
            PRIMARY KEY(room, user)
        ) WITHOUT ROWID;
        CREATE INDEX attendance_joined ON attendance(room, user) WHERE joined = 1;

        -- Addresses of other nodes, dialled for ever.
        CREATE TABLE member(
            address TEXT PRIMARY KEY,
            replica INTEGER,
            name TEXT,
            seen INTEGER NOT NULL
        ) WITHOUT ROWID;
        """
    /// Attendance is numbered, in the column `turn`: an event of version 1 is the first or second of its (room, user).
    /// Counters, and what a snapshot brings before it is installed.
    private static let second = """
        ALTER TABLE attendance RENAME COLUMN joined TO turn;
        UPDATE attendance SET turn = CASE WHEN turn <> 0 THEN 1 ELSE 2 END;
        DROP INDEX attendance_joined;
        CREATE INDEX attendance_joined ON attendance(room, user) WHERE turn & 1 = 1;
        CREATE INDEX attendance_left ON attendance(ts, replica, seq) WHERE turn & 1 = 0;

        -- One row a replica: what it has added and taken away in all, with the top bit flipped as in replica ids.
        CREATE TABLE counter(
            room TEXT NOT NULL,
            name TEXT NOT NULL,
            replica INTEGER NOT NULL,
            up INTEGER NOT NULL,
            down INTEGER NOT NULL,
            seq INTEGER NOT NULL,
            ts INTEGER NOT NULL,
            PRIMARY KEY(room, name, replica)
        ) WITHOUT ROWID;

        -- A snapshot so far: as the tables without staged_. Emptied when the file is opened.
        CREATE TABLE staged_touched(
            room TEXT NOT NULL,
            kind INTEGER NOT NULL,
            name TEXT NOT NULL,
            replica INTEGER NOT NULL,
            seq INTEGER NOT NULL,
            PRIMARY KEY(room, kind, name, replica)
        ) WITHOUT ROWID;
        CREATE TABLE staged_row(
            room TEXT NOT NULL,
            kind INTEGER NOT NULL,
            name TEXT NOT NULL,
            value TEXT,
            up INTEGER,
            down INTEGER,
            ts INTEGER NOT NULL,
            replica INTEGER NOT NULL,
            seq INTEGER NOT NULL
        );
        CREATE INDEX staged_row_document ON staged_row(room, kind, name);
        CREATE TABLE staged_attendance(
            room TEXT NOT NULL,
            user TEXT NOT NULL,
            display_name TEXT NOT NULL,
            turn INTEGER NOT NULL,
            ts INTEGER NOT NULL,
            replica INTEGER NOT NULL,
            seq INTEGER NOT NULL
        );
        CREATE TABLE staged_key(
            id BLOB NOT NULL,
            ts INTEGER NOT NULL,
            replica INTEGER NOT NULL,
            seq INTEGER NOT NULL
        );
        CREATE TABLE staged_entry(
            replica INTEGER NOT NULL,
            seq INTEGER NOT NULL,
            ts INTEGER NOT NULL,
            kind INTEGER NOT NULL,
            namespace INTEGER NOT NULL,
            flags INTEGER NOT NULL,
            room TEXT NOT NULL,
            hash BLOB NOT NULL,
            deps BLOB,
            payload BLOB NOT NULL,
            PRIMARY KEY(replica, seq)
        ) WITHOUT ROWID;
        """
    /// Horizons (StoreReader.horizon). Of what version 2 dropped only the floor is known.
    private static let third = """
        ALTER TABLE replica ADD COLUMN horizon INTEGER NOT NULL DEFAULT 0;
        UPDATE replica SET horizon = floor;
        CREATE TABLE staged_horizon(
            replica INTEGER PRIMARY KEY,
            seq INTEGER NOT NULL
        );
        """
}
