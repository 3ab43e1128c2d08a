import Testing

@testable import ConvergeTerminal

@Suite("What a person types")
struct EnteredCommandTests {
    @Test(
        "lines are messages, and commands after a slash",
        arguments: [
            ("hello", EnteredCommand.message("hello")), ("  hello ", .message("  hello ")), ("", .nothing),
            (" \t", .nothing),
            ("//etc", .message("/etc")), ("/join dev", .join("dev")), ("/JOIN  my-room ", .join("my-room")),
            (#"/join "two words" "#, .join("two words")), (#"/join ""q"""#, .join(#""q""#)),
            (#"/join "half"#, .join(#""half"#)), ("/reconnect", .reconnect),
            ("/history 20000", .history(20_000)),
            (#"/doc "my list" add x"#, .document(.init(name: "my list", action: .add("x")))),
            (
                "/join two words",
                .mistake(#"/join takes one room: a name with blanks stands in quotes, /join "two words""#)
            ), ("/history 20001", .mistake("/history gives at most 20000 messages")),
            ("/rooms", .rooms), ("/users ", .users), ("/history", .history(nil)), ("/history 20", .history(20)),
            ("/help", .help), ("/status", .status), ("/quit", .quit), ("/q", .quit),
            ("/history 5", .history(5)), ("/doc", .documents),
            ("/doc tags", .document(.init(name: "tags", action: .show))),
            ("/doc tags add alpha beta", .document(.init(name: "tags", action: .add("alpha beta")))),
            ("/doc topic set a  b", .document(.init(name: "topic", action: .set("a  b")))),
            ("/doc topic clear", .document(.init(name: "topic", action: .clear))),
            (
                #"/doc config put "two words" dark  red"#,
                .document(.init(name: "config", action: .put(field: "two words", "dark  red")))
            ),
            ("/doc config drop colour", .document(.init(name: "config", action: .drop(field: "colour")))),
            ("/doc config put colour", .mistake("/doc config put FIELD VALUE")),
            ("/doc config drop two words", .mistake("/doc config drop FIELD")),
            ("/doc votes -3", .document(.init(name: "votes", action: .count(-3)))),
            ("/nope", .mistake("there is no command /nope: /help shows them")),
            ("/doc v +x", .mistake("a counter takes a whole number: /doc v +1")),
        ])
    func reads(line: String, command: EnteredCommand) {
        #expect(EnteredCommand(line) == command)
    }

    @Test(
        "what is not understood is not sent",
        arguments: [
            "/", "/nope", "/join", "/join  ", "/history x", "/history -1", "/history 0", "/rooms x", "/doc x y",
            #"/join " ""#,
            "/reconnect now",
        ])
    func mistakes(line: String) {
        guard case .mistake = EnteredCommand(line) else {
            Issue.record("\(line) is no mistake")
            return
        }
    }
}
