// The index of the write-ahead log, which is shared memory in the file PATH-shm: how much of the log counts, and room for
// more of it.
//
// SQLite makes the index larger after a transaction is in the log and synced. On a full disk that fails when the
// transaction is stored and not stored: the log has it whole, nobody sees it, and a crash would bring it back. So room is
// made before, by the same call with which SQLite makes it, and a disk that has none says so when nothing is written yet.
//
//     0       48      96                                    walformat.html, "The WAL-Index File Format"
//     header  again   checkpoint
//     header: 14 page size (2), 16 last frame of the last commit (4); checkpoint: 0 frames that were copied (4)
//
// https://www.sqlite.org/walformat.html#the_wal_index_file_format

import CSQLite

struct SQLiteLogIndex {
    private static let headerBytes = 32
    private static let frameHeaderBytes = 24
    /// Frames of a region of the index; the first has the header, and room for 34 less.
    private static let framesInRegion = 4_096

    private let handle: OpaquePointer
    private var regions = 0

    /// Of a connection's handle, which lives longer.
    init(_ handle: OpaquePointer) { self.handle = handle }

    /// How many bytes of the log's file are needed: those of frames that count and were not all copied into the database.
    /// 0 where there is no index yet.
    var neededLogBytes: Int {
        var start: UnsafeRawPointer?
        guard csqlite_map_log_index(handle, 0, 0, &start) == SQLITE_OK, let start else { return 0 }
        let size = Int(start.load(fromByteOffset: 14, as: UInt16.self))
        let frames = Int(start.load(fromByteOffset: 16, as: UInt32.self))
        let copied = Int(start.load(fromByteOffset: 96, as: UInt32.self))
        // A page of 64 KiB has the size 1.
        return frames > copied ? Self.headerBytes + frames * ((size == 1 ? 65_536 : size) + Self.frameHeaderBytes) : 0
    }

    /// How many frames count.
    private var frames: Int {
        var start: UnsafeRawPointer?
        guard csqlite_map_log_index(handle, 0, 0, &start) == SQLITE_OK, let start else { return 0 }
        return Int(start.load(fromByteOffset: 16, as: UInt32.self))
    }

    /// Within a write transaction: makes room for the pages that this one has written already, being larger than the
    /// cache, and for those that the cache can hold. Returns SQLite's code.
    mutating func reserve(cachePages: Int) -> Int32 {
        var written: Int32 = 0
        var highest: Int32 = 0
        sqlite3_db_status(handle, SQLITE_DBSTATUS_CACHE_SPILL, &written, &highest, 1)
        let wanted = (frames + Int(written) + cachePages + 34) / Self.framesInRegion + 1
        while regions < wanted {
            var start: UnsafeRawPointer?
            let code = csqlite_map_log_index(handle, Int32(regions), 1, &start)
            guard code == SQLITE_OK else { return code }
            regions += 1
        }
        return SQLITE_OK
    }
}
