import ConvergeWire

/// A question that a node answers, or a write to a document.
enum RoomRequest: Hashable, Sendable {
    case history(before: Position?, limit: Int?)
    case members(limit: Int?, after: String? = nil)
    case rooms(after: String? = nil)
    case documents
    case setAdd(String, doc: String)
    case setRemove(String, doc: String)
    case registerSet(String?, doc: String)
    case counterAdd(Int, doc: String)
    /// Nil takes the field away.
    case mapSet(String, SharedValue?, doc: String)

    /// - Parameter highest: what is written stands after it.
    func command(ref: String, after highest: Position?) -> ChatCommand {
        switch self {
        case .history(let before, let limit): return .history(limit: limit, before: before, ref: ref)
        case .members(let limit, let page): return .users(detail: true, limit: limit, after: page, ref: ref)
        case .rooms(let page): return .rooms(after: page, ref: ref)
        case .documents: return .documents(ref: ref)
        case .setAdd(let element, let doc): return write("crdt_orset_add", element, doc, ref, highest)
        case .setRemove(let element, let doc): return write("crdt_orset_remove", element, doc, ref, highest)
        case .registerSet(let value, let doc):
            var command = write("crdt_lww_set", value, doc, ref, highest)
            command.clears = value == nil
            return command
        case .counterAdd(let amount, let doc):
            var command = write("crdt_counter_add", nil, doc, ref, highest)
            command.amount = amount
            return command
        case .mapSet(let field, let value, let doc):
            var command = write("doc", nil, doc, ref, highest)
            command.kind = "map"
            command.operation = value == nil ? "remove" : "set"
            command.field = field
            command.value = value
            return command
        }
    }

    private func write(
        _ type: String, _ body: String?, _ doc: String, _ ref: String, _ highest: Position?
    ) -> ChatCommand {
        var command = ChatCommand(type: type, body: body, doc: doc, ref: ref)
        command.after = highest
        return command
    }
}

/// What came back.
enum RoomAnswer: Hashable, Sendable {
    case history(HistoryPage)
    case members(MemberList)
    case rooms([String], next: String?)
    case documents([DocumentName])
    case stored(Receipt)

    /// Nil where the event answers nothing.
    init?(_ event: ChatEvent) {
        switch event {
        case .history(let frame) where !frame.isResume: self = .history(HistoryPage(frame))
        case .users(let list, _): self = .members(list)
        case .rooms(let rooms, let next, _): self = .rooms(rooms, next: next)
        case .documents(let documents, _, _): self = .documents(documents)
        case .ack(let receipt, _): self = .stored(receipt)
        default: return nil
        }
    }
}
