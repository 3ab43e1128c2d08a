import CPostgres
import ConvergeCRDT
import ConvergeGossip
import ConvergeStorage
import ConvergeWire
import Foundation

@testable import ConvergeNode

/// Cores, each with a store of its own onto one PostgreSQL database, run by hand: what they want of it happens at once, or
/// fails as the test says. Links between them carry bytes at once, where the test allows them.
final class SharedCores {
    enum Failing: Equatable {
        /// Nothing reaches the database.
        case away
        /// The next batch is stored, nobody hears of it, and then the database is away.
        case losesReply
        /// The next batch is not stored, nobody hears of that, and then the database is away.
        case losesRequest
        /// What others write is not told of.
        case hidesNews
        /// The next batch has no answer, until `loseReply`.
        case keepsReply
    }

    final class Node {
        var core: NodeCore
        let name: String
        let store: PostgresStore
        var writer: (any StoreWriter)?
        var reader: (any StoreReader)?
        var failing: Failing?
        /// A batch has no answer.
        var isWaiting = false
        /// Gets no events any more.
        var isDead = false
        var shown: [ShownFrame] = []
        /// How often each entry was shown.
        var dots: [Dot: Int] = [:]
        var catchUps = 0
        /// What the loops were told to go back to.
        var setBacks: [VersionVector] = []
        var sharedReads = 0
        var reports: [CoreReport] = []
        var opens: UInt64 = 0
        /// How many milliseconds its wall clock is ahead.
        var ahead: UInt64 = 0

        init(_ core: consuming NodeCore, _ name: String, _ store: PostgresStore) {
            self.core = core
            self.name = name
            self.store = store
        }
    }

    private(set) var nodes: [Node] = []
    var clock: UInt64 = 1_000
    /// As the server's: a clock that is far from that refuses to write.
    private var wall = UInt64(Date().timeIntervalSince1970 * 1_000)
    private var wires = CoreWires()
    private var slots: UInt32 = 0
    var isLinked: Bool
    let database: SharedTestDatabase

    /// - Parameters:
    ///   - names: nodes of one name claim one identity.
    ///   - isLinked: whether they can dial each other from the beginning.
    init(_ names: [String], isLinked: Bool, systemEvents: SystemEvents = .off, pooled: Bool = false) throws {
        database = try SharedTestDatabase()
        self.isLinked = isLinked
        for name in names { try add(name, names.count, systemEvents, pooled: pooled) }
        for index in nodes.indices { begin(index) }
        run(4)
    }

    private func add(_ name: String, _ count: Int, _ systemEvents: SystemEvents, pooled: Bool) throws {
        let index = nodes.count
        let options = CoreWires.options(index, of: count, name: Text(name), systemEvents: systemEvents)
        let store = PostgresStore(dsn: try database.dsn(pooled: pooled), timeout: .seconds(5))
        nodes.append(Node(NodeCore(options), name, store))
    }

    private func begin(_ index: Int) {
        var effects: [CoreEffect] = []
        nodes[index].core.start(into: &effects)
        perform(effects, index)
    }

    deinit { database.remove() }

    /// Carries out what is under way, with so many ticks of 250 ms.
    func run(_ ticks: Int) {
        settle()
        for _ in 0..<ticks {
            clock += 250
            wall += 250
            for index in nodes.indices where !nodes[index].isDead { wires.queue.append((index, .tick)) }
            settle()
        }
    }

    private func settle() {
        var rounds = 0
        while !wires.queue.isEmpty, rounds < 100_000 {
            let (index, event) = wires.queue.removeFirst()
            if !nodes[index].isDead { turn(index, event) }
            rounds += 1
        }
    }

    private func turn(_ index: Int, _ event: CoreEvent) {
        var effects: [CoreEffect] = []
        let wall = wall + nodes[index].ahead
        nodes[index].core.turn(monotonic: clock)
        nodes[index].core.handle(event, at: wall, into: &effects)
        nodes[index].core.endTurn(at: wall, into: &effects)
        perform(effects, index)
    }

    /// Ends all links.
    func separate() {
        isLinked = false
        wires.cut { _, _ in true }
        settle()
    }

    // MARK: Sessions

    func enter(_ index: Int, _ user: Text) -> SessionID {
        slots += 1
        let id = SessionID(loop: 0, slot: slots, generation: 1)
        turn(index, .session(id, .entered(user: user, displayName: user, room: "lobby")))
        settle()
        return id
    }

    func leave(_ index: Int, _ session: SessionID) {
        turn(index, .session(session, .left))
        settle()
    }

