// Standard input, output and error that are closed, full, or read by nobody: nothing is lost in silence.

import ConvergeTransport
import Foundation
import Testing

@Suite struct StandardStreamsTests {
    private static let environment = [
        "CONVERGE_JWT_SECRET": Tokens.secret + ", and long enough", "CONVERGE_TOKEN": "x",
    ]

    /// What a shell does before it becomes the command.
    private static func redirected(_ how: String) -> [String] { ["/bin/sh", "-c", "exec \"$0\" \"$@\" \(how)"] }

    /// Commands that say something on standard output, and work.
    private static let commands = [
        ["secret"], ["token", "ann"], ["version"], ["--version"], ["help"], ["help", "settings"], ["help", "serve"],
        ["help", "--man"],
        ["help", "--completions", "bash"], ["serve", "--help"], ["chat", "--help"], ["serve", "--check"],
    ]

    @Test("a result that can't be written is no success, and standard error says so", arguments: commands)
    func full(_ words: [String]) throws {
        for (how, reason) in [(">/dev/full", "No space left on device"), (">&-", "Bad file descriptor")] {
            let process = try NodeProcess(
                words, environment: Self.environment, wrapper: Self.redirected(how))
            #expect(try process.waitForExit() == 1)
            #expect(process.output.contains("converge: standard output can't be written: \(reason)\n"))
        }
    }

    @Test("a result that nobody reads is no success, and quiet", arguments: commands)
    func unread(_ words: [String]) throws {
        var ends: [Int32] = [-1, -1]
        #expect(pipe(&ends) == 0)
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        defer { close(ends[1]) }
        close(ends[0])
        let environment = Self.environment
        let ended = try NodeProcess(words, environment: environment, standardOutput: ends[1])
        #expect(try ended.waitForExit() == -SIGPIPE)
        let told = try NodeProcess(
            words, environment: environment, wrapper: ["/bin/sh", "-c", #"trap "" PIPE; exec "$0" "$@""#],
            standardOutput: ends[1])
        #expect(try told.waitForExit() == 128 + SIGPIPE)
        #expect(ended.output + told.output == "")
    }

    @Test func `status, backup and chat say that their output is lost, too`() throws {
        let folder = try TemporaryFolder()
        let node = try NodeProcess.serve(database: folder.path("converge.db"))
        let url = "http://127.0.0.1:\(node.port)"
        let chat = ["chat", "--server", "ws://127.0.0.1:\(node.port)"]
        var environment = Self.environment
        environment["CONVERGE_TOKEN"] = Tokens.of("ann")
        for words in [
            ["status", url], ["status", url, "--json"], ["status", url, "--watch", "--interval", "100ms"],
            ["backup", folder.path("copy.db"), "--db", folder.path("converge.db")], chat, chat + ["--json"],
        ] {
            // Chat reads until its output fails.
            let process = try NodeProcess(
                words, environment: environment, wrapper: Self.redirected(">/dev/full"))
            #expect(try process.waitForExit() == 1, "\(words)")
            #expect(
                process.output.contains("standard output can't be written: No space left on device\n"),
                "\(words): \(process.output)")
        }
        #expect(access(folder.path("copy.db"), F_OK) == 0)
    }

    @Test func `chat without standard input says so instead of waiting for ever`() throws {
        for (how, word) in [("<&-", "standard input is closed"), (">&-", "standard output is closed")] {
            let process = try NodeProcess(
                ["chat", "--server", "ws://127.0.0.1:1"], environment: Self.environment, wrapper: Self.redirected(how))
            #expect(try process.waitForExit() == 1)
            #expect(process.output.contains(word))
        }
    }

    @Test func `a node that is started without descriptors 0 to 2 has nothing else in their places`() throws {
        let folder = try TemporaryFolder()
        var ports = FreePorts()
        let port = try ports.next()
        let node = try NodeProcess(
            ["serve"],
            environment: [
                "CONVERGE_ADDR": "127.0.0.1:\(port)", "CONVERGE_DB_PATH": folder.path("converge.db"),
                "CONVERGE_JWT_SECRET": Tokens.secret, "CONVERGE_LOOPS": "1", "CONVERGE_LOG": "debug",
            ],
            wrapper: Self.redirected("<&- >&- 2>&-"))
        node.serves(at: port)
        let deadline = Deadline()
        while (try? node.waitUntilReady()) == nil {
            if deadline.hasPassed { throw TestFailure("never ready") }
            usleep(5_000)
        }
        let ann = try node.client("ann")
        #expect(try ann.ask(#"{"body":"hello","ref":"r"}"#, ref: "r").type == "ack")
        for task in try FileManager.default.contentsOfDirectory(atPath: "/proc/\(node.pid)/task") {
            for descriptor in 0...2 {
                let link = "/proc/\(node.pid)/task/\(task)/fd/\(descriptor)"
                #expect(try FileManager.default.destinationOfSymbolicLink(atPath: link) == "/dev/null")
            }
        }
        let metrics = try HTTPReply.get("/metrics", host: node.host, port: port).body
        #expect(metrics.contains(/\nconverge_log_lines_dropped_total [1-9]/), "they are written nowhere")
        node.kill(SIGTERM)
        #expect(try ann.waitForClose().code == 1001)
        try ann.sendClose(1001)
        #expect(try node.waitForExit() == 0)
    }
}
