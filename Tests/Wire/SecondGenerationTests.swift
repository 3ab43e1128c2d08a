import ConvergeCRDT
import ConvergeTestSupport
import ConvergeWire
import Testing

/// What the second generation of the protocol reads and writes otherwise than the first.
@Suite("Second generation: frames") struct SecondGenerationTests {
    private let stamp = FrameStamp(id: MessageID(high: 1, low: 0xAB), milliseconds: 1_795_371_628_123)
    private let replica = ReplicaID(rawValue: 0x0123_4567_89AB_CDEF)
    private var position: Position {
        Position(
            timestamp: HybridTimestamp(milliseconds: 1_795_371_628_123, counter: 1), dot: Dot(replica: replica, seq: 31)
        )
    }
    private let head = #"{"id":"000000000000000100000000000000ab","type":"#
    private let time = #""timestamp":"2026-11-22T18:20:28.123Z""#
    private let place = #""pos":"01a2047cf65b00010123456789abcdef11f"}"#

    private func written(
        _ generation: ProtocolGeneration = .second, _ write: (inout ServerFrameEncoder, inout ByteBuffer) -> Void
    ) -> String {
        var out = ByteBuffer()
        var encoder = ServerFrameEncoder(generation)
        write(&encoder, &out)
        let text = String(decoding: out.bytes, as: UTF8.self)
        #expect(refusal(text) == nil, "not JSON: \(text)")
        return text
    }

    private func decode(
        _ json: String, as generation: ProtocolGeneration = .second
    ) -> Result<ClientFrame, ClientFrameError> {
        var json = json
        return json.withUTF8 { utf8 in
            do throws(ClientFrameError) {
                return .success(try ClientFrame.decode(UnsafeRawBufferPointer(utf8), as: generation))
            } catch {
                return .failure(error)
            }
        }
    }

    private func command(_ json: String) -> ClientCommand? { try? decode(json).get().command }

    // MARK: Writing

    @Test("a message leaves out what its pos says, an id that is made of that, and a name that is the user's id")
    func messages() {
        func message(_ id: MessageID, _ name: Text, _ generation: ProtocolGeneration = .second) -> String {
            written(generation) { encoder, out in
                Array("hi".utf8).withUnsafeBytes { body in
                    encoder.message(
                        id: id, room: "dev", user: "ann", displayName: name, body: body, position: position, to: &out)
                }
            }
        }
        #expect(
            message(MessageID(position.dot), "Ann")
                == #"{"type":"message","room":"dev","user_id":"ann","display_name":"Ann","body":"hi",\#(place)"#)
        #expect(
            message(MessageID(position.dot), "ann")
                == #"{"type":"message","room":"dev","user_id":"ann","body":"hi",\#(place)"#)
        #expect(
            message(stamp.id, "ann") == head + #""message","room":"dev","user_id":"ann","body":"hi",\#(place)"#)
        // The first generation has all of it.
        let whole = message(MessageID(position.dot), "ann", .first)
        for member in [#""id":"#, #""timestamp":"#, #""node":"#, #""seq":31"#, #""display_name":"ann""#] {
            #expect(whole.contains(member), "\(member)")
        }
    }

    @Test("a system event's words are about the name, also where that is left out")
    func system() {
        #expect(
            written {
                $0.system(
                    id: stamp.id, event: .left, room: "dev", user: "ann", displayName: "ann", position: position,
                    to: &$1)
            } == head + #""system","room":"dev","user_id":"ann","body":"ann left",\#(place)"#)
    }

    @Test("documents of all kinds are shown by doc")
    func documents() {
        func shown(_ delta: DocumentDelta, _ shown: DocumentShown = .asWritten) -> String {
            written {
                $0.document(
                    DocumentPayload(name: "d", user: "ann", displayName: "ann", delta: delta), shown, room: "dev",
                    position: position, to: &$1)
            }
        }
        let head = #"{"type":"doc","room":"dev","user_id":"ann","doc":"d","kind":"#
        #expect(shown(.set(value: "v")) == head + #""register","op":"set","value":"v",\#(place)"#)
        #expect(shown(.set(value: nil)) == head + #""register","op":"clear",\#(place)"#)
        #expect(
            shown(DocumentDelta(.increment, of: .counter, amount: 3), .counted(7))
                == head + #""counter","op":"increment","value":3,"total":7,\#(place)"#)
    }

