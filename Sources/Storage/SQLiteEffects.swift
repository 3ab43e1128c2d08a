// What a batch changes beside the log: keys, documents, attendance. One prepared statement an effect.

import CSQLite
import ConvergeCRDT
import ConvergeWire

struct SQLiteEffects {
    private let key: SQLiteStatement
    private let hide: SQLiteStatement
    private let insert: SQLiteStatement
    private let delete: SQLiteStatement
    private let write: SQLiteStatement
    private let touch: SQLiteStatement
    private let attendance: SQLiteStatement

    init(_ connection: SQLiteConnection) throws(StoreError) {
        key = try connection.prepare(
            """
            INSERT INTO message_key(id, ts, replica, seq) VALUES (?1, ?2, ?3, ?4)
            ON CONFLICT DO UPDATE SET ts = excluded.ts, replica = excluded.replica, seq = excluded.seq
            WHERE (excluded.ts, excluded.replica, excluded.seq) < (message_key.ts, message_key.replica, message_key.seq)
            """)
        hide = try connection.prepare("UPDATE entry SET shown = 0 WHERE replica = ?1 AND seq = ?2 AND shown <> 0")
        insert = try connection.prepare(
            """
            INSERT OR REPLACE INTO element(room, kind, name, element, replica, seq, ts)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
            """)
        delete = try connection.prepare(
            """
            DELETE FROM element
            WHERE room = ?1 AND kind = ?2 AND name = ?3 AND element = ?4 AND replica = ?5 AND seq = ?6
            """)
        write = try connection.prepare(
            """
            INSERT INTO register(room, name, value, ts, replica, seq) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
            ON CONFLICT DO UPDATE
            SET value = excluded.value, ts = excluded.ts, replica = excluded.replica, seq = excluded.seq
            WHERE (excluded.ts, excluded.replica, excluded.seq) >= (register.ts, register.replica, register.seq)
            """)
        touch = try connection.prepare(
            """
            INSERT INTO touched(room, kind, name, replica, seq) VALUES (?1, ?2, ?3, ?4, ?5)
            ON CONFLICT DO UPDATE SET seq = excluded.seq WHERE excluded.seq > touched.seq
            """)
        attendance = try connection.prepare(
            """
            INSERT INTO attendance(room, user, display_name, joined, ts, replica, seq)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
            ON CONFLICT DO UPDATE
            SET display_name = excluded.display_name, joined = excluded.joined, ts = excluded.ts,
                replica = excluded.replica, seq = excluded.seq
            WHERE (excluded.ts, excluded.replica, excluded.seq) >= (attendance.ts, attendance.replica, attendance.seq)
            """)
    }

    func apply(_ effect: StoreEffect) throws(StoreError) {
        switch effect {
        case .key(let id, let position):
            key.bind(2, position)
            let code = id.withBytes { bytes in
                key.bind(1, blob: bytes)
                return key.runForCode()
            }
            try key.check(code)
        case .hide(let dot):
            hide.bind(1, dot.replica)
            hide.bind(2, clamping: dot.seq)
            try hide.run()
        case .insert(let document, let element, let dot, let timestamp, let replacing):
            try remove(replacing, of: element, from: document)
            insert.bind(document, element, dot)
            insert.bind(7, clamping: timestamp.rawValue)
            try insert.run()
        case .delete(let document, let element, let dots):
            try remove(dots, of: element, from: document)
        case .write(let document, let value, let dot, let timestamp):
            write.bind(1, copying: document.room)
            write.bind(2, copying: document.name)
            if let value { write.bind(3, copying: value) } else { write.bindNull(3) }
            write.bind(4, Position(timestamp: timestamp, dot: dot))
            try write.run()
        case .touch(let document, let dot):
            touch.bind(document)
            touch.bind(4, dot.replica)
            touch.bind(5, clamping: dot.seq)
            try touch.run()
        case .count, .redact, .remember, .forget: break
        case .attendance(let who):
            attendance.bind(1, copying: who.room)
            attendance.bind(2, copying: who.user)
            attendance.bind(3, copying: who.displayName)
            attendance.bind(4, who.isJoined ? 1 : 0)
            attendance.bind(5, who.position)
            try attendance.run()
        }
    }

    private func remove(_ dots: [Dot], of element: Text, from document: DocumentID) throws(StoreError) {
        for dot in dots {
            delete.bind(document, element, dot)
            try delete.run()
        }
    }
}

extension SQLiteStatement {
    /// Parameters 1 to 3.
    fileprivate func bind(_ document: DocumentID) {
        bind(1, copying: document.room)
        bind(2, Int64(document.kind.rawValue))
        bind(3, copying: document.name)
    }

    /// Parameters 1 to 6.
    fileprivate func bind(_ document: DocumentID, _ element: Text, _ dot: Dot) {
        bind(document)
        bind(4, copying: element)
        bind(5, dot.replica)
        bind(6, clamping: dot.seq)
    }
}
