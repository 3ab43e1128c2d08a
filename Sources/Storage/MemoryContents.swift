// What a store holds, as a plain value: the reference for what `Batch` means.
//
// Invariant: applying a batch either checks out whole or changes nothing, and the result depends on the batches alone
// (nothing that is handed out follows the order of a Dictionary or Set).

import ConvergeCRDT
import ConvergeWire

struct MemoryContents: Sendable {
    private(set) var vector = VersionVector()
    private(set) var clock = HybridTimestamp.zero
    private var logs: [ReplicaID: [Entry]] = [:]
    /// How many entries each log has lost at its beginning, and the hash of the last of a log that has lost all.
    private var floors = VersionVector()
    private var lastHashes: [ReplicaID: EntryHash] = [:]
    private var rooms: [Text: Room] = [:]
    private var hidden: Set<Dot> = []
    private var keys: [MessageID: Position] = [:]
    private var elements: [DocumentID: [ElementDot: HybridTimestamp]] = [:]
    private var registers: [DocumentID: DocumentRow] = [:]
    private var touched: [DocumentID: VersionVector] = [:]

    /// Positions in order. Messages and system events stand apart, so that paging history never wades through documents.
    private struct Room: Sendable {
        var history: [Position] = []
        var others: [Position] = []
    }

    private struct ElementDot: Hashable, Sendable {
        var element: Text
        var dot: Dot
    }

    private struct Seat: Hashable, Sendable {
        var room: Text
        var user: Text
    }

    // MARK: Writing

    /// Applies the whole batch, or throws and leaves everything as it was. O(entries + effects).
    mutating func apply(_ batch: Batch) throws(StoreError) {
        try BatchRules.check(batch, after: vector)
        for entry in batch.entries { apply(entry) }
        for effect in batch.effects { apply(effect) }
    }

    private mutating func apply(_ entry: Entry) {
        vector[entry.dot.replica] = entry.dot.seq
        clock = max(clock, entry.timestamp)
        logs[entry.dot.replica, default: []].append(entry)
        lastHashes[entry.dot.replica] = entry.hash
        switch BatchRules.shelf(of: entry) {
        case .hidden: break
        case .history: Self.insert(entry.position, into: &rooms[entry.room, default: Room()].history)
        case .others: Self.insert(entry.position, into: &rooms[entry.room, default: Room()].others)
        }
    }

    private mutating func apply(_ effect: StoreEffect) {
        switch effect {
        case .key(let id, let position):
            keys[id] = min(keys[id] ?? position, position)
        case .hide(let dot):
            hide(dot)
        case .insert(let document, let element, let dot, let timestamp, let replacing):
            for old in replacing { elements[document]?[ElementDot(element: element, dot: old)] = nil }
            elements[document, default: [:]][ElementDot(element: element, dot: dot)] = timestamp
        case .delete(let document, let element, let dots):
            for old in dots { elements[document]?[ElementDot(element: element, dot: old)] = nil }
        case .write(let document, let value, let dot, let timestamp):
            let row = DocumentRow(document: document, value: value, dot: dot, timestamp: timestamp)
            if let held = registers[document], held.position > row.position { return }
            registers[document] = row
        case .touch(let document, let dot):
            touched[document, default: VersionVector()].advance(to: dot)
        case .attendance, .count, .redact, .remember, .forget: break
        }
    }

    private mutating func hide(_ dot: Dot) {
        guard let entry = entry(dot), hidden.insert(dot).inserted else { return }
        Self.remove(entry.position, from: &rooms[entry.room, default: Room()].history)
        Self.remove(entry.position, from: &rooms[entry.room, default: Room()].others)
    }

    /// See `StoreWriter.prune`.
    mutating func prune(_ pruning: Pruning) -> Int {
        var dropped = 0
        for (replica, log) in logs {
            let old = log.prefix(pruning.limit).prefix { $0.timestamp < pruning.entriesBefore }
            for entry in old {
                Self.remove(entry.position, from: &rooms[entry.room, default: Room()].history)
                Self.remove(entry.position, from: &rooms[entry.room, default: Room()].others)
                hidden.remove(entry.dot)
            }
            logs[replica]!.removeFirst(old.count)
            floors[replica] += UInt64(old.count)
            dropped += old.count
        }
        let forgotten = keys.filter { $0.value.timestamp < pruning.keysBefore }.sorted { $0.value < $1.value }
            .prefix(pruning.limit)
        for (id, _) in forgotten { keys[id] = nil }
        return dropped + forgotten.count
    }

    // MARK: Reading

    var documents: [DocumentRow] {
        var rows = Array(registers.values)
        for (document, held) in elements {
            for (key, timestamp) in held {
                rows.append(DocumentRow(document: document, value: key.element, dot: key.dot, timestamp: timestamp))
            }
        }
        return rows.sorted(by: DocumentRow.inStoreOrder)
    }

    /// The hash of the last entry of a log.
    func headHash(of replica: ReplicaID) -> EntryHash { lastHashes[replica] ?? .zero }

    func history(room: Text, before: Position?, limit: Int) -> [Entry] {
        guard let positions = rooms[room]?.history, limit > 0 else { return [] }
        let end = before.map { Self.index(of: $0, in: positions) } ?? positions.count
        return positions[max(0, end - limit)..<end].compactMap { entry($0.dot) }
    }

    func entries(room: Text, after cursor: VersionVector, limit: Int) -> [Entry] {
        guard let held = rooms[room], limit > 0 else { return [] }
        let missed = (held.history + held.others).filter { !cursor.covers($0.dot) }.sorted()
        return missed.prefix(limit).compactMap { entry($0.dot) }
    }

    func entries(of replica: ReplicaID, from seq: UInt64, limit: Int) -> [Entry] {
        guard let log = logs[replica], seq > 0, limit > 0 else { return [] }
        let floor = floors[replica]
        guard seq > floor, seq <= floor + UInt64(log.count) else { return [] }
        return Array(log[Int(seq - floor - 1)...].prefix(limit))
    }

    func positions(of ids: [MessageID]) -> [MessageID: Position] {
        var found: [MessageID: Position] = [:]
        for id in ids { found[id] = keys[id] }
        return found
    }

    private func entry(_ dot: Dot) -> Entry? {
        let floor = floors[dot.replica]
        guard let log = logs[dot.replica], dot.seq > floor, dot.seq <= floor + UInt64(log.count) else { return nil }
        return log[Int(dot.seq - floor - 1)]
    }

    // MARK: Sorted arrays

    /// The index of the first position that does not stand before `position`.
    private static func index(of position: Position, in positions: [Position]) -> Int {
        var low = 0
        var high = positions.count
        while low < high {
            let middle = (low + high) / 2
            if positions[middle] < position { low = middle + 1 } else { high = middle }
        }
        return low
    }

    private static func insert(_ position: Position, into positions: inout [Position]) {
        if let last = positions.last, position < last {
            positions.insert(position, at: index(of: position, in: positions))
        } else {
            positions.append(position)
        }
    }

    private static func remove(_ position: Position, from positions: inout [Position]) {
        let at = index(of: position, in: positions)
        if at < positions.count, positions[at] == position { positions.remove(at: at) }
    }
}
