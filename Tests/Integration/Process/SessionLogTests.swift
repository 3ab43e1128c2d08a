// What the log tells of sessions, for whoever reads it afterwards: who, from where, for how long, and why it ended.

@testable import ConvergeNode
import Glibc
import Testing

@Suite struct SessionLogTests {
    private static func serve(
        _ folder: TemporaryFolder, _ environment: [String: String] = [:]
    ) throws -> NodeProcess {
        try NodeProcess.serve(
            database: folder.path("converge.db"), environment: environment.merging(["CONVERGE_LOOPS": "1"]) { $1 })
    }

    @Test func `a session opens with user, room and address, and closes with who ended it, after what time and why`()
        throws
    {
        let folder = try TemporaryFolder()
        let node = try Self.serve(folder, ["CONVERGE_PONG_WAIT": "1s", "CONVERGE_PING_PERIOD": "500ms"])
        let ann = try node.client("ann", room: "dev")
        let opened = try node.waitForLine(containing: " INFO session opened ")
        #expect(opened.contains(" user=ann room=dev client=127.0.0.1"))
        let session = try #require(opened.firstMatch(of: /session=(\S+)/)).1

        try ann.sendClose(1001)
        let closed = try node.waitForLine(containing: " INFO session closed ")
        #expect(closed.contains(" session=\(session) user=ann client=127.0.0.1 after="))
        #expect(closed.hasSuffix(" by=client reason=closed code=1001"))

        let bob = try node.client("bob", joins: false)
        bob.socket.close()
        let lost = try node.waitForLine(containing: "user=bob client=127.0.0.1 after=")
        #expect(lost.hasSuffix(#" by=network reason="connection lost""#))

        let eve = try node.client("eve", joins: false)
        try eve.socket.send(ChatSocket.frame(.text, [0xFF]))
        let broken = try node.waitForLine(containing: "user=eve client=127.0.0.1 after=")
        #expect(broken.contains(" by=node reason=") && broken.hasSuffix(" code=1007"))

        let silent = try node.client("silent", joins: false)
        let gone = try node.waitForLine(containing: "user=silent client=127.0.0.1 after=")
        #expect(gone.contains(/after=\d[.0-9]*s by=node reason=silent/), "\(gone)")
        silent.socket.close()

        let last = try node.client("last", joins: false)
        node.kill(SIGTERM)
        _ = try last.waitForClose()
        try last.sendClose()
        #expect(try node.waitForExit() == 0)
        #expect(node.output.contains(/user=last .* by=node reason="server stopping" code=1001/))
    }

    @Test func `a refused token leaves a line that says why, and never the token`() throws {
        let folder = try TemporaryFolder()
        let node = try Self.serve(folder)
        let expired = TokenIssuer(secret: Secret(Tokens.secret)).token(
            user: "ann", displayName: nil, at: 1_000, lifetime: .seconds(10))
        let foreign = TokenIssuer(secret: Secret("another")).token(
            user: "ann", displayName: nil, at: 1_000, lifetime: nil)
        for (token, reason) in [
            ("nobody-logs-this", "token: malformed"), (expired, "token: expired"),
            (foreign, "token: wrong signature"),
        ] {
            let client = try node.open(token: token)
            #expect(try client.waitForClose().code == 1008)
            let line = try node.waitForLine(containing: #"reason="\#(reason)""#)
            #expect(line.contains(" INFO session refused ") && line.contains(" client=127.0.0.1 "))
            #expect(!node.output.contains(token.suffix(12)))
        }
        // One of a kind in ten seconds: anybody can cause them.
        for _ in 0..<20 { _ = try node.open(token: "x").waitForClose() }
        #expect(node.output.matches(of: /session refused/).count == 3)
    }

    @Test func `behind a proxy that is trusted the client is who the proxy says, and else the proxy`() throws {
        let folder = try TemporaryFolder()
        let token = Tokens.of("ann")
        for (trusted, client) in [("127.0.0.0/8", "203.0.113.7"), ("10.0.0.0/8", "127.0.0.1")] {
            let node = try NodeProcess.serve(
                database: folder.path("\(client).db"), environment: ["CONVERGE_TRUSTED_PROXIES": trusted])
            let ann = try ChatSocket(
                host: node.host, port: node.port, target: "/ws?token=\(token)",
                headers: ["X-Forwarded-For: 198.51.100.1, 203.0.113.7"])
            #expect(try node.waitForLine(containing: "session opened").hasSuffix(" client=\(client)"))
            ann.socket.close()
        }
    }
}
