import ConvergeCRDT
import ConvergeWire

/// One frame as a client reads it, by a reader of its own: not the one under test.
///
/// It knows just what servers send: objects, lists, texts, whole numbers, true, false and null.
final class ShownFrame {
    var type = ""
    var id = ""
    var room = ""
    var user = ""
    var name = ""
    var doc = ""
    var body = ""
    /// Of an error.
    var code: String?
    var ref: String?
    var position: Position?
    var seq: UInt64?
    var node: ReplicaID?
    var users: [String]?
    var rooms: [String]?
    var items: [String]?
    /// Of a map.
    var fields: [String: String]?
    var count: Int?
    var value: Int?
    var copies: Int?
    var isDuplicate = false
    var isResume = false
    var recovered: Bool?
    var docs: [String]?
    var history: [ShownFrame]?
    var cursor: VersionVector?
    var members: [Member]?
    /// Not in the frame, but of the node that sent it: logs of which the cursor could not be what it said. They are shown from
    /// the beginning, from this frame on.
    var begunAnew: Set<ReplicaID> = []

    struct Member {
        var user = ""
        var sessions = 0
        var nodes: [String] = []
    }

    /// Rooms and cursors.
    var cursors: [String: VersionVector]?
    /// As the first generation has it in every frame, and the second where `pos` does not say it.
    private var hasTime = false

    var dot: Dot? {
        guard let node, let seq else { return nil }
        return Dot(replica: node, seq: seq)
    }

    /// What a frame of the second generation leaves out stands in its `pos`, or is the user's id.
    private func complete() {
        guard !hasTime, let dot = position?.dot, node == nil, seq == nil else { return }
        node = dot.replica
        seq = dot.seq
        // Replicas are written as numbers of 64 bits are.
        if id.isEmpty { id = "\(dot.replica)\(ReplicaID(rawValue: dot.seq))" }
        if name.isEmpty { name = user }
    }

    private init() {}

    /// Nil where the bytes are anything but one whole WebSocket text frame from a server with one JSON object in it.
    convenience init?(_ frame: UnsafeRawBufferPointer) {
        guard frame.count > 2, frame[0] == 0x81 else { return nil }
        var length = Int(frame[1])
        var start = 2
        if length == 126, frame.count > 4 {
            length = Int(frame[2]) << 8 | Int(frame[3])
            start = 4
        } else if length == 127, frame.count > 10 {
            length = (2..<10).reduce(0) { $0 << 8 | Int(frame[$1]) }
            start = 10
        }
        guard frame.count == start + length else { return nil }
        var reader = Reader(bytes: frame, at: start)
        self.init()
        guard read(&reader), reader.at == frame.count else { return nil }
    }

    private func read(_ reader: inout Reader) -> Bool {
        guard reader.take("{") else { return false }
        if reader.take("}") { return true }
        repeat {
            guard let key = reader.string(), reader.take(":"), readMember(key, &reader) else { return false }
        } while reader.take(",")
        complete()
        return reader.take("}")
    }

    private func readMember(_ key: String, _ reader: inout Reader) -> Bool {
        switch key {
        case "type": return reader.string(into: &type)
        case "id": return reader.string(into: &id)
        case "room": return reader.string(into: &room)
        case "user_id": return reader.string(into: &user)
        case "display_name": return reader.string(into: &name)
        case "doc": return reader.string(into: &doc)
        case "body": return reader.string(into: &body)
        case "code":
            code = reader.string()
            return code != nil
        case "timestamp":
            hasTime = true
            return reader.skip()
        case "ref":
            ref = reader.string()
            return ref != nil
        case "pos":
            position = reader.string().flatMap { Position(Text($0)) }
            return position != nil
        case "node":
            node = reader.string().flatMap { ReplicaID($0) }
            return node != nil
        case "seq":
            seq = reader.number().map { UInt64($0) }
            return seq != nil
        case "value" where type == "doc": return reader.skip()
        case "value" where type == "doc_value": return readFields(&reader)
        case "count", "value", "copies":
            guard let number = reader.number() else { return false }
            if key == "count" { count = number } else if key == "value" { value = number } else { copies = number }
            return true
        case "duplicate", "resume", "recovered":
            guard let flag = reader.flag() else { return false }
            if key == "duplicate" { isDuplicate = flag } else if key == "resume" { isResume = flag }
            if key == "recovered" { recovered = flag }
            return true
        case "users": return reader.strings(into: &users)
        case "rooms" where type == "cursors": return readCursors(&reader)
        case "rooms": return reader.strings(into: &rooms)
        case "items": return reader.strings(into: &items)
        case "docs" where type == "resumed": return reader.strings(into: &docs)
        case "history": return readHistory(&reader)
        case "cursor": return readCursor(&reader)
        case "members": return readMembers(&reader)
        default: return reader.skip()
        }
    }

    private func readHistory(_ reader: inout Reader) -> Bool {
        var list: [ShownFrame] = []
        let whole = reader.list { reader in
            let frame = ShownFrame()
            guard frame.read(&reader) else { return false }
            list.append(frame)
            return true
        }
        history = list
        return whole
    }

