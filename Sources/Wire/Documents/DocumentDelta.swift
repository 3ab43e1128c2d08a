import ConvergeCRDT

/// What can be done to a document. The number stands in logs.
public enum DocumentOperation: UInt8, CaseIterable, Hashable, Sendable {
    case add = 1
    case remove = 2
    case set = 3
    case clear = 4
    case increment = 5

    init?(word: Text) {
        guard let operation = Self.allCases.first(where: { Text("\($0.word)") == word }) else { return nil }
        self = operation
    }
}

/// What somebody wants done to a document.
public struct DocumentWrite: Hashable, Sendable {
    public var operation: DocumentOperation
    /// What is written to: an element, a field; empty where a kind has nothing to choose from.
    public var key: Text
    public var value: Text?
    public var amount: Int64

    public init(_ operation: DocumentOperation, key: Text = "", value: Text? = nil, amount: Int64 = 0) {
        self.operation = operation
        self.key = key
        self.value = value
        self.amount = amount
    }

    /// A write of `value`; of nil, a clear.
    public static func setting(_ value: Text?) -> DocumentWrite {
        DocumentWrite(value == nil ? .clear : .set, value: value)
    }
}

/// What a document entry changes. The dot and the time of what it writes are the entry's own.
public struct DocumentDelta: Hashable, Sendable {
    public var kind: DocumentKind
    public var operation: DocumentOperation
    public var key: Text
    public var value: Text?
    /// Of observed cells: the dots under `key` that the writer had seen, and that are gone.
    public var observed: [Dot]
    /// Of a counter: what the entry itself added, to be shown; and the totals of this entry's replica as of this entry. The
    /// counter is made of the totals alone, which say the same however often they are taken up.
    public var amount: Int64
    public var totals: CounterTotals

    public init(
        _ operation: DocumentOperation, of kind: DocumentKind, key: Text = "", value: Text? = nil,
        observed: [Dot] = [], amount: Int64 = 0, totals: CounterTotals = CounterTotals()
    ) {
        self.kind = kind
        self.operation = operation
        self.key = key
        self.value = value
        self.observed = observed
        self.amount = amount
        self.totals = totals
    }

    /// The most that one write may add to a counter or take from it: what every client's JSON holds exactly.
    public static let largestAmount: Int64 = 1 << 53

    /// What the delta of the entry `dot` does to the cells of `document`.
    public func change(of document: DocumentID, dot: Dot, timestamp: HybridTimestamp) -> DocumentChange {
        DocumentChange(
            document, removed: observed.map { CellPlace(key: key, slot: $0) },
            put: kind.form.cells(of: self, dot: dot, timestamp: timestamp), touched: [dot])
    }
}

/// What one replica has added to a counter, and taken from it, since the beginning: neither ever falls.
public struct CounterTotals: Hashable, Sendable {
    public var up: UInt64
    public var down: UInt64

    public init(up: UInt64 = 0, down: UInt64 = 0) {
        self.up = up
        self.down = down
    }

    /// The highest that either total may be.
    public static let limit: UInt64 = 1 << 62
}

/// The payload of a `document` entry: one delta, and who made it.
public struct DocumentPayload: Hashable, Sendable {
    public var name: Text
    public var user: Text
    public var displayName: Text
    public var delta: DocumentDelta

    public init(name: Text, user: Text, displayName: Text, delta: DocumentDelta) {
        self.name = name
        self.user = user
        self.displayName = displayName
        self.delta = delta
    }

    /// The document that it changes, in the room of its entry.
    public func document(in room: Text) -> DocumentID { DocumentID(room: room, kind: delta.kind, name: name) }
}
