// docs/protocol.md, `history`: order, limits, paging, and what it says when there is no store.

import ConvergeNode
import ConvergeStorage
import Testing

@Suite struct HistoryTests {
    @Test func `history is oldest first, whole frames, messages and system events both`() throws {
        try withNode { node in
            let ann = try node.client("ann", name: "Ann", room: "dev")
            try ann.send(#"{"body":"one"}"#)
            try ann.send(#"{"body":"two"}"#)
            let live = try [ann.next("message"), ann.next("message")]
            let reply = try ann.ask(#"{"type":"history","ref":"h"}"#, ref: "h")
            #expect(reply.type == "history")
            #expect(reply.room == "dev")
            #expect(reply.number("limit") == 50)
            let entries = try #require(reply.frames("history"))
            #expect(entries.map(\.body) == ["Ann joined", "one", "two"])
            #expect(entries.map(\.type) == ["system", "message", "message"])
            for (shown, stored) in zip(live, entries.dropFirst()) {
                #expect(shown.names == stored.names)
                #expect(shown.names.allSatisfy { shown[$0] == stored[$0] && shown.number($0) == stored.number($0) })
            }
        }
    }

    @Test func `the default is the newest 50, and nobody gets more than the limit`() throws {
        try withNode {
            $0.historyLimit = 60
        } _: { node in
            let ann = try node.client("ann")
            for number in 0..<70 { try ann.send(#"{"body":"\#(number)"}"#) }
            _ = try ann.next("message") { $0.body == "69" }
            func history(_ members: String) throws -> [String] {
                let reply = try ann.ask(#"{"type":"history","ref":"h"\#(members)}"#, ref: "h")
                return try #require(reply.frames("history")).map(\.body)
            }
            #expect(try history("") == (20..<70).map(String.init))
            #expect(try history(#","limit":3"#) == ["67", "68", "69"])
            #expect(try history(#","limit":1000"#) == (10..<70).map(String.init))
            #expect(try history(#","limit":60"#).count == 60)
            #expect(try history(#","limit":null"#).count == 50)
        }
    }

    @Test func `before pages back to the beginning, each entry once`() throws {
        try withNode { node in
            let ann = try node.client("ann")
            for number in 0..<25 { try ann.send(#"{"body":"\#(number)"}"#) }
            _ = try ann.next("message") { $0.body == "24" }
            var pages: [[String]] = []
            var before = ""
            while pages.count < 10 {
                let reply = try ann.ask(#"{"type":"history","limit":10,"ref":"h"\#(before)}"#, ref: "h")
                let page = try #require(reply.frames("history"))
                if page.isEmpty { break }
                pages.append(page.map(\.body))
                before = #","before":"\#(page[0].pos)""#
            }
            #expect(pages.map(\.count) == [10, 10, 6])
            #expect(pages.reversed().flatMap { $0 } == ["ann joined"] + (0..<25).map(String.init))
        }
    }

    @Test func `another room's history may be asked for, an unknown room's is empty`() throws {
        try withNode { node in
            let ann = try node.client("ann", room: "a")
            let bob = try node.client("bob", room: "b")
            try bob.send(#"{"body":"in b"}"#)
            _ = try bob.next("message")
            let there = try ann.ask(#"{"type":"history","room":"b","ref":"1"}"#, ref: "1")
            #expect(there.room == "b")
            #expect(there.frames("history")?.map(\.body) == ["bob joined", "in b"])
            #expect(try ann.ask(#"{"type":"history","room":"no","ref":"2"}"#, ref: "2").frames("history")?.count == 0)
        }
    }

    @Test func `pos sorts as history does, seq counts without gaps, node is one`() throws {
        try withNode { node in
            let clients = try (0..<4).map { try node.client("user\($0)") }
            for number in 0..<20 {
                for client in clients { try client.send(#"{"body":"\#(number)"}"#) }
            }
            for client in clients { try client.send(#"{"body":"end","ref":"end"}"#) }
            for client in clients { _ = try client.next("ack") { $0.ref == "end" } }
            let reply = try clients[0].ask(#"{"type":"history","limit":200,"ref":"h"}"#, ref: "h")
            let entries = try #require(reply.frames("history"))
            #expect(entries.count == 4 + 84)
            #expect(zip(entries, entries.dropFirst()).allSatisfy { $0.pos < $1.pos })
            #expect(entries.map { $0.number("seq") } == (1...88).map { $0 })
            #expect(Set(entries.map { $0["node"] }).count == 1)
            #expect(entries[0]["node"]?.wholeMatch(of: /[0-9a-f]{16}/) != nil)
            #expect(Set(entries.map(\.id)).count == 88)
        }
    }

    @Test func `what has been written after a position of the future stands behind it`() throws {
        try withNode { node in
            let ann = try node.client("ann")
            try ann.send(#"{"body":"one"}"#)
            let one = try ann.next("message")
            let minute = one.pos.later(byMilliseconds: 60_000)
            try ann.send(#"{"body":"two","after":"\#(minute)"}"#)
            let two = try ann.next("message").pos
            #expect(two > minute)
            #expect(two < one.pos.later(byMilliseconds: 90_000))
            // Nobody sets the clock further ahead than 23 hours.
            let years = one.pos.later(byMilliseconds: 100_000_000_000)
            try ann.send(#"{"body":"late","after":"\#(years)"}"#)
            #expect(try ann.next("message").pos < one.pos.later(byMilliseconds: 23 * 3_600_000 + 100_000))
            try ann.send(#"{"body":"three","after":"nonsense","ref":"r"}"#)
            #expect(try ann.next().body == "invalid message")
        }
    }

    @Test func `history is unavailable while storage fails, and comes back`() throws {
        let store = MemoryStore()
        try withNode(store) { node in
            let ann = try node.client("ann")
            store.setOutage(.unreachable("test"))
            let error = try ann.ask(#"{"type":"history","ref":"h"}"#, ref: "h")
            #expect(error.type == "error")
            #expect(error.body == "history unavailable")
            store.setOutage(nil)
            #expect(try ann.ask(#"{"type":"history","ref":"i"}"#, ref: "i").type == "history")
        }
    }
}

extension String {
    /// A `pos` whose time, milliseconds in its first twelve digits, is moved.
    fileprivate func later(byMilliseconds amount: UInt64) -> String {
        let digits = String((UInt64(prefix(12), radix: 16) ?? 0) + amount, radix: 16)
        return String(repeating: "0", count: 12 - digits.count) + digits + dropFirst(12)
    }
}
