// A log that nobody reads: the node serves, and ends when it is told to.

import ConvergeTransport
import Glibc
import Testing

@Suite struct StuckLogTests {
    /// A pipe that is full, as one is whose reader has stopped.
    private final class Pipe {
        let readEnd: Int32
        let writeEnd: Int32

        init() throws {
            var ends: [Int32] = [-1, -1]
            guard pipe(&ends) == 0 else { throw TestFailure("pipe: errno \(errno)") }
            (readEnd, writeEnd) = (ends[0], ends[1])
            for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
            _ = fcntl(readEnd, F_SETFL, O_NONBLOCK)
        }

        deinit { for end in [readEnd, writeEnd] { close(end) } }

        /// By an opening of its own, so that the node's writes go on blocking.
        func fill() throws {
            let own = open("/proc/self/fd/\(writeEnd)", O_WRONLY | O_NONBLOCK | O_CLOEXEC)
            guard own >= 0 else { throw TestFailure("a pipe can't be opened: errno \(errno)") }
            defer { close(own) }
            let bytes = [UInt8](repeating: UInt8(ascii: "x"), count: 4_096)
            for length in [bytes.count, 1] { while write(own, bytes, length) > 0 {} }
        }

        /// All that is in it, without waiting.
        func drain() -> String {
            var all: [UInt8] = []
            var buffer = [UInt8](repeating: 0, count: 65_536)
            while true {
                let count = read(readEnd, &buffer, buffer.count)
                if count <= 0 { return String(decoding: all, as: UTF8.self) }
                all += buffer[..<count]
            }
        }
    }

    /// A node whose log was read until it said its port, and is not read from then on.
    private static func node(_ folder: TemporaryFolder, _ pipe: Pipe, level: String) throws -> NodeProcess {
        let node = try NodeProcess(
            ["serve"],
            environment: [
                "CONVERGE_ADDR": "127.0.0.1:0", "CONVERGE_DB_PATH": folder.path("converge.db"),
                "CONVERGE_JWT_SECRET": Tokens.secret, "CONVERGE_LOOPS": "1", "CONVERGE_LOG": level,
            ],
            standardError: pipe.writeEnd)
        var log = ""
        let deadline = Deadline()
        while true {
            log += pipe.drain()
            if let port = log.firstMatch(of: /port=(\d+) loops/).flatMap({ UInt16($0.1) }) {
                node.serves(at: port)
                try node.waitUntilReady()
                try pipe.fill()
                return node
            }
            guard !deadline.hasPassed else { throw TestFailure("no port in: \(log)") }
            usleep(2_000)
        }
    }

    @Test("SIGTERM ends a node whose standard error nobody reads, in time and well", arguments: ["info", "debug"])
    func ends(level: String) throws {
        let folder = try TemporaryFolder()
        let pipe = try Pipe()
        let node = try Self.node(folder, pipe, level: level)
        let ann = try node.client("ann")
        _ = try ann.ask(#"{"body":"hello","ref":"r"}"#, ref: "r")
        for _ in 0..<50 { _ = try node.open(token: "none").waitForClose() }
        node.kill(SIGTERM)
        #expect(try ann.waitForClose().code == 1001)
        try ann.sendClose(1001)
        #expect(try node.waitForExit() == 0)
        #expect(!pipe.drain().contains("stopped"))
    }

    @Test func `what a stuck reader missed is counted in the metrics and told when it reads on`() throws {
        let folder = try TemporaryFolder()
        let pipe = try Pipe()
        let node = try Self.node(folder, pipe, level: "debug")
        // Each leaves two lines, at least.
        for _ in 0..<3_500 { try node.client("ann", joins: false).socket.close() }
        let metrics = try HTTPReply.get("/metrics", host: node.host, port: node.port).body
        let dropped = try #require(metrics.firstMatch(of: /converge_log_lines_dropped_total (\d+)/))
        #expect((Int(dropped.1) ?? 0) > 0)
        var seen = ""
        let deadline = Deadline()
        while !seen.contains("log lines dropped"), !deadline.hasPassed {
            seen += pipe.drain()
            usleep(2_000)
        }
        #expect(seen.contains(/WARN log lines dropped node=\S+ lines=[1-9]/))
        node.kill(SIGTERM)
        #expect(try node.waitForExit() == 0)
    }
}
