import ConvergeCRDT

/// The frames that show stored entries: `message`, `system` and the documents' changes, live and in history alike.
///
/// They carry the entry's place: `node` and `seq`, and `pos`, whose order is the order of history. `timestamp` is the
/// hybrid timestamp's milliseconds, so it is the same wherever and whenever the entry is shown.
extension ServerFrameEncoder {
    /// Appends the frame of any entry that has one; a document's as `shown` says, where that is known.
    ///
    /// Throws, with `out` as it was, where the payload can't be read, is erased, or is of a kind that is not shown.
    public mutating func appendFrame(
        of entry: Entry, shown: DocumentShown = .asWritten, to out: inout ByteBuffer
    ) throws(EntryCodecError) {
        if entry.flags.contains(.redacted) { throw .redacted }
        try entry.payload.span.withUnsafeBytes { bytes throws(EntryCodecError) in
            switch entry.kind {
            case .message:
                let payload = try MessagePayloadView(checked: bytes)
                message(
                    id: payload.id ?? MessageID(entry.dot), room: entry.room, user: payload.user,
                    displayName: payload.displayName, body: payload.body, position: entry.position, to: &out)
            case .system:
                let payload = try SystemPayloadView(bytes)
                guard payload.user.isUTF8, payload.displayName.isUTF8 else { throw .invalidText }
                system(
                    id: payload.id ?? MessageID(entry.dot), event: payload.event, room: entry.room,
                    user: payload.user, displayName: payload.displayName, position: entry.position, to: &out)
            case .document:
                let payload = try DocumentPayload(decoding: bytes)
                document(payload, shown, room: entry.room, position: entry.position, to: &out)
            case .redaction: throw .notShown
            default: throw .unknownKind(entry.kind)
            }
        }
    }

    /// A chat message; `user`, `displayName` and `body` must be UTF-8.
    @inline(__always)
    mutating func message(
        id: MessageID, room: Text, user: UnsafeRawBufferPointer, displayName: UnsafeRawBufferPointer,
        body: UnsafeRawBufferPointer, position: Position, to out: inout ByteBuffer
    ) {
        // What stands between the texts is under 400 bytes; so the buffer grows once at most where nothing is escaped.
        _ = out.reserve(400 + room.byteCount + user.count + displayName.count + body.count)
        beginEntry(id, "message", position, to: &out)
        out.appendMember(",\"room\":", room)
        appendAuthor(user, displayName, to: &out)
        out.appendMember(",\"body\":", body)
        endEntry(position, to: &out)
    }

    /// A chat message whose fields are at hand; `body` must be UTF-8.
    public mutating func message(
        id: MessageID, room: Text, user: Text, displayName: Text, body: UnsafeRawBufferPointer, position: Position,
        to out: inout ByteBuffer
    ) {
        user.withUTF8 { user in
            displayName.withUTF8 { displayName in
                message(
                    id: id, room: room, user: UnsafeRawBufferPointer(user),
                    displayName: UnsafeRawBufferPointer(displayName), body: body, position: position, to: &out)
            }
        }
    }

    /// `NAME joined` or `NAME left`; `user` and `displayName` must be UTF-8.
    mutating func system(
        id: MessageID, event: SystemPayload.Event, room: Text, user: UnsafeRawBufferPointer,
        displayName: UnsafeRawBufferPointer, position: Position, to out: inout ByteBuffer
    ) {
        beginEntry(id, "system", position, to: &out)
        out.appendMember(",\"room\":", room)
        appendAuthor(user, displayName, to: &out)
        out.append(",\"body\":")
        out.appendJSONString(displayName)
        // Over the closing quote, which comes again behind the words.
        out.truncate(to: out.count - 1)
        switch event {
        case .joined: out.append(" joined\"")
        case .left: out.append(" left\"")
        }
        endEntry(position, to: &out)
    }

    /// `NAME joined` or `NAME left`, from fields at hand.
    public mutating func system(
        id: MessageID, event: SystemPayload.Event, room: Text, user: Text, displayName: Text, position: Position,
        to out: inout ByteBuffer
    ) {
        user.withUTF8 { user in
            displayName.withUTF8 { displayName in
                system(
                    id: id, event: event, room: room, user: UnsafeRawBufferPointer(user),
                    displayName: UnsafeRawBufferPointer(displayName), position: position, to: &out)
            }
        }
    }

    /// `NAME joined` or `NAME left` that is shown but not stored, so it has no place in history.
    public mutating func system(
        _ stamp: FrameStamp, event: SystemPayload.Event, room: Text, user: Text, displayName: Text,
        to out: inout ByteBuffer
    ) {
        out.beginFrame(stamp.id, "system")
        out.appendMember(",\"room\":", room)
        out.appendMember(",\"user_id\":", user)
        out.appendMember(",\"display_name\":", displayName)
        out.appendMember(",\"body\":", Text(displayName.string + (event == .joined ? " joined" : " left")))
        appendTimestamp(stamp.milliseconds, to: &out)
        out.append("}")
    }

    /// A document's change, as its kind shows it; in the second generation as `doc`, whatever its kind.
    public mutating func document(
        _ payload: DocumentPayload, _ shown: DocumentShown = .asWritten, room: Text, position: Position,
        to out: inout ByteBuffer
    ) {
        switch generation {
        case .first:
            payload.delta.kind.form.appendChange(payload, shown, room: room, position: position, by: &self, to: &out)
        case .second: documentChange(payload, shown, room: room, position: position, to: &out)
        }
    }

    // MARK: For the kinds of documents

    /// A change's frame up to its timestamp. `type` needs no escapes; an empty body is left out.
    func beginDocument(
        _ type: StaticString, _ payload: DocumentPayload, body: Text, room: Text, _ position: Position,
        to out: inout ByteBuffer
    ) {
        out.beginFrame(MessageID(position.dot), type)
        out.appendMember(",\"room\":", room)
        out.appendMember(",\"user_id\":", payload.user)
        out.appendMember(",\"display_name\":", payload.displayName)
        out.appendMember(",\"doc\":", payload.name)
        out.appendMember(",\"body\":", body)
    }

    /// An entry's frame up to its type.
    @inline(__always)
    func beginEntry(_ id: MessageID, _ type: StaticString, _ position: Position, to out: inout ByteBuffer) {
        if generation == .second, id == MessageID(position.dot) {
            out.append("{\"type\":\"")
            out.append(type)
            out.append("\"")
        } else {
            out.beginFrame(id, type)
        }
    }

    /// Who wrote it; the texts must be UTF-8.
    @inline(__always)
    func appendAuthor(
        _ user: UnsafeRawBufferPointer, _ displayName: UnsafeRawBufferPointer, to out: inout ByteBuffer
    ) {
        out.appendMember(",\"user_id\":", user)
        if generation == .second, user.elementsEqual(displayName) { return }
        out.appendMember(",\"display_name\":", displayName)
    }

    @inline(__always)
    mutating func endEntry(_ position: Position, to out: inout ByteBuffer) {
        if generation == .second {
            out.appendPosition(position)
            out.append("}")
            return
        }
        appendTimestamp(position.timestamp.milliseconds, to: &out)
        endPlace(position, to: &out)
    }

    @inline(__always)
    func endPlace(_ position: Position, to out: inout ByteBuffer) {
        out.append(",\"node\":\"")
        out.appendHexadecimal(position.dot.replica.rawValue)
        out.append("\",\"seq\":")
        out.appendDecimal(position.dot.seq)
        out.appendPosition(position)
        out.append("}")
    }
}
