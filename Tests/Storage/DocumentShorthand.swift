import ConvergeCRDT
import ConvergeStorage
import ConvergeWire

/// What entries of each kind do to a document, in short.
extension StoreEffect {
    static func insert(
        _ document: DocumentID, element: Text, dot: Dot, timestamp: HybridTimestamp, replacing: [Dot]
    ) -> StoreEffect {
        .cells(
            DocumentDelta.add(element: element, replacing: replacing)
                .change(of: document, dot: dot, timestamp: timestamp))
    }

    /// Without the entry that it follows from.
    static func delete(_ document: DocumentID, element: Text, dots: [Dot]) -> StoreEffect {
        .cells(DocumentChange(document, removed: dots.map { CellPlace(key: element, slot: $0) }))
    }

    static func write(_ document: DocumentID, value: Text?, dot: Dot, timestamp: HybridTimestamp) -> StoreEffect {
        .cells(DocumentDelta.set(value: value).change(of: document, dot: dot, timestamp: timestamp))
    }

    static func count(
        _ document: DocumentID, _ totals: CounterTotals, dot: Dot, timestamp: HybridTimestamp
    ) -> StoreEffect {
        .cells(DocumentDelta.count(amount: 0, totals: totals).change(of: document, dot: dot, timestamp: timestamp))
    }

    static func touch(_ document: DocumentID, _ dot: Dot) -> StoreEffect {
        .cells(DocumentChange(document, touched: [dot]))
    }
}

/// A document's cells as tests speak of them: an element under a dot, a register's value, one replica's part of a counter.
struct DocumentRow: Hashable {
    var document: DocumentID
    var value: Text?
    var totals: CounterTotals?
    var dot: Dot
    var timestamp: HybridTimestamp

    init(
        document: DocumentID, value: Text?, totals: CounterTotals? = nil, dot: Dot, timestamp: HybridTimestamp
    ) {
        self.document = document
        self.value = value
        self.totals = totals
        self.dot = dot
        self.timestamp = timestamp
    }

    /// In the order of the cells.
    static func rows(of cells: [StoredCell]) -> [DocumentRow] {
        var rows: [DocumentRow] = []
        for stored in cells {
            let cell = stored.cell
            var row = DocumentRow(document: stored.document, value: nil, dot: cell.dot, timestamp: cell.timestamp)
            switch stored.document.kind.rule {
            case .observed: row.value = cell.key
            case .latest: row.value = cell.value.text
            case .greatest:
                let isTaken = cell.key.string.hasSuffix("-")
                let last = rows.lastIndex { $0.document == row.document && $0.dot.replica == row.dot.replica }
                row.totals = last.flatMap { rows[$0].totals } ?? CounterTotals()
                if isTaken { row.totals?.down = cell.value.number } else { row.totals?.up = cell.value.number }
                if let last {
                    rows[last].totals = row.totals
                    if rows[last].dot < row.dot { (rows[last].dot, rows[last].timestamp) = (row.dot, row.timestamp) }
                    continue
                }
            }
            rows.append(row)
        }
        return rows
    }
}

extension Recovered {
    var rows: [DocumentRow] { DocumentRow.rows(of: documents) }
}

extension SnapshotDocument {
    var rows: [DocumentRow] { DocumentRow.rows(of: cells.map { StoredCell($0, of: id) }) }
}
