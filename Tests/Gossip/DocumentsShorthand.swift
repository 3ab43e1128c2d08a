import ConvergeCRDT
import ConvergeGossip
import ConvergeWire

/// Documents of each kind in short.
extension Documents {
    func elements(of document: DocumentID, before: DocumentsBefore? = nil) -> [Text] {
        if case .list(let elements) = value(of: document, before: before) { elements } else { [] }
    }

    func text(of document: DocumentID, before: DocumentsBefore? = nil) -> Text? {
        if case .text(let text) = value(of: document, before: before) { text } else { nil }
    }

    func count(of document: DocumentID, before: DocumentsBefore? = nil) -> Int64? {
        if case .number(let number) = value(of: document, before: before) { number } else { nil }
    }

    func deltaForAdd(_ element: Text, to document: DocumentID) throws(DocumentRefusal) -> DocumentDelta {
        try delta(of: DocumentWrite(.add, key: element), to: document, by: ReplicaID(rawValue: 1))
    }

    /// A remove is never refused.
    func deltaForRemove(_ element: Text, from document: DocumentID) -> DocumentDelta {
        do {
            return try delta(of: DocumentWrite(.remove, key: element), to: document, by: ReplicaID(rawValue: 1))
        } catch {
            preconditionFailure("a remove was refused: \(error)")
        }
    }

    func deltaForSet(_ value: Text?, in document: DocumentID) throws(DocumentRefusal) -> DocumentDelta {
        try delta(of: .setting(value), to: document, by: ReplicaID(rawValue: 1))
    }

    func deltaForCount(
        _ amount: Int64, in document: DocumentID, by replica: ReplicaID
    ) throws(DocumentRefusal) -> DocumentDelta {
        try delta(of: DocumentWrite(.increment, amount: amount), to: document, by: replica)
    }

    /// A counter's cells of one replica.
    mutating func load(_ totals: CounterTotals, of document: DocumentID, dot: Dot, timestamp: HybridTimestamp) {
        for cell in CounterForm.cells(of: totals, dot: dot, timestamp: timestamp) {
            load(StoredCell(cell, of: document))
        }
    }
}
