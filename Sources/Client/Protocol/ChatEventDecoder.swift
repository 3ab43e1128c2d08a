import ConvergeCRDT
import ConvergeWire

/// Reads a server's frames: one JSON object each, known by `type`. Fields that this client doesn't use are skipped, so
/// that a newer server can send more; a known field of the wrong kind makes the frame unreadable.
///
/// What frames of the second generation leave out, since it is in their `pos` or equals another member, is put back in.
///
/// What is only a place in a log (`node`, `seq`, `pos`) and can't be read as one counts as absent: the frame can be shown,
/// and nothing can be resumed from it.
public enum ChatEventDecoder {
    /// - Parameter frame: UTF-8, as `WebSocketMachine` hands it out.
    public static func decode(_ frame: UnsafeRawBufferPointer) throws(JSONError) -> ChatEvent {
        var json = JSONScanner(frame)
        let fields = try FrameFields(&json, depth: 0)
        try json.finish()
        return try fields.event()
    }
}

/// The members of one frame, whatever its type.
private struct FrameFields {
    private var type = ""
    private var id = ""
    private var room = ""
    private var user = ""
    private var displayName = ""
    private var document = ""
    private var body: String?
    private var timestamp = ""
    private var position: Position?
    private var node: ReplicaID?
    private var seq: Int?
    private var ref: String?
    private var rooms: [String] = []
    private var users: [String] = []
    private var members: [Member] = []
    private var items: [String] = []
    private var history: [ChatEvent] = []
    private var documents: [DocumentName] = []
    private var cursor: VersionVector?
    private var limit: Int?
    private var count: Int?
    private var copies: Int?
    private var amount: Int?
    private var shared = DocumentFields()
    private var code: String?
    private var reason = ""
    private var next: String?
    private var roomLimit: Int?
    private var roomCursors: [RoomCursor] = []
    private var isDuplicate = false
    private var isResume = false
    private var isRecovered: Bool?

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
            case "body": body = try text(&json)
            case "timestamp": timestamp = try text(&json)
            case "pos": position = try json.string().withBytes { Position(text: $0) }
            case "node": node = ReplicaID(try text(&json))
            case "seq": seq = try json.integer()
            case "ref": ref = try text(&json)
            case "doc": document = try text(&json)
            case "rooms":
                if try json.peek() == .object { roomCursors = try readCursors(&json) } else { rooms = try list(&json) }
            case "users": users = try list(&json)
            case "items": items = try list(&json)
            case "members": members = try readMembers(&json)
            case "docs": documents = try readDocuments(&json)
            case "cursor": cursor = try readCursor(&json)
            case "limit": limit = try json.integer()
            case "count": count = try json.integer()
            case "copies": copies = try json.integer()
            case "amount": amount = try json.integer()
            case "value": shared.value = Array(try json.rawValue())
            case "total": shared.total = try json.integer()
            case "kind": shared.kind = try text(&json)
            case "op": shared.operation = try text(&json)
            case "field": shared.field = try text(&json)
            case "next": next = try text(&json)
            case "code": code = try text(&json)
            case "reason": reason = try text(&json)
            case "limits": try readLimits(&json)
            case "duplicate": isDuplicate = try json.bool()
            case "resume": isResume = try json.bool()
            case "recovered": isRecovered = try json.bool()
            case "history" where depth == 0:
                history.removeAll()
                try json.beginArray()
                while try json.nextElement() { history.append(try FrameFields(&json, depth: 1).event()) }
            default: try json.skipValue()
            }
        }
    }

    private mutating func readLimits(_ json: inout JSONScanner) throws(JSONError) {
        try json.beginObject()
        while let key = try json.nextKey() {
            if key.text().string == "rooms" { roomLimit = try json.integer() } else { try json.skipValue() }
        }
    }

    private func readCursors(_ json: inout JSONScanner) throws(JSONError) -> [RoomCursor] {
        var cursors: [RoomCursor] = []
        try json.beginObject()
        while let room = try json.nextKey() {
            let room = room.text().string
            if let cursor = try readCursor(&json) { cursors.append(RoomCursor(room: room, cursor: cursor)) }
        }
        return cursors
    }

    private func text(_ json: inout JSONScanner) throws(JSONError) -> String { try json.string().text().string }

    private func list(_ json: inout JSONScanner) throws(JSONError) -> [String] {
        var items: [String] = []
        try json.beginArray()
        while try json.nextElement() { items.append(try text(&json)) }
        return items
    }

    private func readMembers(_ json: inout JSONScanner) throws(JSONError) -> [Member] {
        var members: [Member] = []
        try json.beginArray()
        while try json.nextElement() {
            var member = Member(userID: "", displayName: "")
            try json.beginObject()
            while let key = try json.nextKey() {
                if try json.skipNull() { continue }
                switch key.text().string {
                case "user_id": member.userID = try text(&json)
                case "display_name": member.displayName = try text(&json)
                case "sessions": member.sessions = try json.integer()
                case "nodes": member.nodes = try list(&json)
                default: try json.skipValue()
                }
            }
            if member.displayName.isEmpty { member.displayName = member.userID }
            members.append(member)
        }
        return members
    }

    /// Names alone in a resume, with their kinds in the list of a room's documents.
    private func readDocuments(_ json: inout JSONScanner) throws(JSONError) -> [DocumentName] {
        var documents: [DocumentName] = []
        try json.beginArray()
        while try json.nextElement() {
            if try json.peek() == .string {
                documents.append(DocumentName(name: try text(&json), sort: nil))
                continue
            }
            var document = DocumentName(name: "", sort: nil)
            try json.beginObject()
            while let key = try json.nextKey() {
                switch key.text().string {
                case "name": document.name = try text(&json)
                case "kind": document.sort = DocumentSort(wire: try text(&json))
                default: try json.skipValue()
                }
            }
            documents.append(document)
        }
        return documents
    }

    private func readCursor(_ json: inout JSONScanner) throws(JSONError) -> VersionVector? {
        var vector = VersionVector()
        var isReadable = true
        try json.beginObject()
        while let key = try json.nextKey() {
            let seq = try json.integer()
            if let replica = ReplicaID(key.text().string), seq >= 0 {
                vector[replica] = UInt64(seq)
            } else {
                isReadable = false
            }
        }
        return isReadable ? vector : nil
    }

    /// Where the frame does not say it is in its place.
    private var dot: Dot? {
        guard let node, let seq, seq > 0 else { return node == nil && seq == nil ? position?.dot : nil }
        return Dot(replica: node, seq: UInt64(seq))
    }

    private var entryID: String {
        guard id.isEmpty, let dot = position?.dot else { return id }
        var text = ByteBuffer()
        text.appendHexadecimal(dot.replica.rawValue)
        text.appendHexadecimal(dot.seq)
        return String(decoding: text.bytes, as: UTF8.self)
    }

    private var entryTimestamp: String {
        guard timestamp.isEmpty, let position else { return timestamp }
        var text = ByteBuffer()
        var writer = TimestampWriter()
        writer.append(milliseconds: position.timestamp.milliseconds, to: &text)
        return String(decoding: text.bytes, as: UTF8.self)
    }

    private var name: String { displayName.isEmpty ? user : displayName }

    private var line: ChatLine {
        ChatLine(
            id: entryID, room: room, userID: user, displayName: name, body: body ?? "", timestamp: entryTimestamp,
            position: position, dot: dot)
    }

    private func document(value: Int? = nil) -> DocumentEvent {
        var event = DocumentEvent(
            type: type, room: room, document: document, userID: user, displayName: name, body: body, items: items,
            amount: amount, value: value, id: entryID, timestamp: entryTimestamp, position: position, dot: dot, ref: ref
        )
        event.next = next
        return event
    }

    func event() throws(JSONError) -> ChatEvent {
        switch type {
        case "message": return .message(line)
        case "system": return .system(line)
        case "ack":
            return .ack(
                Receipt(
                    id: entryID, position: position, timestamp: entryTimestamp, copies: copies,
                    isDuplicate: isDuplicate),
                ref: ref)
        case "welcome":
            return .welcome(
                Welcome(
                    room: room, userID: user, displayName: name, cursor: cursor, node: node.map { "\($0)" },
                    roomLimit: roomLimit))
        case "rooms": return .rooms(rooms, next: next, ref: ref)
        case "users":
            var list = MemberList(room: room, userIDs: users, count: count, members: members)
            list.next = next
            return .users(list, ref: ref)
        case "history":
            return .history(
                HistoryFrame(
                    room: room, entries: history, limit: limit, ref: ref, isResume: isResume, cursor: cursor,
                    documents: documents.map(\.name), isRecovered: isRecovered ?? true))
        case "resumed":
            return .resumed(
                Resumed(
                    room: room, isRecovered: isRecovered ?? false, cursor: cursor, documents: documents.map(\.name),
                    ref: ref))
        case "joined": return .joined(room: room, cursor: cursor, ref: ref)
        case "subscribed": return .subscribed(Subscribed(room: room, cursor: cursor, ref: ref))
        case "unsubscribed":
            return .unsubscribed(
                Unsubscribed(room: room, reason: reason, isRecovered: isRecovered ?? true, ref: ref))
        case "cursors": return .cursors(roomCursors)
        case "docs": return .documents(documents, room: room, ref: ref)
        case "error": return .error(ServerError(body ?? "", code: code, room: room, ref: ref))
        case "doc":
            var event = document()
            return try shared.fillChange(&event) ? .document(event) : .unknown(type: type, ref: ref)
        case "doc_value":
            var event = document()
            return try shared.fillValue(&event) ? .document(event) : .unknown(type: type, ref: ref)
        case _ where type.hasPrefix("crdt_"): return .document(document(value: try shared.integer()))
        default: return .unknown(type: type, ref: ref)
        }
    }
}
