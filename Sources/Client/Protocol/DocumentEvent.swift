import ConvergeCRDT
import ConvergeWire

/// The kinds of shared documents. A set, a register and a counter of one name are three documents.
public enum DocumentSort: String, Hashable, Sendable, CaseIterable {
    case set = "orset"
    case register = "lww"
    case counter
}

/// A document of a room, as `documents()` lists it.
public struct DocumentName: Hashable, Sendable {
    public var name: String
    /// Nil where it is of a kind that this client doesn't know.
    public var sort: DocumentSort?

    public init(name: String, sort: DocumentSort?) {
        self.name = name
        self.sort = sort
    }
}

/// A document was changed, or asked for.
public struct DocumentEvent: Hashable, Sendable {
    /// As on the wire: `crdt_orset_added`, `crdt_lww_value` …
    public var type: String
    public var room: String
    public var document: String
    public var userID: String
    public var displayName: String
    /// The element or the register's value; nil for a register that is clear.
    public var body: String?
    /// A set's elements, sorted by their bytes.
    public var items: [String]
    /// What was added to a counter.
    public var amount: Int?
    /// What a counter stands at.
    public var value: Int?
    public var id: String
    public var timestamp: String
    public var position: Position?
    /// Of a change that is stored.
    public var dot: Dot?
    public var ref: String?

    public init(
        type: String, room: String, document: String, userID: String = "", displayName: String = "",
        body: String? = nil, items: [String] = [], amount: Int? = nil, value: Int? = nil, id: String = "",
        timestamp: String = "", position: Position? = nil, dot: Dot? = nil, ref: String? = nil
    ) {
        self.type = type
        self.room = room
        self.document = document
        self.userID = userID
        self.displayName = displayName
        self.body = body
        self.items = items
        self.amount = amount
        self.value = value
        self.id = id
        self.timestamp = timestamp
        self.position = position
        self.dot = dot
        self.ref = ref
    }
}
