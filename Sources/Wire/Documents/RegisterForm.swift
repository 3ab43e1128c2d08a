import ConvergeCRDT

/// A register: one value, of which the last write stands. A clear is a write of nothing, and stays.
enum RegisterForm: DocumentForm {
    static let rule = MergeRule.latest
    static let listName: StaticString = "lww"
    static let word: StaticString = "register"
    static let layout = DocumentLayout.value

    static func accepts(_ write: DocumentWrite) -> Bool {
        guard write.key.isEmpty else { return false }
        return write.operation == .set && write.value != nil || write.operation == .clear && write.value == nil
    }

    static func delta(of write: DocumentWrite, on cells: DocumentCells, by replica: ReplicaID) -> DocumentDelta {
        .set(value: write.value)
    }

    static func cells(of delta: DocumentDelta, dot: Dot, timestamp: HybridTimestamp) -> [DocumentCell] {
        [DocumentCell(key: "", value: delta.value.map { .text($0) } ?? .none, dot: dot, timestamp: timestamp)]
    }

    /// A write that is behind another shows nothing.
    static func shown(
        _ delta: DocumentDelta, dot: Dot, before: CellGroup<CellValue>, after: CellGroup<CellValue>,
        in cells: DocumentCells
    ) -> DocumentShown {
        after.latest?.dot == dot ? .asWritten : .hidden
    }

    static func value(of cells: DocumentCells) -> DocumentValue { .text(cells[""].latest?.value.text) }

    static func appendChange(
        _ payload: DocumentPayload, _ shown: DocumentShown, room: Text, position: Position,
        by encoder: inout ServerFrameEncoder, to out: inout ByteBuffer
    ) {
        encoder.beginDocument(
            "crdt_lww_set", payload, body: payload.delta.value?.shownValue ?? "", room: room, position, to: &out)
        encoder.endEntry(position, to: &out)
    }

    static func appendValue(
        _ value: DocumentValue, of document: DocumentID, _ stamp: FrameStamp, ref: Text?,
        by encoder: inout ServerFrameEncoder, to out: inout ByteBuffer
    ) {
        guard case .text(let text) = value else { preconditionFailure("a register stands at \(value)") }
        out.beginFrame(stamp.id, "crdt_lww_value")
        out.appendMember(",\"room\":", document.room)
        out.appendMember(",\"doc\":", document.name)
        out.appendMember(",\"body\":", text?.shownValue ?? "")
        encoder.appendTimestamp(stamp.milliseconds, to: &out)
        out.appendRef(ref)
        out.append("}")
    }
}

extension DocumentDelta {
    /// The value as of this entry; nil is a cleared register.
    public static func set(value: Text?) -> DocumentDelta {
        DocumentDelta(value == nil ? .clear : .set, of: .register, value: value)
    }
}
