/// An `error` frame: what a server did not understand, or refuses (docs/protocol.md, "Errors").
///
/// Programs go by `code`, people by `reason`. Nodes of builds before codes send words alone; the code is then what these
/// words are with underscores, as it is for every word that they knew.
public struct ServerError: Error, Hashable, Sendable {
    /// `busy`, `message_too_large` …; of a newer server perhaps one that this client doesn't know.
    public var code: String
    /// In the server's words.
    public var reason: String
    /// The room that it is about; empty where the frame names none.
    public var room: String
    /// What the command that it answers was marked with.
    public var ref: String?

    public init(_ reason: String, code: String? = nil, room: String = "", ref: String? = nil) {
        self.reason = reason
        self.code = code ?? String(reason.prefix { $0 != ":" }).replacing(" ", with: "_")
        self.room = room
        self.ref = ref
    }

    /// The same with servers of both generations, of which the second says sentences: the code's own words.
    public var words: String {
        Self.firstCodes.contains(code) ? code.replacing("_", with: " ") : reason.isEmpty ? code : reason
    }

    /// Those that have been words before they were codes, and that stand alone.
    private static let firstCodes: Set<String> = [
        "invalid_message", "message_required", "message_too_large", "invalid_room", "invalid_document", "document_full",
        "counter_overflow", "busy", "clock_out_of_bounds", "storage_unavailable", "history_unavailable",
    ]

    /// It says nothing against the write itself: the same one may be taken later, or by another node.
    var saysNothingAgainstWrite: Bool { ["busy", "storage_unavailable", "clock_out_of_bounds"].contains(code) }
}