    @Test("what is said of a session and its rooms")
    func sessions() {
        var cursor = VersionVector()
        cursor[replica] = 5
        let at = #"{"0123456789abcdef":5}"#
        let limits = WelcomeLimits(rooms: 3, body: 4, room: 5, document: 6)
        func welcome(_ node: ReplicaID?) -> String {
            written {
                $0.welcome(
                    stamp, SessionName(high: 1, low: 2), user: "ann", displayName: "Ann", node: node, limits: limits,
                    to: &$1)
            }
        }
        let session = #""session":"00000000000000010000000000000002""#
        let told = #""limits":{"rooms":3,"body":4,"room":5,"document":6}}"#
        #expect(
            welcome(replica) == head
                + #""welcome","user_id":"ann","display_name":"Ann",\#(time),\#(session),"node":"0123456789abcdef",\#(told)"#
        )
        #expect(welcome(nil) == head + #""welcome","user_id":"ann","display_name":"Ann",\#(time),\#(session),\#(told)"#)
        #expect(
            written { $0.subscribed(stamp, room: "dev", count: 2, cursor: cursor, ref: "1", to: &$1) } == head
                + #""subscribed","room":"dev",\#(time),"ref":"1","count":2,"can":["read","send","write"],"cursor":\#(at)}"#
        )
        #expect(
            written { $0.unsubscribed(stamp, room: "dev", ref: "1", to: &$1) } == head
                + #""unsubscribed","room":"dev",\#(time),"ref":"1"}"#)
        #expect(
            written { $0.historyIsGone(stamp, room: "dev", to: &$1) } == head
                + #""unsubscribed","room":"dev",\#(time),"reason":"history is gone","recovered":false}"#)
        #expect(
            written { $0.cursors(stamp, [("a\"", cursor), ("b", VersionVector())], to: &$1) } == head
                + #""cursors",\#(time),"rooms":{"a\"":\#(at),"b":{}}}"#)
        #expect(
            written { $0.rooms(stamp, rooms: ["a"], next: "a", ref: nil, to: &$1) } == head
                + #""rooms","rooms":["a"],\#(time),"next":"a"}"#)
        #expect(
            written { $0.users(stamp, room: "dev", users: ["a"], count: 2, next: "a", ref: nil, to: &$1) } == head
                + #""users","room":"dev","users":["a"],\#(time),"count":2,"next":"a"}"#)
    }

    @Test(
        "an error has its code in both generations, and words for people in the second", arguments: ErrorCode.allCases)
    func errors(_ code: ErrorCode) {
        let tail = #",\#(time),"ref":"1","code":"\#(code.word)"}"#
        #expect(
            written(.first) { $0.error(stamp, code, ref: "1", to: &$1) }
                == head + #""error","body":"\#(code.text)"\#(tail)"#)
        #expect(
            written { $0.error(stamp, code, ref: "1", to: &$1) }
                == head + #""error","body":"\#(code.sentence)"\#(tail)"#)
    }

    // MARK: Reading

    @Test("subscriptions")
    func subscriptions() {
        #expect(command(#"{"type":"subscribe","room":" dev "}"#) == .subscribe(SubscribeCommand(room: "dev")))
        #expect(command(#"{"type":"subscribe"}"#) == .subscribe(SubscribeCommand(room: "")))
        #expect(
            command(#"{"type":"subscribe","room":"dev","cursor":{"0123456789abcdef":5},"member":false}"#)
                == .subscribe(
                    SubscribeCommand(
                        room: "dev", cursor: .at(VersionVector([Dot(replica: replica, seq: 5)])), member: false)))
        #expect(
            decode(#"{"type":"subscribe","ref":"1","room":"dev","member":"no"}"#)
                == .failure(.invalidMessage(ref: "1")))
        #expect(command(#"{"type":"unsubscribe","room":"dev"}"#) == .unsubscribe(room: "dev"))
    }

    @Test("there is no current room: what was about it names one, and what changed it is not known")
    func rooms() {
        #expect(
            command(#"{"type":"crdt_orset_add","room":"dev","body":"x"}"#)
                == .write(DocumentWriteCommand(.orSet, doc: "default", DocumentWrite(.add, key: "x"), room: "dev")))
        #expect(
            command(#"{"type":"crdt_counter_get","room":"dev"}"#)
                == .read(DocumentReadCommand(.counter, doc: "default", room: "dev")))
        #expect(command(#"{"type":"docs","room":"dev"}"#) == .documents(room: "dev"))
        #expect(decode(#"{"type":"join","room":"dev"}"#) == .failure(.unknownType("join", ref: nil)))
        #expect(decode(#"{"type":"resume","cursor":{}}"#) == .failure(.unknownType("resume", ref: nil)))
        #expect(command(#"{"type":"leave"}"#) == .leave)
    }

    @Test("lists are asked for in pages, behind whatever name")
    func pages() {
        #expect(
            command(#"{"type":"rooms","prefix":"a/","after":"a/x","limit":5}"#)
                == .rooms(RoomsCommand(prefix: "a/", after: "a/x", limit: 5)))
        #expect(
            command(#"{"type":"users","room":"dev","after":"ann"}"#)
                == .users(UsersCommand(room: "dev", after: "ann")))
        // A name may look like a position.
        #expect(
            command(#"{"type":"users","room":"dev","after":"\#(position.text)"}"#)
                == .users(UsersCommand(room: "dev", after: position.text)))
        #expect(decode(#"{"type":"message","body":"x","after":"ann"}"#) == .failure(.invalidMessage(ref: nil)))
    }

    @Test("to the first generation all of that is as if it were not there")
    func first() {
        #expect(
            decode(#"{"type":"subscribe","room":"dev"}"#, as: .first) == .failure(.unknownType("subscribe", ref: nil)))
        #expect(
            decode(#"{"type":"rooms","prefix":7,"member":[]}"#, as: .first)
                == .success(ClientFrame(command: .rooms(RoomsCommand()))))
        #expect(decode(#"{"type":"users","after":"ann"}"#, as: .first) == .failure(.invalidMessage(ref: nil)))
        #expect(
            decode(#"{"type":"docs","room":"dev"}"#, as: .first)
                == .success(ClientFrame(command: .documents(room: nil))))
        #expect(
            decode(#"{"type":"nonsense","after":"ann","ref":"1"}"#, as: .first) == .failure(.invalidMessage(ref: "1")))
    }

    @Test("the first frame shows a token, and nothing else does")
    func auth() {
        func token(_ json: String) -> Text? { Array(json.utf8).withUnsafeBytes { AuthFrame.token($0) } }
        #expect(token(#"{"type":"auth","token":"t"}"#) == "t")
        #expect(token(#"{"x":[1],"token":"t","ref":"1","type":"auth"}"#) == "t")
        for json in [
            #"{"type":"message","token":"t"}"#, #"{"token":"t"}"#, #"{"type":"auth"}"#, #"{"type":"auth","token":5}"#,
            #"{"type":"auth","token":"t"} "x""#, "", "[]", "auth",
        ] {
            #expect(token(json) == nil, "\(json)")
        }
    }
}
