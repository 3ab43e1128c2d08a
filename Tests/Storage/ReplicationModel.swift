// Nodes that are nothing but a log each and a store, to see that a store's state is a function of its version vector.
//
// A node writes messages (some with keys that others use too), joined and left, document changes, redactions and kinds
// that nobody knows; folds its logs at any time; and takes from others what it lacks: by ranges, and where those are
// folded, by snapshots in several pieces, while both sides go on. What a node writes follows from what it has seen.
// Each operation is done on every store of a node, and all must answer alike.

import ConvergeTestSupport
import ConvergeCRDT
import ConvergeStorage
import ConvergeWire

final class ModelNode {
    let replica: ReplicaID
    let memory: MemoryStore
    let stores: [any Store]
    private var writers: [any StoreWriter] = []
    private var readers: [any StoreReader] = []
    private(set) var vector = VersionVector()
    private var hash = EntryHash.zero
    private var clock = HybridClock()
    /// The snapshot on its way.
    var want: SnapshotWant?
    /// The server's vector at the first piece of the pass that is under way.
    private var passBegan = VersionVector()

    init(_ replica: ReplicaID, memory: MemoryStore, others: [any Store] = []) throws {
        self.replica = replica
        self.memory = memory
        stores = [memory] + others
        for store in stores {
            writers.append(try store.openWriter(.test(fresh: replica)).writer)
            readers.append(try store.openReader())
        }
    }

    /// What all stores say; differences are noted.
    private(set) var disagreements: [String] = []

    private func ask<R: Equatable>(_ what: String, _ read: (any StoreReader) throws -> R) throws -> R {
        let first = try read(readers[0])
        for reader in readers.dropFirst() where try read(reader) != first { disagreements.append(what) }
        return first
    }

    private func append(_ batch: Batch) throws {
        for writer in writers { try writer.append(batch) }
        for entry in batch.entries {
            vector.advance(to: entry.dot)
            clock.observe(entry.timestamp, wall: entry.timestamp.milliseconds, limit: 1 << 40)
        }
    }

    func close() { for writer in writers { writer.close() } }

    // MARK: Writing

    func write(_ random: inout SplitMix64, wall: UInt64) throws {
        let dot = Dot(replica: replica, seq: vector[replica] + 1)
        let room = Text("room\(Int.random(in: 0..<2, using: &random))")
        let user = Text("user\(Int.random(in: 0..<3, using: &random))")
        let (kind, payload) = try content(room, user, &random)
        var entry = Entry(dot: dot, timestamp: clock.tick(wall: wall), kind: kind, room: room, payload: payload)
        hash = EntryChain().hash(after: hash, entry)
        entry.hash = hash
        try append(Batch(entries: [entry], effects: Self.effects(of: entry)))
    }

    private func content(_ room: Text, _ user: Text, _ random: inout SplitMix64) throws -> (EntryKind, [UInt8]) {
        let name = Text("doc\(Int.random(in: 0..<3, using: &random))")
        switch Int.random(in: 0..<12, using: &random) {
        case 0: return (.message, MessagePayload(user: user, displayName: user, body: Array("hello".utf8)).encoded)
        case 1, 2:
            let key = Text("key\(Int.random(in: 0..<4, using: &random))")
            let id = EntryChain().messageID(room: room, user: user, key: key)
            return (.message, MessagePayload(id: id, user: user, displayName: user, body: Array("x".utf8)).encoded)
        case 3, 4:
            let number = (try readers[0].attendance(of: [(room, user)]).first?.number ?? 0) + 1
            let id = EntryChain().messageID(room: room, user: user, key: Text("number \(number)"))
            let event: SystemPayload.Event = number % 2 == 1 ? .joined : .left
            return (.system, SystemPayload(event: event, id: id, user: user, displayName: Text("\(number)")).encoded)
        case 5:
            let shown = try readers[0].history(room: room, before: nil, limit: 50).filter { $0.kind == .message }
            guard let target = shown.randomElement(using: &random) else { return (EntryKind(rawValue: 99), []) }
            var payload = ByteBuffer()
            payload.append(1)
            payload.appendFixed(target.dot.replica.rawValue)
            payload.appendVarint(target.dot.seq)
            return (EntryKind(rawValue: 4), payload.array())
        case 6: return (EntryKind(rawValue: 99), [7])
        case 7:
            let value = Bool.random(using: &random) ? Text("v\(random.next() % 5)") : nil
            return (.document, Self.payload(name, .set(value: value)))
        default:
            let element = Text("e\(Int.random(in: 0..<4, using: &random))")
            let document = DocumentID(room: room, kind: .orSet, name: name)
            let dots = memory.state.documents.first { $0.id == document }?.rows.filter { $0.value == element }.map(
                \.dot)
            if let dots, !dots.isEmpty, Bool.random(using: &random) {
                return (.document, Self.payload(name, .remove(element: element, observed: dots)))
            }
            return (.document, Self.payload(name, .add(element: element, replacing: dots ?? [])))
        }
    }

