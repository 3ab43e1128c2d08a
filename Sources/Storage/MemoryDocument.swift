// A document's cells in memory, and what touched it.

import ConvergeCRDT
import ConvergeWire

struct MemoryDocument: Sendable {
    let id: DocumentID
    private(set) var touched = VersionVector()
    private var content: DocumentCells
    /// The sum over cells and touched, as `ContentHash` has them.
    private(set) var fingerprint: UInt64 = 0

    init(_ id: DocumentID) {
        self.id = id
        content = DocumentCells(rule: id.kind.rule)
    }

    var cells: [DocumentCell] { content.sorted }

    mutating func apply(_ change: DocumentChange) {
        for place in change.removed { self.change(place.key) { $0.remove(place) } }
        for cell in change.put { self.change(cell.key) { $0.put(cell) } }
        for dot in change.touched { touch(dot) }
    }

    private mutating func change(_ key: Text, _ change: (inout DocumentCells) -> Void) {
        fingerprint &-= hash(of: key)
        change(&content)
        fingerprint &+= hash(of: key)
    }

    private func hash(of key: Text) -> UInt64 {
        content[key].writes.reduce(0) { $0 &+ ContentHash.cell(DocumentCell(key: key, write: $1), of: id) }
    }

    private mutating func touch(_ dot: Dot) {
        let before = touched[dot.replica]
        guard dot.seq > before else { return }
        if before > 0 { fingerprint &-= ContentHash.touched(id, Dot(replica: dot.replica, seq: before)) }
        touched.advance(to: dot)
        fingerprint &+= ContentHash.touched(id, dot)
    }
}
