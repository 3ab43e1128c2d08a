import ConvergeTransport
import Foundation
import Testing

@testable import ConvergeTerminal

/// The full screen as a person has it: the real program in a real terminal, against real nodes.
@Suite("The full screen in tmux", .serialized, .enabled(if: Tmux.isThere, "needs tmux: Debian's package tmux"))
struct FullScreenTests {
    private func start(_ pane: Tmux.Pane, _ user: String, servers: [UInt16], flags: String = "") throws {
        let list = servers.map { "127.0.0.1:\($0)" }.joined(separator: ",")
        let token = Tokens.of(user.lowercased(), name: user)
        try pane.enter(
            "SWIFT_BACKTRACE=enable=no CONVERGE_TOKEN=\(token) HOME=/nonexistent \(NodeProcess.command) chat --server \(list) \(flags)"
        )
        try pane.wait(for: "live on")
    }

    /// The shell has its terminal back: its modes, its screen, its cursor.
    private func expectRestored(_ pane: Tmux.Pane, status: Int32, sourceLocation: SourceLocation = #_sourceLocation)
        throws
    {
        // What is typed before it has ended would be its own.
        try pane.wait("the program's end") { _ in (try? pane.child()) == .some(nil) }
        try pane.enter(
            "echo \"status $?\"; stty -a | tr ' ;' '\\n\\n' | grep -x -e '-\\?icanon' -e '-\\?echo' -e '-\\?opost' -e '-\\?isig'; echo told"
        )
        // The answer comes in lines, and the screen may be looked at between two of them.
        let lines = try pane.wait("the shell's answer") { $0.contains("told") }
        for line in ["status \(status)", "icanon", "echo", "opost", "isig"] {
            #expect(lines.contains(line), "\(line) in \(lines)", sourceLocation: sourceLocation)
        }
        let modes = try pane.value("#{alternate_on} #{mouse_any_flag} #{cursor_flag} #{wrap_flag}")
        #expect(modes == "0 0 1 1", sourceLocation: sourceLocation)
    }

    @Test("two on two nodes talk, one node is killed, and the conversation goes on")
    func nodeKilled() throws {
        try withCluster(ClusterOptions(count: 2)) { cluster in
            let tmux = try Tmux()
            let ports = cluster.nodes.map(\.port)
            let ann = try tmux.pane()
            let bob = try tmux.pane(columns: 120, rows: 30)
            try start(ann, "Ann", servers: [ports[0], ports[1]])
            try start(bob, "Bob", servers: [ports[1], ports[0]])
            try ann.wait(for: "Bob joined")
            try ann.enter("hello from Ann, 世界 👩‍👩‍👧")
            try bob.wait(for: "Ann   hello from Ann, 世界")
            try bob.enter("hi @ann")
            try ann.wait(for: "Bob * hi @ann")

            try ann.type("half a though")
            try cluster.kill(0)
            try ann.type("t")
            try ann.wait("a connection to the other node") {
                $0.contains { $0.contains("live on") && $0.contains(":\(ports[1])") }
            }
            try ann.wait(for: "lobby> half a thought")
            try ann.press("Enter")
            try bob.wait(for: "Ann   half a thought")
            try ann.wait(for: "Ann ✓ half a thought")
            try bob.enter("I am still here")
            try ann.wait(for: "Bob   I am still here")

            // Everything once, on both screens.
            for pane in [ann, bob] {
                let lines = try pane.lines
                for words in ["hello from Ann", "hi @ann", "half a thought", "I am still here"] {
                    #expect(lines.count { $0.contains(words) } == 1, "\(words)")
                }
            }
            try ann.enter("/quit")
            try expectRestored(ann, status: 0)
        }
    }

    @Test("both nodes away: it says so, keeps what is sent and typed, and delivers it when one is back")
    func outage() throws {
        try withCluster(ClusterOptions(count: 1)) { cluster in
            let tmux = try Tmux()
            let ann = try tmux.pane()
            try start(ann, "Ann", servers: [cluster[0].port])
            try ann.enter("before")
            try ann.wait(for: "✓ before")
            try cluster.kill(0)
            try ann.wait(for: "not connected")
            try ann.enter("into the void")
            try ann.wait(for: "· into the void")
            try ann.type("a draft")
            try ann.wait(for: "1 unsent")
            try cluster.start(0)
            try ann.wait(for: "✓ into the void")
            let lines = try ann.lines
            #expect(lines.contains { $0.hasPrefix("lobby> a draft") })
            #expect(lines.count { $0.contains("into the void") } == 1)
        }
    }

    @Test("rooms are side by side on one connection, and all are back when the node is")
    func rooms() throws {
        try withCluster(ClusterOptions(count: 1)) { cluster in
            func sessions() throws -> Int? {
                try HTTPReply.get("/metrics", port: cluster[0].port).body.split(separator: "\n")
                    .first { $0.hasPrefix("converge_sessions ") }.flatMap { Int($0.split(separator: " ")[1]) }
            }
            let tmux = try Tmux()
            let ann = try tmux.pane()
            try start(ann, "Ann", servers: [cluster[0].port])
            for room in ["dev", "ops"] {
                try ann.enter("/join \(room)")
                try ann.wait(for: "\(room)>")
                try ann.enter("hello \(room)")
                try ann.wait(for: "✓ hello \(room)")
            }
            #expect(try sessions() == 1)
            try cluster.kill(0)
            try ann.wait(for: "not connected")
            try ann.enter("into the void of ops")
            try ann.type("a draft")
            try cluster.start(0)
            try ann.wait(for: "✓ into the void of ops")
            #expect(try sessions() == 1)
            let bob = try cluster[0].client("bob", room: "dev")
            try bob.send(#"{"type":"message","body":"@ann are you there"}"#)
            try ann.wait("the mention of another room") { $0.contains { $0.contains("dev") && $0.contains("@1") } }
            try ann.press("M-a")
            try ann.wait(for: "are you there")
            try ann.enter("/doc config put colour dark red")
            try ann.wait(for: "Ann put colour: \"dark red\" into config")
            try ann.enter("/doc config")
            try ann.wait(for: "config (1): colour: \"dark red\"")
            #expect(try sessions() == 2)
        }
    }

    @Test(
        "the terminal is restored after SIGTERM and after a crash",
        arguments: [SIGTERM, SIGHUP, SIGSEGV, SIGILL, SIGABRT])
    func restored(signal: Int32) throws {
        let folder = try TemporaryFolder()
        let node = try NodeProcess.serve(database: folder.path("c.db"))
        let tmux = try Tmux()
        let pane = try tmux.pane()
        try start(pane, "Ann", servers: [node.port])
        #expect(try pane.value("#{alternate_on}") == "1")
        let pid = try #require(try pane.child())
        kill(pid, signal)
        try expectRestored(pane, status: 128 + signal)
    }

    @Test("^Z gives the terminal back, and fg takes it again with everything that was on it")
    func suspended() throws {
        let folder = try TemporaryFolder()
        let node = try NodeProcess.serve(database: folder.path("c.db"))
        let tmux = try Tmux()
        let pane = try tmux.pane()
        try start(pane, "Ann", servers: [node.port])
        try pane.enter("remember this")
        try pane.type("draft")
        try pane.wait(for: "lobby> draft")
        try pane.press("C-z")
        try pane.wait("the shell") { $0.contains { $0.lowercased().contains("stopped") } }
        #expect(try pane.value("#{alternate_on} #{mouse_any_flag} #{cursor_flag}") == "0 0 1")
        try pane.enter("fg")
        try pane.wait("the screen") { lines in
            lines.contains { $0.contains("✓ remember this") } && lines.contains { $0.hasPrefix("lobby> draft") }
        }
        #expect(try pane.value("#{alternate_on}") == "1")
        try pane.press("C-u")
        try pane.enter("/quit")
        try expectRestored(pane, status: 0)
    }

    @Test("a refused token ends nothing: the command is asked again, at once by /reconnect, and nothing typed is lost")
    func refusedToken() throws {
        let folder = try TemporaryFolder()
        let node = try NodeProcess.serve(database: folder.path("c.db"))
        let token = folder.path("token")
        try "not-a-token\n".write(toFile: token, atomically: true, encoding: .utf8)
        try "server = ws://127.0.0.1:\(node.port)\ntoken-command = cat \(token); echo asked >>\(token)-log\n"
            .write(toFile: folder.path("chat"), atomically: true, encoding: .utf8)
        let tmux = try Tmux()
        let pane = try tmux.pane(columns: 120)
        try pane.enter(
            "env -u CONVERGE_TOKEN SWIFT_BACKTRACE=enable=no HOME=/nonexistent \(NodeProcess.command) chat --config \(folder.path("chat"))"
        )
        try pane.wait(for: "/reconnect asks at once")
        try pane.wait(for: "unauthorized")
        try pane.enter("said too early")
        try "\(Tokens.of("ann", name: "Ann"))\n".write(toFile: token, atomically: true, encoding: .utf8)
        try pane.enter("/reconnect")
        try pane.wait(for: "live on")
        try pane.wait(for: "✓ said too early")
        let asked = try String(contentsOfFile: "\(token)-log", encoding: .utf8).split(separator: "\n").count
        #expect(asked >= 3, "at the start, when it was refused, and again")
        try pane.enter("/quit")
        try expectRestored(pane, status: 0)
    }

    @Test("the node's limit is known: what is over it is offered in pieces, and the status line has the node's name")
    func pieces() throws {
        let folder = try TemporaryFolder()
        let node = try NodeProcess.serve(
            database: folder.path("c.db"),
            environment: ["CONVERGE_MAX_BODY_LENGTH": "100", "CONVERGE_NODE_NAME": "berlin-1"])
        let tmux = try Tmux()
        let pane = try tmux.pane(columns: 120)
        try start(pane, "Ann", servers: [node.port])
        try pane.enter("first")
        try pane.wait(for: "live on berlin-1, 127.0.0.1:\(node.port)")
        let words = (1...30).map { "word\($0)" }.joined(separator: " ")
        try pane.type(words)
        try pane.wait(for: "\(words.utf8.count - 100) bytes over 100")
        try pane.press("Enter")
        try pane.wait(for: "Enter again sends it as 3 messages")
        try pane.press("Enter")
        try pane.wait(for: "✓ word1 ")
        try pane.wait("all of it") { lines in lines.contains { $0.contains("word30") && !$0.contains("lobby>") } }
        try pane.press("F1")
        try pane.wait(for: "/history [N]")
        try pane.press("F1")
        try pane.wait("the messages again") { lines in
            lines.contains { $0.contains("✓ word1 ") } && !lines.contains { $0.contains("/history [N]") }
        }
        try pane.enter("/quit")
        try expectRestored(pane, status: 0)
    }

    @Test("a resize loses nothing, and older messages come when one scrolls up")
    func resized() throws {
        let folder = try TemporaryFolder()
        let node = try NodeProcess.serve(database: folder.path("c.db"))
        let other = try node.client("bob")
        for number in 1...300 { try other.send(#"{"type":"message","body":"line number \#(number)."}"#) }
        let tmux = try Tmux()
        let pane = try tmux.pane()
        try start(pane, "Ann", servers: [node.port])
        try pane.wait(for: "line number 300.")
        try pane.type("typed")
        for (columns, rows) in [(40, 10), (200, 60), (21, 5), (80, 24)] {
            try pane.resize(columns: columns, rows: rows)
            try pane.wait("\(columns)x\(rows)") { lines in
                lines.last { !$0.isEmpty }.map { $0.contains("typed") } == true
                    && lines.contains { $0.replacing(" ", with: "").contains("number300.") || $0.contains("300.") }
            }
        }
        for _ in 0..<40 {
            try pane.press("PageUp")
            usleep(20_000)
        }
        try pane.wait(for: "line number 1.")
        try pane.press("Escape")
        try pane.wait(for: "line number 300.")
    }

    @Test("a paste of several lines is one message, and nothing in it is a key")
    func pasted() throws {
        let folder = try TemporaryFolder()
        let node = try NodeProcess.serve(database: folder.path("c.db"))
        let tmux = try Tmux()
        let pane = try tmux.pane()
        try start(pane, "Ann", servers: [node.port])
        try tmux.run("set-buffer", "first\nsecond \u{1B}[2J\nthird")
        try tmux.run("paste-buffer", "-p", "-t", pane.name)
        try pane.wait("the draft") { $0.contains("lobby> first") && $0.contains("third") }
        try pane.press("Enter")
        try pane.wait("the message") { lines in
            lines.contains { $0.contains("✓ first") } && lines.contains { $0.hasSuffix(" second [2J") }
                && lines.contains { $0.hasSuffix(" third") }
        }
    }

    @Test("clusters have the widths that the terminal gives them, but for those that are known as contested")
    func widths() throws {
        let tmux = try Tmux()
        let pane = try tmux.pane()
        let terminal = try #require(try FileHandle(forWritingAtPath: pane.value("#{pane_tty}")))
        var samples = [
            "a", "é", "e\u{301}", "世", "한", "\u{1112}\u{1161}\u{11AB}", "ｱ", "ア", "…", "│", "✓", "·", "ش", "שלום", "ก็",
            "ﷺ", "\u{3000}",
            "क्षि", "நி", "a\u{310}\u{323}",
        ]
        // Both ends of each wide range, and what is just outside.
        for index in stride(from: 0, to: WideRanges.bounds.count, by: 2) {
            for value in [
                WideRanges.bounds[index] - 1, WideRanges.bounds[index], WideRanges.bounds[index + 1],
                WideRanges.bounds[index + 1] + 1,
            ] {
                guard let scalar = Unicode.Scalar(value) else { continue }
                samples.append(String(Character(scalar)))
            }
        }
        var wrong: [String] = []
        var compared = 0
        for (number, sample) in samples.enumerated() {
            let clusters = Array(sample)
            guard !clusters.contains(where: { DisplayWidth.isContested($0) }) else { continue }
            terminal.write(Data("\u{1B}[2J\u{1B}[H\(sample)\u{1B}]2;n\(number)\u{1B}\\".utf8))
            let deadline = Deadline()
            var answer: [Substring] = []
            repeat {
                answer = try pane.value("#{pane_title} #{cursor_x}").split(separator: " ")
            } while answer.first.map(String.init) != "n\(number)" && !deadline.hasPassed
            compared += 1
            guard answer.last.map(String.init) != "\(DisplayWidth.of(sample))" else { continue }
            let names = sample.unicodeScalars.map { "U+\(String($0.value, radix: 16, uppercase: true))" }
            wrong.append("\(names.joined(separator: " ")): \(DisplayWidth.of(sample)), tmux \(answer.last ?? "")")
        }
        #expect(wrong.isEmpty && compared > 150, "\(compared) compared; \(wrong)")
    }
}
