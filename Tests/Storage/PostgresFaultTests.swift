// A server, a network and other sessions that fail at the wrong moment.

import CPostgres
import ConvergeCRDT
import ConvergeStorage
import ConvergeWire
import Foundation
import Testing

@Suite("Postgres faults", .needsPostgres)
final class PostgresFaultTests {
    let database: PostgresTestDatabase

    init() throws { database = try PostgresTestDatabase(on: StoreUnderTest.postgresDSN ?? "") }

    deinit { database.remove() }

    private func held(_ committed: UInt64) -> WriterStart {
        .test(fresh: .b, held: .init(replica: .a, committed: committed))
    }

    @Test("a connection killed between batches is an error, and a reopen goes on")
    func killedBetween() throws {
        let store = PostgresStore(dsn: database.dsn, timeout: .seconds(5))
        let writer = try store.openWriter(.test()).writer
        let reader = try store.openReader()
        var own = TestLog(.a)
        let entries = own.entries(2, from: 10)
        try writer.append(Batch(entries: [entries[0]]))
        #expect(try database.terminateBackends() == 2)
        let thrown = error { () throws(StoreError) in try writer.append(Batch(entries: [entries[1]])) }
        #expect(thrown?.name == "unreachable" || thrown?.name == "unknownOutcome")
        #expect(error { () throws(StoreError) in try writer.append(Batch()) }?.name == "failed")
        let (again, recovered) = try store.openWriter(held(1))
        #expect(recovered.replica == .a)
        #expect(recovered.head == 1)
        try again.append(Batch(entries: [entries[1]]))
        // The reader's connection was killed too; it makes itself a new one.
        #expect(try reader.history(room: "room", before: nil, limit: 9) == entries)
    }

    @Test("after the server's parting words nothing is in doubt, though its end has not been seen")
    func partingWords() throws {
        let proxy = try PostgresProxy(to: database.port)
        defer { proxy.stop() }
        let store = PostgresStore(dsn: try database.dsn(port: proxy.port), timeout: .seconds(5))
        let writer = try store.openWriter(.test()).writer
        var own = TestLog(.a)
        try writer.append(Batch(entries: [own.entry(at: 10)]))
        proxy.become(.hideEnd)
        #expect(try database.terminateBackends() == 1)
        let deadline = ContinuousClock.now + .seconds(8)
        while proxy.hiddenEnds < 1, ContinuousClock.now < deadline { usleep(1_000) }
        let thrown = error { () throws(StoreError) in try writer.append(Batch(entries: [own.entry(at: 11)])) }
        #expect(thrown?.name == "unreachable")
        proxy.become(.forward)
        let (again, recovered) = try store.openWriter(held(1))
        #expect(recovered.head == 1 && recovered.replica == .a)
        again.close()
    }

    @Test("what the server says of its settings ends no connection")
    func settingsChange() throws {
        let store = PostgresStore(dsn: database.dsn, timeout: .seconds(5))
        let writer = try store.openWriter(.test()).writer
        var own = TestLog(.a)
        try writer.append(Batch(entries: [own.entry(at: 10)]))
        // The server tells every session of this one when it has read its files again.
        try database.execute("ALTER SYSTEM SET TimeZone = 'Asia/Tokyo'")
        try database.execute("SELECT pg_reload_conf()")
        defer {
            _ = try? database.execute("ALTER SYSTEM RESET ALL")
            _ = try? database.execute("SELECT pg_reload_conf()")
        }
        let deadline = ContinuousClock.now + .seconds(8)
        while try database.execute("SHOW TimeZone") != ["Asia/Tokyo"], ContinuousClock.now < deadline {}
        for number in 0..<50 { try writer.append(Batch(entries: [own.entry(at: 20 + UInt64(number))])) }
        writer.close()
    }

