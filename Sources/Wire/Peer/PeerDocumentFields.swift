import ConvergeCRDT

// A document in a snapshot. Its cells stand in the rows that nodes have always sent each other, so that every build of this
// protocol's version understands every other.
//
// document  room · kind(1) · name · touched · row*
// row       lead (bit 0: a text, bit 1: totals, bit 2: a key) · [key] · [text] · [up · down] · replica · seq · timestamp
//
// A set's row is an element under a dot: the text is the cell's key. A register's has the value, or no text where it was
// cleared. A counter's has both totals of one replica, under the later of their dots, which is the dot of both. Rows of all
// other kinds have their key, and the text where the cell has one; they go to nodes alone that say they know the kind.

extension SnapshotDocument: PeerField {
    static var fewestBytes: Int { DocumentID.fewestBytes + 2 }

    init(reading reader: inout PeerReader) throws(PeerFrameError) {
        let id = try DocumentID(reading: &reader)
        let touched = try reader.vector()
        let rows = try reader.list(of: Row.self)
        guard Row.fit(rows, id.kind) else { throw .invalidField }
        self.init(id: id, touched: touched, cells: rows.flatMap { $0.cells(of: id.kind) })
    }

    func write(to writer: inout PeerWriter) {
        id.write(to: &writer)
        writer.append(touched)
        writer.append(Row.rows(of: cells, id.kind))
    }
}

private struct Row: PeerField {
    static var fewestBytes: Int { 4 }

    var key: Text?
    var text: Text?
    var totals: CounterTotals?
    var dot: Dot
    var timestamp: HybridTimestamp

    init(key: Text? = nil, text: Text? = nil, totals: CounterTotals? = nil, dot: Dot, timestamp: HybridTimestamp) {
        self.key = key
        self.text = text
        self.totals = totals
        self.dot = dot
        self.timestamp = timestamp
    }

    init(reading reader: inout PeerReader) throws(PeerFrameError) {
        let lead = try reader.byte()
        guard lead < 8 else { throw .invalidField }
        if lead & 4 != 0 { key = try reader.text() }
        if lead & 1 != 0 { text = try reader.text() }
        if lead & 2 != 0 { totals = CounterTotals(up: try reader.number(), down: try reader.number()) }
        dot = try Dot(reading: &reader)
        timestamp = try reader.timestamp()
    }

    func write(to writer: inout PeerWriter) {
        writer.append(byte: (text == nil ? 0 : 1) | (totals == nil ? 0 : 2) | (key == nil ? 0 : 4))
        if let key { writer.append(key) }
        if let text { writer.append(text) }
        if let totals {
            writer.append(totals.up)
            writer.append(totals.down)
        }
        dot.write(to: &writer)
        writer.append(timestamp)
    }

    // MARK: Cells

    /// Whether the rows are such as `rows(of:)` makes: what one says that its kind has no place for would be lost.
    static func fit(_ rows: [Row], _ kind: DocumentKind) -> Bool {
        switch kind.form.layout {
        case .element: rows.allSatisfy { $0.text != nil && $0.totals == nil && $0.key == nil }
        case .value: rows.allSatisfy { $0.totals == nil && $0.key == nil }
        case .totals:
            rows.allSatisfy { $0.totals != nil && $0.text == nil && $0.key == nil }
                && zip(rows, rows.dropFirst()).allSatisfy { $0.dot.replica < $1.dot.replica }
        case .cell: rows.allSatisfy { $0.key != nil && $0.totals == nil }
        }
    }

    func cells(of kind: DocumentKind) -> [DocumentCell] {
        func cell(_ key: Text, _ value: CellValue) -> [DocumentCell] {
            [DocumentCell(key: key, value: value, dot: dot, timestamp: timestamp)]
        }
        switch kind.form.layout {
        case .element: return text.map { cell($0, .none) } ?? []
        case .value: return cell("", text.map { .text($0) } ?? .none)
        case .totals: return totals.map { CounterForm.cells(of: $0, dot: dot, timestamp: timestamp) } ?? []
        case .cell: return key.map { cell($0, text.map { .text($0) } ?? .none) } ?? []
        }
    }

    static func rows(of cells: [DocumentCell], _ kind: DocumentKind) -> [Row] {
        switch kind.form.layout {
        case .element: cells.map { Row(text: $0.key, dot: $0.dot, timestamp: $0.timestamp) }
        case .value: cells.map { Row(text: $0.value.text, dot: $0.dot, timestamp: $0.timestamp) }
        case .totals: counterRows(of: cells)
        case .cell:
            cells.map { Row(key: $0.key, text: $0.value.text, dot: $0.dot, timestamp: $0.timestamp) }
        }
    }

    private static func counterRows(of cells: [DocumentCell]) -> [Row] {
        var counter = DocumentCells(rule: CounterForm.rule)
        for cell in cells { counter.put(cell) }
        let replicas = Set(cells.compactMap { CounterForm.replica(of: $0.key) }).sorted()
        return replicas.compactMap { replica in
            let writes = CounterForm.writes(of: replica, in: counter)
            guard let last = writes.max(by: { $1.isLater(than: $0) }) else { return nil }
            return Row(
                totals: CounterForm.totals(of: replica, in: counter), dot: last.dot, timestamp: last.timestamp)
        }
    }
}