    private static func payload(_ name: Text, _ delta: DocumentDelta) -> [UInt8] {
        DocumentPayload(name: name, user: "u", displayName: "u", delta: delta).encoded
    }

    /// What a node does with an entry: of the entry alone.
    static func effects(of entry: Entry) -> [StoreEffect] {
        entry.payload.withUnsafeBytes { bytes -> [StoreEffect] in
            if entry.flags.contains(.redacted) {
                guard bytes.count == 48 else { return [] }
                let word = { UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: $0, as: UInt64.self)) }
                return [.key(MessageID(high: word(32), low: word(40)), position: entry.position)]
            }
            switch entry.kind {
            case .message:
                guard let id = (try? MessagePayload(decoding: bytes))?.id else { return [] }
                return [.key(id, position: entry.position)]
            case .system:
                guard let payload = try? SystemPayload(decoding: bytes), let id = payload.id,
                    let number = UInt64(payload.displayName.string)
                else { return [] }
                return [
                    .key(id, position: entry.position),
                    .attendance(
                        AttendanceRecord(
                            room: entry.room, user: payload.user, displayName: payload.displayName, number: number,
                            position: entry.position)),
                ]
            case .document:
                guard let payload = try? DocumentPayload(decoding: bytes) else { return [] }
                let document = payload.document(in: entry.room)
                return [.cells(payload.delta.change(of: document, dot: entry.dot, timestamp: entry.timestamp))]
            case EntryKind(rawValue: 4):
                let word = { UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: $0, as: UInt64.self)) }
                // Seqs in this model are one or two bytes of a varint.
                let seq = bytes.count == 10 ? UInt64(bytes[9]) : UInt64(bytes[9] & 127) | UInt64(bytes[10]) << 7
                return [.redact(Dot(replica: ReplicaID(rawValue: word(1)), seq: seq))]
            default: return []
            }
        }
    }

    /// A counter's change has effects alone in this model; its entry is of a kind that is retained.
    func count(_ random: inout SplitMix64, wall: UInt64) throws {
        let document = DocumentID(room: "room0", kind: .counter, name: "count")
        let rows = memory.state.documents.first { $0.id == document }?.rows ?? []
        var totals = rows.first { $0.dot.replica == replica }?.totals ?? CounterTotals()
        if Bool.random(using: &random) { totals.up += random.next() % 9 } else { totals.down += random.next() % 9 }
        let dot = Dot(replica: replica, seq: vector[replica] + 1)
        var payload = ByteBuffer()
        payload.appendVarint(totals.up)
        payload.appendVarint(totals.down)
        var entry = Entry(
            dot: dot, timestamp: clock.tick(wall: wall), kind: Self.counterKind, room: "room0",
            payload: payload.array())
        hash = EntryChain().hash(after: hash, entry)
        entry.hash = hash
        try append(Batch(entries: [entry], effects: Self.counterEffects(of: entry)))
    }

    private static let counterKind = EntryKind(rawValue: 77)

    private static func counterEffects(of entry: Entry) -> [StoreEffect] {
        guard entry.kind == counterKind else { return [] }
        let document = DocumentID(room: entry.room, kind: .counter, name: "count")
        return entry.payload.withUnsafeBytes { bytes in
            var reader = ByteReader(bytes)
            guard let up = try? reader.varint(), let down = try? reader.varint() else { return [] }
            return [
                .count(document, CounterTotals(up: up, down: down), dot: entry.dot, timestamp: entry.timestamp),
                .touch(document, entry.dot),
            ]
        }
    }

    static func allEffects(of entry: Entry) -> [StoreEffect] { effects(of: entry) + counterEffects(of: entry) }

    // MARK: Folding

    func fold(_ random: inout SplitMix64) throws {
        var through = VersionVector()
        for head in vector.components { through[head.replica] = UInt64.random(in: 0...head.seq, using: &random) }
        let pruning = Pruning(
            entriesBefore: .zero, keysBefore: .zero, foldThrough: through, limit: Int.random(in: 1...40, using: &random)
        )
        let results = try writers.map { try $0.prune(pruning) }
        if results.contains(where: { $0 != results[0] }) { disagreements.append("prune") }
    }

    // MARK: Taking from others

    /// Takes up what of `server` is missing here, up to about `bytes`; begins a snapshot where that is folded.
    func pull(from server: ModelNode, bytes: Int) throws {
        let ranges = server.vector.components.filter { $0.seq > vector[$0.replica] }
            .map { LogRange(replica: $0.replica, after: vector[$0.replica], through: $0.seq) }
        let read = try server.ask("range") { try $0.range(ranges, limit: bytes) }
        if read.belowFloor {
            if want == nil {
                want = SnapshotWant(
                    number: 1, have: vector, since: vector, reached: VersionVector(), after: nil, limit: UInt64(bytes))
            }
            return
        }
        let news = read.entries.filter { !vector.covers($0.dot) }
        try append(Batch(entries: news, effects: news.flatMap { Self.allEffects(of: $0) }))
    }

    /// One piece of the snapshot.
    func advanceSnapshot(from server: ModelNode, bytes: Int) throws {
        guard var want else { return }
        want.limit = UInt64(bytes)
        let chunk = try server.ask("snapshot") { try $0.snapshot(want) }
        if want.after == nil { passBegan = chunk.at }
        want.reached.merge(chunk.at)
        switch chunk.status {
        case .behind: return
        case .unavailable, .forked: disagreements.append("\(chunk.status)")
        case .more, .passEnded:
            for writer in writers { try writer.stage(chunk) }
            want.after = chunk.status == .more ? chunk.next : nil
            if chunk.status == .passEnded { want.since = passBegan }
            self.want = want
        case .final:
            let recovered = try writers.map { try $0.install(chunk, have: want.have) }
            for other in recovered.dropFirst() {
                let first = recovered[0]
                if other.vector != first.vector || other.ends != first.ends || other.floors != first.floors {
                    disagreements.append("install: logs")
                }
                if other.clock != first.clock || other.headHash != first.headHash {
                    disagreements.append("install: clock or hash")
                }
                if Set(other.documents) != Set(first.documents) || other.attendance != first.attendance {
                    disagreements.append("install: documents or attendance")
                }
            }
            vector = recovered[0].vector
            clock.observe(recovered[0].clock, wall: recovered[0].clock.milliseconds, limit: 1 << 40)
            self.want = nil
        }
    }

    // MARK: Looking

    /// All that a store tells, as one value.
    struct View: Equatable {
        var whole: SnapshotChunk
        var shown: [[Entry]]
        var missed: [[Entry]]
        var horizon: VersionVector
        var changed: [[DocumentID]]
    }

    func view() throws -> View {
        let want = SnapshotWant(
            number: 0, have: VersionVector(), since: VersionVector(), reached: VersionVector(), after: nil,
            limit: UInt64(Int.max))
        let rooms: [Text] = ["room0", "room1"]
        let half = VersionVector(vector.components.map { Dot(replica: $0.replica, seq: $0.seq / 2) })
        return try ask("view") { reader in
            View(
                whole: try reader.snapshot(want),
                shown: try rooms.map { try reader.history(room: $0, before: nil, limit: 10_000) },
                missed: try rooms.map { try reader.entries(room: $0, after: VersionVector(), limit: 10_000).entries },
                horizon: try reader.horizon(),
                changed: try rooms.map { try reader.documents(of: $0, beyond: half, limit: 10_000) })
        }
    }

    /// The entries of all logs, which must not be folded, in causal order.
    func everything() throws -> [Entry] {
        let ranges = vector.components.map { LogRange(replica: $0.replica, after: 0, through: $0.seq) }
        return try readers[0].range(ranges, limit: .max).entries
    }
}
