// What a batch changes beside the log: keys, what is shown, attendance, members. One prepared statement an effect.
// Documents stand in SQLiteCells.swift.

import CSQLite
import ConvergeCRDT
import ConvergeWire

struct SQLiteEffects {
    let cells: SQLiteCells
    private let findKey: SQLiteStatement
    private let setKey: SQLiteStatement
    private let hide: SQLiteStatement
    private let findMessage: SQLiteStatement
    private let redact: SQLiteStatement
    private let attendance: SQLiteStatement
    private let remember: SQLiteStatement
    private let forget: SQLiteStatement
    private let chain = EntryChain()

    init(_ connection: SQLiteConnection) throws(StoreError) {
        cells = try SQLiteCells(connection)
        findKey = try connection.prepare("SELECT ts, replica, seq FROM message_key WHERE id = ?1")
        setKey = try connection.prepare(
            "INSERT OR REPLACE INTO message_key(id, ts, replica, seq) VALUES (?1, ?2, ?3, ?4)")
        hide = try connection.prepare("UPDATE entry SET shown = 0 WHERE replica = ?1 AND seq = ?2 AND shown <> 0")
        findMessage = try connection.prepare(
            """
            SELECT namespace, flags, payload FROM entry
            WHERE replica = ?1 AND seq = ?2 AND kind = \(EntryKind.message.rawValue) AND flags & 1 = 0
            """)
        redact = try connection.prepare(
            "UPDATE entry SET shown = 0, flags = ?3, payload = ?4 WHERE replica = ?1 AND seq = ?2")
        attendance = try connection.prepare(
            """
            INSERT INTO attendance(room, user, display_name, turn, ts, replica, seq)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
            ON CONFLICT DO UPDATE
            SET display_name = excluded.display_name, turn = excluded.turn, ts = excluded.ts,
                replica = excluded.replica, seq = excluded.seq
            WHERE excluded.turn > attendance.turn OR (excluded.turn = attendance.turn AND
                (excluded.ts, excluded.replica, excluded.seq) < (attendance.ts, attendance.replica, attendance.seq))
            """)
        remember = try connection.prepare(
            "INSERT OR REPLACE INTO member(address, replica, name, seen) VALUES (?1, ?2, ?3, ?4)")
        forget = try connection.prepare("DELETE FROM member WHERE address = ?1")
    }

    func apply(_ effect: StoreEffect) throws(StoreError) {
        switch effect {
        case .key(let id, let position): try take(id, at: position)
        case .hide(let dot): try hide(dot)
        case .redact(let dot): try redact(dot)
        case .cells(let change): try cells.apply(change)
        case .attendance(let record): try take(record)
        case .remember(let member):
            remember.bind(1, copying: member.address)
            if let replica = member.replica { remember.bind(2, replica) } else { remember.bindNull(2) }
            remember.bind(3, copying: member.name)
            remember.bind(4, clamping: member.seen)
            try remember.run()
        case .forget(let address):
            forget.bind(1, copying: address)
            try forget.run()
        }
    }

    /// Of twins the earliest is shown, and no other.
    func take(_ id: MessageID, at position: Position) throws(StoreError) {
        var held: Position?
        id.withBytes { findKey.bind(1, copying: Array($0)) }
        try findKey.forEachRow { (row) throws(StoreError) in held = row.position(0) }
        if held == position { return }
        if let held { try hide(max(held, position).dot) }
        guard held.map({ position < $0 }) ?? true else { return }
        setKey.bind(2, position)
        let code = id.withBytes { bytes in
            setKey.bind(1, blob: bytes)
            return setKey.runForCode()
        }
        try setKey.check(code)
    }

    func take(_ record: AttendanceRecord) throws(StoreError) {
        attendance.bind(1, copying: record.room)
        attendance.bind(2, copying: record.user)
        attendance.bind(3, copying: record.displayName)
        attendance.bind(4, clamping: record.number)
        attendance.bind(5, record.position)
        try attendance.run()
    }

    private func hide(_ dot: Dot) throws(StoreError) {
        hide.bind(1, dot.replica)
        hide.bind(2, clamping: dot.seq)
        try hide.run()
    }

    private func redact(_ dot: Dot) throws(StoreError) {
        var shell: Entry?
        findMessage.bind(1, dot.replica)
        findMessage.bind(2, clamping: dot.seq)
        try findMessage.forEachRow { (row) throws(StoreError) in
            // What is not read here is not part of the shell.
            var entry = Entry(dot: dot, timestamp: .zero, kind: .message, room: "", payload: row.blob(2))
            entry.namespace = UInt8(clamping: row.int(0))
            entry.flags = Entry.Flags(rawValue: UInt8(clamping: row.int(1)))
            shell = chain.redacted(entry)
        }
        guard let shell else { return }
        redact.bind(1, dot.replica)
        redact.bind(2, clamping: dot.seq)
        redact.bind(3, Int64(shell.flags.rawValue))
        redact.bind(4, copying: shell.payload)
        try redact.run()
    }
}
