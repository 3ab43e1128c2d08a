// Nodes that write one PostgreSQL database and have no links: what one of them shows of the others is exact.

import ConvergeNode
import ConvergeStorage
import Foundation
import Synchronization
import Testing

@Suite("Nodes on one database", .enabled(if: PostgresDatabase.server != nil, "no server to test on"))
struct NodesOnOneDatabaseTests {
    /// A user of a node who says one number after the other, each when the one before is stored.
    private final class Counting: Sendable {
        private let said = Mutex(0)
        private let ends = Mutex(false)
        private let failure = Mutex<String?>(nil)
        private let done = DispatchSemaphore(value: 0)

        /// The last number that is stored.
        var last: Int { said.withLock { $0 } }

        /// - Parameter port: of the node.
        init(port: UInt16) {
            Thread.detachNewThread { [self] in
                do {
                    let client = try ChatSocket(
                        port: port, target: "/ws?room=dev&token=\(Tokens.of("counter").percentEncoded)")
                    while !ends.withLock({ $0 }) {
                        let next = last + 1
                        let answer = try client.ask(
                            #"{"body":"\#(next)","key":"\#(next)","ref":"r\#(next)"}"#, ref: "r\(next)")
                        if answer.type == "ack" { said.withLock { $0 = next } }
                    }
                } catch {
                    failure.withLock { $0 = "\(error)" }
                }
                done.signal()
            }
        }

        /// What went wrong, if anything.
        func end() -> String? {
            ends.withLock { $0 = true }
            done.wait()
            return failure.withLock { $0 }
        }
    }

    /// Someone who follows a room from wherever they were, as docs/protocol.md ("Resume") says.
    private struct Follower {
        var cursor: [String: Int] = [:]
        var numbers: [Int] = []
        var recovered = true
        var isResuming = false

        var target: String {
            let text = "{" + cursor.map { "\"\($0.key)\":\($0.value)" }.joined(separator: ",") + "}"
            return "/ws?room=dev&cursor=\(text.percentEncoded)&token=\(Tokens.of("ann").percentEncoded)"
        }

        mutating func take(_ frame: Frame) throws {
            switch frame.type {
            case "history" where frame.bool("resume") == true:
                for entry in frame.frames("history") ?? [] { note(entry) }
                try replace(frame)
            case "resumed":
                if frame.bool("recovered") != true { recovered = false }
                isResuming = false
                try replace(frame)
            case "message", "system":
                note(frame)
                if !isResuming, let node = frame["node"], let seq = frame.number("seq") { cursor[node] = seq }
            default: break
            }
        }

        private mutating func note(_ frame: Frame) {
            if frame.type == "message", let number = Int(frame.body) { numbers.append(number) }
        }

        private mutating func replace(_ frame: Frame) throws {
            let object = try JSONSerialization.jsonObject(with: Data(frame.text.utf8)) as? [String: Any]
            cursor = object?["cursor"] as? [String: Int] ?? cursor
        }
    }

    private func withNodeOn<R>(
        _ database: PostgresDatabase, _ name: String, ready: Bool = true, _ body: (TestNode) throws -> R
    ) throws -> R {
        try withNode(PostgresStore(dsn: database.dsn), ready: ready, { $0.nodeName = name }, body)
    }

    @Test func `who resumes on a node that has just been started is shown what other nodes wrote, each once`() throws {
        let database = try PostgresDatabase()
        var follower = Follower()
        try withNodeOn(database, "one") { one in
            let counting = Counting(port: one.port)
            for _ in 0..<15 {
                try withNodeOn(database, "two", ready: false) { two in
                    let client = try two.open(follower.target)
                    follower.isResuming = true
                    while follower.isResuming { try follower.take(client.next()) }
                    let until = counting.last + 5
                    while follower.numbers.last ?? 0 < until { try follower.take(client.next()) }
                }
            }
            #expect(counting.end() == nil)
        }
        #expect(follower.recovered)
        #expect(follower.numbers == Array(1...follower.numbers.count))
        #expect(follower.numbers.count > 70)
    }

    @Test
    func `who leaves and enters while the database ends its connections is shown nothing twice, and misses nothing`()
        throws
    {
        let database = try PostgresDatabase()
        try withNodeOn(database, "one") { one in
            try withNodeOn(database, "two") { two in
                let counting = Counting(port: one.port)
                var follower = Follower()
                let client = try two.open(follower.target)
                follower.isResuming = true
                for round in 0..<12 {
                    while follower.isResuming { try follower.take(client.next()) }
                    if round % 3 == 2 { try database.endBackends() }
                    let until = counting.last + 3
                    while follower.numbers.last ?? 0 < until { try follower.take(client.next()) }
                    // Away, and back with the cursor of before.
                    try client.send(#"{"type":"join","room":"other","ref":"away"}"#)
                    while true {
                        let frame = try client.next()
                        if frame.ref == "away" { break }
                        try follower.take(frame)
                    }
                    let cursor = "{" + follower.cursor.map { "\"\($0.key)\":\($0.value)" }.joined(separator: ",") + "}"
                    follower.isResuming = true
                    try client.send(#"{"type":"resume","room":"dev","cursor":\#(cursor),"ref":"back"}"#)
                }
                while follower.isResuming { try follower.take(client.next()) }
                #expect(counting.end() == nil)
                while follower.numbers.last ?? 0 < counting.last { try follower.take(client.next()) }
                #expect(follower.recovered)
                #expect(follower.numbers == Array(1...counting.last))
            }
        }
    }

    @Test func `a document that a resume names is read with the change, or the change follows`() throws {
        let database = try PostgresDatabase()
        try withNodeOn(database, "one") { one in
            try withNodeOn(database, "two") { two in
                let bob = try one.client("bob", room: "dev")
                let ann = try two.client("ann", room: "dev")
                var cursor: [String: Int] = [:]
                for number in 0..<12 {
                    let write = #"{"type":"crdt_orset_add","doc":"d","body":"e\#(number)","ref":"w"}"#
                    #expect(try bob.ask(write, ref: "w").type == "ack")
                    let text = "{" + cursor.map { "\"\($0.key)\":\($0.value)" }.joined(separator: ",") + "}"
                    let end = try ann.ask(#"{"type":"resume","cursor":\#(text),"ref":"r"}"#, ref: "r")
                    let object = try JSONSerialization.jsonObject(with: Data(end.text.utf8)) as? [String: Any]
                    cursor = object?["cursor"] as? [String: Int] ?? [:]
                    try ann.send(#"{"type":"crdt_orset_values","doc":"d","ref":"v\#(number)"}"#)
                    // What is not in the answer comes behind it.
                    var isThere = false
                    let deadline = Deadline()
                    while !isThere {
                        let frame = try ann.next(by: deadline)
                        if frame.ref == "v\(number)" { isThere = frame.list("items")?.contains("e\(number)") ?? false }
                        if frame.type == "crdt_orset_added", frame.body == "e\(number)" { isThere = true }
                    }
                }
            }
        }
    }
}
