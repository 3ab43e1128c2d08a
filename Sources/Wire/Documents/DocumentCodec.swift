import ConvergeCRDT

/// A document's change in the payload of its entry (EntryCodec.swift has the rest).
///
/// ```
/// document   01 operation · name · user · displayName · …
///               1 add        element · dots replaced
///               2 remove     element · dots observed
///               3 set        value
///               4 clear
///               5 increment  amount · up · down
///               6 cell       kind · operation · key · has value · [value] · dots observed
/// ```
extension DocumentPayload {
    public func append(to out: inout ByteBuffer) {
        out.append(payloadVersion)
        let layout = delta.kind.form.layout
        out.append(layout == .cell ? Self.cell : delta.operation.rawValue)
        out.appendCounted(name)
        out.appendCounted(user)
        out.appendCounted(displayName)
        switch layout {
        case .cell:
            out.append(delta.kind.rawValue)
            out.append(delta.operation.rawValue)
            out.appendCounted(delta.key)
            out.append(delta.value == nil ? 0 : 1)
            if let value = delta.value { out.appendCounted(value) }
            out.appendDots(delta.observed)
        case .element:
            out.appendCounted(delta.key)
            out.appendDots(delta.observed)
        case .value:
            if let value = delta.value { out.appendCounted(value) }
        case .totals:
            out.appendZigzag(delta.amount)
            out.appendVarint(delta.totals.up)
            out.appendVarint(delta.totals.down)
        }
    }

    /// The operation of kinds that have no layout of their own.
    private static let cell: UInt8 = 6

    public var encoded: [UInt8] {
        var out = ByteBuffer(capacity: 256)
        append(to: &out)
        return out.array()
    }

    public init(decoding bytes: UnsafeRawBufferPointer) throws(EntryCodecError) {
        var reader = ByteReader(bytes)
        try reader.version()
        let code = try reader.byte()
        guard code == Self.cell || DocumentOperation(rawValue: code) != nil else { throw .unknownDelta(code) }
        let name = try reader.text()
        let user = try reader.text()
        let displayName = try reader.text()
        let delta: DocumentDelta
        switch DocumentOperation(rawValue: code) {
        case nil: delta = try Self.cell(&reader)
        case .add: delta = .add(element: try reader.text(), replacing: try reader.dots())
        case .remove: delta = .remove(element: try reader.text(), observed: try reader.dots())
        case .set: delta = .set(value: try reader.text())
        case .clear: delta = .set(value: nil)
        case .increment:
            let amount = try reader.zigzag()
            let totals = CounterTotals(up: try reader.varint(), down: try reader.varint())
            guard amount.magnitude <= DocumentDelta.largestAmount.magnitude,
                totals.up <= CounterTotals.limit, totals.down <= CounterTotals.limit
            else { throw .invalidField }
            delta = .count(amount: amount, totals: totals)
        }
        try reader.finish()
        self.init(name: name, user: user, displayName: displayName, delta: delta)
    }

    private static func cell(_ reader: inout ByteReader) throws(EntryCodecError) -> DocumentDelta {
        let code = try reader.byte()
        // What a newer build means by a kind this one can't know, nor read to the end.
        guard let kind = DocumentKind(rawValue: code) else { throw .unknownDelta(code) }
        guard kind.form.layout == .cell, let operation = DocumentOperation(rawValue: try reader.byte()) else {
            throw .invalidField
        }
        let key = try reader.text()
        var value: Text?
        switch try reader.byte() {
        case 0: break
        case 1: value = try reader.text()
        default: throw .invalidField
        }
        guard kind.form.accepts(DocumentWrite(operation, key: key, value: value)) else { throw .invalidField }
        return DocumentDelta(operation, of: kind, key: key, value: value, observed: try reader.dots())
    }
}
