import ConvergeCRDT

/// What a cell of a document holds.
public enum CellValue: Hashable, Comparable, Sendable {
    /// Nothing but its key: an element of a set, a register that was cleared.
    case none
    case text(Text)
    case number(UInt64)

    public var text: Text? { if case .text(let text) = self { text } else { nil } }

    /// 0 where it is none.
    public var number: UInt64 { if case .number(let number) = self { number } else { 0 } }

    public var byteCount: Int {
        switch self {
        case .none: 0
        case .text(let text): text.byteCount
        case .number: 8
        }
    }
}

public typealias DocumentCell = Cell<Text, CellValue>
public typealias DocumentCells = Cells<Text, CellValue>

/// A cell and the document that it is of: what a store hands out when it is opened.
public struct StoredCell: Hashable, Sendable {
    public var document: DocumentID
    public var cell: DocumentCell

    public init(_ cell: DocumentCell, of document: DocumentID) {
        self.document = document
        self.cell = cell
    }
}

/// Names one document on a node.
public struct DocumentID: Hashable, Sendable {
    public var room: Text
    public var kind: DocumentKind
    public var name: Text

    public init(room: Text, kind: DocumentKind, name: Text) {
        self.room = room
        self.kind = kind
        self.name = name
    }
}

/// What an entry, or a snapshot, does to one document: all that a store need know of either.
public struct DocumentChange: Hashable, Sendable {
    public var document: DocumentID
    /// Places that are emptied, before anything is put in.
    public var removed: [CellPlace<Text>]
    /// Each meets what is in its place by the rule of the document's kind.
    public var put: [DocumentCell]
    /// The entries that affected the document. Of each replica the highest is kept, also when the document is empty.
    public var touched: [Dot]

    public init(
        _ document: DocumentID, removed: [CellPlace<Text>] = [], put: [DocumentCell] = [], touched: [Dot] = []
    ) {
        self.document = document
        self.removed = removed
        self.put = put
        self.touched = touched
    }
}
