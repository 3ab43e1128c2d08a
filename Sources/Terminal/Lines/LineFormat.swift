import ConvergeClient

/// Chat events as lines of text, with or without colours. Whatever others wrote is escaped.
public struct LineFormat: Sendable {
    public var hasColours: Bool
    /// Each line is a JSON object (`LineJSON`).
    public var isJSON = false
    /// How a frame's timestamp is shown: `12:03`.
    public var time: @Sendable (_ timestamp: String) -> String
    /// Whose messages are marked as one's own.
    public var ownID: String?

    public init(hasColours: Bool, time: @escaping @Sendable (String) -> String) {
        self.hasColours = hasColours
        self.time = time
    }

    /// `12:03 ana: hello`; one's own have a mark: `12:03 > ana: hello`.
    public func message(_ line: ChatLine) -> String {
        let isOwn = ownID.map { $0.utf8.elementsEqual(line.userID.utf8) } ?? false
        let name = TerminalText.escaped(line.displayName)
        let mark = isOwn ? "> " : ""
        let style = "\(isOwn ? "1;" : "")\(Self.colour(of: line.userID))"
        return
            "\(painted(time(line.timestamp), "2")) \(mark)\(painted(name, style)): \(TerminalText.escaped(line.body))"
    }

    /// `12:03 * ana joined`.
    public func system(_ line: ChatLine) -> String {
        painted("\(time(line.timestamp)) * \(TerminalText.escaped(line.body))", "2")
    }

    /// The lines of one event; none for what is not shown.
    /// - Parameter isMissed: it was said while the connection was away: JSON says so.
    public func lines(_ event: ChatEvent, isMissed: Bool = false) -> [String] {
        if isJSON { return LineJSON.lines(event, isMissed: isMissed) }
        switch event {
        case .welcome(let welcome):
            let name = welcome.displayName.isEmpty ? "connected" : welcome.displayName
            return [notice("you are \(name) in \(welcome.room); /help shows the commands")]
        case .message(let line): return [message(line)]
        case .system(let line): return [system(line)]
        case .rooms(let rooms, _, _): return [list("rooms", rooms)]
        case .users(let list, _):
            return [self.list(list.room.isEmpty ? "users" : "users in \(list.room)", list.userIDs)]
        case .history(let page):
            let title = page.entries.isEmpty ? "no history" : "history"
            return [notice(page.room.isEmpty ? title : "\(title) of \(page.room)")] + page.entries.flatMap { lines($0) }
        case .joined(let room, _, _): return [notice("you are in \(room)")]
        case .document(let event): return [document(event)]
        case .documents(let documents, _, _): return [list("documents", documents.map(\.words))]
        case .ack, .error, .resumed, .subscribed, .unsubscribed, .cursors, .unknown: return []
        }
    }

    /// The end of what was missed. People are told only what they would not see otherwise.
    func resumed(_ room: String, recovered: Bool, missed: Int, documents: [String]) -> [String] {
        if isJSON { return [LineJSON.resumed(room, recovered: recovered, missed: missed, documents: documents)] }
        var lines: [String] = []
        if !documents.isEmpty { lines.append(list("documents changed meanwhile", documents)) }
        if !recovered { lines.append(notice("something may be missing before this line")) }
        return lines
    }

    func status(_ status: LineStatus) -> String { isJSON ? LineJSON.status(status) : notice(status.words) }

    /// Something that the program says itself: dim, after dashes. Foreign parts of it are escaped.
    public func notice(_ text: String) -> String {
        isJSON ? LineJSON.notice(text) : painted("-- \(TerminalText.escaped(text))", "2")
    }

    /// For the error output: `error: message too large`.
    public static func error(_ text: String, hasColours: Bool) -> String {
        let line = "error: \(TerminalText.escaped(text))"
        return hasColours ? "\u{1B}[31m\(line)\u{1B}[0m" : line
    }

    /// The same for the error output.
    static func note(_ text: String, hasColours: Bool) -> String {
        let line = "-- \(TerminalText.escaped(text))"
        return hasColours ? "\u{1B}[2m\(line)\u{1B}[0m" : line
    }

    private func list(_ title: String, _ items: [String]) -> String {
        notice("\(title) (\(items.count)): \(items.joined(separator: ", "))")
    }

    private func document(_ event: DocumentEvent) -> String {
        switch event.type {
        case "crdt_orset_values": return notice(DocumentReading.set(event.items).words(event.document))
        case "crdt_lww_value": return notice(DocumentReading.register(event.body).words(event.document))
        case "crdt_counter_value": return notice(DocumentReading.counter(event.value ?? 0).words(event.document))
        case "crdt_counter_changed":
            return notice("\(event.type) \(event.document): \(event.value ?? event.amount ?? 0)")
        case "doc_value": return notice(DocumentReading.map(event.fields).words(event.document))
        case "doc":
            let change = MapWords.change(event.field ?? "", event.fieldValue)
            return notice("\(event.document): \(change)")
        default: break
        }
        let value = event.items.isEmpty ? event.body ?? "" : event.items.joined(separator: ", ")
        return notice("\(event.type) \(event.document): \(value)")
    }

    private func painted(_ text: String, _ style: String) -> String {
        hasColours ? "\u{1B}[\(style)m\(text)\u{1B}[0m" : text
    }

    /// The same user has the same colour always and everywhere: FNV-1a over the id. Red is for errors, black and white
    /// are somebody's background.
    static func colour(of user: String) -> Int {
        let palette = [32, 33, 34, 35, 36, 92, 93, 94, 95, 96]
        var hash: UInt32 = 0x811C_9DC5
        for byte in user.utf8 { hash = (hash ^ UInt32(byte)) &* 0x0100_0193 }
        return palette[Int(hash % UInt32(palette.count))]
    }
}
