// What a node that runs is told by signals, and what it makes of those that it was started to ignore.

import Glibc
import Testing

@Suite struct SignalTests {
    private static func serves(_ node: NodeProcess) throws -> Bool {
        let ann = try node.client("ann\(UInt32.random(in: 0 ... .max))")
        defer { ann.socket.close() }
        return try ann.ask(#"{"body":"hello","ref":"r"}"#, ref: "r").type == "ack"
    }

    @Test func `SIGHUP reloads what can be reloaded, says what that was, and never ends a node`() throws {
        let folder = try TemporaryFolder()
        let node = try NodeProcess.serve(database: folder.path("converge.db"))
        node.kill(SIGHUP)
        #expect(try node.waitForLine(containing: " INFO reloaded ").contains(" certificate=none"))
        #expect(try Self.serves(node))
        node.kill(SIGTERM)
        #expect(try node.waitForExit() == 0)
    }

    @Test func `SIGQUIT has the node say how it is, at any log level, and it goes on`() throws {
        let folder = try TemporaryFolder()
        let node = try NodeProcess.serve(database: folder.path("converge.db"))
        let ann = try node.client("ann")
        node.kill(SIGUSR2)
        node.kill(SIGQUIT)
        let status = try node.waitForLine(containing: " INFO status ")
        #expect(status.contains(/memory_bytes=[1-9]\d+ memory_peak_bytes=[1-9]\d+ cpu_seconds=\d/), "\(status)")
        #expect(status.contains(/ready=true connections=[1-9]\d* sessions=1 rooms/), "\(status)")
        for thread in ["loop-0", "core", "writer", "log"] {
            let line = try node.waitForLine(containing: " name=\(thread) ")
            #expect(line.contains(" INFO thread ") && line.contains(/state=\w+ cpu_seconds=\d/), "\(line)")
        }
        #expect(try ann.ask(#"{"body":"hello","ref":"r"}"#, ref: "r").type == "ack")
        node.kill(SIGTERM)
        #expect(try ann.waitForClose().code == 1001)
        try ann.sendClose(1001)
        #expect(try node.waitForExit() == 0)
    }

    @Test func `SIGUSR1 lets the log say more and SIGUSR2 less, a level at a time and not beyond the last`() throws {
        let folder = try TemporaryFolder()
        let node = try NodeProcess.serve(database: folder.path("converge.db"))
        for (signal, level) in [(SIGUSR1, "debug"), (SIGUSR2, "info"), (SIGUSR2, "warn"), (SIGUSR2, "error")] {
            let before = node.output.count
            node.kill(signal)
            let deadline = Deadline()
            while !node.output.dropFirst(before).contains("level=\(level)\n") {
                if deadline.hasPassed { throw TestFailure("\(level) was not told: \(node.output)") }
                usleep(2_000)
            }
        }
        node.kill(SIGTERM)
        #expect(try node.waitForExit() == 0)
        #expect(!node.output.contains("stopped"), "it said more than errors")
    }

    @Test func `a signal that is ignored at the start stays so, as nohup has it`() throws {
        let folder = try TemporaryFolder()
        let node = try NodeProcess.serve(
            database: folder.path("converge.db"),
            wrapper: ["/bin/sh", "-c", #"trap "" HUP INT; exec "$0" "$@""#])
        for signal in [SIGHUP, SIGINT] { node.kill(signal) }
        // Of signals that wait the one with the lowest number comes first.
        node.kill(SIGUSR1)
        _ = try node.waitForLine(containing: "log level changed")
        #expect(!node.output.contains(" reloaded ") && !node.output.contains("stopping"))
        #expect(try Self.serves(node))
        node.kill(SIGTERM)
        #expect(try node.waitForExit() == 0)
    }
}
