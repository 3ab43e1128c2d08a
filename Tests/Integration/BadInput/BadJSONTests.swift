// What bad JSON gets: an error, and the connection lives.

import ConvergeNode
import ConvergeStorage
import Testing

@Suite struct BadJSONTests {
    static let invalid: [String] =
        [
            "", " ", "{", "}", "[]", "[{}]", "\"message\"", "1", "null", "true", "tru", "{}}", "{} {}", "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}", "{,}", "{a:1}", "{'a':1}", "{\"a\" 1}", "{\"a\":1 \"b\":2}", "\u{FEFF}{\"body\":\"x\"}",
            "{\"body\":\"x\"", "{\"body\":\"x}", "{\"body\":\"x\"}x", "{\"body\":\"\\x\"}", "{\"body\":\"\\u12\"}",
            "{\"body\":\"\\u12G4\"}", "{\"body\":\"tab\there\"}", "{\"body\":\"line\nhere\"}", "{\"body\":\"\u{0}\"}",
            "{\"body\":\"x\",/* */\"a\":1}", "{\"body\":undefined}", "{\"a\":nul}", "{\"a\":NaN}", "{\"a\":Infinity}",
            "{\"a\":01}", "{\"a\":+1}", "{\"a\":.5}", "{\"a\":1.}", "{\"a\":1e}", "{\"a\":-}", "{\"a\":0x10}",
            "{\"a\":--1}",
            // Lone surrogates.
            #"{"body":"\ud800"}"#, #"{"body":"\udc00"}"#, #"{"body":"\ud800x"}"#, #"{"body":"\ud800\ud800"}"#,
            #"{"body":"\udc00\ud800"}"#, #"{"body":"\ud800\u0041"}"#, #"{"x":"\ud800","body":"y"}"#,
            #"{"\ud800":1,"body":"y"}"#,
            // Numbers out of range, or not whole.
            #"{"type":"history","limit":99999999999999999999}"#, #"{"type":"history","limit":-99999999999999999999}"#,
            #"{"type":"history","limit":1.5}"#, #"{"type":"history","limit":1e400}"#, #"{"type":"users","limit":1e30}"#,
            #"{"body":"x","copies":18446744073709551616}"#,
            // Wrong types.
            #"{"type":1,"body":"x"}"#, #"{"type":["message"],"body":"x"}"#, #"{"body":1}"#, #"{"body":{"a":1}}"#,
            #"{"body":["x"]}"#, #"{"body":true}"#, #"{"body":"x","room":1}"#, #"{"body":"x","room":[]}"#,
            #"{"type":"history","limit":"5"}"#, #"{"type":"history","limit":true}"#, #"{"type":"history","before":1}"#,
            #"{"type":"history","before":"x"}"#, #"{"type":"users","detail":"yes"}"#, #"{"type":"users","detail":1}"#,
            #"{"body":"x","ref":1}"#, #"{"body":"x","key":1}"#, #"{"body":"x","key":{}}"#,
            #"{"body":"x","after":"zz"}"#,
            #"{"type":"crdt_lww_get","doc":1}"#, #"{"type":"crdt_lww_get","doc":["d"]}"#,
            #"{"body":"x","key":"\#(String(repeating: "k", count: 65))"}"#,
        ] + [
            #"{"body":"x","deep":"# + String(repeating: "[", count: 32) + String(repeating: "]", count: 32) + "}",
            String(repeating: #"{"a":"#, count: 33) + "1" + String(repeating: "}", count: 33),
            #"{"body":"x","deep":"# + String(repeating: "[", count: 60_000),
        ]

    @Test func `each is answered by an error, and none ends the connection`() throws {
        try withNode { node in
            let watcher = try node.client("watcher")
            let client = try node.client("ann")
            _ = try watcher.next("system")
            for frame in Self.invalid {
                try client.send(frame)
                let error = try client.next()
                #expect(error.type == "error", "\(frame.prefix(80))")
                #expect(error.body == "invalid message", "\(frame.prefix(80))")
            }
            try client.send(#"{"body":"alive"}"#)
            #expect(try client.next().body == "alive")
            #expect(try watcher.next().body == "alive")
        }
    }

    @Test func `an error tells the ref where that came before the fault`() throws {
        try withNode { node in
            let client = try node.client("ann")
            #expect(try client.ask(#"{"ref":"r","body":1}"#, ref: "r").body == "invalid message")
        }
    }

    @Test(
        "odd but right JSON is read",
        arguments: [
            (#"{"body":"a","body":"b"}"#, "b"), (#"{"type":"rooms","type":"message","body":"b"}"#, "b"),
            (#"{"body":1,"x":{"body":"y"}}"#, nil), (#" { "body" : "b" , "x" : [ 1 , 2.5e-3, {} ] } "#, "b"),
            (#"{"b\u006fdy":"b"}"#, "b"), (#"{"body":"\ud83d\ude00"}"#, "😀"),
            (#"{"body":"\u0000\/\b\f"}"#, "\u{0}/\u{8}\u{c}"),
            (
                #"{"body":"b","deep":"# + String(repeating: "[", count: 31) + String(repeating: "]", count: 31) + "}",
                "b"
            ),
            (#"{"body":"b","number":1e999999}"#, "b"), (#"{"body":"b","unknown":null,"room":null,"key":null}"#, "b"),
            (#"{"body":"\u200b"}"#, "\u{200b}"), (#"{"body":" "}"#, " "), ("\t\r\n{\"body\":\"b\"}\n", "b"),
        ] as [(String, String?)])
    func odd(frame: String, body: String?) throws {
        try withNode { node in
            let client = try node.client("ann")
            try client.send(frame)
            let answer = try client.next()
            if let body {
                #expect(answer.type == "message")
                #expect(answer.body == body)
            } else {
                #expect(answer.body == "invalid message")
            }
        }
    }
}
