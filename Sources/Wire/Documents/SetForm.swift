import ConvergeCRDT

/// An OR-Set: elements, each under the dots of the adds that nobody has taken back.
enum SetForm: DocumentForm {
    static let rule = MergeRule.observed
    static let listName: StaticString = "orset"
    static let word: StaticString = "set"
    static let layout = DocumentLayout.element

    static func accepts(_ write: DocumentWrite) -> Bool {
        (write.operation == .add || write.operation == .remove) && write.value == nil
    }

    /// An add takes the place of the dots that its element stands under; a remove takes them away, of which there may be none.
    static func delta(of write: DocumentWrite, on cells: DocumentCells, by replica: ReplicaID) -> DocumentDelta {
        let dots = cells[write.key].dots
        return write.operation == .add
            ? .add(element: write.key, replacing: dots) : .remove(element: write.key, observed: dots)
    }

    static func cells(of delta: DocumentDelta, dot: Dot, timestamp: HybridTimestamp) -> [DocumentCell] {
        delta.operation == .add ? [DocumentCell(key: delta.key, value: .none, dot: dot, timestamp: timestamp)] : []
    }

    /// A remove that a concurrent add survives shows nothing.
    static func shown(
        _ delta: DocumentDelta, dot: Dot, before: CellGroup<CellValue>, after: CellGroup<CellValue>,
        in cells: DocumentCells
    ) -> DocumentShown {
        delta.operation == .remove && !after.isEmpty ? .hidden : .asWritten
    }

    /// The elements. O(n log n).
    static func value(of cells: DocumentCells) -> DocumentValue { .list(cells.keys.sorted()) }

    static func appendChange(
        _ payload: DocumentPayload, _ shown: DocumentShown, room: Text, position: Position,
        by encoder: inout ServerFrameEncoder, to out: inout ByteBuffer
    ) {
        encoder.beginDocument(
            payload.delta.operation == .add ? "crdt_orset_added" : "crdt_orset_removed", payload,
            body: payload.delta.key.shownValue, room: room, position, to: &out)
        encoder.endEntry(position, to: &out)
    }

    static func appendValue(
        _ value: DocumentValue, of document: DocumentID, _ stamp: FrameStamp, ref: Text?,
        by encoder: inout ServerFrameEncoder, to out: inout ByteBuffer
    ) {
        guard case .list(let elements) = value else { preconditionFailure("a set stands at \(value)") }
        out.beginFrame(stamp.id, "crdt_orset_values")
        out.appendMember(",\"room\":", document.room)
        out.appendMember(",\"doc\":", document.name)
        out.appendMember(",\"items\":", list: elements.map(\.shownValue))
        encoder.appendTimestamp(stamp.milliseconds, to: &out)
        out.appendRef(ref)
        out.append("}")
    }
}

extension DocumentDelta {
    /// The element is in the set by this entry's dot, which takes the place of the dots in `replacing`.
    public static func add(element: Text, replacing: [Dot]) -> DocumentDelta {
        DocumentDelta(.add, of: .orSet, key: element, observed: replacing)
    }

    /// Of the element's dots, those that the writer had seen are gone.
    public static func remove(element: Text, observed: [Dot]) -> DocumentDelta {
        DocumentDelta(.remove, of: .orSet, key: element, observed: observed)
    }
}
