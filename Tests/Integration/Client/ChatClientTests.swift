// The library's client against a node: what it promises, over real sockets.

import ConvergeClient
import ConvergeTransport
import Foundation
import Synchronization
import Testing

@Suite struct ChatClientTests {
    @Test func `two clients talk, and each is told what became of its messages`() async throws {
        try await onOwnThread {
            try withNode { node in
                let (ann, bob) = (try ClientLog("ann", at: [node.port]), try ClientLog("bob", at: [node.port]))
                let room = try ann.client.join(" dev ")
                _ = try bob.client.join("dev")
                try bob.waitUntilLive()
                let sendings = try (0..<20).map { try room.send("hello \($0)") }
                let receipts = try sendings.map { sending in try settle { try await sending.stored() } }
                let bodies = (0..<20).map { "hello \($0)" }
                try bob.wait("all messages") { _ in bob.bodies() == bodies }
                try ann.wait("its own") { _ in ann.bodies() == bodies }
                try #require(bob.messages().map(\.id) == receipts.map(\.id))
                try #require(receipts.allSatisfy { !$0.isDuplicate && $0.position != nil })
                let states = ann.all.compactMap { event -> SendState? in
                    if case .sending(sendings[0].key, let state) = event.event { state } else { nil }
                }
                try #require(states == [.queued, .sent, .stored(receipts[0])] && ann.client.unsentCount == 0)
                // Whoever has acknowledged is known, and so is the way there.
                try ann.wait("its node") { events in
                    events.contains { if case .connection(.live(_, .some, "ann", _)) = $0 { true } else { false } }
                }
                try ann.wait("latency") { events in
                    events.contains { if case .latency = $0 { true } else { false } }
                }
                try ann.close()
                try bob.wait("that ann has left") { events in
                    events.contains {
                        if case .presence(let line, joined: false, _) = $0 { line.userID == "ann" } else { false }
                    }
                }
                try bob.close()
            }
        }
    }

    @Test func `questions are answered: members, rooms, history page by page, documents`() async throws {
        try await onOwnThread {
            try withNode { node in
                let ann = try ClientLog("ann", at: [node.port])
                let room = try ann.client.join("dev")
                try ann.waitUntilLive()
                for number in 0..<25 { _ = try room.send("m\(number)") }
                try ann.wait("all sent") { _ in ann.bodies().count == 25 }
                let members = try settle { try await room.members() }
                try #require(members.count == 1 && members.members[0].userID == "ann")
                try #require(try settle { try await ann.client.rooms() } == ["dev"])
                var pages: [HistoryPage] = [try settle { try await room.history(limit: 10) }]
                while let before = pages[0].older {
                    pages.insert(try settle { try await room.history(before: before, limit: 10) }, at: 0)
                }
                let bodies = pages.flatMap(\.entries).map(\.line.body)
                try #require(bodies == ["ann joined"] + (0..<25).map { "m\($0)" } && pages.count == 3)
                try #require(try settle { try await room.documents() } == [])
                _ = try settle { try await room.set("tags").add("x").stored() }
                try #require(try settle { try await room.documents() } == [DocumentName(name: "tags", sort: .set)])
                try ann.close()
                try #require(throws: RequestFailure.closed) { try settle { try await room.members() } }
                try #require(throws: SendFailure.closed) { try room.send("late") }
            }
        }
    }

