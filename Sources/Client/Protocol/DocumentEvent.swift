import ConvergeCRDT
import ConvergeWire

/// The kinds of shared documents. A set, a register, a counter and a map of one name are four documents.
public enum DocumentSort: String, Hashable, Sendable, CaseIterable {
    case set = "orset"
    case register = "lww"
    case counter
    case map

    /// As the list of a room's documents calls it, and as the frames do that are the same for all kinds.
    init?(wire word: String) {
        switch word {
        case "set": self = .set
        case "register": self = .register
        default: self.init(rawValue: word)
        }
    }
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
///
/// It is the same whichever frame told it: what comes as `doc` or `doc_value` of a set, a register or a counter has the type
/// that the kind's own frames have.
public struct DocumentEvent: Hashable, Sendable {
    /// `crdt_orset_added`, `crdt_lww_value` …; of maps, which have no frames of their own, `doc` and `doc_value`.
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
    /// Of a map's change: which field.
    public var field: String?
    /// Of a map's change: what stands there now; nil where the field is gone.
    public var fieldValue: SharedValue?
    /// A map's fields, sorted by the bytes of their names.
    public var fields: [MapField] = []
    /// Where the next page of what was asked for goes on; nil where this is the last.
    var next: String?
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
