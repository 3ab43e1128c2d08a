import ConvergeCRDT
import ConvergeWire

/// Reads a server's frames: one JSON object each, known by `type`. Fields that this client doesn't use are skipped, so
/// that a newer server can send more; a known field of the wrong kind makes the frame unreadable.
///
/// What is only a place in a log (`node`, `seq`, `pos`) and can't be read as one counts as absent: the frame can be shown,
/// and nothing can be resumed from it.
public enum ChatEventDecoder {
    /// - Parameter frame: UTF-8, as `WebSocketMachine` hands it out.
    public static func decode(_ frame: UnsafeRawBufferPointer) throws(JSONError) -> ChatEvent {
        var json = JSONScanner(frame)
        let fields = try FrameFields(&json, depth: 0)
        try json.finish()
        return fields.event
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
    private var value: Int?
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
            case "rooms": rooms = try list(&json)
            case "users": users = try list(&json)
            case "items": items = try list(&json)
            case "members": members = try readMembers(&json)
            case "docs": documents = try readDocuments(&json)
            case "cursor": cursor = try readCursor(&json)
            case "limit": limit = try json.integer()
            case "count": count = try json.integer()
            case "copies": copies = try json.integer()
            case "amount": amount = try json.integer()
            case "value": value = try json.integer()
            case "duplicate": isDuplicate = try json.bool()
            case "resume": isResume = try json.bool()
            case "recovered": isRecovered = try json.bool()
            case "history" where depth == 0:
                history.removeAll()
                try json.beginArray()
                while try json.nextElement() { history.append(try FrameFields(&json, depth: 1).event) }
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
                case "kind": document.sort = DocumentSort(rawValue: try text(&json))
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

    private var dot: Dot? {
        guard let node, let seq, seq > 0 else { return nil }
        return Dot(replica: node, seq: UInt64(seq))
    }

    private var name: String { displayName.isEmpty ? user : displayName }

    private var line: ChatLine {
        ChatLine(
            id: id, room: room, userID: user, displayName: name, body: body ?? "", timestamp: timestamp,
            position: position, dot: dot)
    }

    var event: ChatEvent {
        switch type {
        case "message": .message(line)
        case "system": .system(line)
        case "ack":
            .ack(
                Receipt(
                    id: id, position: position, timestamp: timestamp, copies: copies, isDuplicate: isDuplicate),
                ref: ref)
        case "welcome": .welcome(Welcome(room: room, userID: user, displayName: displayName, cursor: cursor))
        case "rooms": .rooms(rooms, ref: ref)
        case "users": .users(MemberList(room: room, userIDs: users, count: count, members: members), ref: ref)
        case "history":
            .history(
                HistoryFrame(
                    room: room, entries: history, limit: limit, ref: ref, isResume: isResume, cursor: cursor,
                    documents: documents.map(\.name), isRecovered: isRecovered ?? true))
        case "resumed":
            .resumed(
                Resumed(
                    room: room, isRecovered: isRecovered ?? false, cursor: cursor, documents: documents.map(\.name),
                    ref: ref))
        case "joined": .joined(room: room, cursor: cursor, ref: ref)
        case "docs": .documents(documents, room: room, ref: ref)
        case "error": .error(body ?? "", ref: ref)
        case _ where type.hasPrefix("crdt_"):
            .document(
                DocumentEvent(
                    type: type, room: room, document: document, userID: user, displayName: name, body: body,
                    items: items, amount: amount, value: value, id: id, timestamp: timestamp, position: position,
                    dot: dot, ref: ref))
        default: .unknown(type: type, ref: ref)
        }
    }
}
