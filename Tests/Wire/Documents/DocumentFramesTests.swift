import ConvergeCRDT
import ConvergeWire
import Testing

/// The bytes of `doc` and `doc_value`, and what `doc` and `doc_get` ask for.
@Suite struct DocumentFramesTests {
    private let position = Position(
        timestamp: HybridTimestamp(milliseconds: 1_795_376_559_707, counter: 1),
        dot: Dot(replica: ReplicaID(rawValue: 0x0123_4567_89AB_CDEF), seq: 31))
    private let stamp = FrameStamp(id: MessageID(high: 1, low: 2), milliseconds: 1_795_376_559_707)

    private func written(_ write: (inout ServerFrameEncoder, inout ByteBuffer) -> Void) -> String {
        var encoder = ServerFrameEncoder()
        var out = ByteBuffer()
        write(&encoder, &out)
        return String(decoding: out.bytes, as: UTF8.self)
    }

    private let place =
        #""timestamp":"2026-11-22T19:42:39.707Z","node":"0123456789abcdef","seq":31,"#
        + #""pos":"01a204c8365b00010123456789abcdef11f"}"#

    private func change(_ delta: DocumentDelta, _ shown: DocumentShown = .asWritten) -> String {
        let payload = DocumentPayload(name: "d", user: "u", displayName: "U", delta: delta)
        return written { $0.documentChange(payload, shown, room: "dev", position: position, to: &$1) }
    }

    private func expected(_ rest: String) -> String {
        #"{"id":"0123456789abcdef000000000000001f","type":"doc","room":"dev","user_id":"u","display_name":"U","doc":"d","#
            + rest + place
    }

    /// The JSON of what `doc` makes of a value, read back from the frame that shows it.
    private func command(_ frame: String) throws -> ClientCommand {
        try Array(frame.utf8).withUnsafeBytes { try ClientFrame.decode($0).command }
    }

