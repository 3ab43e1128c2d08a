// What every store demands of a batch, and where it puts an entry: said once, so that the stores can't differ.

import ConvergeCRDT
import ConvergeWire

enum BatchRules {
    /// Which of a room's lists shows an entry.
    enum Shelf: Int64 {
        /// In the log alone: hidden, or of a namespace that this build does not serve.
        case hidden = 0
        /// Messages and system events.
        case history = 1
        /// Documents, and kinds that this build does not know.
        case others = 2
    }

    static func shelf(of entry: Entry) -> Shelf {
        guard entry.namespace == 0, !entry.flags.contains(.redacted) else { return .hidden }
        return entry.kind == .message || entry.kind == .system ? .history : .others
    }

    /// The vector after the batch. Throws `failed` where entries of a replica don't follow on from `vector` without a
    /// gap, or where a number is beyond what a database's signed 64 bits hold.
    @discardableResult
    static func check(_ batch: Batch, after vector: VersionVector) throws(StoreError) -> VersionVector {
        var vector = vector
        for entry in batch.entries {
            let head = vector[entry.dot.replica]
            guard entry.dot.seq == head &+ 1, entry.dot.seq <= UInt64(Int64.max) else {
                throw .failed("entry \(entry.dot.seq) of \(entry.dot.replica) does not follow \(head), the last stored")
            }
            guard entry.timestamp.rawValue <= UInt64(Int64.max) else {
                throw .failed("entry \(entry.dot.seq) of \(entry.dot.replica) has a timestamp beyond year 6000")
            }
            vector[entry.dot.replica] = entry.dot.seq
        }
        return vector
    }
}

extension DocumentRow {
    /// A register's writes are ordered by this: (timestamp, replica), and seq for good measure.
    var position: Position { Position(timestamp: timestamp, dot: dot) }

    /// The order in which stores hand out rows: by document, then value, then dot.
    static func inStoreOrder(_ a: DocumentRow, _ b: DocumentRow) -> Bool {
        if a.document.room != b.document.room { return a.document.room < b.document.room }
        if a.document.kind != b.document.kind { return a.document.kind.rawValue < b.document.kind.rawValue }
        if a.document.name != b.document.name { return a.document.name < b.document.name }
        switch (a.value, b.value) {
        case (let x?, let y?) where x != y: return x < y
        case (nil, _?): return true
        case (_?, nil): return false
        default: return a.dot < b.dot
        }
    }
}
