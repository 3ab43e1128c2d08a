// SIGTERM and SIGINT: nothing taken is lost, everybody is told, the process ends by itself.

import ConvergeNode
import ConvergeTransport
import Glibc
import Testing

@Suite struct ShutdownTests {
    @Test("a signal closes every client as going away, and ends with 0", arguments: [SIGTERM, SIGINT])
    func graceful(signal: Int32) throws {
        let folder = try TemporaryFolder()
        let database = folder.path("converge.db")
        do {
            let node = try NodeProcess.serve(database: database)
            let clients = try (0..<20).map { try node.client("user\($0)") }
            let began = SystemClock.monotonic()
            node.kill(signal)
            for client in clients {
                #expect(try client.waitForClose().code == 1001)
                try client.sendClose(1001)
            }
            #expect(try node.waitForExit() == 0)
            #expect(SystemClock.monotonic() - began < 10_000_000_000)
        }
        let node = try NodeProcess.serve(database: database)
        let history = try NodeProcess.history("lobby", by: node.client("reader"))
        #expect(history.filter { $0.body.hasSuffix(" left") }.count == 20)
        #expect(history.filter { $0.body.hasSuffix(" joined") }.count == 21)
    }

    @Test func `what was taken before a signal is stored and acked`() throws {
        let folder = try TemporaryFolder()
        let database = folder.path("converge.db")
        var seen: Set<String> = []
        do {
            let node = try NodeProcess.serve(database: database)
            let ann = try node.client("ann")
            try ann.socket.send((0..<2_000).flatMap { ChatSocket.frame(#"{"body":"m\#($0)","ref":"r"}"#) })
            let first = try ann.next("ack")
            seen.insert(first.id)
            node.kill(SIGTERM)
            reading: while true {
                switch try ann.arrival() {
                case .text(let text):
                    let frame = try Frame(text)
                    if frame.type == "ack" || frame.type == "message" { seen.insert(frame.id) }
                    if frame.type == "error" { Issue.record("\(frame)") }
                case .close(let code, _):
                    #expect(code == 1001)
                    break reading
                case .end: throw TestFailure("no close")
                case .ping, .pong: continue
                }
            }
            try ann.sendClose(1001)
            #expect(try node.waitForExit() == 0)
        }
        let node = try NodeProcess.serve(database: database)
        let history = try NodeProcess.history("lobby", by: node.client("reader"))
        let stored = Set(history.filter { $0.type == "message" }.map(\.id))
        #expect(stored == seen)
    }

    @Test func `a client that does not answer the close holds nothing up`() throws {
        let folder = try TemporaryFolder()
        let node = try NodeProcess.serve(database: folder.path("converge.db"))
        let silent = try node.client("silent")
        let idle = try RawSocket(port: node.port)
        let began = SystemClock.monotonic()
        node.kill(SIGTERM)
        #expect(try node.waitForExit() == 0)
        #expect(SystemClock.monotonic() - began < 9_000_000_000)
        #expect(try silent.waitForClose().code == 1001)
        idle.close()
    }

    @Test func `a second signal ends at once`() throws {
        let folder = try TemporaryFolder()
        let node = try NodeProcess.serve(database: folder.path("converge.db"))
        let silent = try node.client("silent")
        let began = SystemClock.monotonic()
        node.kill(SIGTERM)
        _ = try node.waitForLine(containing: "stopping")
        _ = try silent.waitForClose()
        node.kill(SIGTERM)
        #expect(try node.waitForExit() == 128 + SIGTERM)
        #expect(SystemClock.monotonic() - began < 1_500_000_000)
    }

    @Test func `while it stops nobody gets in and ready says no`() throws {
        let folder = try TemporaryFolder()
        let node = try NodeProcess.serve(database: folder.path("converge.db"))
        let silent = try node.client("silent")
        node.kill(SIGTERM)
        _ = try silent.waitForClose()
        // Nothing listens any more, or what waits in the listener's queue is never served.
        if let late = try? RawSocket(port: node.port) {
            try? late.send(HTTPText.get("/health"))
            #expect(late.receive(by: Deadline(in: .milliseconds(100))) == .nothing)
        }
        #expect(try node.waitForExit() == 0)
    }
}
