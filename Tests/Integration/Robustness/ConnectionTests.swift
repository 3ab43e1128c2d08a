// Many connections, silent ones, and no descriptors left for more.

import ConvergeNode
import ConvergeStorage
import ConvergeTransport
import Glibc
import Testing

@Suite struct ConnectionTests {
    @Test func `a client is pinged, and stays as long as it answers`() throws {
        try withNode { options in
            options.pingPeriod = .milliseconds(100)
            options.pongWait = .milliseconds(400)
        } _: { node in
            let client = try node.client("ann")
            var pings = 0
            while pings < 8 {
                guard case .ping = try client.arrival() else { continue }
                pings += 1
            }
            #expect(try client.framesUntilNow().map(\.text) == [])
            #expect(try node.metric("silent_closed_total") == 0)
        }
    }

    @Test func `a client that is silent is closed, and has left`() throws {
        try withNode { options in
            options.pingPeriod = .milliseconds(100)
            options.pongWait = .milliseconds(300)
        } _: { node in
            let watcher = try node.client("watcher")
            let silent = try node.open(token: Tokens.of("silent"))
            silent.answersPings = false
            // The watcher answers its pings while it waits.
            #expect(try watcher.next("system") { $0.body.hasSuffix(" left") }.body == "silent left")
            try silent.waitForEnd()
            #expect(try node.metric("silent_closed_total") == 1)
        }
    }

    @Test func `hundreds that vanish at once have all left, and the node answers meanwhile`() throws {
        try withNode { node in
            let watcher = try node.client("watcher", room: "watch")
            let clients = try (0..<400).map { try node.open(token: Tokens.of("u\($0)"), room: "r\($0 % 4)") }
            try node.wait("all are in") { try node.metric("sessions") == 401 }
            for (index, client) in clients.enumerated() {
                if index % 2 == 0 { client.socket.abort() } else { client.socket.close() }
            }
            let began = SystemClock.monotonic()
            #expect(try HTTPReply.get("/health", port: node.port).status == 200)
            #expect(SystemClock.monotonic() - began < 2_000_000_000)
            try node.wait("all have left") { try node.metric("sessions") == 1 }
            #expect(try watcher.ask(#"{"type":"rooms","ref":"r"}"#, ref: "r").list("rooms") == ["watch"])
            var joined = 0
            var left = 0
            for room in 0..<4 {
                let history = try NodeProcess.history("r\(room)", by: watcher)
                joined += history.count { $0.body.hasSuffix(" joined") }
                left += history.count { $0.body.hasSuffix(" left") }
            }
            #expect(joined == 400)
            #expect(left == 400)
        }
    }

    @Test func `when descriptors run out accepting pauses, clients stay, and it goes on when there are some`() throws {
        let folder = try TemporaryFolder()
        // One loop, since each has descriptors of its own.
        let node = try NodeProcess.serve(
            database: folder.path("converge.db"), environment: ["CONVERGE_LOOPS": "1"], openFiles: 64)
        let stays = try node.client("stays")
        var others: [RawSocket] = []
        // The kernel completes these; the node runs out of descriptors on its way through them.
        for _ in 0..<80 { others.append(try RawSocket(port: node.port)) }
        _ = try node.waitForLine(containing: "accepting paused")
        for number in 0..<20 {
            #expect(try stays.ask(#"{"body":"\#(number)","ref":"r"}"#, ref: "r").type == "ack")
        }
        let late = try RawSocket(port: node.port)
        try late.send(HTTPText.get("/health", ["Connection: close"]))
        #expect(late.receive(by: Deadline(in: .milliseconds(200))) == .nothing)
        for socket in others { socket.close() }
        #expect(try HTTPReply(late.receiveToEnd()).status == 200)
        let new = try node.client("new")
        #expect(try new.ask(#"{"type":"users","ref":"u"}"#, ref: "u").list("users") == ["new", "stays"])
        #expect(try stays.next("system") { $0.user == "new" }.body == "new joined")
    }

    @Test func `what is stored is read although descriptors have run out`() throws {
        let folder = try TemporaryFolder()
        // One loop, since each has descriptors of its own.
        let node = try NodeProcess.serve(
            database: folder.path("converge.db"), environment: ["CONVERGE_LOOPS": "1"], openFiles: 64)
        let stays = try node.client("stays")
        var others: [RawSocket] = []
        for _ in 0..<80 { others.append(try RawSocket(port: node.port)) }
        _ = try node.waitForLine(containing: "accepting paused")
        // The readers' connections are opened at their first use: an error is right, no end of the node is.
        let reply = try stays.ask(#"{"type":"history","ref":"h"}"#, ref: "h")
        #expect(reply.type == "history" || reply.body == "history unavailable")
        for socket in others { socket.close() }
        let deadline = Deadline()
        while try stays.ask(#"{"type":"history","ref":"i"}"#, ref: "i").type != "history" {
            if deadline.hasPassed { throw TestFailure("history never came back") }
        }
    }
}
