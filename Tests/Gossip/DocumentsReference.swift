import ConvergeCRDT
import ConvergeWire

/// What documents must hold, by the definition of causality over the whole set of entries: not by replaying anything.
///
/// - An element is in a set where some add of it is known to no other write of the element.
/// - A register holds the value of its write with the greatest (timestamp, replica).
/// - A counter stands at the sum of the amounts of its entries.
///
/// A write knows another where the other is earlier in its own log, or is covered by what the entries of its log up to it
/// say they depend on. The dots that deltas name and the totals they carry are not looked at. Entries come in any order;
/// what this build can't interpret tells only what its log depends on.
struct DocumentsReference {
    private enum Deed { case add, remove }

    private struct ElementWrite {
        var dot: Dot
        var deed: Deed
    }

    /// One step of a log: at the entry `seq` it had got to `reached` in another log.
    private struct Step {
        var seq: UInt64
        var reached: UInt64
    }

    private struct Logs: Hashable {
        var knowing: ReplicaID
        var known: ReplicaID
    }

    private var inserted: Set<Dot> = []
    private var interpreted: Set<Dot> = []
    /// Of each pair of logs, sorted by seq.
    private var steps: [Logs: [Step]] = [:]
    private var sets: [DocumentID: [Text: [ElementWrite]]] = [:]
    private var registers: [DocumentID: [(position: Position, value: Text?)]] = [:]
    private var counters: [DocumentID: [(dot: Dot, amount: Int64)]] = [:]

    init() {}

    /// Takes up an entry, of whatever kind; one that is there already changes nothing. Where its payload was erased, what
    /// it did is known if it comes once more as it was.
    mutating func insert(_ entry: Entry) {
        if inserted.insert(entry.dot).inserted {
            for dependency in entry.dependencies {
                let logs = Logs(knowing: entry.dot.replica, known: dependency.replica)
                let at = steps[logs]?.firstIndex { $0.seq > entry.dot.seq } ?? steps[logs]?.count ?? 0
                steps[logs, default: []].insert(Step(seq: entry.dot.seq, reached: dependency.seq), at: at)
            }
        }
        guard entry.kind == .document, !entry.flags.contains(.redacted),
            let payload = entry.payload.withUnsafeBytes({ try? DocumentPayload(decoding: $0) }),
            interpreted.insert(entry.dot).inserted
        else { return }
        let document = DocumentID(room: entry.room, kind: payload.delta.kind, name: payload.name)
        let delta = payload.delta
        switch delta.kind {
        case .orSet:
            let deed: Deed = delta.operation == .add ? .add : .remove
            sets[document, default: [:]][delta.key, default: []].append(ElementWrite(dot: entry.dot, deed: deed))
        case .register: registers[document, default: []].append((entry.position, delta.value))
        default: counters[document, default: []].append((entry.dot, delta.amount))
        }
    }

    /// Everything that was ever written, sorted by room, name and kind.
    var documents: [DocumentID] {
        (Array(sets.keys) + Array(registers.keys) + Array(counters.keys)).sorted {
            ($0.room, $0.name, $0.kind.rawValue) < ($1.room, $1.name, $1.kind.rawValue)
        }
    }

    /// The elements of a set, sorted; with a vector, as they are where just its entries are known.
    func elements(of document: DocumentID, within vector: VersionVector? = nil) -> [Text] {
        (sets[document] ?? [:]).filter { stands($0.value, within: vector) }.keys.sorted()
    }

    /// What a register holds; nil where it was cleared or never written.
    func value(of document: DocumentID, within vector: VersionVector? = nil) -> Text? {
        (registers[document] ?? [])
            .filter { vector?.covers($0.position.dot) ?? true }
            .max { $0.position < $1.position }?.value
    }

    /// What a counter stands at; nil where it was never written.
    func counter(of document: DocumentID, within vector: VersionVector? = nil) -> Int64? {
        let writes = (counters[document] ?? []).filter { vector?.covers($0.dot) ?? true }
        if writes.isEmpty { return nil }
        return Int64(clamping: writes.reduce(into: Int128(0)) { $0 += Int128($1.amount) })
    }

    /// Of each log only the last write of the element matters: it knows all that those before it know.
    private func stands(_ all: [ElementWrite], within vector: VersionVector?) -> Bool {
        let writes = all.filter { vector?.covers($0.dot) ?? true }
        var last: [ReplicaID: Dot] = [:]
        for write in writes { last[write.dot.replica] = max(last[write.dot.replica] ?? write.dot, write.dot) }
        return writes.contains { add in
            add.deed == .add && !last.values.contains { knows($0, add.dot) }
        }
    }

    private func knows(_ later: Dot, _ earlier: Dot) -> Bool {
        if later.replica == earlier.replica { return earlier.seq < later.seq }
        let steps = steps[Logs(knowing: later.replica, known: earlier.replica)] ?? []
        // A log never falls back behind what it had got to.
        return (steps.last { $0.seq <= later.seq }?.reached ?? 0) >= earlier.seq
    }
}
