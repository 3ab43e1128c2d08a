// A node inside a program: its log, its figures and its tokens are the program's to have.

import ConvergeNode
import ConvergeStorage
import Foundation
import Synchronization
import Testing

@Suite struct EmbeddingTests {
    private final class Gathered: Sendable {
        private let records = Mutex<[LogRecord]>([])
        func add(_ record: LogRecord) { records.withLock { $0.append(record) } }
        var all: [LogRecord] { records.withLock { $0 } }
    }

    @Test func `log records go to a closure, in order, and those below the level don't`() throws {
        let log = Gathered()
        try withNode { options in
            options.logLevel = .info
            options.log = { log.add($0) }
            options.allowedOrigins = ["https://a.example"]
        } _: { node throws in
            let page = HTTPText.upgrade("/ws", ["Origin: https://b.example\u{9B}31m"])
            #expect(try HTTPReply.of(page, port: node.port).status == 403)
        }
        let events = log.all.map(\.event)
        let first = try #require(log.all.first { $0.event == "listening" })
        #expect(first.level == .info && first.fields.first == log.all.last?.fields.first)
        #expect(abs(first.date.timeIntervalSinceNow) < 600 && first.description.contains("INFO listening node=test "))
        #expect(events.last == "stopped" && !log.all.contains { $0.level == .debug })
        let refused = try #require(log.all.first { $0.event == "origin refused" })
        #expect(refused.level == .warn && refused.description.contains(" origin=\"https://b.example\\u009b31m\""))
    }

    @Test func `the node's figures can be read without a request`() throws {
        #expect(ConvergeServer(store: MemoryStore(), options: ServerOptions()).metricsSnapshot() == nil)
        try withNode { node throws in
            let ann = try node.client("ann")
            #expect(try ann.ask(#"{"body":"x","ref":"r"}"#, ref: "r").type == "ack")
            try node.wait("it is counted") { node.server.metricsSnapshot()?["messages_total"] == 1 }
            let figures = try #require(node.server.metricsSnapshot())
            #expect(figures["sessions"] == 1 && figures["commit_seconds_count"] != nil && figures["nonsense"] == nil)
            #expect(figures["messages"] == nil && figures.text.hasPrefix("# HELP converge_"))
        }
    }

    @Test func `a token that the program makes is taken`() throws {
        try withNode { node throws in
            let token = TokenIssuer(secret: Secret(Tokens.secret)).token(user: "ann", lifetime: .seconds(60))
            #expect(try node.open(token: token).next().type == "welcome")
        }
    }
}