    func send(_ index: Int, _ session: SessionID, _ command: ClientCommand, ref: Text? = nil) {
        turn(index, .session(session, .command(ref: ref, command)))
        settle()
    }

    // MARK: Effects

    private func perform(_ effects: [CoreEffect], _ index: Int) {
        let node = nodes[index]
        for effect in effects {
            switch effect {
            case .openStore(_, let held, let renew):
                node.opens += 1
                let start = WriterStart(
                    freshReplica: ReplicaID(rawValue: UInt64(index + 1) << 32 | node.opens), machine: "m",
                    machineBoot: "b", nodeName: node.name, held: held, renew: renew)
                node.writer?.close()
                node.writer = nil
                if node.failing == .away {
                    later.append((index, start))
                } else {
                    open(node, index, start)
                }
            case .commit where node.failing == .keepsReply:
                node.isWaiting = true
            case .commit(let batch):
                work(index) { (writer) throws(StoreError) in
                    if node.failing == .losesRequest {
                        node.failing = .away
                        throw .unknownOutcome("lost")
                    }
                    try writer.append(batch)
                    if node.failing == .losesReply {
                        node.failing = .away
                        throw .unknownOutcome("lost")
                    }
                    return .committed
                }
            case .prune(let old): work(index) { (writer) throws(StoreError) in .pruned(try writer.prune(old)) }
            case .stage(let chunk, _):
                work(index) { (writer) throws(StoreError) in
                    try writer.stage(chunk)
                    return .staged
                }
            case .reload(let chunk, _):
                work(index) { (writer) throws(StoreError) in .reloaded(try writer.reload(chunk)) }
            case .install(let chunk, let have, _):
                work(index) { (writer) throws(StoreError) in .installed(try writer.install(chunk, have: have)) }
            case .read(let request): wires.queue.append((index, read(request, node)))
            case .dial(let address): dial(index, address)
            case .send(let link, let bytes, bulk: _): wires.send(bytes, index, link)
            case .closeLink(let link): wires.close(index, link)
            case .deliver(let batch, _): show(batch, node)
            case .pass(.frames(let frames, _), _): show(frames, node)
            case .pass: break
            case .report(let report): node.reports.append(report)
            case .closeSessions, .finished: break
            }
        }
    }

    private func show(_ batch: FrameBatch, _ node: Node) {
        for record in batch.records {
            if case .catchUp = record.target { node.catchUps += 1 }
            if case .setBack = record.target { node.setBacks.append(batch.position) }
            let bytes = batch.bytes(of: record)
            if let frame = bytes.isEmpty ? nil : ShownFrame(bytes) { node.shown.append(frame) }
            if let dot = record.dot { node.dots[dot, default: 0] += 1 }
        }
    }

    /// Openings that wait for the database to come back.
    private var later: [(node: Int, start: WriterStart)] = []

    /// The answer that the node waits for is lost with the connection, and the database is away.
    func loseReply(_ index: Int) {
        nodes[index].failing = .away
        nodes[index].isWaiting = false
        nodes[index].writer?.close()
        nodes[index].writer = nil
        wires.queue.append((index, .store(.failed(.unknownOutcome("lost")))))
        settle()
    }

    func comeBack(_ index: Int) {
        nodes[index].failing = nil
        for (_, start) in later.filter({ $0.node == index }) { open(nodes[index], index, start) }
        later.removeAll { $0.node == index }
        settle()
    }

    private func open(_ node: Node, _ index: Int, _ start: WriterStart) {
        do throws(StoreError) {
            let (writer, recovered) = try node.store.openWriter(start)
            node.writer = writer
            wires.queue.append((index, .store(.opened(recovered))))
        } catch {
            wires.queue.append((index, .store(.openFailed(error))))
        }
    }

    private func work(_ index: Int, _ body: (any StoreWriter) throws(StoreError) -> StoreEvent) {
        do throws(StoreError) {
            guard let writer = nodes[index].writer else { throw .unreachable("closed") }
            if nodes[index].failing == .away { throw .unreachable("away") }
            wires.queue.append((index, .store(try body(writer))))
        } catch {
            nodes[index].writer?.close()
            nodes[index].writer = nil
            wires.queue.append((index, .store(.failed(error))))
        }
    }