    @Test func `shared documents follow the room, whoever changes them`() async throws {
        try await onOwnThread {
            try withNode { node in
                let (ann, bob) = (try ClientLog("ann", at: [node.port]), try ClientLog("bob", at: [node.port]))
                let (annRoom, bobRoom) = (try ann.client.join("dev"), try bob.client.join("dev"))
                try ann.waitUntilLive()
                try bob.waitUntilLive()
                let (tags, topic, votes) = (annRoom.set("t"), annRoom.register("t"), annRoom.counter("t"))
                let seen = (bobRoom.set("t"), bobRoom.register("t"), bobRoom.counter("t"))
                for element in ["b", "a", "c"] { try tags.add(element) }
                try tags.remove("c")
                try topic.set("plan")
                try votes.increment(by: 5)
                let receipt = try settle { [votes] in try await votes.decrement(by: 2).stored() }
                try #require(receipt.position != nil)
                try bob.wait("the documents") { _ in
                    seen.0.elements == ["a", "b"] && seen.1.text == "plan" && seen.2.value == 3
                        && tags.elements == ["a", "b"] && topic.text == "plan" && votes.value == 3
                }
                let values = seen.1.values
                try topic.set(nil)
                try #require(
                    try settle {
                        for await value in values where value == .clear { return true }
                        return false
                    })
                try #require(throws: SendFailure.refused("invalid message")) {
                    try settle { [votes] in try await votes.increment(by: 1 << 60).stored() }
                }
                for log in [ann, bob] { try log.close() }
            }
        }
    }

    @Test func `a token that is refused is asked for anew, once`() async throws {
        try await onOwnThread {
            try withNode { node in
                let url = try ServerURL("ws://127.0.0.1:\(node.port)")
                let counter = CallCounter()
                let good = ClientLog(
                    try ChatClient(urls: [url]) { counter.next() == 1 ? "stale.token.x" : Tokens.of("ann") })
                _ = try good.client.join("dev")
                try good.waitUntilLive()
                try #require(counter.count == 2)
                // Another room has the good one.
                _ = try good.client.join("ops")
                try good.waitUntilLive(times: 2)
                try #require(counter.count == 2)
                try good.close()

                let others = CallCounter()
                let bad = ClientLog(
                    try ChatClient(urls: [url]) {
                        _ = others.next()
                        return "never.any.good"
                    })
                let room = try bad.client.join("dev")
                let sending = try room.send("never")
                try bad.wait("the end") { $0.contains(.connection(.ended(.unauthorized))) }
                try #require(others.count == 2)
                try #require(throws: SendFailure.closed) { try settle { try await sending.stored() } }
                try bad.close()
            }
        }
    }

    @Test func `a consumer that falls behind holds up the socket, and loses nothing`() async throws {
        try await onOwnThread {
            try withNode { node in
                let count = 20_000
                var options = ChatClient.Options()
                options.eventBuffer = 200
                let slow = try ChatClient(
                    urls: [ServerURL("ws://127.0.0.1:\(node.port)")], token: Tokens.of("slow"), options: options)
                let stream = slow.events
                let writer = try node.client("writer", room: "dev")
                _ = try slow.join("dev")
                _ = try writer.next("system") { $0.user == "slow" && $0.body == "slow joined" }
                try Talk.write(count, String(repeating: "x", count: 200) + " ", by: writer)
                // Nothing was taken: what waits is the buffer, and what one more read has brought.
                try #require(slow.waitingEvents >= 200 && slow.waitingEvents < 200 + 1_000)
                let bodies = try settle {
                    var bodies: [String] = []
                    for await event in stream {
                        if case .message(let line, _) = event.event { bodies.append(line.body) }
                        if bodies.count == count { break }
                    }
                    return bodies
                }
                let expected = (0..<count).map { String(repeating: "x", count: 200) + " \($0)" }
                try #require(bodies == expected)
                try settle { await slow.close() }
            }
        }
    }

    @Test func `messages of a client that could not send them are stored once in its next life`() async throws {
        try await onOwnThread {
            let folder = try TemporaryFolder()
            let file = folder.path("outbox.db")
            let first = try ClientLog("ann", at: [1]) { $0.outboxFile = file }
            let room = try first.client.join("dev")
            for number in 0..<5 { try room.send("m\(number)") }
            try first.wait("a wait") { events in
                events.contains { if case .connection(.waiting) = $0 { true } else { false } }
            }
            try #require(first.client.unsentCount == 5)
            try first.close()
            try withNode { node in
                let second = try ClientLog("ann", at: [1, node.port]) { $0.outboxFile = file }
                try #require(second.client.unsentCount == 5)
                _ = try second.client.join("dev")
                try second.wait("all stored") { _ in second.client.unsentCount == 0 }
                try second.wait("all shown") { _ in second.bodies() == (0..<5).map { "m\($0)" } }
                try second.close()
                let third = try ClientLog("ann", at: [node.port]) { $0.outboxFile = file }
                try #require(third.client.unsentCount == 0)
                try third.close()
            }
        }
    }

    @Test func `a message that ends every connection is refused, and those behind it go`() async throws {
        try await onOwnThread {
            try withNode { node in
                let ann = try ClientLog("ann", at: [node.port])
                let room = try ann.client.join("dev")
                let huge = try room.send(String(repeating: "x", count: 100_000))
                let next = try room.send("after it")
                try #require(throws: SendFailure.refused("message too big")) {
                    try settle { try await huge.stored() }
                }
                _ = try settle { try await next.stored() }
                let long = try room.send(String(repeating: "x", count: 10_000))
                try #require(throws: SendFailure.refused("message too large")) {
                    try settle { try await long.stored() }
                }
                try ann.close()
            }
        }
    }

    @Test func `a client that nobody keeps leaves`() async throws {
        try await onOwnThread {
            try withNode { node in
                let watcher = try node.client("watcher", room: "dev")
                do {
                    let ann = try ClientLog("ann", at: [node.port])
                    _ = try ann.client.join("dev")
                    try ann.waitUntilLive()
                }
                _ = try watcher.next("system") { $0.body == "ann left" }
            }
        }
    }

    @Test func `there are bounds: rooms, messages, names`() async throws {
        try await onOwnThread {
            let ann = try ClientLog("ann", at: [1]) {
                $0.maxRooms = 2
                $0.maxUnsent = 3
                $0.maxBodyBytes = 10
            }
            let room = try ann.client.join("a")
            try #require(try ann.client.join("a").name == "a")
            _ = try ann.client.join("b")
            try #require(throws: ChatClientError.tooManyRooms(limit: 2)) { try ann.client.join("c") }
            try #require(throws: ChatClientError.invalidRoom) { try ann.client.join(" ") }
            for _ in 0..<3 { try room.send("x") }
            try #require(throws: SendFailure.full) { try room.send("x") }
            try #require(throws: SendFailure.tooLarge) { try room.send("01234567890") }
            room.leave()
            _ = try ann.client.join("c")
            try #require(try settle { try await ann.client.unsent() }.count == 3)
            try ann.close()
            try #require(throws: ChatClientError.closed) { try ann.client.join("a") }
        }
    }
}

private final class CallCounter: Sendable {
    private let calls = Mutex(0)

    var count: Int { calls.withLock { $0 } }

    func next() -> Int {
        calls.withLock { calls in
            calls += 1
            return calls
        }
    }
}
