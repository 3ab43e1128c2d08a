import ConvergeCRDT

/// What a server frame has besides its meaning: an id of its own and the moment it was made.
public struct FrameStamp: Hashable, Sendable {
    public var id: MessageID
    /// Milliseconds since 1970-01-01T00:00:00Z.
    public var milliseconds: UInt64

    public init(id: MessageID, milliseconds: UInt64) {
        self.id = id
        self.milliseconds = milliseconds
    }
}

/// Who is in a room, for a `users` frame with details.
public struct MemberSummary: Hashable, Sendable {
    public var user: Text
    public var displayName: Text
    public var sessions: Int
    /// The nodes that have these sessions.
    public var nodes: [ReplicaID]

    public init(user: Text, displayName: Text, sessions: Int, nodes: [ReplicaID]) {
        self.user = user
        self.displayName = displayName
        self.sessions = sessions
        self.nodes = nodes
    }
}

/// What an `ack` says about a write that is stored.
public struct Acknowledgement: Hashable, Sendable {
    /// The id of what was stored.
    public var id: MessageID
    public var room: Text
    public var position: Position
    public var isDuplicate: Bool
    /// On how many nodes it is stored; nil where nobody asked.
    public var copies: Int?
    /// It stands behind what it was asked to stand behind; false where the clock could not be moved so far.
    public var isAfter = true

    public init(id: MessageID, room: Text, position: Position, isDuplicate: Bool = false, copies: Int? = nil) {
        self.id = id
        self.room = room
        self.position = position
        self.isDuplicate = isDuplicate
        self.copies = copies
    }
}

/// What a page of a resume says besides its entries. Who stops after a page goes on from here, so all that is known by then
/// must be said on it.
public struct ResumePage: Hashable, Sendable {
    /// What its reader has been shown.
    public var cursor: VersionVector
    /// Nothing is known to be missing so far.
    public var recovered: Bool
    /// The documents that changed between the page before and this one, sorted.
    public var docs: [Text]

    public init(cursor: VersionVector, recovered: Bool, docs: [Text]) {
        self.cursor = cursor
        self.recovered = recovered
        self.docs = docs
    }
}

/// Writes the JSON text of the frames that only the asker gets, or that are about no entry; `EntryFrame.swift` has those
/// about entries.
///
/// Members stand in the order of the Go server (`id type room user_id display_name doc body rooms users items history
/// limit timestamp`), then ours; strings that are empty are left out, lists are always there. An encoder remembers the
/// text of the last second, so a loop keeps one; it is a value and has no other state.
///
/// It writes frames of one generation of the protocol. Those of the second leave out what stands elsewhere in them: the time,
/// the node and the number of an entry, which its `pos` has, an id that is made of these, and a name that is the user's id.
public struct ServerFrameEncoder: Sendable {
    private var timestamps = TimestampWriter()
    public let generation: ProtocolGeneration

    public init(_ generation: ProtocolGeneration = .first) { self.generation = generation }

    /// The first frame of a connection. `cursor` is what the user has been shown of the room's nodes at this moment.
    public mutating func welcome(
        _ stamp: FrameStamp, room: Text, user: Text, displayName: Text, cursor: VersionVector? = nil,
        to out: inout ByteBuffer
    ) {
        out.beginFrame(stamp.id, "welcome")
        out.appendMember(",\"room\":", room)
        out.appendMember(",\"user_id\":", user)
        out.appendMember(",\"display_name\":", displayName)
        appendTimestamp(stamp.milliseconds, to: &out)
        if let cursor { out.appendCursor(cursor) }
        out.append("}")
    }

    /// The answer to a `join` with a `ref`.
    public mutating func joined(
        _ stamp: FrameStamp, room: Text, ref: Text?, cursor: VersionVector? = nil, to out: inout ByteBuffer
    ) {
        out.beginFrame(stamp.id, "joined")
        out.appendMember(",\"room\":", room)
        appendTimestamp(stamp.milliseconds, to: &out)
        out.appendRef(ref)
        if let cursor { out.appendCursor(cursor) }
        out.append("}")
    }

    /// The names must be sorted by the caller. `next` leads to the page that follows.
    public mutating func rooms(
        _ stamp: FrameStamp, rooms: [Text], next: Text? = nil, ref: Text?, to out: inout ByteBuffer
    ) {
        out.beginFrame(stamp.id, "rooms")
        out.appendMember(",\"rooms\":", list: rooms)
        appendTimestamp(stamp.milliseconds, to: &out)
        out.appendRef(ref)
        if let next { out.appendMember(",\"next\":", next) }
        out.append("}")
    }

