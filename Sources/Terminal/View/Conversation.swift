/// What one room has shown: messages, comings and goings, the program's own notes, gaps; oldest first.
///
/// Invariants: a message is in it once, by its id; items have serial numbers without gaps, which stay theirs while others
/// are added at either end. Bounds: `limit` items and `byteLimit` bytes while the newest are looked at, `scrolledFactor`
/// times that while a person reads older ones; the oldest go first.
struct Conversation: Sendable {
    static let limit = 5_000
    static let byteLimit = 4 << 20
    static let scrolledFactor = 4

    struct Item: Sendable {
        enum Content: Hashable, Sendable {
            case message(ScreenMessage, mentions: Bool)
            case presence(PresenceRun)
            case note(String, isError: Bool)
            /// What the reader sent and the server did not take.
            case refused(String, reason: String)
            /// Something may be missing here.
            case gap
            /// What follows came while the connection was down.
            case caughtUp(since: Int64, count: Int)
        }

        var content: Content
        /// Since 1970.
        var milliseconds: Int64

        var byteCount: Int {
            switch content {
            case .message(let message, _): message.body.utf8.count + message.name.utf8.count + 200
            case .presence(let run): run.byteCount
            case .note(let text, _): text.utf8.count + 64
            case .refused(let body, let reason): body.utf8.count + reason.utf8.count + 64
            case .gap, .caughtUp: 64
            }
        }
    }

    private(set) var items: [Item] = []
    /// The serial number of the first item; those before it count downwards.
    private(set) var firstSerial = 0
    private var ids: Set<String> = []
    private(set) var byteCount = 0

    var endSerial: Int { firstSerial + items.count }
    var isEmpty: Bool { items.isEmpty }

    func item(_ serial: Int) -> Item? {
        let index = serial - firstSerial
        return items.indices.contains(index) ? items[index] : nil
    }

    func contains(id: String) -> Bool { ids.contains(id) }

    /// Where the oldest thing that has a place in history stands.
    var oldestPosition: String? {
        for item in items {
            switch item.content {
            case .message(let message, _): if let position = message.position { return position }
            case .presence(let run): if let position = run.first.first?.position { return position }
            case .note, .gap, .caughtUp, .refused: continue
            }
        }
        return nil
    }

    /// How large it may be.
    static func bounds(isScrolled: Bool) -> (items: Int, bytes: Int) {
        isScrolled ? (limit * scrolledFactor, byteLimit * scrolledFactor) : (limit, byteLimit)
    }

    /// Whether older ones can be added without dropping others.
    var takesOlder: Bool {
        let bounds = Self.bounds(isScrolled: true)
        return items.count < bounds.items - 1_000 && byteCount < bounds.bytes - (1 << 20)
    }

    // MARK: At the end

    /// False where it is there already.
    @discardableResult
    mutating func append(_ message: ScreenMessage, mentions: Bool) -> Bool {
        guard message.id.isEmpty || ids.insert(message.id).inserted else { return false }
        add(Item(content: .message(message, mentions: mentions), milliseconds: message.milliseconds))
        return true
    }

    @discardableResult
    mutating func append(presence event: ScreenMessage, joined: Bool?) -> Bool {
        guard event.id.isEmpty || ids.insert(event.id).inserted else { return false }
        // The same day only: a line between two days parts a run.
        if let last = items.last, case .presence(var run) = last.content,
            run.begin / 86_400_000 == event.milliseconds / 86_400_000
        {
            byteCount -= last.byteCount
            run.add(event, joined: joined)
            items[items.count - 1].content = .presence(run)
            byteCount += items[items.count - 1].byteCount
        } else {
            add(
                Item(content: .presence(PresenceRun(event, joined: joined)), milliseconds: event.milliseconds))
        }
        return true
    }

    mutating func append(_ content: Item.Content, at milliseconds: Int64) {
        add(Item(content: content, milliseconds: milliseconds))
    }

    /// One more was caught up with.
    mutating func countCaughtUp() {
        for index in items.indices.reversed().prefix(2_000) {
            guard case .caughtUp(let since, let count) = items[index].content else { continue }
            items[index].content = .caughtUp(since: since, count: count + 1)
            return
        }
    }

    private mutating func add(_ item: Item) {
        items.append(item)
        byteCount += item.byteCount
    }

    // MARK: At the beginning

    /// Puts a page of history before everything else; what is there already is left out.
    mutating func prepend(_ entries: [HistoryAnswer.Entry], mentions: (ScreenMessage) -> Bool) {
        var older = Conversation()
        for entry in entries {
            switch entry {
            case .message(let message):
                if !ids.contains(message.id) { older.append(message, mentions: mentions(message)) }
            case .presence(let event, let joined):
                if !ids.contains(event.id) { older.append(presence: event, joined: joined) }
            }
        }
        items.insert(contentsOf: older.items, at: 0)
        firstSerial -= older.items.count
        byteCount += older.byteCount
        ids.formUnion(older.ids)
    }

    // MARK: Bounds

    /// Drops the oldest beyond the bounds; some at a time, so that it costs little for each.
    /// - Returns: whether something was dropped.
    mutating func trim(isScrolled: Bool) -> Bool {
        let bounds = Self.bounds(isScrolled: isScrolled)
        guard items.count > bounds.items + 500 || byteCount > bounds.bytes + bounds.bytes / 8 else { return false }
        var count = 0
        while items.count - count > bounds.items || byteCount > bounds.bytes, count < items.count - 1 {
            let item = items[count]
            byteCount -= item.byteCount
            if case .message(let message, _) = item.content { ids.remove(message.id) }
            if case .presence(let run) = item.content { for event in run.first { ids.remove(event.id) } }
            count += 1
        }
        items.removeFirst(count)
        firstSerial += count
        // Ids of folded comings and goings are not kept with them: begin anew when they are the most.
        if ids.count > 2 * items.count + 1_000 { ids = Self.ids(of: items) }
        return true
    }

    private static func ids(of items: [Item]) -> Set<String> {
        var ids: Set<String> = []
        for item in items {
            switch item.content {
            case .message(let message, _): ids.insert(message.id)
            case .presence(let run): ids.formUnion(run.first.map(\.id))
            case .note, .gap, .caughtUp, .refused: break
            }
        }
        return ids
    }
}
