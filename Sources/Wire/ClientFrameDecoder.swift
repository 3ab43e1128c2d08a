import ConvergeCRDT

/// From the bytes of a text frame to a `ClientFrame`, in one pass and without copying more than the command needs.
///
/// Members may come in any order, `type` last too; of two with the same name the later counts; unknown ones are skipped;
/// `null` is as good as absent, save for a register's value. A known member of the wrong type spoils the frame, whether
/// its command needs that member or not.
extension ClientFrame {
    /// `bytes` must be UTF-8, which the WebSocket layer has seen to. O(n).
    public static func decode(
        _ bytes: UnsafeRawBufferPointer, as generation: ProtocolGeneration = .first
    ) throws(ClientFrameError) -> ClientFrame {
        var members = Members(generation: generation)
        do throws(JSONError) {
            try members.read(bytes)
            return ClientFrame(ref: members.ref, command: try members.command())
        } catch {
            throw members.unknownType.map { .unknownType($0, ref: members.ref) } ?? .invalidMessage(ref: members.ref)
        }
    }
}

/// The members of a client frame that any command knows, as they stood in it.
private struct Members {
    let generation: ProtocolGeneration
    var type: JSONString?
    var room: JSONString?
    var body: JSONString?
    var bodyIsNull = false
    var doc: JSONString?
    var key: Text?
    var ref: Text?
    var after: Position?
    /// `after` as it stands there: for what is answered in pages it need be no position.
    var start: JSONString?
    // Of a few commands; in all other frames they are anything.
    var prefix: UnsafeRawBufferPointer?
    var member: UnsafeRawBufferPointer?
    var kind: UnsafeRawBufferPointer?
    var op: UnsafeRawBufferPointer?
    var field: UnsafeRawBufferPointer?
    var value: UnsafeRawBufferPointer?
    var before: Position?
    var cursor: ClientCursor?
    var limit: Int?
    var copies: Int?
    var amount: Int64?
    var detail = false
    /// Set by `command` where it throws because it does not know the type.
    var unknownType: Text?

    init(generation: ProtocolGeneration) { self.generation = generation }

    enum Name {
        case type, room, body, doc, key, ref, after, before, limit, copies, amount, detail, cursor, kind, op, field,
            value, prefix, member

        @inline(__always)
        init?(_ name: UnsafeRawBufferPointer) {
            switch name.count {
            case 2:
                guard name.equals("op") else { return nil }
                self = .op
            case 3:
                if name.equals("ref") {
                    self = .ref
                } else if name.equals("key") {
                    self = .key
                } else if name.equals("doc") {
                    self = .doc
                } else {
                    return nil
                }
            case 4:
                if name.equals("type") {
                    self = .type
                } else if name.equals("body") {
                    self = .body
                } else if name.equals("room") {
                    self = .room
                } else if name.equals("kind") {
                    self = .kind
                } else {
                    return nil
                }
            case 5:
                if name.equals("after") {
                    self = .after
                } else if name.equals("limit") {
                    self = .limit
                } else if name.equals("field") {
                    self = .field
                } else if name.equals("value") {
                    self = .value
                } else {
                    return nil
                }
            case 6:
                if name.equals("copies") {
                    self = .copies
                } else if name.equals("before") {
                    self = .before
                } else if name.equals("detail") {
                    self = .detail
                } else if name.equals("cursor") {
                    self = .cursor
                } else if name.equals("amount") {
                    self = .amount
                } else if name.equals("prefix") {
                    self = .prefix
                } else if name.equals("member") {
                    self = .member
                } else {
                    return nil
                }
            default: return nil
            }
        }
    }

    mutating func read(_ bytes: UnsafeRawBufferPointer) throws(JSONError) {
        var json = JSONScanner(bytes)
        try json.beginObject()
        while let key = try json.nextKey() {
            guard let name = key.withBytes({ Name($0) }) else {
                try json.skipValue()
                continue
            }
            let isNull = try json.skipNull()
            switch name {
            case .type: type = isNull ? nil : try json.string()
            case .room: room = isNull ? nil : try json.string()
            case .doc: doc = isNull ? nil : try json.string()
            case .body:
                bodyIsNull = isNull
                body = isNull ? nil : try json.string()
            case .key: self.key = isNull ? nil : try tag(&json)
            case .ref: ref = isNull ? nil : try tag(&json)
            case .after:
                start = isNull ? nil : try json.string()
                after = start?.withBytes { Position(text: $0) }
            case .before: before = isNull ? nil : try position(&json)
            case .limit: limit = isNull ? nil : try json.integer()
            case .copies: copies = isNull ? nil : try json.integer()
            case .amount: amount = isNull ? nil : try amount(&json)
            case .detail: detail = isNull ? false : try json.bool()
            case .cursor: cursor = isNull ? nil : try json.clientCursor()
            case .kind: kind = isNull ? nil : try json.rawValue()
            case .op: op = isNull ? nil : try json.rawValue()
            case .field: field = isNull ? nil : try json.rawValue()
            case .value: value = isNull ? nil : try json.rawValue()
            case .prefix: prefix = isNull ? nil : try json.rawValue()
            case .member: member = isNull ? nil : try json.rawValue()
            }
        }
        try json.finish()
    }