    /// `count` is how many users there are in all, `users` those that are shown, sorted, each once; `members` is given
    /// where details were asked for. `next` leads to the page that follows.
    public mutating func users(
        _ stamp: FrameStamp, room: Text, users: [Text], count: Int, members: [MemberSummary]? = nil,
        next: Text? = nil, ref: Text?, to out: inout ByteBuffer
    ) {
        out.beginFrame(stamp.id, "users")
        out.appendMember(",\"room\":", room)
        out.appendMember(",\"users\":", list: users)
        appendTimestamp(stamp.milliseconds, to: &out)
        out.appendRef(ref)
        out.append(",\"count\":")
        out.appendDecimal(count)
        if let members { out.appendMembers(members) }
        if let next { out.appendMember(",\"next\":", next) }
        out.append("}")
    }

    /// Something could not be done; the connection goes on.
    /// - Parameters:
    ///   - detail: what the client wrote and the reason is about, shortened.
    ///   - hint: what to do, where the code alone does not say it.
    public mutating func error(
        _ stamp: FrameStamp, _ code: ErrorCode, detail: Text? = nil, hint: Text? = nil, ref: Text?,
        to out: inout ByteBuffer
    ) {
        out.beginFrame(stamp.id, "error")
        switch generation {
        case .first:
            out.appendMember(",\"body\":", detail.map { Text(code.text.string + ": " + $0.string) } ?? code.text)
            if let hint { out.appendMember(",\"hint\":", hint) }
        case .second:
            out.appendMember(
                ",\"body\":",
                detail.map { Text(code.sentence.string + " (" + $0.string + ")") } ?? hint ?? code.sentence)
        }
        appendTimestamp(stamp.milliseconds, to: &out)
        out.appendRef(ref)
        out.append(",\"code\":\"")
        out.append(code.word)
        out.append("\"}")
    }

    /// The answer to a write with a `ref`, once it is stored.
    public mutating func ack(_ ack: Acknowledgement, ref: Text?, to out: inout ByteBuffer) {
        out.beginFrame(ack.id, "ack")
        out.appendMember(",\"room\":", ack.room)
        appendTimestamp(ack.position.timestamp.milliseconds, to: &out)
        out.appendRef(ref)
        out.appendPosition(ack.position)
        if let copies = ack.copies {
            out.append(",\"copies\":")
            out.appendDecimal(copies)
        }
        if !ack.isAfter { out.append(",\"after\":false") }
        if ack.isDuplicate { out.append(",\"duplicate\":true") }
        out.append("}")
    }

    /// What a document stands at, in the frame that its kind has.
    public mutating func value(
        _ stamp: FrameStamp, _ value: DocumentValue, of document: DocumentID, ref: Text?, to out: inout ByteBuffer
    ) {
        document.kind.form.appendValue(value, of: document, stamp, ref: ref, by: &self, to: &out)
    }

    /// The documents of a room. They must be sorted by the caller.
    public mutating func documents(
        _ stamp: FrameStamp, room: Text, documents: [(name: Text, kind: DocumentKind)], ref: Text?,
        to out: inout ByteBuffer
    ) {
        out.beginFrame(stamp.id, "docs")
        out.appendMember(",\"room\":", room)
        appendTimestamp(stamp.milliseconds, to: &out)
        out.appendRef(ref)
        out.append(",\"docs\":[")
        for (index, document) in documents.enumerated() {
            out.append(index > 0 ? ",{\"name\":" : "{\"name\":")
            out.appendJSONString(document.name)
            out.append(",\"kind\":\"")
            out.append(document.kind.form.listName)
            out.append("\"}")
        }
        out.append("]}")
    }

    // MARK: History

    /// A `history` frame is written in steps: this, then any number of `appendHistoryEntry`, then `endHistory`.
    public mutating func beginHistory(_ stamp: FrameStamp, room: Text, to out: inout ByteBuffer) {
        out.beginFrame(stamp.id, "history")
        out.appendMember(",\"room\":", room)
        out.append(",\"history\":[")
    }

    /// Appends the frame of one entry, the oldest first. Leaves `out` as it was where it throws: such an entry is left
    /// out of the history.
    public mutating func appendHistoryEntry(_ entry: Entry, to out: inout ByteBuffer) throws(EntryCodecError) {
        let before = out.count
        // A list's bracket is last in the buffer only as long as the list is empty.
        if out.bytes.last != UInt8(ascii: "[") { out.append(",") }
        do {
            try appendFrame(of: entry, to: &out)
        } catch {
            out.truncate(to: before)
            throw error
        }
    }

