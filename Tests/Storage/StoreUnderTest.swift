// The stores that the contract suite runs over. A new store joins by a case here.

import ConvergeCRDT
import ConvergeStorage
import ConvergeWire
import Foundation
import Testing

enum StoreUnderTest: String, Sendable, CaseIterable, CustomTestStringConvertible {
    case memory
    /// The model of a database that several nodes write.
    case sharedMemory
    case sqlite
    case postgres
    /// PostgreSQL through PgBouncer in transaction mode.
    case pooled

    /// PostgreSQL takes part where `CONVERGE_TEST_POSTGRES` says how to reach a server to make databases on, and
    /// `CONVERGE_TEST_PGBOUNCER` how to reach that server's databases through a pooler.
    static let available = allCases.filter { kind in
        switch kind {
        case .memory, .sharedMemory, .sqlite: true
        case .postgres: postgresDSN != nil
        case .pooled: postgresDSN != nil && poolerDSN != nil
        }
    }

    static let postgresDSN = ProcessInfo.processInfo.environment["CONVERGE_TEST_POSTGRES"]
    static let poolerDSN = ProcessInfo.processInfo.environment["CONVERGE_TEST_PGBOUNCER"]

    /// Those whose data lies in one place that can be copied.
    static let inOnePlace = available.filter { $0 == .memory || $0 == .sqlite }

    /// Those that several nodes write at once, and of these the ones on a server.
    static let shared = available.filter { $0 == .sharedMemory || $0 == .postgres || $0 == .pooled }
    static let onServer = shared.filter { $0 != .sharedMemory }

    var testDescription: String { rawValue }

    /// A new, empty store, gone when the returned object is.
    func make(sync: SyncMode = .full) throws -> FreshStore {
        switch self {
        case .memory:
            return FreshStore(MemoryStore(sync: sync))
        case .sharedMemory:
            return FreshStore(SharedMemoryStore(SharedMemoryDatabase(), holder: 1))
        case .sqlite:
            let folder = try TemporaryFolder()
            let store = SQLiteStore(path: folder.path("converge.db"), sync: sync, timeout: .seconds(5))
            return FreshStore(store) { folder.remove() }
        case .postgres:
            let database = try PostgresTestDatabase(on: Self.postgresDSN ?? "")
            return FreshStore(PostgresStore(dsn: database.dsn, timeout: .seconds(5))) { database.remove() }
        case .pooled:
            let database = try PostgresTestDatabase(on: Self.postgresDSN ?? "")
            let store = PostgresStore(dsn: try database.dsn(through: Self.poolerDSN ?? ""), timeout: .seconds(5))
            return FreshStore(store) { database.remove() }
        }
    }
}

/// A store and what must be cleared away after the test.
final class FreshStore {
    let store: any Store
    private let clear: () -> Void

    init(_ store: any Store, clear: @escaping () -> Void = {}) {
        self.store = store
        self.clear = clear
    }

    deinit { clear() }

    func open(_ start: WriterStart = .test()) throws(StoreError) -> (writer: any StoreWriter, recovered: Recovered) {
        try store.openWriter(start)
    }

    func reader() throws(StoreError) -> any StoreReader { try store.openReader() }
}

extension WriterStart {
    static func test(
        fresh: ReplicaID = .a, machine: String = "machine", machineBoot: String = "boot", held: Held? = nil,
        renew: Bool = false
    ) -> WriterStart {
        WriterStart(
            freshReplica: fresh, machine: machine, machineBoot: machineBoot, nodeName: "node", held: held, renew: renew)
    }
}

extension ReplicaID {
    /// In this order also where a database compares signed numbers.
    static let low = ReplicaID(rawValue: 1)
    static let a = ReplicaID(rawValue: 0x7FFF_FFFF_FFFF_FFF0)
    static let b = ReplicaID(rawValue: 0x8000_0000_0000_0001)
    static let c = ReplicaID(rawValue: 0xFFFF_FFFF_FFFF_FFFE)
}

/// Makes the entries of one replica, one after the other.
struct TestLog {
    let replica: ReplicaID
    private(set) var seq: UInt64 = 0

    init(_ replica: ReplicaID, after seq: UInt64 = 0) {
        self.replica = replica
        self.seq = seq
    }

    var head: Dot { Dot(replica: replica, seq: seq) }

    mutating func entry(_ room: Text = "room", at timestamp: UInt64, kind: EntryKind = .message, text: String = "")
        -> Entry
    {
        seq += 1
        var entry = Entry(
            dot: head, timestamp: HybridTimestamp(rawValue: timestamp), kind: kind, room: room,
            payload: Array((text.isEmpty ? "\(replica)/\(seq)" : text).utf8))
        entry.hash = EntryHash(high: replica.rawValue, low: ~seq)
        return entry
    }

    mutating func entries(_ count: Int, _ room: Text = "room", from timestamp: UInt64) -> [Entry] {
        (0..<UInt64(count)).map { entry(room, at: timestamp + $0) }
    }
}

extension VersionVector {
    init(_ dots: Dot...) {
        self.init()
        for dot in dots { advance(to: dot) }
    }
}

/// The error that `body` throws; nil where it throws none.
func error(_ body: () throws(StoreError) -> Void) -> StoreError? {
    do {
        try body()
        return nil
    } catch {
        return error
    }
}

extension StoreError {
    /// The case alone, without its words.
    var name: String { String("\(self)".prefix { $0 != "(" }) }
}

/// A folder of its own for each test.
struct TemporaryFolder {
    let path: String

    init() throws {
        let url = FileManager.default.temporaryDirectory.appending(path: "converge-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        path = url.path
    }

    func path(_ name: String) -> String { path + "/" + name }

    func remove() { try? FileManager.default.removeItem(atPath: path) }
}