    /// An empty tag is none.
    private func tag(_ json: inout JSONScanner) throws(JSONError) -> Text? {
        let text = try json.string().text()
        guard text.byteCount <= ClientFrame.tagLimit else { throw .wrongType }
        return text.isEmpty ? nil : text
    }

    private func position(_ json: inout JSONScanner) throws(JSONError) -> Position {
        guard let position = try json.string().withBytes({ Position(text: $0) }) else { throw .wrongType }
        return position
    }

    private func amount(_ json: inout JSONScanner) throws(JSONError) -> Int64 {
        let amount = Int64(try json.integer())
        guard amount.magnitude <= DocumentDelta.largestAmount.magnitude else { throw .numberOutOfRange }
        return amount
    }

    mutating func command() throws(JSONError) -> ClientCommand {
        let known = type.flatMap { $0.withBytes { Command($0, generation) } }
        if start != nil, after == nil, known?.isPaged(generation) != true { throw .wrongType }
        guard let type, !type.raw.isEmpty else { return message }
        guard let known else {
            unknownType = ClientFrame.shortened(type.text())
            throw .wrongType
        }
        switch known {
        case .message: return message
        case .join: return .join(room: roomName ?? "")
        case .leave: return .leave
        case .rooms:
            guard generation == .second else { return .rooms(RoomsCommand()) }
            return .rooms(RoomsCommand(prefix: try string(prefix), after: pageStart, limit: limit))
        case .users:
            let after = generation == .second ? pageStart : nil
            return .users(UsersCommand(room: roomName, detail: detail, after: after, limit: limit))
        case .history: return .history(room: roomName, limit: limit, before: before)
        case .resume:
            guard let cursor else { throw .wrongType }
            return .resume(room: roomName, cursor: cursor)
        case .setAdd: return write(.orSet, DocumentWrite(.add, key: text))
        case .setRemove: return write(.orSet, DocumentWrite(.remove, key: text))
        case .setValues: return read(.orSet)
        case .registerSet: return write(.register, .setting(bodyIsNull ? nil : text))
        case .registerGet: return read(.register)
        case .counterAdd:
            guard let amount else { throw .wrongType }
            return write(.counter, DocumentWrite(.increment, amount: amount))
        case .counterGet: return read(.counter)
        case .documents: return .documents(room: documentRoom)
        case .change: return try documentChange()
        case .get:
            return .read(
                DocumentReadCommand(
                    try documentKind(), doc: docName, room: roomName,
                    page: DocumentPage(after: pageStart, limit: limit)))
        case .subscribe:
            return .subscribe(SubscribeCommand(room: roomName ?? "", cursor: cursor, member: try bool(member)))
        case .unsubscribe: return .unsubscribe(room: roomName ?? "")
        }
    }

    /// The values of `type`.
    private enum Command {
        case message, join, leave, rooms, users, history, resume, setAdd, setRemove, setValues, registerSet, registerGet
        case counterAdd, counterGet, documents
        /// `doc` and `doc_get`, for documents of all kinds.
        case change, get
        /// Of the second generation, which has no current room.
        case subscribe, unsubscribe

        /// Whether it is answered in pages: `after` may be what the page before said was `next`.
        func isPaged(_ generation: ProtocolGeneration) -> Bool {
            switch self {
            case .get: true
            case .rooms, .users: generation == .second
            case .message, .join, .leave, .history, .resume, .setAdd, .setRemove, .setValues, .registerSet,
                .registerGet,
                .counterAdd, .counterGet, .documents, .change, .subscribe, .unsubscribe:
                false
            }
        }

        init?(_ type: UnsafeRawBufferPointer, _ generation: ProtocolGeneration) {
            self.init(type)
            switch self {
            case .join, .resume: if generation == .second { return nil }
            case .subscribe, .unsubscribe: if generation == .first { return nil }
            case .message, .leave, .rooms, .users, .history, .setAdd, .setRemove, .setValues, .registerSet,
                .registerGet,
                .counterAdd, .counterGet, .documents, .change, .get:
                break
            }
        }