    private func readFields(_ reader: inout Reader) -> Bool {
        guard reader.take("{") else { return false }
        var found: [String: String] = [:]
        if !reader.take("}") {
            repeat {
                guard let field = reader.string(), reader.take(":"), let value = reader.string() else { return false }
                found[field] = value
            } while reader.take(",")
            guard reader.take("}") else { return false }
        }
        fields = found
        return true
    }

    private func readCursors(_ reader: inout Reader) -> Bool {
        guard reader.take("{") else { return false }
        cursors = [:]
        repeat {
            guard let room = reader.string(), reader.take(":"), readCursor(&reader) else { return false }
            cursors?[room] = cursor
        } while reader.take(",")
        cursor = nil
        return reader.take("}")
    }

    private func readCursor(_ reader: inout Reader) -> Bool {
        guard reader.take("{") else { return false }
        var vector = VersionVector()
        if !reader.take("}") {
            repeat {
                guard let key = reader.string(), let replica = ReplicaID(key), reader.take(":"),
                    let seq = reader.number()
                else { return false }
                vector.advance(to: Dot(replica: replica, seq: UInt64(seq)))
            } while reader.take(",")
            guard reader.take("}") else { return false }
        }
        cursor = vector
        return true
    }

    private func readMembers(_ reader: inout Reader) -> Bool {
        var list: [Member] = []
        let whole = reader.list { reader in
            var member = Member()
            guard reader.take("{") else { return false }
            repeat {
                guard let key = reader.string(), reader.take(":") else { return false }
                switch key {
                case "user_id": guard reader.string(into: &member.user) else { return false }
                case "sessions":
                    guard let count = reader.number() else { return false }
                    member.sessions = count
                case "nodes":
                    var nodes: [String]?
                    guard reader.strings(into: &nodes) else { return false }
                    member.nodes = nodes ?? []
                default: guard reader.skip() else { return false }
                }
            } while reader.take(",")
            list.append(member)
            return reader.take("}")
        }
        members = list
        return whole
    }

    /// Goes through JSON bytes without spaces.
    private struct Reader {
        let bytes: UnsafeRawBufferPointer
        var at: Int

        mutating func take(_ character: Unicode.Scalar) -> Bool {
            guard at < bytes.count, bytes[at] == UInt8(ascii: character) else { return false }
            at += 1
            return true
        }

        mutating func string() -> String? {
            guard take("\"") else { return nil }
            let start = at
            while at < bytes.count, bytes[at] != UInt8(ascii: "\""), bytes[at] != UInt8(ascii: "\\") { at += 1 }
            guard at < bytes.count else { return nil }
            if bytes[at] == UInt8(ascii: "\"") {
                at += 1
                return String(decoding: bytes[start..<(at - 1)], as: UTF8.self)
            }
            // An escape: none of the harness's own texts needs one but the quote and the backslash.
            var text = [UInt8](bytes[start..<at])
            while at < bytes.count, bytes[at] != UInt8(ascii: "\"") {
                if bytes[at] == UInt8(ascii: "\\") { at += 1 }
                guard at < bytes.count else { return nil }
                text.append(bytes[at])
                at += 1
            }
            at += 1
            return String(decoding: text, as: UTF8.self)
        }

        mutating func string(into place: inout String) -> Bool {
            guard let text = string() else { return false }
            place = text
            return true
        }

        mutating func strings(into place: inout [String]?) -> Bool {
            var all: [String] = []
            let whole = list { reader in
                guard let text = reader.string() else { return false }
                all.append(text)
                return true
            }
            place = all
            return whole
        }

        mutating func number() -> Int? {
            let negative = take("-")
            let start = at
            var value = 0
            while at < bytes.count, bytes[at] >= 48, bytes[at] <= 57 {
                value = value &* 10 &+ Int(bytes[at] - 48)
                at += 1
            }
            return at == start ? nil : negative ? -value : value
        }

        mutating func flag() -> Bool? {
            for (word, meaning) in [("true", true), ("false", false)]
            where bytes.count - at >= word.utf8.count && bytes[at..<(at + word.utf8.count)].elementsEqual(word.utf8) {
                at += word.utf8.count
                return meaning
            }
            return nil
        }

        mutating func list(_ element: (inout Reader) -> Bool) -> Bool {
            guard take("[") else { return false }
            if take("]") { return true }
            repeat {
                guard element(&self) else { return false }
            } while take(",")
            return take("]")
        }

        mutating func skip() -> Bool {
            guard at < bytes.count else { return false }
            switch bytes[at] {
            case UInt8(ascii: "\""): return string() != nil
            case UInt8(ascii: "["): return list { $0.skip() }
            case UInt8(ascii: "{"):
                at += 1
                if take("}") { return true }
                repeat {
                    guard string() != nil, take(":"), skip() else { return false }
                } while take(",")
                return take("}")
            case UInt8(ascii: "t"), UInt8(ascii: "f"): return flag() != nil
            case UInt8(ascii: "n"):
                at += 4
                return at <= bytes.count
            default: return number() != nil
            }
        }
    }
}
