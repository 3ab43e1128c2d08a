// What every store demands of a batch, and where it puts an entry: said once, so that the stores can't differ.

import ConvergeCRDT
import ConvergeWire

enum BatchRules {
    /// Which of a room's lists shows an entry: the column `shown` in SQLite, `shelf` in PostgreSQL.
    enum Shown: Int64 {
        /// In the log alone: hidden, or of a namespace that this build does not serve.
        case nowhere = 0
        /// Messages and system events.
        case history = 1
        /// Documents, and kinds that this build does not know.
        case others = 2
    }

    static func shown(_ entry: Entry) -> Shown {
        guard entry.namespace == 0, !entry.flags.contains(.redacted) else { return .nowhere }
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

extension StoredCell {
    var place: CellPlace<Text> { cell.place(under: document.kind.rule) }

    /// The order in which stores hand out cells: by document, then key, then slot.
    static func inStoreOrder(_ a: StoredCell, _ b: StoredCell) -> Bool {
        a.document == b.document ? a.place < b.place : DocumentID.inStoreOrder(a.document, b.document)
    }
}

extension DocumentID {
    /// By room, kind, name.
    static func inStoreOrder(_ a: DocumentID, _ b: DocumentID) -> Bool {
        if a.room != b.room { return a.room < b.room }
        if a.kind != b.kind { return a.kind.rawValue < b.kind.rawValue }
        return a.name < b.name
    }
}

extension Entry {
    /// What folding does with an entry.
    enum Folding {
        /// What it says is in a document: it can go.
        case folded
        /// It is shown in history, or nothing is known of it: it stays below the floor.
        case retained
        /// A newer build may know what it says to a document, which this one has not taken up: it must stay above.
        case barred
    }

    var folding: Folding {
        guard kind == .document else { return .retained }
        return switch meaning {
        case .document: .folded
        case .none(let error) where namespace == 0 && error.isUnknown: .barred
        default: .retained
        }
    }
}
