// Nodes that write one database at once, each on a thread of its own, with connections that are killed in mid-commit:
// what the database has at the end is what its entries make, put together by other code.

import ConvergeTestSupport
import ConvergeCRDT
import ConvergeStorage
import ConvergeWire
import Foundation
import Synchronization
import Testing

@Suite("Shared database, many writers", .needsPostgres)
struct SharedDatabaseRandomTests {
    private static let set = DocumentID(room: "room", kind: .orSet, name: "set")
    private static let register = DocumentID(room: "room", kind: .register, name: "register")
    private static let counter = DocumentID(room: "room", kind: .counter, name: "counter")

    /// What a node does, and knows: its vector, the dots of the set's elements, its own total.
    private struct Writer {
        let store: PostgresStore
        let name: String
        var random: SplitMix64
        var writer: (any StoreWriter)?
        var reader: (any StoreReader)?
        var replica = ReplicaID.nobody
        var vector = VersionVector()
        var committed: UInt64 = 0
        var hash = EntryHash.zero
        var dots: [Text: Set<Dot>] = [:]
        var total: UInt64 = 0
        var clock: UInt64 = 0
        var doubts = 0
        private let chain = EntryChain()

        init(_ store: PostgresStore, _ name: String, seed: UInt64) {
            self.store = store
            self.name = name
            random = SplitMix64(seed: seed)
        }

        /// Opens until it works, and takes over what is there.
        mutating func open() throws {
            writer?.close()
            writer = nil
            for _ in 0..<50 {
                let held =
                    replica == .nobody
                    ? nil
                    : WriterStart.Held(
                        replica: replica, committed: committed, vector: vector)
                let start = WriterStart(
                    freshReplica: ReplicaID(rawValue: random.next()), machine: "m", machineBoot: "b", nodeName: name,
                    held: held)
                do throws(StoreError) {
                    let (writer, recovered) = try store.openWriter(start)
                    if reader == nil { reader = try store.openReader() }
                    self.writer = writer
                    replica = recovered.replica
                    vector = recovered.vector
                    committed = recovered.head
                    hash = recovered.headHash
                    clock = recovered.clock.rawValue
                    dots = [:]
                    total = 0
                    for row in recovered.rows {
                        if row.document == set, let value = row.value { dots[value, default: []].insert(row.dot) }
                        if row.document == counter, row.dot.replica == replica { total = row.totals?.up ?? 0 }
                    }
                    return
                } catch {
                    guard ["unreachable", "timeout", "unknownOutcome", "failed"].contains(error.name) else {
                        throw error
                    }
                }
            }
            throw StoreError.failed("\(name) can't open the store")
        }

        /// Takes what others wrote, and writes something of its own; what is lost with a connection is written off.
        mutating func step() throws {
            guard let writer, let reader else { return try open() }
            do throws(StoreError) {
                var batch = Batch()
                if let heads = try reader.heads() {
                    let ranges = heads.ends.filter { $0.dot.replica != replica && !vector.covers($0.dot) }
                        .map { LogRange(replica: $0.dot.replica, after: vector[$0.dot.replica], through: $0.dot.seq) }
                    for entry in try reader.range(ranges, limit: 4_000).entries {
                        apply(entry)
                        batch.entries.append(entry)
                        batch.effects += effects(of: entry)
                    }
                }
                for _ in 0..<random.next() % 4 {
                    let entry = place(after: vector)
                    apply(entry)
                    batch.entries.append(entry)
                    batch.effects += effects(of: entry)
                }
                try writer.append(batch)
                committed = vector[replica]
            } catch {
                guard error.name != "fenced" else { throw error }
                if error.name == "unknownOutcome" { doubts += 1 }
                // All that it had not stored may be there or not: it reads what is.
                vector = VersionVector()
                try open()
            }
        }

        private mutating func place(after applied: VersionVector) -> Entry {
            clock += 1
            let element = Text("e\(random.next() % 5)")
            let delta: DocumentDelta
            switch random.next() % 5 {
            case 0, 1: delta = .add(element: element, replacing: (dots[element] ?? []).sorted())
            case 2: delta = .remove(element: element, observed: (dots[element] ?? []).sorted())
            case 3: delta = .set(value: Text("\(name) \(clock)"))
            default:
                total += 1
                delta = .count(amount: 1, totals: CounterTotals(up: total, down: 0))
            }
            let name: Text =
                switch delta.kind {
                case .orSet: "set"
                case .register: "register"
                default: "counter"
                }
            var entry = Entry(
                dot: Dot(replica: replica, seq: vector[replica] + 1), timestamp: HybridTimestamp(rawValue: clock),
                kind: .document, room: "room",
                payload: DocumentPayload(name: name, user: "u", displayName: "U", delta: delta).encoded)
            entry.dependencies = applied.components.filter { $0.replica != replica }
            entry.hash = chain.hash(after: hash, entry)
            hash = entry.hash
            return entry
        }

        private mutating func apply(_ entry: Entry) {
            vector.advance(to: entry.dot)
            clock = max(clock, entry.timestamp.rawValue)
            guard let delta = SharedDatabaseRandomTests.delta(of: entry), delta.kind == .orSet else { return }
            dots[delta.key, default: []].subtract(delta.observed)
            if delta.operation == .add { dots[delta.key, default: []].insert(entry.dot) }
        }

