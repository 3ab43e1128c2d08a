import ConvergeWire

/// Reads a server's frames: one JSON object each, known by `type`. Fields that this client doesn't use are skipped, so
/// that a newer server can send more; a known field of the wrong kind makes the frame unreadable.
public enum ChatEventDecoder {
    /// - Parameter frame: UTF-8, as `WebSocketMachine` hands it out.
    public static func decode(_ frame: UnsafeRawBufferPointer) throws(JSONError) -> ChatEvent {
        var json = JSONScanner(frame)
        let fields = try Fields(&json, depth: 0)
        try json.finish()
        return fields.event
    }

    private struct Fields {
        var type = ""
        var id = ""
        var room = ""
        var user = ""
        var displayName = ""
        var document = ""
        var body = ""
        var timestamp = ""
        var position: String?
        var ref: String?
        var rooms: [String] = []
        var users: [String] = []
        var items: [String] = []
        var history: [ChatEvent] = []
        var isDuplicate = false

        /// `history` frames hold whole frames, which hold no further ones: `depth` is 0 or 1.
        init(_ json: inout JSONScanner, depth: Int) throws(JSONError) {
            try json.beginObject()
            while let key = try json.nextKey() {
                if try json.skipNull() { continue }
                switch key.text().string {
                case "type": type = try text(&json)
                case "id": id = try text(&json)
                case "room": room = try text(&json)
                case "user_id": user = try text(&json)
                case "display_name": displayName = try text(&json)
                case "doc": document = try text(&json)
                case "body": body = try text(&json)
                case "timestamp": timestamp = try text(&json)
                case "pos": position = try text(&json)
                case "ref": ref = try text(&json)
                case "rooms": rooms = try list(&json)
                case "users": users = try list(&json)
                case "items": items = try list(&json)
                case "duplicate": isDuplicate = try json.bool()
                case "history" where depth == 0:
                    history.removeAll()
                    try json.beginArray()
                    while try json.nextElement() { history.append(try Fields(&json, depth: 1).event) }
                default: try json.skipValue()
                }
            }
        }

        private func text(_ json: inout JSONScanner) throws(JSONError) -> String { try json.string().text().string }

        private func list(_ json: inout JSONScanner) throws(JSONError) -> [String] {
            var items: [String] = []
            try json.beginArray()
            while try json.nextElement() { items.append(try text(&json)) }
            return items
        }

        private var line: ChatLine {
            ChatLine(
                id: id, room: room, userID: user, displayName: displayName.isEmpty ? user : displayName, body: body,
                timestamp: timestamp, position: position)
        }

        var event: ChatEvent {
            switch type {
            case "welcome": .welcome(room: room, userID: user, displayName: displayName)
            case "message": .message(line)
            case "system": .system(line)
            case "rooms": .rooms(rooms, ref: ref)
            case "users": .users(room: room, names: users, ref: ref)
            case "history": .history(room: room, entries: history, ref: ref)
            case "ack": .ack(ref: ref, id: id, position: position, isDuplicate: isDuplicate)
            case "joined": .joined(room: room, ref: ref)
            case "error": .error(body, ref: ref)
            case _ where type.hasPrefix("crdt_"):
                .document(
                    DocumentEvent(
                        type: type, room: room, document: document, userID: user, displayName: displayName, body: body,
                        items: items, ref: ref))
            default: .unknown(type: type, ref: ref)
            }
        }
    }
}