    private func read(_ request: ReadRequest, _ node: Node) -> CoreEvent {
        func found<T>(_ body: (any StoreReader) throws(StoreError) -> T) -> Result<T, StoreError> {
            do throws(StoreError) {
                if node.failing == .away { throw .unreachable("away") }
                let reader = if let open = node.reader { open } else { try node.store.openReader() }
                node.reader = reader
                return .success(try body(reader))
            } catch {
                node.reader = nil
                return .failure(error)
            }
        }
        switch request {
        case .heads where node.failing == .hidesNews: return .headsRead(.failure(.timeout("hidden")))
        case .heads: return .headsRead(found { (reader) throws(StoreError) in try reader.heads() })
        case .shared(let number, let ranges, let bytes):
            node.sharedReads += 1
            let read = found { (reader) throws(StoreError) in try reader.range(ranges, limit: bytes) }
            return .sharedRead(number: number, read)
        case .range(let ticket, let ranges, let bytes):
            let read = found { (reader) throws(StoreError) in try reader.range(ranges, limit: bytes) }
            return .rangeRead(ticket: ticket, read)
        case .snapshot(let ticket, let want):
            return .snapshotRead(ticket: ticket, found { (reader) throws(StoreError) in try reader.snapshot(want) })
        case .attendance(let keys):
            let read = found { (reader) throws(StoreError) in
                try reader.attendance(of: keys.map { (room: $0.room, user: $0.user) })
            }
            return .attendanceRead(keys, read)
        case .keys(let ids):
            return .keysFound(ids, found { (reader) throws(StoreError) in try reader.positions(of: ids) })
        case .history(let page):
            let read = found { (reader) throws(StoreError) in
                var encoder = ServerFrameEncoder()
                return try page.read(reader, FrameStamp(id: MessageID(high: 1, low: 1), milliseconds: 1), &encoder)
            }
            guard case .success((let frames, let needs)) = read else { return .historyAnswered(page.session) }
            guard page.position.covers(needs) else {
                return .readAhead(
                    ReadAhead(request: request, session: page.session, answer: .frames(frames), needs: needs))
            }
            show(frames, node)
            return .historyAnswered(page.session)
        case .feed(let session, _, _, _): return .historyAnswered(session)
        }
    }

    private func dial(_ index: Int, _ address: Text) {
        let to = Int(address.string).flatMap { isLinked && nodes.indices.contains($0) && !nodes[$0].isDead ? $0 : nil }
        wires.dial(index, address, to: to)
    }

    // MARK: Looking

    func bodies(_ index: Int) -> [String] { nodes[index].shown.filter { $0.type == "message" }.map(\.body) }
    func replica(_ index: Int) -> ReplicaID { nodes[index].core.replicas[0] }
    func renewals(_ index: Int) -> [RenewalReason] {
        nodes[index].reports.compactMap { if case .identityRenewed(let reason) = $0 { reason } else { nil } }
    }

    /// Messages and system events of the room, as every node reads them.
    func history() -> [Entry] {
        let node = nodes.first { !$0.isDead }
        return (try? node?.store.openReader().history(room: "lobby", before: nil, limit: 1_000)) ?? []
    }

    /// Joined and left, in order, with who it was.
    func comings() -> [String] {
        history().compactMap { entry in
            guard entry.kind == .system else { return nil }
            let payload = entry.payload.withUnsafeBytes { try? SystemPayload(decoding: $0) }
            return payload.map { "\($0.user) \($0.event)" }
        }
    }
}

/// A new, empty database on the server that CONVERGE_TEST_POSTGRES names.
struct SharedTestDatabase {
    static let server = ProcessInfo.processInfo.environment["CONVERGE_TEST_POSTGRES"]
    static let pooler = ProcessInfo.processInfo.environment["CONVERGE_TEST_PGBOUNCER"]

    private let name = "test_" + UUID().uuidString.filter(\.isHexDigit).lowercased()

    init() throws {
        guard let server = Self.server else { throw StoreError.failed("no server to test on") }
        try Self.execute("CREATE DATABASE \(name)", on: server)
    }

    func remove() { try? Self.execute("DROP DATABASE IF EXISTS \(name) WITH (FORCE)", on: Self.server ?? "") }

    func execute(_ sql: String) throws { try Self.execute(sql, on: dsn(pooled: false)) }

    func dsn(pooled: Bool) throws -> String {
        guard let way = pooled ? Self.pooler : Self.server, var url = URLComponents(string: way) else {
            throw StoreError.failed("no way to the database")
        }
        url.path = "/" + name
        return url.string ?? way
    }

    private static func execute(_ sql: String, on dsn: String) throws {
        let connection = PQconnectdb(dsn)
        defer { PQfinish(connection) }
        let result = PQexec(connection, sql)
        defer { PQclear(result) }
        let status = PQresultStatus(result)
        guard status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK else {
            throw StoreError.failed(connection.flatMap { PQerrorMessage($0) }.map { String(cString: $0) } ?? "?")
        }
    }
}
