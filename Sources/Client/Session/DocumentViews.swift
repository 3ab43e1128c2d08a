/// Which document of a room.
struct DocumentKey: Hashable, Sendable {
    var name: String
    var sort: DocumentSort
}

/// What a document holds.
enum DocumentContent: Hashable, Sendable {
    /// Sorted by the bytes of the elements.
    case set([String])
    case register(String?)
    case counter(Int)
    /// Sorted by the bytes of the names.
    case map([MapField])
}

/// The documents of a room that somebody here looks at, as the room shows them.
///
/// A core. Invariant: once all has come that the node has sent, a view holds what the document holds there. That needs no
/// merging: a node shows of each change its effect (docs/protocol.md, "Documents"), and answers about documents stand in
/// one order with these. So a view is asked for once, then follows, and is asked for again when something was missed: after
/// a resume, and where a counter's change comes without its value. An answer may come in pages, all of one moment: where the
/// document changed between two of them the server says `conflict`, and it is read from the beginning. (To a client that reads too slowly an answer may come
/// before changes that it has in it already; these are shown again then, and end where the answer was.)
struct DocumentViews: Sendable {
    private struct View {
        var content: DocumentContent?
        /// The ref under which it was asked for; nil where nothing is on its way.
        var asked: String?
        /// What comes back is out of date already, or was refused for now.
        var isStale = false
        /// The pages that have come of the answer.
        var pages: DocumentContent?
        /// The server knows no such documents: asked for again over the next connection.
        var isUnknownThere = false
    }

    private var views: [DocumentKey: View] = [:]
    /// In the order in which they came, which is that of asking.
    private var order: [DocumentKey] = []
    /// Tells the refs from those of other rooms.
    private let number: Int
    private var counter = 0
    /// Nothing that was refused is asked for again before.
    private(set) var retryAt: UInt64 = .max

    static let limit = 1_000
    private static let patience: UInt64 = 1_000_000_000

    init(number: Int = 0) { self.number = number }

    /// False where there are as many as may be.
    mutating func follow(_ key: DocumentKey) -> Bool {
        if views[key] != nil { return true }
        guard order.count < Self.limit else { return false }
        views[key] = View()
        order.append(key)
        return true
    }

    mutating func unfollow(_ key: DocumentKey) {
        guard views.removeValue(forKey: key) != nil else { return }
        order.removeAll { $0 == key }
    }

    /// Nothing that was asked for will be answered.
    mutating func connectionLost() {
        for key in order {
            views[key]?.asked = nil
            views[key]?.pages = nil
            views[key]?.isUnknownThere = false
        }
        retryAt = .max
    }

    /// What to ask for: all that is followed and not known, or known to have changed.
    /// - Parameter names: the documents that changed; nil for all.
    mutating func refresh(_ names: [String]?) -> [ChatCommand] {
        let changed = names.map { Set($0) }
        return order.compactMap { key in
            guard let view = views[key] else { return nil }
            let isNeeded = view.content == nil || view.isStale || (changed?.contains(key.name) ?? true)
            return isNeeded ? ask(key) : nil
        }
    }

    mutating func tick(at now: UInt64) -> [ChatCommand] {
        guard now >= retryAt else { return [] }
        retryAt = .max
        return refresh([])
    }

    private mutating func ask(_ key: DocumentKey) -> ChatCommand? {
        guard let view = views[key], !view.isUnknownThere else { return nil }
        guard view.asked == nil else {
            views[key]?.isStale = true
            return nil
        }
        views[key]?.isStale = false
        return question(key, after: nil)
    }

    /// The question that every server knows, as far as there is one.
    private mutating func question(_ key: DocumentKey, after page: String?) -> ChatCommand {
        counter += 1
        let ref = "d\(number).\(counter)"
        views[key]?.asked = ref
        if page == nil { views[key]?.pages = nil }
        let type =
            switch key.sort {
            case .set: "crdt_orset_values"
            case .register: "crdt_lww_get"
            case .counter: "crdt_counter_get"
            case .map: "doc_get"
            }
        var command = ChatCommand(type: type, doc: key.name, ref: ref)
        if key.sort == .map { command.kind = "map" }
        command.page = page
        return command
    }

    /// It answers one of the questions here, and nobody else's, though perhaps one that nobody waits for any more.
    func isOwn(_ ref: String?) -> Bool { ref?.hasPrefix("d\(number).") ?? false }

    /// Takes an `error`; true where it answers one of the questions here.
    mutating func refused(_ error: ServerError, at now: UInt64) -> Bool {
        guard isOwn(error.ref) else { return false }
        guard let key = order.first(where: { views[$0]?.asked == error.ref }) else { return true }
        views[key]?.asked = nil
        views[key]?.pages = nil
        if error.code == "unknown_type" {
            views[key]?.isUnknownThere = true
        } else {
            views[key]?.isStale = true
            retryAt = min(retryAt, now + Self.patience)
        }
        return true
    }