    @Test("a backend killed in the middle of a batch leaves nothing of it")
    func killedWithin() async throws {
        let store = PostgresStore(dsn: database.dsn, timeout: .seconds(10))
        let writer = try store.openWriter(.test()).writer
        var own = TestLog(.a)
        let entry = own.entry(at: 10)
        let lock = try Lock(database.dsn)
        let (database, backend) = (database, lock.backend)
        async let killed = Self.waitAndTerminate(in: database, except: backend)
        let thrown = error { () throws(StoreError) in try writer.append(Batch(entries: [entry])) }
        #expect(thrown?.name == "unknownOutcome")
        #expect(try await killed == 1)
        lock.release()
        let (again, recovered) = try store.openWriter(held(0))
        #expect(recovered.head == 0)
        try again.append(Batch(entries: [entry]))
    }

    /// Ends the backend that waits for the lock.
    private static func waitAndTerminate(in database: PostgresTestDatabase, except pid: String) async throws -> Int {
        let deadline = ContinuousClock.now + .seconds(8)
        while ContinuousClock.now < deadline {
            let found = try database.execute(
                """
                SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE datname = current_database() AND wait_event_type = 'Lock' AND pid <> \(pid)
                """)
            if !found.isEmpty { return found.count }
            await Task.yield()
        }
        return 0
    }

    @Test("a lock that is not given up ends a batch and an open in time, and what was decided stays decided")
    func locked() throws {
        let store = PostgresStore(dsn: database.dsn, timeout: .milliseconds(600))
        let writer = try store.openWriter(.test()).writer
        var own = TestLog(.a)
        let lock = try Lock(database.dsn)
        let clock = ContinuousClock.now
        let thrown = error { () throws(StoreError) in try writer.append(Batch(entries: [own.entry(at: 10)])) }
        #expect(thrown?.name == "unknownOutcome")
        let opening = error { () throws(StoreError) in _ = try store.openWriter(held(0)) }
        #expect(opening?.name == "timeout")
        #expect(ContinuousClock.now - clock < .seconds(5))
        lock.release()
        // The abandoned batch may still commit until the epoch is raised, and not after.
        let (again, recovered) = try PostgresStore(dsn: database.dsn, timeout: .seconds(10)).openWriter(.test())
        #expect(recovered.replica == .a)
        #expect(recovered.head <= 1)
        var next = TestLog(.a, after: recovered.head)
        try again.append(Batch(entries: [next.entry(at: 20)]))
        #expect(try store.openReader().entries(of: .a, from: 1, limit: 9).count == Int(recovered.head) + 1)
    }

    @Test("where the answer to a commit is lost, the recovered head tells what happened", arguments: [true, false])
    func unknownOutcome(committed: Bool) throws {
        let proxy = try PostgresProxy(to: database.port)
        defer { proxy.stop() }
        let store = PostgresStore(dsn: try database.dsn(port: proxy.port), timeout: .seconds(5))
        let writer = try store.openWriter(.test()).writer
        var own = TestLog(.a)
        try writer.append(Batch(entries: own.entries(2, from: 10)))
        proxy.become(committed ? .loseCommitReply : .loseRequest)
        let more = own.entries(3, from: 20)
        let thrown = error { () throws(StoreError) in try writer.append(Batch(entries: more)) }
        #expect(thrown?.name == "unknownOutcome")
        proxy.become(.forward)
        let (again, recovered) = try store.openWriter(held(2))
        #expect(recovered.replica == .a)
        #expect(recovered.head == (committed ? 5 : 2))
        #expect(recovered.headHash == EntryHash(high: ReplicaID.a.rawValue, low: ~recovered.head))
        var next = TestLog(.a, after: recovered.head)
        try again.append(Batch(entries: [next.entry(at: 30)]))
    }

