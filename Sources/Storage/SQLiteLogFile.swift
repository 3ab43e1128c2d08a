// Makes syncing the write-ahead log cheap: a file that does not grow has no new size and no new blocks to sync.
//
// SQLite lets the log grow page by page and writes it from the front again after a checkpoint, so until the first
// checkpoint each commit's sync also commits the file system's journal (a third more CPU, twice the writes). Zeros
// written ahead, a mebibyte at a time, spare that. They read as "no frame here": SQLite's recovery ends at the first
// frame whose checksum or salt is wrong. https://www.sqlite.org/fileformat2.html#walformat

import Glibc

final class SQLiteLogFile {
    private let descriptor: Int32
    private let limit: Int
    private let zeros = [UInt8](repeating: 0, count: 1 << 20)

    /// Never makes the file longer than about `limit` bytes. nil where there is no such file.
    init?(path: String, limit: Int) {
        descriptor = open(path, O_WRONLY | O_CLOEXEC)
        self.limit = limit
        if descriptor < 0 { return nil }
    }

    deinit { close(descriptor) }

    /// Within a write transaction, as nobody else may append to the log meanwhile: sees to it that `bytes` from the
    /// start of the log lie within the file. Does nothing where it can't; the commit will tell.
    func reserve(_ bytes: Int) {
        var found = stat()
        guard bytes < limit, fstat(descriptor, &found) == 0, found.st_size < bytes else { return }
        var size = Int(found.st_size)
        while size < bytes {
            let written = zeros.withUnsafeBytes { pwrite(descriptor, $0.baseAddress, $0.count, size) }
            guard written > 0 else { return }
            size += written
        }
    }
}