    /// Takes an event of the room: the view that changed, if any did, and what to ask for because of it.
    mutating func handle(_ event: DocumentEvent) -> (changed: (DocumentKey, DocumentContent)?, ask: ChatCommand?) {
        guard let key = Self.key(of: event), let view = views[key] else { return (nil, nil) }
        let isAnswer = event.ref != nil && event.ref == view.asked
        if isAnswer { views[key]?.asked = nil }
        let content: DocumentContent
        switch (event.type, view.content) {
        case ("crdt_orset_values", _): content = .set(Self.sorted(event.items))
        case ("crdt_lww_value", _): content = .register(event.body)
        case ("crdt_counter_value", _): content = .counter(event.value ?? 0)
        case ("doc_value", _):
            let pages = Self.joined(isAnswer ? view.pages : nil, event.fields)
            if isAnswer, let next = event.next {
                views[key]?.pages = pages
                return (nil, question(key, after: next))
            }
            content = pages
        // Until the answer has come, which has these in it.
        case (_, nil): return (nil, nil)
        case ("crdt_orset_added", .set(let items)): content = .set(Self.adding(event.body ?? "", to: items))
        case ("crdt_orset_removed", .set(let items)): content = .set(Self.removing(event.body ?? "", from: items))
        case ("crdt_lww_set", _): content = .register(event.body)
        case ("crdt_counter_changed", _):
            guard let value = event.value else { return (nil, ask(key)) }
            content = .counter(value)
        case ("doc", .map(let fields)): content = .map(Self.changing(fields, event.field ?? "", event.fieldValue))
        default: return (nil, nil)
        }
        let isStale = views[key]?.isStale ?? false
        let again = isStale && views[key]?.asked == nil && event.ref != nil ? ask(key) : nil
        guard content != view.content else { return (nil, again) }
        views[key]?.content = content
        return ((key, content), again)
    }

    private static func key(of event: DocumentEvent) -> DocumentKey? {
        let sort: DocumentSort
        switch event.type {
        case _ where event.type.hasPrefix("crdt_orset_"): sort = .set
        case _ where event.type.hasPrefix("crdt_lww_"): sort = .register
        case _ where event.type.hasPrefix("crdt_counter_"): sort = .counter
        case "doc", "doc_value": sort = .map
        default: return nil
        }
        return DocumentKey(name: event.document, sort: sort)
    }

    // MARK: Lists in the order of their bytes

    private static func adding(_ element: String, to items: [String]) -> [String] {
        let (at, isThere) = place(of: element, in: items) { $0 }
        if isThere { return items }
        var items = items
        items.insert(element, at: at)
        return items
    }

    private static func removing(_ element: String, from items: [String]) -> [String] {
        let (at, isThere) = place(of: element, in: items) { $0 }
        guard isThere else { return items }
        var items = items
        items.remove(at: at)
        return items
    }

    /// - Parameter value: nil: the field is gone.
    private static func changing(_ fields: [MapField], _ name: String, _ value: SharedValue?) -> [MapField] {
        let (at, isThere) = place(of: name, in: fields, \.name)
        var fields = fields
        switch (value, isThere) {
        case (let value?, true): fields[at].value = value
        case (let value?, false): fields.insert(MapField(name, value), at: at)
        case (nil, true): fields.remove(at: at)
        case (nil, false): break
        }
        return fields
    }

    private static func joined(_ before: DocumentContent?, _ page: [MapField]) -> DocumentContent {
        guard case .map(let fields) = before else { return .map(page) }
        return .map(fields + page)
    }

    /// A node sorts elements by what it keeps of them: those that are no strings, shown as their JSON, come first there.
    private static func sorted(_ items: [String]) -> [String] {
        func isBefore(_ a: String, _ b: String) -> Bool { a.utf8.lexicographicallyPrecedes(b.utf8) }
        return zip(items, items.dropFirst()).contains { isBefore($1, $0) } ? items.sorted(by: isBefore) : items
    }

    /// Where an element stands, or would: O(log n).
    private static func place<E>(of name: String, in items: [E], _ nameOf: (E) -> String) -> (Int, isThere: Bool) {
        var (low, high) = (0, items.count)
        while low < high {
            let middle = (low + high) / 2
            if nameOf(items[middle]).utf8.lexicographicallyPrecedes(name.utf8) {
                low = middle + 1
            } else {
                high = middle
            }
        }
        return (low, low < items.count && nameOf(items[low]).utf8.elementsEqual(name.utf8))
    }
}
