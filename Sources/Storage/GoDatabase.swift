// Takes over the SQLite file of the earlier Go server, `messages(id, type, room, user_id, display_name, body, ts)`.
//
// Invariant: it happens whole, in the transaction that makes our own tables, or not at all, and once. The rows enter the
// log of this node's replica in the order of their times (then of their rowids), with strictly increasing timestamps. The
// table stays as `go_messages`, untouched.
//
// An id that is a UUID, or 32 hexadecimal digits, stays: whoever keeps ids of messages finds them again. Any other has no
// place in 128 bits, and the message gets the id that one of the key `go/ID` would have. Both are made of the row alone, so
// the same file taken over twice gives twins, not repeats. Two rows of one id would be twins, too, and only one of them
// shown: so the second of a number (which is written in another way, or in a table without a primary key) gets the id of
// its key, as does one whose id could be that of an entry here: a zero, or one that begins with the replica.
//
// What becomes of a row:
// - `message`, or no type: a message.
// - `system` with the words "NAME joined" or "NAME left": that event. Other words: a message, so that they stay readable.
// - any other type: was never part of a history; it stays in `go_messages` alone.
// - a time that can't be read: the time of the row before it. A time in the future: now, as the clock must not stand in
//   the future for ever.

import ConvergeCRDT
import ConvergeWire
import Glibc

enum GoDatabase {
    /// Whether there is a table such as the Go server made, of any of its versions.
    static func isPresent(in connection: SQLiteConnection) throws(StoreError) -> Bool {
        let columns = try columns(in: connection)
        return columns.isSuperset(of: ["id", "type", "room", "body", "ts"])
            && (columns.contains("user_id") || columns.contains("user"))
    }

    /// Within a transaction. Returns how many rows have entered the log. O(rows · log rows), 24 bytes a row.
    static func adopt(
        in connection: SQLiteConnection, into log: SQLiteLog, as replica: ReplicaID
    ) throws(StoreError) -> Int {
        let columns = try columns(in: connection)
        let user = columns.contains("user_id") ? "user_id" : "\"user\""
        let name = columns.contains("display_name") ? "display_name" : "''"
        let select = try connection.prepare(
            "SELECT coalesce(id, 'row' || rowid), coalesce(type, ''), room, \(user), \(name), body FROM messages "
                + "WHERE rowid = ?1")
        var adoption = GoAdoption(replica: replica)
        for row in try rowsInOrder(in: connection) {
            select.bind(1, row.rowid)
            try select.forEachRow { (found) throws(StoreError) in
                adoption.take(
                    GoRow(
                        milliseconds: row.milliseconds, id: found.text(0), type: found.text(1), room: found.text(2),
                        user: found.text(3), displayName: found.text(4), body: found.text(5)))
            }
            if adoption.batch.entries.count >= 1_000 { try log.store(adoption.takeBatch()) }
        }
        try log.store(adoption.takeBatch())
        try connection.execute("ALTER TABLE messages RENAME TO go_messages")
        return Int(adoption.seq)
    }

    private static func columns(in connection: SQLiteConnection) throws(StoreError) -> Set<String> {
        var columns: Set<String> = []
        try connection.prepare("SELECT name FROM pragma_table_info('messages')")
            .forEachRow { (row) throws(StoreError) in columns.insert(row.text(0).string) }
        return columns
    }

    private struct RowTime {
        var milliseconds: UInt64
        var nanoseconds: Int32
        var rowid: Int64
    }

    /// The text of a time does not sort as the time does (offsets, fractions of any length), so this does.
    private static func rowsInOrder(in connection: SQLiteConnection) throws(StoreError) -> [RowTime] {
        let now = UInt64(clamping: Int64(time(nil)) * 1_000)
        var rows: [RowTime] = []
        var unreadable = 0
        try connection.prepare("SELECT rowid, ts FROM messages ORDER BY rowid").forEachRow { (row) throws(StoreError) in
            let read = ReadTimestamp(rfc3339: row.text(1))
            if read == nil, rows.count == unreadable { unreadable += 1 }
            rows.append(
                RowTime(
                    milliseconds: read.map { min(UInt64(clamping: $0.milliseconds), now) }
                        ?? rows.last?.milliseconds ?? 0,
                    nanoseconds: read.map { Int32(clamping: $0.nanoseconds) } ?? rows.last?.nanoseconds ?? 0,
                    rowid: row.int(0)))
        }
        // Those at the front have no row before: they take the first time that there is.
        if unreadable > 0, unreadable < rows.count {
            for index in 0..<unreadable {
                rows[index].milliseconds = rows[unreadable].milliseconds
                rows[index].nanoseconds = rows[unreadable].nanoseconds
            }
        }
        rows.sort { ($0.milliseconds, $0.nanoseconds, $0.rowid) < ($1.milliseconds, $1.nanoseconds, $1.rowid) }
        return rows
    }
}

