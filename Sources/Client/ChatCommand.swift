import ConvergeWire

/// What a client sends: one JSON object in a text frame. Fields that are nil are left out.
public struct ChatCommand: Hashable, Sendable {
    public var type: String
    public var room: String?
    public var body: String?
    public var doc: String?
    public var limit: Int?
    /// For `history`: the `pos` before which to look.
    public var before: String?
    /// For a write: the highest `pos` that has been seen.
    public var after: String?
    /// Comes back with the direct answer; at most 64 bytes.
    public var ref: String?
    /// Makes a send idempotent; at most 64 bytes.
    public var key: String?
    public var detail: Bool?

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
    public static func rooms(ref: String? = nil) -> Self { .init(type: "rooms", ref: ref) }
    public static func users(room: String? = nil, ref: String? = nil) -> Self {
        .init(type: "users", room: room, ref: ref)
    }

    public static func history(
        limit: Int? = nil, before: String? = nil, room: String? = nil, ref: String? = nil
    ) -> Self {
        var command = ChatCommand(type: "history", room: room, ref: ref)
        command.limit = limit
        command.before = before
        return command
    }

    /// Appends the JSON text.
    public func encode(into buffer: inout ByteBuffer) {
        buffer.append("{\"type\":")
        buffer.appendJSONString(Text(type))
        for (name, value) in [
            (",\"room\":" as StaticString, room), (",\"body\":", body), (",\"doc\":", doc), (",\"before\":", before),
            (",\"after\":", after), (",\"ref\":", ref), (",\"key\":", key),
        ] {
            guard let value else { continue }
            buffer.append(name)
            buffer.appendJSONString(Text(value))
        }
        if let limit {
            buffer.append(",\"limit\":")
            buffer.appendDecimal(limit)
        }
        if let detail { buffer.append(detail ? ",\"detail\":true" : ",\"detail\":false") }
        buffer.append("}")
    }
}
