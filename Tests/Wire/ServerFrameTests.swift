import ConvergeCRDT
import ConvergeWire
import Testing

@Suite struct ServerFrameTests {
    private let stamp = FrameStamp(id: MessageID(high: 1, low: 0xAB), milliseconds: 1_795_371_628_123)
    private let replica = ReplicaID(rawValue: 0x0123_4567_89AB_CDEF)
    private var position: Position {
        Position(
            timestamp: HybridTimestamp(milliseconds: 1_795_371_628_123, counter: 1), dot: Dot(replica: replica, seq: 31)
        )
    }

    private func written(_ write: (inout ServerFrameEncoder, inout ByteBuffer) -> Void) -> String {
        var out = ByteBuffer()
        var encoder = ServerFrameEncoder()
        write(&encoder, &out)
        let text = String(decoding: out.bytes, as: UTF8.self)
        #expect(refusal(text) == nil, "not JSON: \(text)")
        return text
    }

    private let head = #"{"id":"000000000000000100000000000000ab","type":"#
    private let time = #""timestamp":"2026-11-22T18:20:28.123Z""#
    private let place = #""node":"0123456789abcdef","seq":31,"pos":"01a2047cf65b00010123456789abcdef11f"}"#

    @Test("the connection's frames")
    func connection() {
        var cursor = VersionVector()
        cursor[replica] = 5
        #expect(
            written {
                $0.resumed(stamp, room: "dev", recovered: false, cursor: cursor, docs: ["a", "b"], ref: "1", to: &$1)
            } == head
                + #""resumed","room":"dev",\#(time),"ref":"1","recovered":false,"cursor":{"0123456789abcdef":5},"docs":["a","b"]}"#
        )
        #expect(
            written {
                $0.beginHistory(stamp, room: "dev", to: &$1)
                let page = ResumePage(cursor: cursor, recovered: false, docs: ["a"])
                $0.endHistory(stamp, limit: 9, ref: nil, resume: page, to: &$1)
            } == head
                + #""history","room":"dev","history":[],"limit":9,\#(time),"resume":true,"recovered":false,"cursor":{"0123456789abcdef":5},"docs":["a"]}"#
        )
        cursor[ReplicaID(rawValue: 1)] = 70
        #expect(
            written { $0.welcome(stamp, room: "lobby", user: "u1", displayName: "Ann", to: &$1) } == head
                + #""welcome","room":"lobby","user_id":"u1","display_name":"Ann",\#(time)}"#)
        #expect(
            written { $0.welcome(stamp, room: "lobby", user: "u1", displayName: "", cursor: cursor, to: &$1) } == head
                + #""welcome","room":"lobby","user_id":"u1",\#(time),"cursor":{"0000000000000001":70,"0123456789abcdef":5}}"#
        )
        #expect(
            written { $0.joined(stamp, room: "dev", ref: "1", cursor: cursor, to: &$1) } == head
                + #""joined","room":"dev",\#(time),"ref":"1","cursor":{"0000000000000001":70,"0123456789abcdef":5}}"#)
        #expect(
            written { $0.joined(stamp, room: "dev", ref: "1", to: &$1) } == head
                + #""joined","room":"dev",\#(time),"ref":"1"}"#)
        #expect(
            written { $0.error(stamp, .unknownType, detail: "\"x\"", ref: nil, to: &$1) } == head
                + #""error","body":"unknown type: \"x\"",\#(time),"code":"unknown_type"}"#)
        #expect(
            written { $0.error(stamp, .conflict, hint: "read it again", ref: "1", to: &$1) } == head
                + #""error","body":"conflict","hint":"read it again",\#(time),"ref":"1","code":"conflict"}"#)
    }

    @Test("lists are there even when they are empty")
    func lists() {
        #expect(written { $0.rooms(stamp, rooms: [], ref: nil, to: &$1) } == head + #""rooms","rooms":[],\#(time)}"#)
        #expect(
            written { $0.rooms(stamp, rooms: ["a", "b\"c"], ref: "r", to: &$1) } == head
                + #""rooms","rooms":["a","b\"c"],\#(time),"ref":"r"}"#)
        #expect(
            written { $0.users(stamp, room: "dev", users: [], count: 0, ref: nil, to: &$1) } == head
                + #""users","room":"dev","users":[],\#(time),"count":0}"#)
        #expect(
            written { $0.value(stamp, .list(["x", ""]), of: document(.orSet), ref: nil, to: &$1) } == head
                + #""crdt_orset_values","room":"dev","doc":"d","items":["x",""],\#(time)}"#)
        #expect(
            written { $0.value(stamp, .text(nil), of: document(.register), ref: "q", to: &$1) } == head
                + #""crdt_lww_value","room":"dev","doc":"d",\#(time),"ref":"q"}"#)
    }

    @Test("what counters stand at, and which documents a room has")
    func documentReplies() {
        #expect(
            written { $0.value(stamp, .number(-5), of: document(.counter), ref: "q", to: &$1) } == head
                + #""crdt_counter_value","room":"dev","doc":"d",\#(time),"ref":"q","value":-5}"#)
        #expect(
            written { $0.value(stamp, .number(.min), of: document(.counter), ref: nil, to: &$1) } == head
                + #""crdt_counter_value","room":"dev","doc":"d",\#(time),"value":-9223372036854775808}"#)
        #expect(
            written { $0.documents(stamp, room: "dev", documents: [], ref: nil, to: &$1) } == head
                + #""docs","room":"dev",\#(time),"docs":[]}"#)
        let all: [(name: Text, kind: DocumentKind)] = [("a\"b", .orSet), ("t", .register), ("t", .counter)]
        #expect(
            written { $0.documents(stamp, room: "dev", documents: all, ref: "q", to: &$1) } == head
                + #""docs","room":"dev",\#(time),"ref":"q","docs":[{"name":"a\"b","kind":"orset"},"#
                + #"{"name":"t","kind":"lww"},{"name":"t","kind":"counter"}]}"#)
    }

    @Test("users in detail say how many sessions they have and where")
    func members() {
        let members = [
            MemberSummary(user: "a", displayName: "Ann", sessions: 2, nodes: [ReplicaID(rawValue: 1), replica]),
            MemberSummary(user: "b", displayName: "b", sessions: 1, nodes: []),
        ]
        #expect(
            written { $0.users(stamp, room: "r", users: ["a", "b"], count: 9, members: members, ref: "x", to: &$1) }
                == head + #""users","room":"r","users":["a","b"],\#(time),"ref":"x","count":9,"members":["#
                + #"{"user_id":"a","display_name":"Ann","sessions":2,"nodes":["0000000000000001","0123456789abcdef"]},"#
                + #"{"user_id":"b","display_name":"b","sessions":1,"nodes":[]}]}"#)
    }

    @Test("an ack says where the write stands")
    func acks() {
        let pos = #""pos":"01a2047cf65b00010123456789abcdef11f""#
        #expect(
            written { $0.ack(Acknowledgement(id: stamp.id, room: "r", position: position), ref: "7", to: &$1) }
                == head + #""ack","room":"r",\#(time),"ref":"7",\#(pos)}"#)
        #expect(
            written {
                $0.ack(
                    Acknowledgement(id: stamp.id, room: "r", position: position, isDuplicate: true, copies: 2),
                    ref: "7", to: &$1)
            } == head + #""ack","room":"r",\#(time),"ref":"7",\#(pos),"copies":2,"duplicate":true}"#)
    }

    private func document(_ kind: DocumentKind) -> DocumentID { DocumentID(room: "dev", kind: kind, name: "d") }

    private func entry(_ kind: EntryKind, _ payload: [UInt8]) -> Entry {
        Entry(dot: position.dot, timestamp: position.timestamp, kind: kind, room: "dev", payload: payload)
    }

    private func frame(_ entry: Entry, _ shown: DocumentShown = .asWritten) -> Result<String, EntryCodecError> {
        var out = ByteBuffer()
        out.append("before")
        var encoder = ServerFrameEncoder()
        do throws(EntryCodecError) {
            try encoder.appendFrame(of: entry, shown: shown, to: &out)
            return .success(String(String(decoding: out.bytes, as: UTF8.self).dropFirst(6)))
        } catch {
            #expect(out.count == 6, "half a frame is left behind")
            return .failure(error)
        }
    }

    private let dotID = #"{"id":"0123456789abcdef000000000000001f","type":"#

    @Test("a message's frame is the same from its fields and from its entry")
    func messages() {
        let keyed = MessagePayload(id: stamp.id, user: "u1", displayName: "Ann", body: Array("say \"é\"\n".utf8))
        let expected =
            head + #""message","room":"dev","user_id":"u1","display_name":"Ann","body":"say \"é\"\n",\#(time),"# + place
        #expect(frame(entry(.message, keyed.encoded)) == .success(expected))
        let direct = written { encoder, out in
            keyed.body.withUnsafeBytes {
                encoder.message(
                    id: stamp.id, room: "dev", user: "u1", displayName: "Ann", body: $0, position: position, to: &out)
            }
        }
        #expect(direct == expected)
        let plain = MessagePayload(user: "u1", displayName: "", body: [])
        #expect(
            frame(entry(.message, plain.encoded))
                == .success(dotID + #""message","room":"dev","user_id":"u1",\#(time),"# + place))
    }

    @Test("a system event says who joined or left")
    func system() {
        func expected(_ word: String) -> String {
            dotID + #""system","room":"dev","user_id":"u1","display_name":"A\"n","body":"A\"n \#(word)",\#(time),"#
                + place
        }
        for (event, word) in [(SystemPayload.Event.joined, "joined"), (.left, "left")] {
            let payload = SystemPayload(event: event, user: "u1", displayName: "A\"n")
            #expect(frame(entry(.system, payload.encoded)) == .success(expected(word)))
            #expect(
                written {
                    $0.system(
                        id: MessageID(position.dot), event: event, room: "dev", user: "u1", displayName: "A\"n",
                        position: position, to: &$1)
                } == expected(word))
        }
        #expect(
            written { $0.system(stamp, event: .joined, room: "dev", user: "u1", displayName: "A\"n", to: &$1) } == head
                + #""system","room":"dev","user_id":"u1","display_name":"A\"n","body":"A\"n joined",\#(time)}"#)
    }

    @Test("a document's change is named after what happened")
    func documents() {
        func changed(_ delta: DocumentDelta) -> Result<String, EntryCodecError> {
            let payload = DocumentPayload(name: "list", user: "u1", displayName: "Ann", delta: delta)
            return frame(entry(.document, payload.encoded))
        }
        func expected(_ type: String, _ body: String) -> Result<String, EntryCodecError> {
            .success(
                dotID + #""\#(type)","room":"dev","user_id":"u1","display_name":"Ann","doc":"list",\#(body)\#(time),"#
                    + place)
        }
        #expect(changed(.add(element: "milk", replacing: [])) == expected("crdt_orset_added", #""body":"milk","#))
        #expect(
            changed(.remove(element: "milk", observed: [position.dot]))
                == expected("crdt_orset_removed", #""body":"milk","#))
        #expect(changed(.set(value: "mine")) == expected("crdt_lww_set", #""body":"mine","#))
        #expect(changed(.set(value: nil)) == expected("crdt_lww_set", ""))
    }

    @Test("a counter's change says what was added, and what it stands at where that is known")
    func counters() {
        let delta = DocumentDelta.count(amount: -2, totals: CounterTotals(up: 7, down: 2))
        let payload = DocumentPayload(name: "votes", user: "u1", displayName: "Ann", delta: delta)
        func expected(_ value: String) -> Result<String, EntryCodecError> {
            .success(
                dotID + #""crdt_counter_changed","room":"dev","user_id":"u1","display_name":"Ann","doc":"votes","#
                    + #"\#(time),"amount":-2,\#(value)"# + place)
        }
        #expect(frame(entry(.document, payload.encoded)) == expected(""))
        #expect(frame(entry(.document, payload.encoded), .counted(12)) == expected(#""value":12,"#))
    }

    @Test("an entry that can't be shown is an error and leaves nothing behind")
    func unshown() {
        let payload = MessagePayload(user: "u", displayName: "u", body: [0xFF]).encoded
        #expect(frame(entry(.message, payload)) == .failure(.invalidText))
        #expect(frame(entry(.message, [])) == .failure(.truncated))
        #expect(frame(entry(.document, [1, 9])) == .failure(.unknownDelta(9)))
        #expect(frame(entry(EntryKind(rawValue: 77), [])) == .failure(.unknownKind(EntryKind(rawValue: 77))))
        let redaction = RedactionPayload(target: position.dot).encoded
        #expect(frame(entry(.redaction, redaction)) == .failure(.notShown))
        var redacted = entry(.message, MessagePayload(user: "u", displayName: "u", body: []).encoded)
        redacted.flags = .redacted
        #expect(frame(redacted) == .failure(.redacted))
    }

    @Test("history is a list of whole frames; what can't be shown is left out")
    func history() {
        let message = entry(.message, MessagePayload(user: "u", displayName: "", body: [0x78]).encoded)
        let one = (try? frame(message).get()) ?? ""
        func history(_ entries: [Entry]) -> String {
            written { encoder, out in
                encoder.beginHistory(stamp, room: "dev", to: &out)
                for entry in entries { try? encoder.appendHistoryEntry(entry, to: &out) }
                encoder.endHistory(stamp, limit: 50, ref: "h", to: &out)
            }
        }
        func expected(_ list: String) -> String {
            head + #""history","room":"dev","history":[\#(list)],"limit":50,\#(time),"ref":"h"}"#
        }
        #expect(history([]) == expected(""))
        #expect(history([message, message]) == expected(one + "," + one))
        let broken = entry(.message, [])
        #expect(history([broken, message, broken, message, broken]) == expected(one + "," + one))
        #expect(history([broken]) == expected(""))
    }
}