    @Test("a change of each kind says its kind, what was done, and the value")
    func changes() {
        #expect(
            change(.add(element: "m\"", replacing: [])) == expected(#""kind":"set","op":"add","value":"m\"","#))
        #expect(change(.remove(element: "", observed: [])) == expected(#""kind":"set","op":"remove","value":"","#))
        #expect(change(.set(value: "v")) == expected(#""kind":"register","op":"set","value":"v","#))
        #expect(change(.set(value: nil)) == expected(#""kind":"register","op":"clear","#))
        let count = DocumentDelta.count(amount: -2, totals: CounterTotals(up: 1, down: 2))
        #expect(change(count) == expected(#""kind":"counter","op":"increment","value":-2,"#))
        #expect(change(count, .counted(-1)) == expected(#""kind":"counter","op":"increment","value":-2,"total":-1,"#))
    }

    @Test("what a document stands at is a list, a value or a number")
    func values() {
        func value(_ kind: DocumentKind, _ value: DocumentValue, next: Text? = nil) -> String {
            let document = DocumentID(room: "dev", kind: kind, name: "d")
            return written { $0.documentValue(stamp, value, of: document, next: next, ref: "q", to: &$1) }
        }
        func expected(_ rest: String, _ end: String = "}") -> String {
            #"{"id":"00000000000000010000000000000002","type":"doc_value","room":"dev","doc":"d","# + rest
                + #","timestamp":"2026-11-22T19:42:39.707Z","ref":"q""# + end
        }
        #expect(value(.orSet, .list(["a", "\u{0}5"])) == expected(#""kind":"set","value":["a",5]"#))
        #expect(value(.orSet, .list([])) == expected(#""kind":"set","value":[]"#))
        #expect(value(.register, .text(nil)) == expected(#""kind":"register","value":null"#))
        #expect(value(.register, .text("\u{0}{\"a\":[1]}")) == expected(#""kind":"register","value":{"a":[1]}"#))
        #expect(value(.counter, .number(nil)) == expected(#""kind":"counter","value":0"#))
        #expect(
            value(.orSet, .list(["a"]), next: "x\"y") == expected(#""kind":"set","value":["a"]"#, #","next":"x\"y"}"#))
    }

    @Test(
        "a value that is no string is kept as its JSON, told apart from every string, and shown as text in older frames"
    )
    func anyJSON() throws {
        let values = [
            #""plain""#, #""""#, "5", #""5""#, "-1.5e3", "true", "[1,{\"a\":null}]", #""\u0000""#, #""\u00005""#, "{}",
        ]
        var texts: Set<Text> = []
        for value in values {
            guard
                case .write(let write) = try command(
                    #"{"type":"doc","kind":"register","op":"set","value": \#(value) }"#), let text = write.write.value
            else {
                Issue.record("no write: \(value)")
                continue
            }
            texts.insert(text)
            #expect(change(.set(value: text)) == expected(#""kind":"register","op":"set","value":\#(value),"#))
        }
        #expect(texts.count == values.count)
        // What an earlier build wrote behind a U+0000 and is no JSON is the string that it is.
        #expect(change(.set(value: "\u{0}[")) == expected(#""kind":"register","op":"set","value":"\u0000[","#))
        let older = written {
            let payload = DocumentPayload(
                name: "d", user: "u", displayName: "U", delta: .add(element: "\u{0}[1]", replacing: []))
            $0.document(payload, room: "dev", position: position, to: &$1)
        }
        #expect(older.contains(#""type":"crdt_orset_added""#) && older.contains(#""body":"[1]""#))
    }

    @Test("`doc` is a write of any kind, wherever its members stand")
    func writes() throws {
        #expect(
            try command(#"{"op":"add","value":"x","kind":"set","type":"doc","room":" dev ","doc":"d","key":"k"}"#)
                == .write(DocumentWriteCommand(.orSet, doc: "d", .init(.add, key: "x"), room: "dev", key: "k")))
        #expect(
            try command(#"{"type":"doc","kind":"set","op":"remove","value":7}"#)
                == .write(DocumentWriteCommand(.orSet, doc: "default", .init(.remove, key: "\u{0}7"))))
        #expect(
            try command(#"{"type":"doc","kind":"register","op":"clear","value":null}"#)
                == .write(DocumentWriteCommand(.register, doc: "default", .init(.clear))))
        #expect(
            try command(#"{"type":"doc","kind":"counter","op":"increment","value":-3,"copies":2}"#)
                == .write(DocumentWriteCommand(.counter, doc: "default", .init(.increment, amount: -3), copies: 2)))
    }

    @Test("what a kind has no such operation for, and a value of the wrong type, is no valid frame")
    func wrong() {
        let wrong = [
            #""kind":"tree","op":"add","value":"x""#, #""kind":7,"op":"add","value":"x""#, #""op":"add","value":"x""#,
            #""kind":"set","value":"x""#, #""kind":"set","op":"put","value":"x""#, #""kind":"set","op":"add""#,
            #""kind":"set","op":"set","value":"x""#, #""kind":"set","op":"add","field":"f","value":"x""#,
            #""kind":"register","op":"set""#, #""kind":"register","op":"clear","value":1"#,
            #""kind":"register","op":"add","value":"x""#, #""kind":"counter","op":"increment","value":"1""#,
            #""kind":"counter","op":"increment","value":1.5"#, #""kind":"counter","op":"increment""#,
            #""kind":"counter","op":"set","value":1"#, #""kind":"register","op":"set","value":"v","field":1"#,
        ]
        for members in wrong {
            let frame = Array(#"{"type":"doc","ref":"r",\#(members)}"#.utf8)
            let thrown = frame.withUnsafeBytes { bytes -> ClientFrameError? in
                do throws(ClientFrameError) {
                    _ = try ClientFrame.decode(bytes)
                    return nil
                } catch {
                    return error
                }
            }
            #expect(thrown == .invalidMessage(ref: "r"), "\(members)")
        }
    }

    @Test("`doc_get` names a page; in other frames its members are anything, and `after` is a position")
    func reads() throws {
        #expect(
            try command(#"{"type":"doc_get","kind":"set","doc":"d","room":"dev","after":"abc","limit":2}"#)
                == .read(
                    DocumentReadCommand(.orSet, doc: "d", room: "dev", page: DocumentPage(after: "abc", limit: 2))))
        #expect(
            try command(#"{"type":"doc_get","kind":"counter"}"#)
                == .read(DocumentReadCommand(.counter, doc: "default", page: DocumentPage())))
        #expect(
            try command(#"{"type":"leave","kind":[],"op":{},"field":1,"value":{"a":[]}}"#) == .leave)
        #expect(throws: ClientFrameError.self) { try command(#"{"type":"leave","after":"abc"}"#) }
    }

    @Test("a page goes on behind the last, whatever its name is, and what is no place is none")
    func pages() throws {
        let all = DocumentValue.list(["", "a", "é", "\u{0}7"].sorted())
        var read: [Text] = []
        var after: Text?
        while true {
            let (part, last) = all.page(after: after, limit: 1)
            guard case .list(let elements) = part else { break }
            read += elements
            guard let last else { break }
            let place = DocumentPage.place(after: last, digest: .max - 3)
            let found = try #require(DocumentPage.read(place))
            #expect(found.digest == .max - 3 && found.key == last)
            after = found.key
        }
        #expect(DocumentValue.list(read) == all)
        #expect(DocumentPage.read("") == nil)
        #expect(DocumentPage.read("0123456789abcde") == nil)
        #expect(DocumentPage.read("not sixteen digits") == nil)
        #expect(DocumentValue.number(5).page(after: "x", limit: 1).page == .number(5))
    }
}
