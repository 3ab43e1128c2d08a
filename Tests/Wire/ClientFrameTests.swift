import ConvergeTestSupport
import ConvergeCRDT
import ConvergeWire
import Testing

@Suite struct ClientFrameTests {
    private func decode(_ json: String) -> Result<ClientFrame, ClientFrameError> {
        var json = json
        return json.withUTF8 { utf8 in
            do throws(ClientFrameError) {
                return .success(try ClientFrame.decode(UnsafeRawBufferPointer(utf8)))
            } catch {
                return .failure(error)
            }
        }
    }

    private func command(_ json: String) -> ClientCommand? { try? decode(json).get().command }

    private let position = Position(
        timestamp: HybridTimestamp(milliseconds: 1_795_371_628_123, counter: 2),
        dot: Dot(replica: ReplicaID(rawValue: 0xDEAD_BEEF), seq: 1000))

    @Test("a message has a body, and what else is given")
    func messages() {
        #expect(
            decode(#"{"type":"message","body":"hi"}"#)
                == .success(ClientFrame(command: .message(MessageCommand(body: Array("hi".utf8))))))
        #expect(command("{}") == .message(MessageCommand(body: [])))
        #expect(command(#"{"type":""}"#) == .message(MessageCommand(body: [])))
        #expect(command(#"{"type":null,"body":null}"#) == .message(MessageCommand(body: [])))
        #expect(
            decode(
                #" {"copies":2,"after":"\#(position.text)","key":"k1","body":"a\nb\u00e9","room":"dev","ref":"7","type":"message"} "#
            )
                == .success(
                    ClientFrame(
                        ref: "7",
                        command: .message(
                            MessageCommand(
                                room: "dev", body: Array("a\nbé".utf8), key: "k1", after: position, copies: 2)))))
    }

    @Test("a resume has a cursor of hexadecimal names and whole numbers, which may be too large to be used")
    func resume() {
        let vector = VersionVector([
            Dot(replica: ReplicaID(rawValue: 0xAB), seq: 7), Dot(replica: ReplicaID(rawValue: 1), seq: 2),
        ])
        #expect(
            command(
                #"{"type":"resume","room":" r ","cursor":{"00000000000000AB":6,"0000000000000001":2,"00000000000000ab":7}}"#
            )
                == .resume(room: "r", cursor: .at(vector)))
        #expect(command(#"{"type":"resume","cursor":{}}"#) == .resume(room: nil, cursor: .at(VersionVector())))
        for bad in [
            "", #","cursor":null"#, #","cursor":5"#, #","cursor":[]"#, #","cursor":{"ab":1}"#,
            #","cursor":{"00000000000000ab":-1}"#, #","cursor":{"00000000000000ab":1.5}"#,
            #","cursor":{"00000000000000ab":99999999999999999999}"#, #","cursor":{"0000000000000xab":1}"#,
            #","cursor":{"00000000000000ab":"1"}"#,
        ] {
            #expect(
                decode(#"{"type":"resume","ref":"r"\#(bad)}"#) == .failure(.invalidMessage(ref: "r")), "\(bad)")
        }
        func cursor(of count: Int, padding: Int = 0) -> String {
            let members = (0..<count).map { "\"\(ReplicaID(rawValue: UInt64($0 + 1)))\":1" }
            return "{" + members.joined(separator: ",") + String(repeating: " ", count: padding) + "}"
        }
        func read(_ cursor: String) -> ClientCursor? {
            guard case .resume(_, let cursor)? = command(#"{"type":"resume","cursor":\#(cursor)}"#) else { return nil }
            return cursor
        }
        guard case .at(let most)? = read(cursor(of: 256)) else {
            Issue.record("256 nodes are too many")
            return
        }
        #expect(most.components.count == 256)
        #expect(read(cursor(of: 257)) == .unusable)
        #expect(read(cursor(of: 1, padding: 8_192)) == .unusable)
    }

    @Test("a cursor's text stands alone in a URL")
    func cursorText() {
        func read(_ text: String) -> ClientCursor {
            Array(text.utf8).withUnsafeBytes { ClientCursor(text: $0) }
        }
        #expect(read(" {} ") == .at(VersionVector()))
        #expect(
            read(#"{"00000000000000ab":7}"#) == .at(VersionVector([Dot(replica: ReplicaID(rawValue: 0xAB), seq: 7)])))
        for bad in ["", "{", "{} x", "null", #"{"00000000000000ab":"7"}"#, String(repeating: " ", count: 8_192) + "{}"]
        {
            #expect(read(bad) == .unusable, "\(bad.prefix(30))")
        }
    }

    @Test("every command is known by its type")
    func commands() {
        #expect(command(#"{"type":"join","room":"dev"}"#) == .join(room: "dev"))
        #expect(command(#"{"type":"join"}"#) == .join(room: ""))
        #expect(command(#"{"type":"leave"}"#) == .leave)
        #expect(command(#"{"type":"rooms"}"#) == .rooms(RoomsCommand()))
        #expect(command(#"{"type":"users"}"#) == .users(UsersCommand()))
        #expect(
            command(#"{"type":"users","room":"r","detail":true,"limit":5}"#)
                == .users(UsersCommand(room: "r", detail: true, limit: 5)))
        #expect(command(#"{"type":"history"}"#) == .history(room: nil, limit: nil, before: nil))
        #expect(
            command(#"{"before":"\#(position.text)","limit":-3,"type":"history","room":"x"}"#)
                == .history(room: "x", limit: -3, before: position))
        #expect(
            command(#"{"type":"crdt_orset_add","body":"milk"}"#)
                == .write(DocumentWriteCommand(.orSet, doc: "default", .init(.add, key: "milk"))))
        #expect(
            command(#"{"type":"crdt_orset_remove","doc":"list","body":"milk","key":"k"}"#)
                == .write(DocumentWriteCommand(.orSet, doc: "list", .init(.remove, key: "milk"), key: "k")))
        #expect(command(#"{"type":"crdt_orset_values","doc":""}"#) == .read(.init(.orSet, doc: "default")))
        #expect(command(#"{"type":"crdt_lww_get","doc":"title"}"#) == .read(.init(.register, doc: "title")))
    }

    @Test("an amount is a whole number that every JSON reader holds exactly, and a counter's addition has one")
    func counters() {
        #expect(
            decode(
                #"{"amount":-3,"type":"crdt_counter_add","doc":"votes","ref":"r","key":"k","copies":2,"after":"\#(position.text)"}"#
            )
                == .success(
                    ClientFrame(
                        ref: "r",
                        command: .write(
                            DocumentWriteCommand(
                                .counter, doc: "votes", .init(.increment, amount: -3), key: "k", after: position,
                                copies: 2)))))
        let largest: [Int64] = [0, 9_007_199_254_740_992, -9_007_199_254_740_992]
        for amount in largest {
            #expect(
                command(#"{"type":"crdt_counter_add","amount":\#(amount)}"#)
                    == .write(DocumentWriteCommand(.counter, doc: "default", .init(.increment, amount: amount))))
        }
        let wrong = [
            "null", "\"1\"", "1.5", "1.0", "1e2", "9007199254740993", "-9007199254740993", "1\(largest[1])0000",
        ]
        for amount in wrong {
            #expect(
                decode(#"{"type":"crdt_counter_add","ref":"r","amount":\#(amount)}"#)
                    == .failure(.invalidMessage(ref: "r")), "\(amount)")
        }
        #expect(decode(#"{"type":"crdt_counter_add","ref":"r"}"#) == .failure(.invalidMessage(ref: "r")))
        #expect(command(#"{"type":"crdt_counter_get"}"#) == .read(.init(.counter, doc: "default")))
        #expect(command(#"{"type":"crdt_counter_get","doc":"votes"}"#) == .read(.init(.counter, doc: "votes")))
        #expect(
            decode(#"{"type":"docs","ref":"q"}"#) == .success(ClientFrame(ref: "q", command: .documents(room: nil))))
    }

    @Test("null clears a register, an absent body empties it, and neither makes a set's element null")
    func registers() {
        func set(_ value: Text?) -> ClientCommand { .write(.init(.register, doc: "default", .setting(value))) }
        #expect(command(#"{"type":"crdt_lww_set","body":"v"}"#) == set("v"))
        #expect(command(#"{"type":"crdt_lww_set","body":null}"#) == set(nil))
        #expect(command(#"{"type":"crdt_lww_set"}"#) == set(""))
        #expect(command(#"{"body":null,"type":"crdt_lww_set","body":"late"}"#) == set("late"))
        #expect(command(#"{"body":"early","type":"crdt_lww_set","body":null}"#) == set(nil))
        #expect(
            command(#"{"type":"crdt_orset_add","body":null}"#)
                == .write(.init(.orSet, doc: "default", .init(.add, key: ""))))
    }

    @Test("members may come in any order, unknown ones are skipped, of two with a name the later counts")
    func members() {
        let expected = ClientCommand.message(MessageCommand(room: "b", body: Array("2".utf8)))
        #expect(
            command(
                #"{"x":{"type":["join"]},"room":"a","body":"1","room":"b","type":"join","body":"2","type":"message"}"#)
                == expected)
        #expect(command(#"{"room":"a","room":null}"#) == .message(MessageCommand(body: [])))
    }

    @Test("a name or a type may be written with escapes")
    func escapes() {
        #expect(command(#"{"\u0074ype":"\u006aoin","r\u006fom":"d\u0065v"}"#) == .join(room: "dev"))
        #expect(decode(#"{"type":"no\u0070e"}"#) == .failure(.unknownType("nope", ref: nil)))
    }

    @Test("a room is trimmed, and an empty one is none")
    func rooms() {
        #expect(command(#"{"type":"join","room":"  dev\t\n"}"#) == .join(room: "dev"))
        #expect(command(#"{"type":"users","room":" \u00a0\u3000 "}"#) == .users(UsersCommand()))
        #expect(command(#"{"type":"join","room":"a b"}"#) == .join(room: "a b"))
    }

    @Test("a ref or key has 64 bytes at most, and an empty one is none")
    func tags() {
        let longest = String(repeating: "é", count: 32)
        #expect(
            decode(#"{"ref":"\#(longest)","type":"rooms"}"#)
                == .success(ClientFrame(ref: Text(longest), command: .rooms(RoomsCommand()))))
        #expect(decode(#"{"ref":"\#(longest)x","type":"rooms"}"#) == .failure(.invalidMessage(ref: nil)))
        #expect(decode(#"{"ref":"1","key":"\#(longest)x"}"#) == .failure(.invalidMessage(ref: "1")))
        #expect(decode(#"{"ref":"","type":"rooms"}"#) == .success(ClientFrame(command: .rooms(RoomsCommand()))))
    }

    @Test(
        "what is not a frame is an invalid message",
        arguments: [
            "", "null", "[]", "\"message\"", "1", "{", "{}{}", "{} x", #"{"type":5}"#, #"{"type":["message"]}"#,
            #"{"body":7}"#, #"{"body":{}}"#, #"{"room":true}"#, #"{"doc":1,"type":"rooms"}"#, #"{"ref":1}"#,
            #"{"key":[]}"#, #"{"limit":"5"}"#, #"{"limit":1.5}"#, #"{"limit":1e2}"#, #"{"limit":99999999999999999999}"#,
            #"{"copies":-99999999999999999999}"#, #"{"detail":"true"}"#, #"{"detail":1}"#, #"{"after":""}"#,
            #"{"after":"zz"}"#, #"{"before":12}"#, #"{"body":"\ud800"}"#, #"{"body":"\x"}"#, "{\"body\":\"\u{1}\"}",
            #"{"body":"x",}"#, #"{"unknown":01}"#, #"{"unknown":[1,]}"#, #"{"unknown":"\ud800"}"#,
            #"{"x":"# + String(repeating: "[", count: 32) + String(repeating: "]", count: 32) + "}",
        ])
    func invalid(_ json: String) {
        #expect(decode(json) == .failure(.invalidMessage(ref: nil)))
    }

    @Test("an error carries the ref where it stood before what is wrong")
    func refs() {
        #expect(decode(#"{"ref":"r","body":5}"#) == .failure(.invalidMessage(ref: "r")))
        #expect(decode(#"{"ref":"r","body":"x"#) == .failure(.invalidMessage(ref: "r")))
        #expect(decode(#"{"type":"dance","ref":"r"}"#) == .failure(.unknownType("dance", ref: "r")))
        #expect(ClientFrameError.unknownType("dance", ref: nil).code == .unknownType)
        #expect(ClientFrameError.unknownType("dance", ref: nil).detail == "dance")
        #expect(ClientFrameError.invalidMessage(ref: nil).code == .invalidMessage)
    }

    @Test("an unknown type is told back up to 64 bytes, never half a character")
    func longType() {
        let type = String(repeating: "x", count: 63) + "éé"
        #expect(
            decode(#"{"type":"\#(type)"}"#) == .failure(.unknownType(Text(String(repeating: "x", count: 63)), ref: nil))
        )
    }

    @Test("bytes that are no UTF-8 are never read past their end")
    func brokenText() {
        var random = SplitMix64(seed: 3)
        let frame = Array(
            #"{"type":"crdt_orset_add","room":" \u3000 é","body":"\ud83d\ude00","after":"0","ref":"r"}"#.utf8)
        for _ in 0..<20_000 {
            var bytes = frame
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            bytes.removeLast(Int.random(in: 0...3, using: &random) * Int.random(in: 0...10, using: &random))
            _ = try? bytes.withUnsafeBytes { try ClientFrame.decode($0) }
        }
    }
}
