import ConvergeCRDT

/// A counter: of each replica that ever wrote it, what that replica has added and taken in all.
///
/// Only a replica's own writes change its cells, and no total ever falls; so the greater of two is the later one, and taking
/// up a total twice, or an old one after a new one, changes nothing. A replica that has taken nothing has no cell for that.
///
/// Shapiro et al.: "A comprehensive study of Convergent and Commutative Replicated Data Types" (2011), section 3.1.3.
public enum CounterForm: DocumentForm {
    public static let rule = MergeRule.greatest
    public static let listName: StaticString = "counter"
    public static let word: StaticString = "counter"
    public static let layout = DocumentLayout.totals

    public static func accepts(_ write: DocumentWrite) -> Bool {
        write.operation == .increment && write.key.isEmpty && write.value == nil
    }

    /// Throws `counterOverflow` where the amount or a total would be too large.
    public static func delta(
        of write: DocumentWrite, on cells: DocumentCells, by replica: ReplicaID
    ) throws(DocumentRefusal) -> DocumentDelta {
        var totals = totals(of: replica, in: cells) ?? CounterTotals()
        let size = write.amount.magnitude
        let total = write.amount < 0 ? totals.down : totals.up
        guard size <= DocumentDelta.largestAmount.magnitude,
            total <= CounterTotals.limit - min(size, CounterTotals.limit)
        else { throw .counterOverflow }
        if write.amount < 0 { totals.down += size } else { totals.up += size }
        return .count(amount: write.amount, totals: totals)
    }

    public static func cells(of delta: DocumentDelta, dot: Dot, timestamp: HybridTimestamp) -> [DocumentCell] {
        cells(of: delta.totals, dot: dot, timestamp: timestamp)
    }

    public static func shown(
        _ delta: DocumentDelta, dot: Dot, before: CellGroup<CellValue>, after: CellGroup<CellValue>,
        in cells: DocumentCells
    ) -> DocumentShown {
        .counted(count(of: cells) ?? 0)
    }

    public static func value(of cells: DocumentCells) -> DocumentValue { .number(count(of: cells)) }

    public static func appendChange(
        _ payload: DocumentPayload, _ shown: DocumentShown, room: Text, position: Position,
        by encoder: inout ServerFrameEncoder, to out: inout ByteBuffer
    ) {
        encoder.beginDocument("crdt_counter_changed", payload, body: "", room: room, position, to: &out)
        encoder.appendTimestamp(position.timestamp.milliseconds, to: &out)
        out.append(",\"amount\":")
        out.appendDecimal(Int(payload.delta.amount))
        if case .counted(let value) = shown {
            out.append(",\"value\":")
            out.appendDecimal(Int(value))
        }
        encoder.endPlace(position, to: &out)
    }

    public static func appendValue(
        _ value: DocumentValue, of document: DocumentID, _ stamp: FrameStamp, ref: Text?,
        by encoder: inout ServerFrameEncoder, to out: inout ByteBuffer
    ) {
        guard case .number(let number) = value else { preconditionFailure("a counter stands at \(value)") }
        out.beginFrame(stamp.id, "crdt_counter_value")
        out.appendMember(",\"room\":", document.room)
        out.appendMember(",\"doc\":", document.name)
        encoder.appendTimestamp(stamp.milliseconds, to: &out)
        out.appendRef(ref)
        out.append(",\"value\":")
        out.appendDecimal(Int(number ?? 0))
        out.append("}")
    }
}

// MARK: Its cells

extension CounterForm {
    /// The key of what a replica has added, or has taken: its 16 digits and a sign.
    private static func key(_ replica: ReplicaID, _ sign: String) -> Text { Text(replica.description + sign) }

    /// The replica whose total stands under `key`.
    public static func replica(of key: Text) -> ReplicaID? { ReplicaID(key.string.dropLast()) }

    private static func isTaken(_ key: Text) -> Bool { key.string.utf8.last == UInt8(ascii: "-") }

    /// The cells of a replica whose log has come to these totals at `dot`.
    public static func cells(of totals: CounterTotals, dot: Dot, timestamp: HybridTimestamp) -> [DocumentCell] {
        let up = DocumentCell(
            key: key(dot.replica, "+"), value: .number(totals.up), dot: dot, timestamp: timestamp)
        guard totals.down > 0 else { return [up] }
        let down = DocumentCell(
            key: key(dot.replica, "-"), value: .number(totals.down), dot: dot, timestamp: timestamp)
        return [up, down]
    }

    /// nil where the replica never wrote the counter. O(1).
    public static func totals(of replica: ReplicaID, in cells: DocumentCells) -> CounterTotals? {
        let up = cells[key(replica, "+")].latest
        let down = cells[key(replica, "-")].latest
        if up == nil, down == nil { return nil }
        return CounterTotals(up: up?.value.number ?? 0, down: down?.value.number ?? 0)
    }

    /// What stands in the cells of a replica: none, one or two.
    static func writes(of replica: ReplicaID, in cells: DocumentCells) -> [CellWrite<CellValue>] {
        cells[key(replica, "+")].writes + cells[key(replica, "-")].writes
    }

    /// What was added less what was taken, or the nearest number that there is a place for; nil where nobody ever wrote.
    /// O(n) for n replicas.
    private static func count(of cells: DocumentCells) -> Int64? {
        if cells.isEmpty { return nil }
        var sum: Int128 = 0
        for (key, group) in cells.all {
            let total = Int128(group.latest?.value.number ?? 0)
            sum += isTaken(key) ? -total : total
        }
        return Int64(clamping: sum)
    }
}

extension DocumentDelta {
    /// `amount` is what the entry itself added to its replica's `totals`.
    public static func count(amount: Int64, totals: CounterTotals) -> DocumentDelta {
        DocumentDelta(.increment, of: .counter, amount: amount, totals: totals)
    }
}
