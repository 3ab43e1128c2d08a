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
/// ```
extension DocumentPayload {
    public func append(to out: inout ByteBuffer) {
        out.append(payloadVersion)
        out.append(delta.operation.rawValue)
        out.appendCounted(name)
        out.appendCounted(user)
        out.appendCounted(displayName)
        switch delta.kind.form.layout {
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

    public var encoded: [UInt8] {
        var out = ByteBuffer(capacity: 256)
        append(to: &out)
        return out.array()
    }

    public init(decoding bytes: UnsafeRawBufferPointer) throws(EntryCodecError) {
        var reader = ByteReader(bytes)
        try reader.version()
        let code = try reader.byte()
        guard let operation = DocumentOperation(rawValue: code) else { throw .unknownDelta(code) }
        let name = try reader.text()
        let user = try reader.text()
        let displayName = try reader.text()
        let delta: DocumentDelta
        switch operation {
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
}
