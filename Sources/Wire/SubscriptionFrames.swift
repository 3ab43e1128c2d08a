import ConvergeCRDT

// What only the second generation of the protocol has: frames about a session in many rooms.

/// How much one session may do, as it is told at its beginning. Lengths are in UTF-8 bytes.
public struct WelcomeLimits: Hashable, Sendable {
    /// The most rooms that a connection may be subscribed to.
    public var rooms: Int
    /// A message's body, a room's name, a document's name.
    public var body: Int
    public var room: Int
    public var document: Int

    public init(rooms: Int, body: Int, room: Int, document: Int) {
        self.rooms = rooms
        self.body = body
        self.room = room
        self.document = document
    }
}

/// What a client is told of a session's name: 128 random bits, so that nobody can guess another's.
public struct SessionName: Hashable, Sendable {
    public var high: UInt64
    public var low: UInt64

    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }
}

extension ServerFrameEncoder {
    /// The first frame of a connection.
    /// - Parameter node: the node's replica; nil while its store was never open.
    public mutating func welcome(
        _ stamp: FrameStamp, _ session: SessionName, user: Text, displayName: Text, node: ReplicaID?,
        limits: WelcomeLimits, to out: inout ByteBuffer
    ) {
        out.beginFrame(stamp.id, "welcome")
        out.appendMember(",\"user_id\":", user)
        out.appendMember(",\"display_name\":", displayName)
        appendTimestamp(stamp.milliseconds, to: &out)
        out.append(",\"session\":\"")
        out.appendHexadecimal(session.high)
        out.appendHexadecimal(session.low)
        if let node {
            out.append("\",\"node\":\"")
            out.appendHexadecimal(node.rawValue)
        }
        out.append("\",\"limits\":{\"rooms\":")
        out.appendDecimal(limits.rooms)
        out.append(",\"body\":")
        out.appendDecimal(limits.body)
        out.append(",\"room\":")
        out.appendDecimal(limits.room)
        out.append(",\"document\":")
        out.appendDecimal(limits.document)
        out.append("}}")
    }

    /// The answer to `subscribe`: what follows of the room is shown.
    /// - Parameters:
    ///   - count: how many users are in the room.
    ///   - cursor: what the session has been shown of the room, or need not be.
    public mutating func subscribed(
        _ stamp: FrameStamp, room: Text, count: Int, cursor: VersionVector, ref: Text?, to out: inout ByteBuffer
    ) {
        out.beginFrame(stamp.id, "subscribed")
        out.appendMember(",\"room\":", room)
        appendTimestamp(stamp.milliseconds, to: &out)
        out.appendRef(ref)
        out.append(",\"count\":")
        out.appendDecimal(count)
        out.append(",\"can\":[\"read\",\"send\",\"write\"]")
        out.appendCursor(cursor)
        out.append("}")
    }

    /// The end of a subscription that the client asked for: nothing of the room follows.
    public mutating func unsubscribed(_ stamp: FrameStamp, room: Text, ref: Text?, to out: inout ByteBuffer) {
        out.beginFrame(stamp.id, "unsubscribed")
        out.appendMember(",\"room\":", room)
        appendTimestamp(stamp.milliseconds, to: &out)
        out.appendRef(ref)
        out.append("}")
    }

    /// The end of a subscription whose client was too slow for what is kept of the room's history.
    public mutating func historyIsGone(_ stamp: FrameStamp, room: Text, to out: inout ByteBuffer) {
        out.beginFrame(stamp.id, "unsubscribed")
        out.appendMember(",\"room\":", room)
        appendTimestamp(stamp.milliseconds, to: &out)
        out.append(",\"reason\":\"history is gone\",\"recovered\":false}")
    }

    /// Where a session stands in rooms that show it nothing for a long time.
    public mutating func cursors(
        _ stamp: FrameStamp, _ cursors: [(room: Text, cursor: VersionVector)], to out: inout ByteBuffer
    ) {
        out.beginFrame(stamp.id, "cursors")
        appendTimestamp(stamp.milliseconds, to: &out)
        out.append(",\"rooms\":{")
        for (index, (room, cursor)) in cursors.enumerated() {
            if index > 0 { out.append(",") }
            out.appendJSONString(room)
            out.append(":")
            out.append(cursor: cursor)
        }
        out.append("}}")
    }
}
