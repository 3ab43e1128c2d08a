import ConvergeCRDT
import ConvergeTestSupport
import ConvergeWire

@testable import ConvergeClient

/// A cluster as docs/protocol.md promises it to a client, in a few lines: each node has a log of its own and
/// a prefix of each other's, shows what comes to it, and answers resumes from what it has. Keys are known where their
/// message has come, so one that is sent to two nodes may be stored on both, under one id.
struct ModelCluster {
    struct Entry {
        let dot: Dot
        let position: Position
        let id: String
        let room: String
        let body: String
        let key: String?
    }

    struct Node {
        var vector = VersionVector()
        /// Entries that it has, in the order in which they came.
        var entries: [Entry] = []
        /// What retention has dropped.
        var floor = VersionVector()
    }

    private(set) var nodes: [Node]
    private(set) var logs: [[Entry]]
    private var clock: UInt64 = 1_000
    /// Replicas that are gone, and make cursors long.
    let strangers: VersionVector

    init(nodes count: Int, strangers: Int = 0) {
        nodes = Array(repeating: Node(), count: count)
        logs = Array(repeating: [], count: count)
        var vector = VersionVector()
        for stranger in 0..<strangers { vector[ReplicaID(rawValue: 1_000_000 + UInt64(stranger))] = 7_000_000 }
        self.strangers = vector
        for node in 0..<count { nodes[node].vector = vector }
    }

    func replica(_ node: Int) -> ReplicaID { ReplicaID(rawValue: UInt64(node) + 1) }

    /// What a node has of a room, as a cursor.
    func cursor(_ node: Int) -> VersionVector { nodes[node].vector }

    /// Stores a message: the entry, or the one that the key has already.
    mutating func write(_ body: String, in room: String, key: String?, at node: Int) -> (
        entry: Entry, isDuplicate: Bool
    ) {
        if let key, let old = nodes[node].entries.first(where: { $0.key == key }) { return (old, true) }
        clock += 1
        let dot = Dot(replica: replica(node), seq: UInt64(logs[node].count) + 1)
        let position = Position(timestamp: HybridTimestamp(rawValue: clock << 16), dot: dot)
        let id = key.map(Self.id) ?? Self.hexadecimal(dot.replica.rawValue) + Self.hexadecimal(dot.seq)
        let entry = Entry(dot: dot, position: position, id: id, room: room, body: body, key: key)
        logs[node].append(entry)
        nodes[node].entries.append(entry)
        nodes[node].vector.advance(to: dot)
        return (entry, false)
    }

    /// Brings the next entry of `writer`'s log to `node`; nil where there is none.
    mutating func replicate(from writer: Int, to node: Int) -> Entry? {
        let next = Int(nodes[node].vector[replica(writer)])
        guard writer != node, next < logs[writer].count else { return nil }
        let entry = logs[writer][next]
        nodes[node].entries.append(entry)
        nodes[node].vector.advance(to: entry.dot)
        return entry
    }

    /// Forgets the oldest entries of a node.
    mutating func forget(_ count: Int, at node: Int) {
        for entry in nodes[node].entries.prefix(count) { nodes[node].floor.advance(to: entry.dot) }
        let floor = nodes[node].floor
        nodes[node].entries.removeAll { floor.covers($0.dot) }
    }

    /// The pages and the end that answer a resume.
    func resume(
        from cursor: VersionVector, in room: String, at node: Int, limit: Int, ref: String?
    ) -> [ChatEvent] {
        let missed = nodes[node].entries.filter { $0.room == room && !cursor.covers($0.dot) }.sorted {
            $0.position < $1.position
        }
        let recovered = cursor.covers(nodes[node].floor)
        var events: [ChatEvent] = []
        var reached = cursor
        var rest = missed[...]
        while rest.count > limit {
            for entry in rest.prefix(limit) { reached.advance(to: entry.dot) }
            // A page covers what it has; between two pages entries of one replica are in order.
            events.append(
                .history(
                    HistoryFrame(
                        room: room, entries: rest.prefix(limit).map(Self.frame), limit: limit, isResume: true,
                        cursor: reached, isRecovered: recovered)))
            rest = rest.dropFirst(limit)
        }
        for entry in rest { reached.advance(to: entry.dot) }
        if !rest.isEmpty {
            events.append(
                .history(
                    HistoryFrame(
                        room: room, entries: rest.map(Self.frame), limit: limit, isResume: true, cursor: reached)))
        }
        reached.merge(nodes[node].vector)
        events.append(.resumed(Resumed(room: room, isRecovered: recovered, cursor: reached, ref: ref)))
        return events
    }

    static func frame(_ entry: Entry) -> ChatEvent {
        .message(
            ChatLine(
                id: entry.id, room: entry.room, userID: "ann", displayName: "Ann", body: entry.body,
                position: entry.position, dot: entry.dot))
    }

    private static func id(of key: String) -> String {
        var generator = SplitMix64(seed: key.utf8.reduce(7) { $0 &* 31 &+ UInt64($1) })
        return hexadecimal(generator.next()) + hexadecimal(generator.next())
    }

    private static func hexadecimal(_ value: UInt64) -> String { ReplicaID(rawValue: value).description }
}