    @Test("an opening whose commit's outcome is unknown keeps the replica at the next try")
    func unknownOpening() throws {
        let proxy = try PostgresProxy(to: database.port)
        defer { proxy.stop() }
        let store = PostgresStore(dsn: try database.dsn(port: proxy.port), timeout: .seconds(5))
        let writer = try store.openWriter(.test()).writer
        var own = TestLog(.a)
        try writer.append(Batch(entries: own.entries(2, from: 10)))
        writer.close()
        proxy.become(.loseCommitReply)
        #expect(error { () throws(StoreError) in _ = try store.openWriter(held(2)) }?.name == "unreachable")
        proxy.become(.forward)
        let recovered = try store.openWriter(held(2)).recovered
        #expect(recovered.replica == .a)
        #expect(recovered.renewal == nil)
    }

    @Test("a network that swallows everything ends each call in time")
    func silence() throws {
        let proxy = try PostgresProxy(to: database.port)
        defer { proxy.stop() }
        let store = PostgresStore(dsn: try database.dsn(port: proxy.port), timeout: .milliseconds(500))
        let writer = try PostgresStore(dsn: try database.dsn(port: proxy.port), timeout: .seconds(5))
            .openWriter(.test()).writer
        writer.close()
        let reader = try store.openReader()
        proxy.become(.silent)
        let clock = ContinuousClock.now
        let reading = error { () throws(StoreError) in _ = try reader.history(room: "room", before: nil, limit: 1) }
        #expect(reading?.name == "timeout")
        #expect(error { () throws(StoreError) in _ = try store.openWriter(.test()) }?.name == "unreachable")
        #expect(ContinuousClock.now - clock < .seconds(5))
        proxy.become(.forward)
        #expect(try reader.history(room: "room", before: nil, limit: 1).isEmpty)
    }

    @Test("a server that is stopped and started again is found again")
    func restart() throws {
        let folder = "/tmp/converge-postgres-\(UUID().uuidString)"
        let dsn = try script("start", folder).trimmingCharacters(in: .whitespacesAndNewlines)
        defer { _ = try? script("stop", folder) }
        let store = PostgresStore(dsn: dsn, timeout: .seconds(5))
        let writer = try store.openWriter(.test()).writer
        let reader = try store.openReader()
        var own = TestLog(.a)
        let entries = own.entries(2, from: 10)
        try writer.append(Batch(entries: [entries[0]]))
        try script("halt", folder)
        let thrown = error { () throws(StoreError) in try writer.append(Batch(entries: [entries[1]])) }
        #expect(thrown?.name == "unreachable" || thrown?.name == "unknownOutcome")
        #expect(error { () throws(StoreError) in _ = try store.openWriter(held(1)) }?.name == "unreachable")
        let reading = error { () throws(StoreError) in _ = try reader.history(room: "room", before: nil, limit: 1) }
        #expect(reading?.name == "unreachable")
        try script("start", folder)
        let (again, recovered) = try store.openWriter(held(1))
        #expect(recovered.replica == .a)
        #expect(recovered.head == 1)
        try again.append(Batch(entries: [entries[1]]))
        #expect(try reader.history(room: "room", before: nil, limit: 9) == entries)
    }

    @discardableResult
    private func script(_ verb: String, _ folder: String) throws -> String {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let process = Process()
        process.executableURL = root.appending(path: "scripts/throwaway_postgres.sh")
        process.arguments = [verb, folder]
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let printed = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw StoreError.failed("throwaway_postgres.sh \(verb) failed") }
        return String(decoding: printed, as: UTF8.self)
    }
}

/// Another session that holds the rows of all replicas.
private final class Lock {
    private let connection: OpaquePointer?
    let backend: String

    init(_ dsn: String) throws {
        connection = PQconnectdb(dsn)
        backend = String(PQbackendPID(connection))
        let result = PQexec(connection, "BEGIN; SELECT * FROM converge_replica FOR UPDATE")
        defer { PQclear(result) }
        guard PQresultStatus(result) == PGRES_TUPLES_OK else { throw StoreError.failed("no lock") }
    }

    func release() { PQclear(PQexec(connection, "ROLLBACK")) }

    deinit { PQfinish(connection) }
}