/// A row of the Go server's table; missing columns are empty.
struct GoRow {
    var milliseconds: UInt64
    var id: Text
    var type: Text
    var room: Text
    var user: Text
    var displayName: Text
    var body: Text
}

/// Rows into entries of one replica's new log, one after the other. Used for the Go server's tables in every database.
struct GoAdoption {
    let replica: ReplicaID
    private(set) var batch = Batch()
    /// The last entry made.
    private(set) var seq: UInt64 = 0
    private(set) var hash = EntryHash.zero
    private var clock = HybridClock()
    private var numbers: [Seat: UInt64] = [:]
    private var keptIDs: Set<MessageID> = []
    private let chain = EntryChain()

    private struct Seat: Hashable {
        var room: Text
        var user: Text
    }

    init(replica: ReplicaID) { self.replica = replica }

    /// Rows must come in the order of their times. False where the row was never part of a history.
    @discardableResult
    mutating func take(_ row: GoRow) -> Bool {
        guard row.type == "message" || row.type == "system" || row.type.isEmpty else { return false }
        let event = row.type == "system" ? Self.event(row.body) : nil
        // System rows may name nobody but in their words.
        let user = event != nil && row.user.isEmpty ? event?.name ?? row.user : row.user
        let id = id(of: row)
        let payload: [UInt8]
        if let event {
            payload = SystemPayload(event: event.event, id: id, user: user, displayName: event.name).encoded
        } else {
            let name = row.displayName.isEmpty ? row.user : row.displayName
            payload =
                MessagePayload(id: id, user: user, displayName: name, body: Array(row.body.string.utf8)).encoded
        }
        seq += 1
        var entry = Entry(
            dot: Dot(replica: replica, seq: seq), timestamp: clock.tick(wall: row.milliseconds),
            kind: event == nil ? .message : .system, room: row.room, payload: payload)
        hash = chain.hash(after: hash, entry)
        entry.hash = hash
        batch.entries.append(entry)
        batch.effects.append(.key(id, position: entry.position))
        if let event {
            // Two of a kind after each other leave one number out.
            let seat = Seat(room: row.room, user: user)
            let before = numbers[seat] ?? 0
            let number = before + (before % 2 == (event.event == .joined ? 0 : 1) ? 1 : 2)
            numbers[seat] = number
            batch.effects.append(
                .attendance(
                    AttendanceRecord(
                        room: row.room, user: user, displayName: event.name, number: number, position: entry.position)))
        }
        return true
    }

    /// The row's own id where it can stay, or the one of its key.
    private mutating func id(of row: GoRow) -> MessageID {
        if let own = MessageID(hexadecimal: row.id), own != MessageID(high: 0, low: 0), own.high != replica.rawValue,
            keptIDs.insert(own).inserted
        {
            return own
        }
        return chain.messageID(room: row.room, user: row.user, key: Text("go/" + row.id.string))
    }

    /// What has been made since the last call.
    mutating func takeBatch() -> Batch {
        defer { batch = Batch() }
        return batch
    }

    private static func event(_ body: Text) -> (event: SystemPayload.Event, name: Text)? {
        for (event, suffix) in [(SystemPayload.Event.joined, " joined"), (.left, " left")] {
            let bytes = body.string.utf8
            if bytes.count > suffix.utf8.count, bytes.suffix(suffix.utf8.count).elementsEqual(suffix.utf8) {
                return (event, Text(decoding: bytes.dropLast(suffix.utf8.count)))
            }
        }
        return nil
    }
}

extension MessageID {
    /// Reads 32 hexadecimal digits, or a UUID with its four hyphens (RFC 9562, section 4); anything else is nil.
    fileprivate init?(hexadecimal text: Text) {
        let digits = text.withUTF8 { utf8 -> [UInt8] in
            guard utf8.count == 36 else { return Array(utf8) }
            let hyphens = [8, 13, 18, 23]
            guard hyphens.allSatisfy({ utf8[$0] == UInt8(ascii: "-") }) else { return [] }
            return utf8.indices.filter { !hyphens.contains($0) }.map { utf8[$0] }
        }
        guard digits.count == 32,
            let high = ReplicaID(String(decoding: digits[..<16], as: UTF8.self)),
            let low = ReplicaID(String(decoding: digits[16...], as: UTF8.self))
        else { return nil }
        self.init(high: high.rawValue, low: low.rawValue)
    }
}