        private init?(_ type: UnsafeRawBufferPointer) {
            if type.equals("message") {
                self = .message
            } else if type.equals("subscribe") {
                self = .subscribe
            } else if type.equals("unsubscribe") {
                self = .unsubscribe
            } else if type.equals("join") {
                self = .join
            } else if type.equals("leave") {
                self = .leave
            } else if type.equals("rooms") {
                self = .rooms
            } else if type.equals("users") {
                self = .users
            } else if type.equals("history") {
                self = .history
            } else if type.equals("resume") {
                self = .resume
            } else if type.equals("crdt_orset_add") {
                self = .setAdd
            } else if type.equals("crdt_orset_remove") {
                self = .setRemove
            } else if type.equals("crdt_orset_values") {
                self = .setValues
            } else if type.equals("crdt_lww_set") {
                self = .registerSet
            } else if type.equals("crdt_lww_get") {
                self = .registerGet
            } else if type.equals("crdt_counter_add") {
                self = .counterAdd
            } else if type.equals("crdt_counter_get") {
                self = .counterGet
            } else if type.equals("docs") {
                self = .documents
            } else if type.equals("doc") {
                self = .change
            } else if type.equals("doc_get") {
                self = .get
            } else {
                return nil
            }
        }
    }

    private var message: ClientCommand {
        .message(MessageCommand(room: roomName, body: body?.bytes() ?? [], key: key, after: after, copies: copies))
    }

    private func write(_ kind: DocumentKind, _ write: DocumentWrite) -> ClientCommand {
        .write(
            DocumentWriteCommand(kind, doc: docName, write, room: documentRoom, key: key, after: after, copies: copies))
    }

    private func read(_ kind: DocumentKind) -> ClientCommand {
        .read(DocumentReadCommand(kind, doc: docName, room: documentRoom))
    }

    /// The room that the first generation's commands about documents mean, which name none there: what looks like a name is
    /// not looked at.
    private var documentRoom: Text? { generation == .second ? roomName : nil }

    private var pageStart: Text? { start?.text() }

    // MARK: Documents of all kinds

    private func documentKind() throws(JSONError) -> DocumentKind {
        guard let kind = try string(kind).flatMap({ DocumentKind(word: $0) }) else { throw .wrongType }
        return kind
    }

    /// What is meant by `field` and `value` is for the kind's layout to say, and whether the kind has such an operation for
    /// its form.
    private func documentChange() throws(JSONError) -> ClientCommand {
        let kind = try documentKind()
        guard let operation = try string(op).flatMap({ DocumentOperation(word: $0) }) else { throw .wrongType }
        let field = try string(field)
        var write = DocumentWrite(operation)
        switch kind.form.layout {
        case .element:
            guard let value else { throw .wrongType }
            write.key = try Text(documentValue: value)
        case .value: write.value = try self.value.map { (raw) throws(JSONError) in try Text(documentValue: raw) }
        case .totals:
            guard let value else { throw .wrongType }
            var json = JSONScanner(value)
            write.amount = try amount(&json)
        case .cell:
            guard let field else { throw .wrongType }
            if operation == .clear { write.operation = .remove }
            write.key = field
            write.value = try self.value.map { (raw) throws(JSONError) in try Text(documentValue: raw) }
        }
        guard kind.form.layout == .cell || field == nil, kind.form.accepts(write) else { throw .wrongType }
        return .write(
            DocumentWriteCommand(kind, doc: docName, write, room: roomName, key: key, after: after, copies: copies))
    }

    private func string(_ raw: UnsafeRawBufferPointer?) throws(JSONError) -> Text? {
        guard let raw else { return nil }
        var json = JSONScanner(raw)
        return try json.string().text()
    }

    private func bool(_ raw: UnsafeRawBufferPointer?) throws(JSONError) -> Bool? {
        guard let raw else { return nil }
        var json = JSONScanner(raw)
        return try json.bool()
    }

    /// Trimmed; nil where nothing is left.
    private var roomName: Text? {
        room?.withBytes { bytes in
            let inner = bytes.trimmingWhitespace()
            return inner.isEmpty ? nil : Text(decoding: inner)
        }
    }

    private var docName: Text {
        guard let doc, !doc.raw.isEmpty else { return "default" }
        return doc.text()
    }

    private var text: Text { body?.text() ?? "" }
}

extension ClientFrame {
    /// A type that nobody knows is told back to its sender, but not at any length: at most `tagLimit` bytes of it.
    fileprivate static func shortened(_ type: Text) -> Text {
        guard type.byteCount > tagLimit else { return type }
        return type.withUTF8 { utf8 in
            var end = tagLimit
            while end > 0, utf8[end] & 0xC0 == 0x80 { end -= 1 }
            return Text(decoding: utf8[..<end])
        }
    }
}
