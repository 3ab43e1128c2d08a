import ConvergeClient
import ConvergeWire

/// Chat events as JSON, one object in each line: what `converge chat --json` prints for scripts.
///
/// The members have the names that they have on the wire (docs/protocol.md). Entries of a `history` reply come as lines of
/// their own with `"history":true`.
struct LineJSON: ~Copyable {
    private var text = ByteBuffer()
    private var isFirst = true

    /// The lines of one event; none for what is not shown.
    static func lines(_ event: ChatEvent) -> [String] {
        switch event {
        case .welcome(let welcome):
            return [
                object("welcome") {
                    $0.add("room", welcome.room)
                    $0.add("user_id", welcome.userID)
                    $0.add("display_name", welcome.displayName)
                }
            ]
        case .message(let line): return [object("message") { $0.add(line) }]
        case .system(let line): return [object("system") { $0.add(line) }]
        case .history(let page): return page.entries.flatMap { entry(in: $0) }
        case .rooms(let rooms, _): return [object("rooms") { $0.add("rooms", rooms) }]
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
                    $0.add("docs", documents.map(\.name))
                }
            ]
        case .ack, .error, .resumed, .unknown: return []
        }
    }

    /// Something that the program says itself.
    static func notice(_ words: String) -> String { object("notice") { $0.add("body", words) } }

    private static func entry(in event: ChatEvent) -> [String] {
        switch event {
        case .message(let line):
            [
                object("message") {
                    $0.add(line)
                    $0.add("history", true)
                }
            ]
        case .system(let line):
            [
                object("system") {
                    $0.add(line)
                    $0.add("history", true)
                }
            ]
        default: []
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
        return String(decoding: json.text.bytes, as: UTF8.self)
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

    private mutating func add(_ key: String, _ value: Bool) {
        name(key)
        text.append(value ? "true" : "false")
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