        private func effects(of entry: Entry) -> [StoreEffect] {
            guard case .document(let payload) = entry.meaning else { return [] }
            let document = payload.document(in: entry.room)
            return [.cells(payload.delta.change(of: document, dot: entry.dot, timestamp: entry.timestamp))]
        }
    }

    private final class Over: Sendable {
        let flag = Mutex(false)
    }

    fileprivate static func delta(of entry: Entry) -> DocumentDelta? {
        entry.payload.withUnsafeBytes { try? DocumentPayload(decoding: $0) }?.delta
    }

    /// What all entries make, in whatever causal order: from the definition.
    private struct Meaning: Equatable {
        var elements: Set<String> = []
        var register: Text?
        var count: UInt64 = 0
        var touched = VersionVector()

        init(_ entries: [Entry]) {
            var gone: Set<Dot> = []
            var added: [Dot: Text] = [:]
            var latest: (position: Position, value: Text?)?
            var totals: [ReplicaID: UInt64] = [:]
            for entry in entries {
                touched.advance(to: entry.dot)
                guard let delta = delta(of: entry) else { continue }
                gone.formUnion(delta.observed)
                switch delta.kind {
                case .orSet: if delta.operation == .add { added[entry.dot] = delta.key }
                case .register:
                    if latest.map({ $0.position < entry.position }) ?? true { latest = (entry.position, delta.value) }
                default:
                    totals[entry.dot.replica] = max(totals[entry.dot.replica] ?? 0, delta.totals.up)
                }
            }
            for (dot, element) in added where !gone.contains(dot) { elements.insert("\(element) \(dot)") }
            register = latest?.value
            count = totals.values.reduce(0, +)
        }

        init(_ rows: [DocumentRow], touched: VersionVector) {
            self.touched = touched
            for row in rows {
                switch row.document.kind {
                case .orSet: elements.insert("\(row.value ?? "") \(row.dot)")
                case .register: register = row.value
                default: count += row.totals?.up ?? 0
                }
            }
        }
    }

    @Test(
        "documents are what the entries make, and each log is whole and stands on what it depends on",
        arguments: StoreUnderTest.onServer, [UInt64(1), 2])
    func converges(_ kind: StoreUnderTest, seed: UInt64) async throws {
        let database = try PostgresTestDatabase(on: StoreUnderTest.postgresDSN ?? "")
        defer { database.remove() }
        let dsn = kind == .pooled ? try database.dsn(through: StoreUnderTest.poolerDSN ?? "") : database.dsn
        let over = Over()
        var doubts = 0
        try await withThrowingTaskGroup(of: Int.self) { group in
            for index in 0..<3 {
                group.addTask {
                    var node = Writer(
                        PostgresStore(dsn: dsn, timeout: .seconds(10)), "n\(index)", seed: seed &* 10 &+ UInt64(index))
                    try node.open()
                    for _ in 0..<40 { try node.step() }
                    return node.doubts
                }
            }
            // Kills a connection in the middle of something, again and again.
            let killer = Task.detached {
                while !over.flag.withLock({ $0 }) {
                    _ = try? database.execute(
                        """
                        SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                        WHERE datname = current_database() AND pid <> pg_backend_pid() AND state = 'active'
                            AND query LIKE '%converge_%' LIMIT 1
                        """)
                    await Task.yield()
                }
            }
            for try await found in group { doubts += found }
            over.flag.withLock { $0 = true }
            await killer.value
        }

        let store = PostgresStore(dsn: dsn, timeout: .seconds(10))
        let (writer, recovered) = try store.openWriter(
            WriterStart(freshReplica: .low, machine: "m", machineBoot: "b", nodeName: "last"))
        writer.close()
        let reader = try store.openReader()
        let ranges = recovered.ends.map { LogRange(replica: $0.dot.replica, after: 0, through: $0.dot.seq) }
        let entries = try reader.range(ranges, limit: .max).entries
        let chain = EntryChain()
        var covered = VersionVector()
        var wrong: [String] = []
        for end in recovered.ends {
            let log = entries.filter { $0.dot.replica == end.dot.replica }
            if log.map(\.dot.seq) != Array(1...end.dot.seq) { wrong.append("a gap in \(end.dot.replica)") }
            if !chain.verifies(log, after: .zero) || log.last?.hash != end.hash { wrong.append("a fork of \(end.dot)") }
        }
        for entry in entries {
            if !entry.dependencies.allSatisfy(covered.covers) { wrong.append("\(entry.dot) before its causes") }
            covered.advance(to: entry.dot)
        }
        #expect(wrong.isEmpty, "seed \(seed)")
        #expect(entries.count > 20, "seed \(seed): \(doubts) doubts")
        let touched = try reader.snapshot(
            SnapshotWant(
                number: 1, have: VersionVector(), since: VersionVector(), reached: VersionVector(), after: nil,
                limit: 1 << 30)
        ).documents.reduce(into: VersionVector()) { $0.merge($1.touched) }
        #expect(Meaning(recovered.rows, touched: touched) == Meaning(entries), "seed \(seed)")
    }
}
