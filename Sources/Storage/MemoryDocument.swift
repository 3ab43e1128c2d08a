// A document's rows in memory, of each kind.

import ConvergeCRDT
import ConvergeWire

struct MemoryDocument: Sendable {
    private struct ElementDot: Hashable, Sendable {
        var element: Text
        var dot: Dot
    }

    let id: DocumentID
    private(set) var touched = VersionVector()
    private var elements: [ElementDot: HybridTimestamp] = [:]
    private var register: DocumentRow?
    private var counter: [ReplicaID: DocumentRow] = [:]
    /// The sum over rows and touched, as `ContentHash` has them.
    private(set) var fingerprint: UInt64 = 0

    init(_ id: DocumentID) { self.id = id }

    var rows: [DocumentRow] {
        var rows: [DocumentRow] = Array(counter.values)
        if let register { rows.append(register) }
        for (key, timestamp) in elements { rows.append(row(key, timestamp)) }
        return rows.sorted(by: DocumentRow.inStoreOrder)
    }

    private func row(_ key: ElementDot, _ timestamp: HybridTimestamp) -> DocumentRow {
        DocumentRow(document: id, value: key.element, dot: key.dot, timestamp: timestamp)
    }

    mutating func insert(_ element: Text, dot: Dot, timestamp: HybridTimestamp) {
        let key = ElementDot(element: element, dot: dot)
        if let before = elements.updateValue(timestamp, forKey: key) {
            fingerprint &-= ContentHash.row(row(key, before))
        }
        fingerprint &+= ContentHash.row(row(key, timestamp))
    }

    mutating func remove(_ element: Text, dots: [Dot]) {
        for dot in dots {
            let key = ElementDot(element: element, dot: dot)
            if let before = elements.removeValue(forKey: key) { fingerprint &-= ContentHash.row(row(key, before)) }
        }
    }

    mutating func write(_ row: DocumentRow) {
        if let held = register {
            if held.position > row.position { return }
            fingerprint &-= ContentHash.row(held)
        }
        register = row
        fingerprint &+= ContentHash.row(row)
    }

    mutating func count(_ row: DocumentRow) {
        let held = counter[row.dot.replica]
        let joined = held.map { $0.joined(with: row) } ?? row
        if let held { fingerprint &-= ContentHash.row(held) }
        counter[row.dot.replica] = joined
        fingerprint &+= ContentHash.row(joined)
    }

    mutating func touch(_ dot: Dot) {
        let before = touched[dot.replica]
        guard dot.seq > before else { return }
        if before > 0 { fingerprint &-= ContentHash.touched(id, Dot(replica: dot.replica, seq: before)) }
        touched.advance(to: dot)
        fingerprint &+= ContentHash.touched(id, dot)
    }

    mutating func apply(_ changes: SnapshotJoin.Changes) {
        for row in changes.removed { if let value = row.value { remove(value, dots: [row.dot]) } }
        for row in changes.added {
            switch id.kind {
            case .orSet: if let value = row.value { insert(value, dot: row.dot, timestamp: row.timestamp) }
            case .register: write(row)
            case .counter: count(row)
            }
        }
    }
}
