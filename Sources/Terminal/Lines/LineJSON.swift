import ConvergeClient
import ConvergeWire

/// Chat events as JSON, one object in each line: what `converge chat --json` prints for scripts.
///
/// The members have the names that they have on the wire (docs/protocol.md). What a terminal would obey is escaped, since
/// somebody looks at it sooner or later. Entries of a `history` reply come as lines of
/// their own with `"history":true`.
struct LineJSON: ~Copyable {
    private var text = ByteBuffer()
    private var isFirst = true

    /// The lines of one event; none for what is not shown.
    /// - Parameter isMissed: it was said while the connection was away.
    static func lines(_ event: ChatEvent, isMissed: Bool = false) -> [String] {
        switch event {
        case .welcome(let welcome):
            return [
                object("welcome") {
                    $0.add("room", welcome.room)
                    $0.add("user_id", welcome.userID)
                    $0.add("display_name", welcome.displayName)
                }
            ]
        case .message(let line): return [self.line("message", line, isMissed ? "missed" : nil)]
        case .system(let line): return [self.line("system", line, isMissed ? "missed" : nil)]
        case .history(let page): return page.entries.flatMap { entry(in: $0) }
        case .rooms(let rooms, _, _): return [object("rooms") { $0.add("rooms", rooms) }]
        case .users(let list, _):
            return [
                object("users") {
                    $0.add("room", list.room)
                    $0.add("users", list.userIDs)
                    $0.add("count", list.count)
                }
            ]
        case .joined(let room, _, _): return [object("joined") { $0.add("room", room) }]
        case .document(let event): return [document(event)]
        case .documents(let documents, let room, _):
            return [
                object("docs") {
                    $0.add("room", room)
                    $0.add("docs", documents)
                }
            ]
        case .ack, .error, .resumed, .subscribed, .unsubscribed, .cursors, .unknown: return []
        }
    }

    /// Something that the program says itself.
    static func notice(_ words: String) -> String { object("notice") { $0.add("body", words) } }

    /// Something was not understood, was refused or has failed.
    /// - Parameter line: which line of the input it is about.
    static func error(_ words: String, line: Int?) -> String {
        object("error") {
            if let line { $0.add("line", line) }
            $0.add("body", words)
        }
    }

    /// The connection was lost, or is live again.
    static func connection(_ state: String, _ room: String, _ server: String, reason: String = "") -> String {
        object("connection") {
            $0.add("state", state)
            $0.add("room", room)
            $0.add("server", server)
            $0.add("reason", reason)
        }
    }

    /// All that was missed has come, or perhaps not all.
    static func resumed(_ room: String, recovered: Bool, missed: Int, documents: [String]) -> String {
        object("resumed") {
            $0.add("room", room)
            $0.add("recovered", recovered)
            $0.add("missed", missed)
            $0.add("docs", documents)
        }
    }

    static func status(_ status: LineStatus) -> String {
        object("status") {
            $0.add("state", status.isLive ? "live" : "lost")
            $0.add("room", status.room)
            $0.add("user_id", status.userID)
            $0.add("server", status.server)
            $0.add("node", status.node ?? "")
            $0.add("node_name", status.nodeName ?? "")
            if !status.isLive { $0.add("reason", status.reason) }
            if let latency = status.latency { $0.add("latency_ms", Int(clamping: latency.milliseconds)) }
            $0.add("unsent", status.unsent)
        }
    }

    private static func entry(in event: ChatEvent) -> [String] {
        switch event {
        case .message(let line): [self.line("message", line, "history")]
        case .system(let line): [self.line("system", line, "history")]
        default: []
        }
    }

    /// - Parameter mark: says that it did not come live.
    private static func line(_ type: String, _ line: ChatLine, _ mark: String?) -> String {
        object(type) {
            $0.add(line)
            if let mark { $0.add(mark, true) }
        }
    }

    private static func document(_ event: DocumentEvent) -> String {
        object(event.type) {
            $0.add("room", event.room)
            $0.add("doc", event.document)
            $0.add("user_id", event.userID)
            $0.add("display_name", event.displayName)
            if let body = event.body { $0.add("body", body) }
            if event.type == "crdt_orset_values" { $0.add("items", event.items) }
            if let amount = event.amount { $0.add("amount", amount) }
            if let value = event.value { $0.add("value", value) }
            switch event.type {
            case "doc":
                $0.add("kind", "map")
                $0.add("op", event.fieldValue == nil ? "remove" : "set")
                $0.add("field", value: .text(event.field ?? ""))
                if let value = event.fieldValue { $0.add("value", value: value) }
            case "doc_value":
                $0.add("kind", "map")
                $0.add("value", event.fields)
            default: break
            }
            $0.add("timestamp", event.timestamp)
        }
    }

    // MARK: Writing

    private static func object(_ type: String, _ members: (inout LineJSON) -> Void) -> String {
        var json = LineJSON()
        json.text.append("{")
        json.add("type", type)
        members(&json)
        json.text.append("}")
        // What a terminal would obey stands in strings alone, where it may be written as an escape.
        return TerminalText.escapedJSON(String(decoding: json.text.bytes, as: UTF8.self))
    }

    private mutating func add(_ line: ChatLine) {
        add("id", line.id)
        add("room", line.room)
        add("user_id", line.userID)
        add("display_name", line.displayName)
        add("body", line.body)
        add("timestamp", line.timestamp)
        if let position = line.position { add("pos", position.text.string) }
    }

    private mutating func name(_ name: String) {
        if !isFirst { text.append(",") }
        isFirst = false
        text.appendJSONString(Text(name))
        text.append(":")
    }

    private mutating func add(_ key: String, _ value: String) {
        guard !value.isEmpty else { return }
        name(key)
        text.appendJSONString(Text(value))
    }

    private mutating func add(_ key: String, _ value: Int) {
        name(key)
        text.appendDecimal(value)
    }

    private mutating func add(_ key: String, value: SharedValue) {
        name(key)
        append(value)
    }

    private mutating func add(_ key: String, _ fields: [MapField]) {
        name(key)
        text.append("{")
        for (index, field) in fields.enumerated() {
            if index > 0 { text.append(",") }
            text.appendJSONString(Text(field.name))
            text.append(":")
            append(field.value)
        }
        text.append("}")
    }

    private mutating func append(_ value: SharedValue) {
        switch value {
        case .text(let words): text.appendJSONString(Text(words))
        // What stands between its members may be the end of a line.
        case .json(let json): for byte in json.utf8 { text.append(byte < 0x20 ? 0x20 : byte) }
        }
    }

    private mutating func add(_ key: String, _ value: Bool) {
        name(key)
        text.append(value ? "true" : "false")
    }

    /// As on the wire; a kind that is not known here is left out.
    private mutating func add(_ key: String, _ documents: [DocumentName]) {
        name(key)
        text.append("[")
        for (index, document) in documents.enumerated() {
            text.append(index > 0 ? ",{\"name\":" : "{\"name\":")
            text.appendJSONString(Text(document.name))
            if let sort = document.sort {
                text.append(",\"kind\":")
                text.appendJSONString(Text(sort.rawValue))
            }
            text.append("}")
        }
        text.append("]")
    }

    private mutating func add(_ key: String, _ values: [String]) {
        name(key)
        text.append("[")
        for (index, value) in values.enumerated() {
            if index > 0 { text.append(",") }
            text.appendJSONString(Text(value))
        }
        text.append("]")
    }
}
