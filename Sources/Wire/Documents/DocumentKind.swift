import ConvergeCRDT

// The kinds of documents, and what each of them is: one small value a kind, in a file of its own.
//
// Stores, snapshots, digests and merging know a document's cells and its rule, and nothing of kinds.

/// Documents of one name and different kinds are different documents. The number stands in logs, in peers' frames and in
/// stores.
public enum DocumentKind: UInt8, CaseIterable, Hashable, Sendable {
    case orSet = 1
    case register = 2
    case counter = 3
    case map = 4

    /// The table of kinds.
    public var form: any DocumentForm.Type {
        switch self {
        case .orSet: SetForm.self
        case .register: RegisterForm.self
        case .counter: CounterForm.self
        case .map: MapForm.self
        }
    }

    public var rule: MergeRule { form.rule }

    /// The kind that frames call so.
    init?(word: Text) {
        guard let kind = Self.allCases.first(where: { Text("\($0.form.word)") == word }) else { return nil }
        self = kind
    }

    /// Nodes of every build know the kinds up to this one; what they know beyond it they say when they meet.
    public static let knownToAll = DocumentKind.counter

    /// The last of the kinds that this build knows.
    public static var last: DocumentKind { allCases.last ?? knownToAll }
}

/// What a kind of document is.
public protocol DocumentForm: Sendable {
    /// How its cells merge.
    static var rule: MergeRule { get }

    /// What it is called in a list of documents.
    static var listName: StaticString { get }

    /// What `doc` and `doc_value` call it.
    static var word: StaticString { get }

    /// How its changes and rows stand in logs and snapshots.
    static var layout: DocumentLayout { get }

    /// Whether the kind has the operation, with what is in it.
    static func accepts(_ write: DocumentWrite) -> Bool

    /// What the write comes to in an entry, where these cells stand. O(1).
    static func delta(
        of write: DocumentWrite, on cells: DocumentCells, by replica: ReplicaID
    ) throws(DocumentRefusal) -> DocumentDelta

    /// The cells that the delta of the entry `dot` puts in.
    static func cells(of delta: DocumentDelta, dot: Dot, timestamp: HybridTimestamp) -> [DocumentCell]

    /// What is to be shown of an entry's delta, which has made `after` of `before` under its key.
    static func shown(
        _ delta: DocumentDelta, dot: Dot, before: CellGroup<CellValue>, after: CellGroup<CellValue>,
        in cells: DocumentCells
    ) -> DocumentShown

    /// What a document stands at.
    static func value(of cells: DocumentCells) -> DocumentValue

    /// The frame that shows an entry's delta to clients of the first generation: `doc`, unless the kind has another.
    static func appendChange(
        _ payload: DocumentPayload, _ shown: DocumentShown, room: Text, position: Position,
        by encoder: inout ServerFrameEncoder, to out: inout ByteBuffer)

    /// The frame that tells a client of the first generation what a document stands at: `doc_value`, unless the kind has
    /// another.
    static func appendValue(
        _ value: DocumentValue, of document: DocumentID, _ stamp: FrameStamp, ref: Text?,
        by encoder: inout ServerFrameEncoder, to out: inout ByteBuffer)
}

extension DocumentForm {
    public static func appendChange(
        _ payload: DocumentPayload, _ shown: DocumentShown, room: Text, position: Position,
        by encoder: inout ServerFrameEncoder, to out: inout ByteBuffer
    ) {
        encoder.documentChange(payload, shown, room: room, position: position, to: &out)
    }

    public static func appendValue(
        _ value: DocumentValue, of document: DocumentID, _ stamp: FrameStamp, ref: Text?,
        by encoder: inout ServerFrameEncoder, to out: inout ByteBuffer
    ) {
        encoder.documentValue(stamp, value, of: document, ref: ref, to: &out)
    }
}

/// How a kind's changes stand in entries, its rows in the snapshots that nodes send each other, and what of it stands where in
/// a `doc` frame. The first three are those of the kinds that there were before all kinds had one.
public enum DocumentLayout: Hashable, Sendable {
    /// The value is the key.
    case element
    /// There is one key, which goes without saying.
    case value
    /// The value is an amount.
    case totals
    /// The field is the key.
    case cell
}

/// What is to be shown of a document's change.
public enum DocumentShown: Hashable, Sendable {
    /// What the entry says.
    case asWritten
    /// What the entry says, and what a number stands at now.
    case counted(Int64)
    /// That this value stands now, which another entry wrote.
    case revealed(Text)
    /// Nothing: it changed nothing that is to be seen.
    case hidden
}

/// What a document stands at.
public enum DocumentValue: Hashable, Sendable {
    /// Sorted bytewise.
    case list([Text])
    /// nil where it was cleared, or never written.
    case text(Text?)
    /// nil where it was never written.
    case number(Int64?)
    /// Sorted by name.
    case fields([DocumentField])
}

/// A field of a document, and what it shows.
public struct DocumentField: Hashable, Sendable {
    public var name: Text
    public var value: Text

    public init(name: Text, value: Text) {
        self.name = name
        self.value = value
    }
}

/// How large the documents of a room may grow by local writes. Entries of the log are applied whatever the limits say:
/// two sides of a partition may fill a document together, and what is in the log is in the documents.
public struct DocumentLimits: Hashable, Sendable {
    public var documentsPerRoom: Int
    /// Of sets, and whatever else has a cell for each thing that is put in.
    public var elementsPerDocument: Int

    public init(documentsPerRoom: Int = 1_000, elementsPerDocument: Int = 100_000) {
        self.documentsPerRoom = documentsPerRoom
        self.elementsPerDocument = elementsPerDocument
    }
}

/// Why a local write was not taken.
public enum DocumentRefusal: Error, Hashable, Sendable {
    /// One element more than a document may have, or one document more than a room may.
    case documentFull
    /// An amount over `DocumentDelta.largestAmount`, or a total that would be over `CounterTotals.limit`.
    case counterOverflow
}
