/// What turns a database of this version back into one of an earlier version, with the tables that it had.
enum OldSchema {
    /// Version 3 of the file: a table for each kind of document.
    static let sqliteThree = """
        DROP TABLE cell; DROP TABLE staged_cell; DROP INDEX touched_since;
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
        CREATE TABLE register(
            room TEXT NOT NULL,
            name TEXT NOT NULL,
            value TEXT,
            ts INTEGER NOT NULL,
            replica INTEGER NOT NULL,
            seq INTEGER NOT NULL,
            PRIMARY KEY(room, name)
        ) WITHOUT ROWID;
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
        PRAGMA user_version = 3;
        """

    /// Version 3 of the database.
    static let postgresThree = """
        DROP TABLE converge_cell; DROP INDEX converge_touched_since;
        CREATE TABLE converge_element (
            room bytea NOT NULL,
            kind smallint NOT NULL,
            name bytea NOT NULL,
            replica bigint NOT NULL,
            seq bigint NOT NULL,
            digest bytea NOT NULL,
            ts bigint NOT NULL,
            element bytea NOT NULL,
            PRIMARY KEY (room, kind, name, replica, seq, digest));
        CREATE TABLE converge_register (
            room bytea NOT NULL,
            kind smallint NOT NULL,
            name bytea NOT NULL,
            value bytea,
            ts bigint NOT NULL,
            replica bigint NOT NULL,
            seq bigint NOT NULL,
            PRIMARY KEY (room, kind, name));
        CREATE TABLE converge_counter (
            room bytea NOT NULL,
            kind smallint NOT NULL,
            name bytea NOT NULL,
            replica bigint NOT NULL,
            up bigint NOT NULL,
            down bigint NOT NULL,
            seq bigint NOT NULL,
            ts bigint NOT NULL,
            PRIMARY KEY (room, kind, name, replica));
        UPDATE converge_meta SET value = 3 WHERE name = 'schema'
        """
}
