import ConvergeTransport
import Foundation
import Synchronization
import Testing

@Suite("Chat lines for scripts")
struct ChatLinesTests {
    @Test("--json prints an object for each event, and the status tells")
    func json() throws {
        let folder = try TemporaryFolder()
        let node = try NodeProcess.serve(database: folder.path("c.db"))
        let (status, output) = try run(node, "printf 'hello\\n/rooms\\n'", "--json")
        let lines = output.split(separator: "\n")
        #expect(status == 0, "\(output)")
        #expect(lines.allSatisfy { (try? JSONSerialization.jsonObject(with: Data($0.utf8))) != nil })
        #expect(lines.contains { $0.contains(#""type":"message""#) && $0.contains(#""body":"hello""#) })
        #expect(lines.contains { $0.contains(#""type":"rooms","rooms":["lobby"]"#) })
    }

    @Test("/history goes on over as many pages as it takes, in order, each entry once")
    func history() throws {
        let folder = try TemporaryFolder()
        let node = try NodeProcess.serve(
            database: folder.path("c.db"),
            environment: ["CONVERGE_HISTORY_LIMIT": "50", "CONVERGE_SYSTEM_EVENTS": "off"])
        let (sent, _) = try run(node, "seq 1 431", "")
        #expect(sent == 0)
        for (count, from) in [(20_000, 1), (120, 312), (50, 382)] {
            let (status, output) = try run(node, "echo /history \(count)", "--json")
            let bodies = output.split(separator: "\n").filter { $0.contains(#""history":true"#) }.compactMap { line in
                (try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])?["body"] as? String
            }
            #expect(status == 0 && bodies == (from...431).map(String.init), "\(count): \(bodies.count)")
        }
    }

