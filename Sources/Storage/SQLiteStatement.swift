// A prepared statement: bind, step, read, reset.
//
// Invariant: text and blobs are bound by pointer, not copied, so they must stay put until `run` or `reset` returns; the
// `withText` and `withBlob` forms see to that. Unsigned numbers keep their order as SQLite's signed ones.

import CSQLite
import ConvergeCRDT
import ConvergeWire

final class SQLiteStatement {
    private let handle: OpaquePointer
    private unowned let connection: SQLiteConnection

    init(_ handle: OpaquePointer, of connection: SQLiteConnection) {
        self.handle = handle
        self.connection = connection
    }

    /// Once, by the connection.
    func finalize() { sqlite3_finalize(handle) }

    // MARK: Running

    /// Runs to the end and resets; nothing is expected back.
    @inline(__always)
    func run() throws(StoreError) {
        try check(runForCode())
    }

    /// As `run`, for closures that can't throw: `check` takes the code.
    @inline(__always)
    func runForCode() -> Int32 {
        let code = sqlite3_step(handle)
        sqlite3_reset(handle)
        return code
    }

    @inline(__always)
    func check(_ code: Int32) throws(StoreError) {
        if code != SQLITE_DONE && code != SQLITE_ROW && code != SQLITE_OK { throw connection.error(code) }
    }

    /// True where there is a row to read.
    func step() throws(StoreError) -> Bool {
        let code = sqlite3_step(handle)
        if code == SQLITE_ROW { return true }
        if code == SQLITE_DONE { return false }
        let error = connection.error(code)
        sqlite3_reset(handle)
        throw error
    }

    /// Calls `body` for each row, then resets.
    func forEachRow(_ body: (SQLiteStatement) throws(StoreError) -> Void) throws(StoreError) {
        defer { reset() }
        while try step() { try body(self) }
    }

    func reset() { sqlite3_reset(handle) }

    // MARK: Binding

    @inline(__always)
    func bind(_ index: Int32, _ value: Int64) { sqlite3_bind_int64(handle, index, value) }

    func bindNull(_ index: Int32) { sqlite3_bind_null(handle, index) }

    /// Keeps the order of unsigned numbers.
    @inline(__always)
    func bind(_ index: Int32, _ replica: ReplicaID) {
        sqlite3_bind_int64(handle, index, Int64(bitPattern: replica.rawValue ^ (1 << 63)))
    }

    /// All 64 bits, in their order.
    func bind(_ index: Int32, ordered value: UInt64) { bind(index, Int64(bitPattern: value ^ (1 << 63))) }

    /// What is beyond 63 bits stands for "after everything".
    @inline(__always)
    func bind(_ index: Int32, clamping value: UInt64) { sqlite3_bind_int64(handle, index, Int64(clamping: value)) }

    @inline(__always)
    func bind(_ first: Int32, _ position: Position) {
        bind(first, clamping: position.timestamp.rawValue)
        bind(first + 1, position.dot.replica)
        bind(first + 2, clamping: position.dot.seq)
    }

    /// Without copying: `bytes` must stay until the statement is reset.
    @inline(__always)
    func bind(_ index: Int32, blob bytes: UnsafeRawBufferPointer) {
        if bytes.count > 0 {
            sqlite3_bind_blob64(handle, index, bytes.baseAddress, UInt64(bytes.count), nil)
        } else {
            sqlite3_bind_zeroblob(handle, index, 0)
        }
    }

    /// Without copying: `utf8` must stay until the statement is reset.
    @inline(__always)
    func bind(_ index: Int32, text utf8: UnsafeBufferPointer<UInt8>) { bind(index, utf8, nil) }

    /// Copies the text.
    func bind(_ index: Int32, copying text: Text) {
        text.withUTF8 { bind(index, $0, SQLiteStatement.transient) }
    }

    @inline(__always)
    private func bind(_ index: Int32, _ utf8: UnsafeBufferPointer<UInt8>, _ lifetime: sqlite3_destructor_type?) {
        if utf8.count > 0 {
            utf8.withMemoryRebound(to: CChar.self) { chars in
                _ = sqlite3_bind_text64(
                    handle, index, chars.baseAddress, UInt64(chars.count), lifetime, UInt8(SQLITE_UTF8))
            }
        } else {
            // Empty text may have no address, which SQLite would take for NULL.
            sqlite3_bind_text64(handle, index, "", 0, SQLiteStatement.transient, UInt8(SQLITE_UTF8))
        }
    }

    /// Copies the bytes.
    func bind(_ index: Int32, copying bytes: [UInt8]) {
        bytes.withUnsafeBytes { raw in
            if raw.count > 0 {
                _ = sqlite3_bind_blob64(handle, index, raw.baseAddress, UInt64(raw.count), SQLiteStatement.transient)
            } else {
                _ = sqlite3_bind_zeroblob(handle, index, 0)
            }
        }
    }

    /// SQLite copies what is bound with this.
    private static var transient: sqlite3_destructor_type { unsafeBitCast(-1, to: sqlite3_destructor_type.self) }

    // MARK: Reading

    func isNull(_ column: Int32) -> Bool { sqlite3_column_type(handle, column) == SQLITE_NULL }

    func int(_ column: Int32) -> Int64 { sqlite3_column_int64(handle, column) }

    /// Negative numbers, which this program never writes, read as 0.
    func unsigned(_ column: Int32) -> UInt64 { UInt64(clamping: sqlite3_column_int64(handle, column)) }

    /// What was bound as `ordered`.
    func ordered(_ column: Int32) -> UInt64 { UInt64(bitPattern: sqlite3_column_int64(handle, column)) ^ (1 << 63) }

    func replica(_ column: Int32) -> ReplicaID {
        ReplicaID(rawValue: UInt64(bitPattern: sqlite3_column_int64(handle, column)) ^ (1 << 63))
    }

    func position(_ first: Int32) -> Position {
        Position(
            timestamp: HybridTimestamp(rawValue: unsigned(first)),
            dot: Dot(replica: replica(first + 1), seq: unsigned(first + 2)))
    }

    func text(_ column: Int32) -> Text {
        guard let start = sqlite3_column_text(handle, column) else { return "" }
        let count = Int(sqlite3_column_bytes(handle, column))
        return Text(decoding: UnsafeBufferPointer(start: start, count: count))
    }

    func withBlob<R>(_ column: Int32, _ body: (UnsafeRawBufferPointer) -> R) -> R {
        let start = sqlite3_column_blob(handle, column)
        return body(UnsafeRawBufferPointer(start: start, count: Int(sqlite3_column_bytes(handle, column))))
    }

    func blob(_ column: Int32) -> [UInt8] { withBlob(column) { Array($0) } }

    func hash(_ column: Int32) -> EntryHash { withBlob(column) { EntryHash(bytes: $0) } ?? .zero }
}

extension EntryHash {
    /// nil where these are not 16 bytes.
    init?(bytes: UnsafeRawBufferPointer) {
        guard bytes.count == 16 else { return nil }
        self.init(
            high: UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self)),
            low: UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)))
    }

    /// 16 bytes, big-endian.
    @inline(__always)
    func withBytes<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R {
        var bytes = (high.bigEndian, low.bigEndian)
        return withUnsafeBytes(of: &bytes, body)
    }
}

extension MessageID {
    /// 16 bytes, big-endian.
    @inline(__always)
    func withBytes<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R {
        var bytes = (high.bigEndian, low.bigEndian)
        return withUnsafeBytes(of: &bytes, body)
    }
}
