import ConvergeCRDT

/// A map: fields, each with the values that were written to it at once.
///
/// A write takes the place of the values that it saw, so where nobody writes at once there is one. Of several the latest is
/// shown, by (time, replica, seq), the same everywhere; the next write takes the place of them all. A field that is removed
/// leaves nothing behind.
enum MapForm: DocumentForm {
    static let rule = MergeRule.observed
    static let listName: StaticString = "map"
    static let word: StaticString = "map"
    static let layout = DocumentLayout.cell

    static func accepts(_ write: DocumentWrite) -> Bool {
        write.operation == .set && write.value != nil || write.operation == .remove && write.value == nil
    }

    static func delta(of write: DocumentWrite, on cells: DocumentCells, by replica: ReplicaID) -> DocumentDelta {
        DocumentDelta(
            write.operation, of: .map, key: write.key, value: write.value, observed: cells[write.key].dots)
    }

    static func cells(of delta: DocumentDelta, dot: Dot, timestamp: HybridTimestamp) -> [DocumentCell] {
        guard let value = delta.value else { return [] }
        return [DocumentCell(key: delta.key, value: .text(value), dot: dot, timestamp: timestamp)]
    }

    /// A write that is behind another shows nothing; nor does a remove of what was behind another. One that takes away the
    /// latest value may show an earlier one, which its writer had not seen.
    static func shown(
        _ delta: DocumentDelta, dot: Dot, before: CellGroup<CellValue>, after: CellGroup<CellValue>,
        in cells: DocumentCells
    ) -> DocumentShown {
        guard let standing = after.latest, standing.dot != dot else { return .asWritten }
        return standing.dot == before.latest?.dot ? .hidden : .revealed(standing.value.text ?? "")
    }

    /// The fields and what is shown of each. O(n log n).
    static func value(of cells: DocumentCells) -> DocumentValue {
        .fields(
            cells.all.sorted { $0.key < $1.key }.map { key, group in
                DocumentField(name: key, value: group.latest?.value.text ?? "")
            })
    }
}
