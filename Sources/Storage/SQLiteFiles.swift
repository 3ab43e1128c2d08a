// The files of a database as they were when they were opened, to notice what befalls them.
//
// SQLite goes on with the files that it has open, whatever happens to their names. It would commit into a write-ahead log
// that was deleted, or into one of which the beginning is gone, and all of that would be missing, or the database
// malformed, at the next start. So they are looked at before something is written, and again before it is acknowledged: a
// name must lead to the file that is open, and no file may be shorter than what is known to be in it. Three calls of
// `stat`.

import Glibc

struct SQLiteFiles {
    enum Harm: Hashable {
        /// No file has the name of the database.
        case gone
        /// The system does not let us see whether it is there.
        case hidden(Int32)
        case replaced
        case cut(from: Int, to: Int)
        case logGone
        case logCut(needed: Int, to: Int)
        case indexGone

        /// All that was committed is in files that can be put back, or are open still.
        var losesNothing: Bool {
            switch self {
            case .gone, .hidden, .replaced, .logGone, .indexGone: true
            case .cut, .logCut: false
            }
        }

        func error(_ path: String) -> StoreError {
            switch self {
            case .gone: .gone("\(path): the file was deleted or moved away, or its volume unmounted, while it was open")
            case .hidden(let code): .unreachable("\(path): \(String(cString: strerror(code)))")
            case .replaced: .unreachable("\(path): the file was replaced while it was open")
            case .cut(let from, let to):
                .corrupt("\(path): the file was cut from \(from) to \(to) bytes while it was open")
            case .logGone: .unreachable("\(path)-wal: the write-ahead log was deleted or replaced while it was open")
            case .logCut(let needed, let to):
                .corrupt("\(path)-wal: the write-ahead log was cut from \(needed) to \(to) bytes while it was open")
            case .indexGone: .unreachable("\(path)-shm: the log's index was deleted or replaced while it was open")
            }
        }
    }

    private let path: String
    private let logPath: String
    private let indexPath: String
    let database: FileIdentity
    private var size: Int
    /// nil until there is one.
    private var log: FileIdentity?
    private var index: FileIdentity?

    /// Of the database at `path`, whose name SQLite has as `resolved`. nil where it can't be looked at.
    init?(of path: String, resolved: String) {
        guard let found = Self.look(path) else { return nil }
        self.path = path
        logPath = resolved + "-wal"
        indexPath = resolved + "-shm"
        database = FileIdentity(found)
        size = Int(found.st_size)
    }

    /// What has befallen the files since they were last looked at.
    ///
    /// - Parameter neededLogBytes: how much of the log's file is needed; asked for after that was looked at, so that who
    ///   empties it as SQLite does, by another connection, is not taken for somebody who cuts it.
    mutating func harm(neededLogBytes: () -> Int) -> Harm? {
        guard let found = Self.look(path) else {
            return errno == ENOENT || errno == ENOTDIR ? .gone : .hidden(errno)
        }
        guard FileIdentity(found) == database else { return .replaced }
        if found.st_size < size { return .cut(from: size, to: Int(found.st_size)) }
        size = Int(found.st_size)

        let foundLog = Self.look(logPath)
        if let log, foundLog.map(FileIdentity.init) != log { return .logGone }
        if let foundLog {
            log = FileIdentity(foundLog)
            let needed = neededLogBytes()
            if foundLog.st_size < needed { return .logCut(needed: needed, to: Int(foundLog.st_size)) }
        }
        let foundIndex = Self.look(indexPath).map(FileIdentity.init)
        if let index, foundIndex != index { return .indexGone }
        index = foundIndex
        return nil
    }

    /// A checkpoint of one's own may have made the database shorter.
    mutating func forgetSize() { size = 0 }

    private static func look(_ path: String) -> stat? {
        var found = stat()
        return stat(path, &found) == 0 ? found : nil
    }
}

extension FileIdentity {
    fileprivate init(_ found: stat) { self.init(device: UInt64(found.st_dev), inode: UInt64(found.st_ino)) }
}