    /// `limit` is the one that was kept to, whatever was asked for.
    public mutating func endHistory(
        _ stamp: FrameStamp, limit: Int, ref: Text?, resume page: ResumePage? = nil, to out: inout ByteBuffer
    ) {
        out.append("],\"limit\":")
        out.appendDecimal(limit)
        appendTimestamp(stamp.milliseconds, to: &out)
        out.appendRef(ref)
        if let page {
            out.append(",\"resume\":true")
            if !page.recovered { out.append(",\"recovered\":false") }
            out.appendCursor(page.cursor)
            if !page.docs.isEmpty { out.appendMember(",\"docs\":", list: page.docs) }
        }
        out.append("}")
    }

    /// The end of a resume: live frames follow. `docs` must be sorted by the caller.
    public mutating func resumed(
        _ stamp: FrameStamp, room: Text, recovered: Bool, cursor: VersionVector, docs: [Text], ref: Text?,
        to out: inout ByteBuffer
    ) {
        out.beginFrame(stamp.id, "resumed")
        out.appendMember(",\"room\":", room)
        appendTimestamp(stamp.milliseconds, to: &out)
        out.appendRef(ref)
        out.append(recovered ? ",\"recovered\":true" : ",\"recovered\":false")
        out.appendCursor(cursor)
        out.appendMember(",\"docs\":", list: docs)
        out.append("}")
    }

    // MARK: Inside

    @inline(__always)
    mutating func appendTimestamp(_ milliseconds: UInt64, to out: inout ByteBuffer) {
        out.append(",\"timestamp\":\"")
        timestamps.append(milliseconds: milliseconds, to: &out)
        out.append("\"")
    }
}

// MARK: Members of a frame

extension ByteBuffer {
    /// `type` needs no escapes.
    @inline(__always)
    mutating func beginFrame(_ id: MessageID, _ type: StaticString) {
        append("{\"id\":\"")
        appendHexadecimal(id.high)
        appendHexadecimal(id.low)
        append("\",\"type\":\"")
        append(type)
        append("\"")
    }

    /// `name` with its comma, quotes and colon, and the text; nothing where that is empty.
    @inline(__always)
    mutating func appendMember(_ name: StaticString, _ utf8: UnsafeRawBufferPointer) {
        if utf8.isEmpty { return }
        append(name)
        appendJSONString(utf8)
    }

    @inline(__always)
    mutating func appendMember(_ name: StaticString, _ text: Text) {
        text.withUTF8 { appendMember(name, UnsafeRawBufferPointer($0)) }
    }

    mutating func appendMember(_ name: StaticString, list: [Text]) {
        append(name)
        append("[")
        for (index, text) in list.enumerated() {
            if index > 0 { append(",") }
            appendJSONString(text)
        }
        append("]")
    }

    @inline(__always)
    mutating func appendRef(_ ref: Text?) {
        if let ref { appendMember(",\"ref\":", ref) }
    }

    @inline(__always)
    mutating func appendPosition(_ position: Position) {
        append(",\"pos\":\"")
        position.appendText(to: &self)
        append("\"")
    }

    /// As the last member of a frame, which is not closed yet.
    package mutating func appendCursor(_ cursor: VersionVector) {
        append(",\"cursor\":")
        append(cursor: cursor)
    }

    mutating func append(cursor: VersionVector) {
        append("{")
        for (index, dot) in cursor.components.enumerated() {
            append(index > 0 ? ",\"" : "\"")
            appendHexadecimal(dot.replica.rawValue)
            append("\":")
            appendDecimal(dot.seq)
        }
        append("}")
    }

    fileprivate mutating func appendMembers(_ members: [MemberSummary]) {
        append(",\"members\":[")
        for (index, member) in members.enumerated() {
            append(index > 0 ? ",{\"user_id\":" : "{\"user_id\":")
            appendJSONString(member.user)
            append(",\"display_name\":")
            appendJSONString(member.displayName)
            append(",\"sessions\":")
            appendDecimal(member.sessions)
            append(",\"nodes\":[")
            for (place, node) in member.nodes.enumerated() {
                append(place > 0 ? ",\"" : "\"")
                appendHexadecimal(node.rawValue)
                append("\"")
            }
            append("]}")
        }
        append("]")
    }
}