    @Test("what is refused names its line; with --json it is an object among the others")
    func refusals() throws {
        let folder = try TemporaryFolder()
        let node = try NodeProcess.serve(database: folder.path("c.db"), environment: ["CONVERGE_MAX_BODY_LENGTH": "20"])
        let input = "printf 'one\\n\\nmuch more than twenty bytes\\n/nope\\nlast\\n'"
        let (status, output) = try run(node, input, "")
        #expect(status == 1)
        #expect(output.contains("error: line 3: message too large"), "\(output)")
        #expect(output.contains("error: line 4: there is no command /nope"), "\(output)")
        let (jsonStatus, json) = try run(node, input, "--json")
        let objects = json.split(separator: "\n").map {
            try? JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any]
        }
        #expect(jsonStatus == 1 && objects.allSatisfy { $0 != nil }, "\(json)")
        let errors = objects.compactMap(\.self).filter { $0["type"] as? String == "error" }
        #expect(Set(errors.compactMap { $0["line"] as? Int }) == [3, 4])
    }

    @Test("a map is changed and shown, to people and to programs")
    func maps() throws {
        let folder = try TemporaryFolder()
        let node = try NodeProcess.serve(database: folder.path("c.db"))
        let input =
            #"printf '/doc config put "two words" dark red\n/doc config put size 3\n/doc config drop size\n/doc config\n/doc\n'"#
        let (status, text) = try run(node, input, "")
        #expect(status == 0 && text.contains(#"-- config: two words: "dark red""#), "\(text)")
        #expect(text.contains("-- config: size is gone"), "\(text)")
        #expect(text.contains(#"-- config (1): two words: "dark red""#), "\(text)")
        #expect(text.contains("-- documents (1): config (map)"), "\(text)")
        let (jsonStatus, json) = try run(node, "echo /doc config", "--json")
        #expect(
            jsonStatus == 0
                && json.contains(
                    #"{"type":"doc_value","room":"lobby","doc":"config","kind":"map","value":{"two words":"dark red"}}"#
                ),
            "\(json)")
    }

    @Test("without a server's address it speaks to the node that the environment would start")
    func ownNode() throws {
        let folder = try TemporaryFolder()
        let node = try NodeProcess.serve(database: folder.path("c.db"))
        for setting in [["PORT": "\(node.port)"], ["CONVERGE_ADDR": "127.0.0.1:\(node.port)"]] {
            let chat = try NodeProcess(
                ["chat"],
                environment: setting.merging(["CONVERGE_TOKEN": Tokens.of("ann", name: "Ann"), "HOME": "/nonexistent"])
                { $1 })
            #expect(try chat.waitForExit() == 0)
            #expect(chat.output.contains("you are Ann in lobby"), "\(chat.output)")
        }
    }

    @Test("a mistake in the file is told with its line, and nothing is connected")
    func file() throws {
        let folder = try TemporaryFolder()
        let node = try NodeProcess.serve(database: folder.path("c.db"))
        try "room = lobby\nrom = dev\n".write(toFile: folder.path("chat"), atomically: true, encoding: .utf8)
        let (status, output) = try run(node, "echo hello", "--config \(folder.path("chat"))")
        #expect(status == 2 && output.contains("\(folder.path("chat")):2: there is no setting \"rom\""))
    }

    private func run(_ node: NodeProcess, _ input: String, _ flags: String) throws -> (Int32, String) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments = [
            "-c", "\(input) | \"$0\" chat --server 127.0.0.1:\(node.port) \(flags)", NodeProcess.command,
        ]
        process.environment = [
            "CONVERGE_TOKEN": Tokens.of("ann", name: "Ann"), "HOME": "/nonexistent", "PATH": "/usr/bin:/bin",
        ]
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return (process.terminationStatus, text)
    }

    // MARK: Losses

    @Test(
        "a script loses nothing when the node it is on is killed: all once, in order, and what it writes is stored once"
    )
    func nodeKilled() throws {
        try withCluster(ClusterOptions(count: 2)) { cluster in
            let lines = try LineProcess(cluster.nodes.map(\.port), ["--json"])
            try lines.write("before")
            try lines.wait(for: #""body":"before""#)
            let bob = try cluster[1].client("bob")
            try bob.send(#"{"type":"message","body":"bob 0"}"#)
            try lines.wait(for: #""body":"bob 0""#)
            try cluster.kill(0)
            // Written by others while nobody knows yet, and by the script itself.
            for number in 1...40 {
                try bob.send(#"{"type":"message","body":"bob \#(number)"}"#)
                try lines.write("ann \(number)")
            }
            try lines.write("/users")
            try lines.wait(for: #""type":"users""#)
            try bob.send(#"{"type":"message","body":"bob 41"}"#)
            try lines.wait(for: #""body":"bob 41""#)
            try #require(try lines.endInput() == 0, "\(lines.errors)")

            let events = lines.events
            let bodies = events.filter { $0["type"] as? String == "message" }.compactMap { $0["body"] as? String }
            try #require(bodies.filter { $0.hasPrefix("bob") } == (0...41).map { "bob \($0)" })
            try #require(bodies.filter { $0.hasPrefix("ann") } == (1...40).map { "ann \($0)" })
            try #require(bodies.count { $0 == "before" } == 1)
            let positions = events.filter { ["message", "system"].contains($0["type"] as? String) }
                .compactMap { $0["pos"] as? String }
            try #require(positions == positions.sorted())
            let states = events.filter { $0["type"] as? String == "connection" }
            try #require(states.compactMap { $0["state"] as? String } == ["lost", "live"])
            try #require(states.last?["server"] as? String == "127.0.0.1:\(cluster[1].port)")
            let resumed = try #require(events.first { $0["type"] as? String == "resumed" })
            try #require(resumed["recovered"] as? Bool == true)

            let stored = try cluster[1].history().filter { $0.type == "message" }.map(\.body)
            try #require(stored.filter { $0.hasPrefix("ann") } == (1...40).map { "ann \($0)" })
        }
    }

    @Test("the only node restarts: what was piped meanwhile is stored once when it is back, though the input has ended")
    func nodeRestarted() throws {
        try withCluster(ClusterOptions(count: 1)) { cluster in
            let lines = try LineProcess([cluster[0].port])
            try lines.wait(for: "you are Ann")
            try cluster.kill(0)
            for number in 1...100 { try lines.write("line \(number)") }
            lines.closeInput()
            try lines.waitForErrors("not connected")
            try cluster.start(0)
            try #require(try lines.endInput() == 0, "\(lines.errors)")
            try #require(lines.errors.contains("-- connected again, to 127.0.0.1:\(cluster[0].port)\n"))
            let bodies = try cluster[0].history().filter { $0.type == "message" }.map(\.body)
            try #require(bodies == (1...100).map { "line \($0)" })
            for number in 1...100 { try #require(lines.output.contains("> Ann: line \(number)\n")) }
        }
    }

    @Test("it moves from a node that stops gracefully at once")
    func nodeStopped() throws {
        try withCluster(ClusterOptions(count: 2)) { cluster in
            let lines = try LineProcess(cluster.nodes.map(\.port), ["--json"])
            try lines.wait(for: #""type":"welcome""#)
            try cluster.stop(0)
            try lines.write("hello")
            try lines.wait(for: #""body":"hello""#)
            try lines.write("/status")
            try lines.wait(for: #""server":"127.0.0.1:\#(cluster[1].port)","node""#)
            try #require(try lines.endInput() == 0)
        }
    }

    @Test("documents are changed and shown, as text and as objects")
    func documents() throws {
        let folder = try TemporaryFolder()
        let node = try NodeProcess.serve(database: folder.path("c.db"))
        let words = ["/doc tags add alpha", "/doc tags add beta", "/doc tags remove alpha", "/doc topic set Plan B"]
        let asked = ["/doc votes -2", "/doc tags", "/doc topic", "/doc votes", "/doc"]
        let input = "printf '%s\\n' \((words + asked).map { "'\($0)'" }.joined(separator: " "))"
        let (status, text) = try run(node, input, "")
        #expect(status == 0, "\(text)")
        let notices = text.split(separator: "\n").filter { $0.hasPrefix("-- ") }.dropFirst()
        #expect(
            Array(notices) == [
                "-- crdt_orset_added tags: alpha", "-- crdt_orset_added tags: beta",
                "-- crdt_orset_removed tags: alpha",
                "-- crdt_lww_set topic: Plan B", "-- crdt_counter_changed votes: -2", "-- tags (1): beta",
                "-- topic is \"Plan B\"", "-- votes stands at -2",
                "-- documents (3): tags (set), topic (register), votes (counter)",
            ])
        let (again, objects) = try run(node, "printf '/doc tags\\n/doc none\\n'", "--json")
        #expect(again == 1)
        #expect(objects.contains(#"{"type":"crdt_orset_values","room":"lobby","doc":"tags","items":["beta"]}"# + "\n"))
        #expect(objects.contains(#"{"type":"error","line":2,"body":"there is no document none"}"# + "\n"))
        let (_, list) = try run(node, "echo /doc", "--json")
        #expect(
            list.contains(#""docs":[{"name":"tags","kind":"orset"},{"name":"topic","kind":"lww"},{"name":"votes","#))
    }
}

/// `converge chat` with pipes at all ends, and input that stays open.
private final class LineProcess {
    private let process = Process()
    private let input = Pipe()
    private let printed = Collected()
    private let complained = Collected()
    private var isOpen = true

    init(_ ports: [UInt16], _ flags: [String] = []) throws {
        process.executableURL = URL(fileURLWithPath: NodeProcess.command)
        process.arguments =
            ["chat", "--server", ports.map { "127.0.0.1:\($0)" }.joined(separator: ",")] + flags
        process.environment = [
            "CONVERGE_TOKEN": Tokens.of("ann", name: "Ann"), "HOME": "/nonexistent", "PATH": "/usr/bin:/bin",
        ]
        process.standardInput = input
        process.standardOutput = printed.pipe
        process.standardError = complained.pipe
        try process.run()
    }

    deinit { if process.isRunning { process.terminate() } }

    var output: String { printed.text }
    var errors: String { complained.text }

    var events: [[String: Any]] {
        output.split(separator: "\n").compactMap {
            (try? JSONSerialization.jsonObject(with: Data($0.utf8))) as? [String: Any]
        }
    }

    func write(_ line: String) throws { try input.fileHandleForWriting.write(contentsOf: Data((line + "\n").utf8)) }

    func wait(for words: String) throws { try wait(words) { output.contains(words) } }
    func waitForErrors(_ words: String) throws { try wait(words) { errors.contains(words) } }

    private func wait(_ what: String, until holds: () -> Bool) throws {
        let deadline = Deadline()
        while !holds() {
            if deadline.hasPassed { throw TestFailure("\(what) was not printed, but:\n\(output)\n\(errors)") }
            usleep(5_000)
        }
    }

    func closeInput() {
        if isOpen { try? input.fileHandleForWriting.close() }
        isOpen = false
    }

    /// - Returns: the exit status, when all that it has printed is there.
    func endInput() throws -> Int32 {
        closeInput()
        try wait("its end") { !process.isRunning && printed.isWhole && complained.isWhole }
        process.waitUntilExit()
        return process.terminationStatus
    }
}

/// What came through a pipe so far.
private final class Collected: Sendable {
    let pipe = Pipe()
    private let state = Mutex((bytes: Data(), isWhole: false))

    init() {
        pipe.fileHandleForReading.readabilityHandler = { [weak self] handle in
            let new = handle.availableData
            if new.isEmpty { handle.readabilityHandler = nil }
            self?.take(new)
        }
    }

    private func take(_ new: Data) {
        state.withLock { state in
            if new.isEmpty { state.isWhole = true } else { state.bytes += new }
        }
    }

    var text: String { state.withLock { String(decoding: $0.bytes, as: UTF8.self) } }
    var isWhole: Bool { state.withLock { $0.isWhole } }
}
