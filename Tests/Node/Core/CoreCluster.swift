import ConvergeCRDT
import ConvergeGossip
import ConvergeStorage
import ConvergeWire

@testable import ConvergeNode

/// Some cores that are wired by hand: each with a store in memory, links that carry bytes at once, and loops that show
/// frames. Batches wait while `holds` names their node.
final class CoreCluster {
    final class Node {
        var core: NodeCore
        let store = MemoryStore()
        var writer: (any StoreWriter)?
        var wall: UInt64 = 1_700_000_000_000
        var held: [CoreEvent] = []
        var shown: [ShownFrame] = []
        var reports: [CoreReport] = []
        var early: [Dot] = []
        var opens: UInt64 = 0
        var reader: any StoreReader {
            do throws(StoreError) { return try store.openReader() } catch { preconditionFailure("\(error)") }
        }
        var vector: VersionVector { core.position }

        init(_ core: consuming NodeCore) { self.core = core }
    }

    private(set) var nodes: [Node] = []
    var holds: Set<Int> = []
    /// Looks at what a node's turn wants done.
    var onTurn: ((Int, [CoreEffect]) -> Void)?
    var clock: UInt64 = 1_000
    private var wires = CoreWires()
    private var cut: Set<[Int]> = []
    private var slots: UInt32 = 0

    /// - Parameter older: those that are of a build that knows no kinds of documents but the first three.
    init(_ count: Int, systemEvents: SystemEvents = .off, retention: UInt64 = 0, older: Set<Int> = []) {
        for index in 0..<count {
            var options = CoreWires.options(index, of: count, name: Text("n\(index)"), systemEvents: systemEvents)
            options.retention = retention
            if older.contains(index) { options.cluster?.lastKind = DocumentKind.knownToAll.rawValue }
            nodes.append(Node(NodeCore(options)))
        }
    }

    func start() {
        for index in nodes.indices {
            var effects: [CoreEffect] = []
            nodes[index].core.start(into: &effects)
            perform(effects, index)
        }
        run(10)
    }

    /// Carries out what is under way, with so many ticks of 100 ms.
    func run(_ ticks: Int) {
        settle()
        for _ in 0..<ticks {
            clock += 100
            for index in nodes.indices {
                nodes[index].wall += 100
                wires.queue.append((index, .tick))
            }
            settle()
        }
    }

    func release(_ index: Int) {
        holds.remove(index)
        let events = nodes[index].held
        nodes[index].held = []
        for event in events { wires.queue.append((index, event)) }
        settle()
    }

    private func settle() {
        var rounds = 0
        while !wires.queue.isEmpty, rounds < 100_000 {
            let (index, event) = wires.queue.removeFirst()
            turn(index, event)
            rounds += 1
        }
    }

    func turn(_ index: Int, _ event: CoreEvent) {
        let node = nodes[index]
        var effects: [CoreEffect] = []
        node.core.turn(monotonic: clock)
        node.core.handle(event, at: node.wall, into: &effects)
        node.core.endTurn(at: node.wall, into: &effects)
        onTurn?(index, effects)
        perform(effects, index)
    }

    // MARK: Links

    func separate(_ a: Int, _ b: Int) {
        cut.insert([min(a, b), max(a, b)])
        wires.cut { $0 == a && $1 == b }
        settle()
    }

    func join(_ a: Int, _ b: Int) { cut.remove([min(a, b), max(a, b)]) }

    private func dial(_ index: Int, _ address: Text) {
        let to = Int(address.string).flatMap { nodes.indices.contains($0) ? $0 : nil }
        wires.dial(index, address, to: to.flatMap { cut.contains([min(index, $0), max(index, $0)]) ? nil : $0 })
    }

    // MARK: Sessions

    func enter(_ index: Int, _ user: Text) -> SessionID {
        slots += 1
        let id = SessionID(loop: 0, slot: slots, generation: 1)
        turn(index, .session(id, .entered(user: user, displayName: user, room: "lobby")))
        settle()
        return id
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
                    freshReplica: ReplicaID(rawValue: UInt64(index + 1) << 8 | node.opens), machine: "m",
                    machineBoot: "b", nodeName: "n", held: held, renew: renew)
                work(index) { () throws(StoreError) in
                    let (writer, recovered) = try node.store.openWriter(start)
                    node.writer = writer
                    return .opened(recovered)
                }
            case .commit(let batch):
                let writer = node.writer
                work(index) { () throws(StoreError) in
                    try writer?.append(batch)
                    return .committed
                }
            case .prune(let old):
                let writer = node.writer
                work(index) { () throws(StoreError) in
                    guard let writer else { throw .failed("closed") }
                    return .pruned(try writer.prune(old))
                }
            case .read(.range(let ticket, let ranges, let bytes)):
                let reader = node.reader
                do throws(StoreError) {
                    wires.queue.append(
                        (index, .rangeRead(ticket: ticket, .success(try reader.range(ranges, limit: bytes)))))
                } catch {
                    wires.queue.append((index, .rangeRead(ticket: ticket, .failure(error))))
                }
            case .read(.attendance(let keys)): wires.queue.append((index, .attendanceRead(keys, .success([]))))
            case .read(.keys(let ids)):
                wires.queue.append((index, .keysFound(ids, .success((try? node.reader.positions(of: ids)) ?? [:]))))
            case .read, .pass, .stage, .install, .reload, .closeSessions, .finished: break
            case .dial(let address): dial(index, address)
            case .send(let link, let bytes, bulk: _): wires.send(bytes, index, link)
            case .closeLink(let link): wires.close(index, link)
            case .deliver(let batch, _):
                for record in batch.records {
                    let bytes = batch.bytes(of: record)
                    if let frame = bytes.isEmpty ? nil : ShownFrame(bytes) { node.shown.append(frame) }
                    if let dot = record.dot,
                        (try? node.reader.entries(of: dot.replica, from: dot.seq, limit: 1).first)??.dot != dot
                    {
                        node.early.append(dot)
                    }
                }
            case .report(let report): node.reports.append(report)
            }
        }
    }

    /// The writer's work is done when the node is not held, and then told.
    private func work(_ index: Int, _ body: () throws(StoreError) -> StoreEvent) {
        var event: StoreEvent
        do throws(StoreError) { event = try body() } catch { event = .failed(error) }
        if case .committed = event, holds.contains(index) {
            nodes[index].held.append(.store(event))
        } else {
            wires.queue.append((index, .store(event)))
        }
    }

    // MARK: Looking

    func bodies(_ index: Int) -> [String] { nodes[index].shown.filter { $0.type == "message" }.map(\.body) }
    func count(_ index: Int, _ matches: (CoreReport) -> Bool) -> Int { nodes[index].reports.count(where: matches) }
    func replica(_ index: Int) -> ReplicaID { nodes[index].core.replicas[0] }
}
