import ConvergeCRDT
import ConvergeWire

/// What a client sends: one JSON object in a text frame. Fields that are nil are left out.
public struct ChatCommand: Hashable, Sendable {
    public var type: String
    /// Comes back with the direct answer; at most 64 bytes.
    public var ref: String?
    public var room: String?
    public var body: String?
    public var doc: String?
    public var limit: Int?
    /// For `history`: the position before which to look.
    public var before: Position?
    /// For a write: the highest position that has been seen.
    public var after: Position?
    /// Makes a send idempotent; at most 64 bytes.
    public var key: String?
    /// For a write: the ack says on how many nodes it is stored.
    public var copies: Int?
    public var detail: Bool?
    /// For `crdt_counter_add`.
    public var amount: Int?
    /// For `crdt_lww_set`: the body is null, which clears the register.
    public var clears = false
    /// For `resume` and `subscribe`.
    public var cursor: VersionVector?
    /// For a question that is answered in pages: where the page before said to go on.
    public var page: String?
    /// For `doc` and `doc_get`, which are about documents of any kind.
    public var kind: String?
    public var operation: String?
    public var field: String?
    public var value: SharedValue?

    public init(type: String, room: String? = nil, body: String? = nil, doc: String? = nil, ref: String? = nil) {
        self.type = type
        self.room = room
        self.body = body
        self.doc = doc
        self.ref = ref
    }

    public static func message(_ body: String, room: String? = nil, ref: String? = nil, key: String? = nil) -> Self {
        var command = ChatCommand(type: "message", room: room, body: body, ref: ref)
        command.key = key
        return command
    }

    public static func join(_ room: String, ref: String? = nil) -> Self { .init(type: "join", room: room, ref: ref) }
    public static func rooms(after page: String? = nil, ref: String? = nil) -> Self {
        var command = ChatCommand(type: "rooms", ref: ref)
        command.page = page
        return command
    }
    public static func documents(ref: String? = nil) -> Self { .init(type: "docs", ref: ref) }

    public static func users(
        room: String? = nil, detail: Bool? = nil, limit: Int? = nil, after page: String? = nil, ref: String? = nil
    ) -> Self {
        var command = ChatCommand(type: "users", room: room, ref: ref)
        command.detail = detail
        command.limit = limit
        command.page = page
        return command
    }

    public static func history(
        limit: Int? = nil, before: Position? = nil, room: String? = nil, ref: String? = nil
    ) -> Self {
        var command = ChatCommand(type: "history", room: room, ref: ref)
        command.limit = limit
        command.before = before
        return command
    }

    public static func resume(from cursor: VersionVector, ref: String? = nil) -> Self {
        var command = ChatCommand(type: "resume", ref: ref)
        command.cursor = cursor
        return command
    }

    /// Second generation: the room's frames from the cursor on, or from now where there is none.
    public static func subscribe(_ room: String, from cursor: VersionVector? = nil, ref: String? = nil) -> Self {
        var command = ChatCommand(type: "subscribe", room: room, ref: ref)
        command.cursor = cursor
        return command
    }

    public static func unsubscribe(_ room: String, ref: String? = nil) -> Self {
        .init(type: "unsubscribe", room: room, ref: ref)
    }

    /// Appends the JSON text. O(n).
    public func encode(into buffer: inout ByteBuffer) {
        buffer.append("{\"type\":")
        buffer.appendJSONString(Text(type))
        append(",\"room\":", room, &buffer)
        append(",\"body\":", body, &buffer)
        if clears { buffer.append(",\"body\":null") }
        append(",\"doc\":", doc, &buffer)
        append(",\"before\":", before?.text.string, &buffer)
        append(",\"after\":", after?.text.string ?? page, &buffer)
        append(",\"kind\":", kind, &buffer)
        append(",\"op\":", operation, &buffer)
        append(",\"field\":", field, &buffer)
        append(",\"ref\":", ref, &buffer)
        append(",\"key\":", key, &buffer)
        append(",\"limit\":", limit, &buffer)
        append(",\"copies\":", copies, &buffer)
        append(",\"amount\":", amount, &buffer)
        append(",\"detail\":", detail, &buffer)
        if let value {
            buffer.append(",\"value\":")
            value.append(to: &buffer)
        }
        if let cursor {
            buffer.append(",\"cursor\":")
            cursor.appendCursor(to: &buffer)
        }
        buffer.append("}")
    }

    private func append(_ name: StaticString, _ value: String?, _ buffer: inout ByteBuffer) {
        guard let value else { return }
        buffer.append(name)
        buffer.appendJSONString(Text(value))
    }

    private func append(_ name: StaticString, _ value: Int?, _ buffer: inout ByteBuffer) {
        guard let value else { return }
        buffer.append(name)
        buffer.appendDecimal(value)
    }

    private func append(_ name: StaticString, _ value: Bool?, _ buffer: inout ByteBuffer) {
        guard let value else { return }
        buffer.append(name)
        buffer.append(value ? "true" : "false")
    }
}

extension VersionVector {
    /// Appends the vector as a cursor's text: `{"NODE":SEQ,…}`.
    func appendCursor(to buffer: inout ByteBuffer) {
        buffer.append("{")
        for (index, dot) in components.enumerated() {
            buffer.append(index == 0 ? "\"" : ",\"")
            buffer.appendHexadecimal(dot.replica.rawValue)
            buffer.append("\":")
            buffer.appendDecimal(dot.seq)
        }
        buffer.append("}")
    }

    /// The vector as a cursor's text.
    var cursorText: String {
        var buffer = ByteBuffer()
        appendCursor(to: &buffer)
        return String(decoding: buffer.bytes, as: UTF8.self)
    }
}
