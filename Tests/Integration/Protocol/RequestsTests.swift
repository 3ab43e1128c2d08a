// docs/protocol.md, "Requests and replies": ref and ack, and keys, which make a send happen once.

import ConvergeNode
import ConvergeStorage
import Testing

@Suite struct RequestsTests {
    // MARK: ref

    @Test func `a message with a ref is acked to its sender alone, with the id that everybody sees`() throws {
        try withNode { node in
            let ann = try node.client("ann", room: "dev")
            let bob = try node.client("bob", room: "dev")
            _ = try ann.next("system") { $0.user == "bob" }
            try ann.send(#"{"type":"message","body":"x","ref":"my ref"}"#)
            var (message, ack): (Frame?, Frame?)
            for _ in 0..<2 {
                let frame = try ann.next()
                if frame.type == "ack" { ack = frame } else { message = frame }
            }
            let seen = try #require(message), acked = try #require(ack)
            #expect(acked.names == ["id", "type", "room", "timestamp", "ref", "pos"])
            #expect(acked.ref == "my ref")
            #expect(acked.id == seen.id)
            #expect(acked.pos == seen.pos)
            #expect(acked.room == "dev")
            #expect(acked["timestamp"] == seen["timestamp"])
            #expect(seen.ref == nil)
            #expect(try bob.next().id == seen.id)
            #expect(try bob.framesUntilNow().map(\.text) == [])
        }
    }

    @Test func `copies says how many there are`() throws {
        try withNode { node in
            let ann = try node.client("ann")
            #expect(try ann.ask(#"{"body":"x","ref":"a","copies":3}"#, ref: "a").number("copies") == 1)
            #expect(try ann.ask(#"{"body":"x","ref":"b"}"#, ref: "b").number("copies") == nil)
            for ref in ["c", "d"] {
                let ack = try ann.ask(#"{"body":"x","key":"k","ref":"\#(ref)","copies":3}"#, ref: ref)
                #expect(ack.type == "ack" && ack.number("copies") == 1)
            }
        }
    }

    @Test func `every reply and error carries the ref`() throws {
        try withNode { node in
            let ann = try node.client("ann")
            for (frame, type) in [
                (#"{"type":"rooms","ref":"é"}"#, "rooms"), (#"{"type":"users","ref":"é"}"#, "users"),
                (#"{"type":"history","ref":"é"}"#, "history"), (#"{"type":"join","room":"b","ref":"é"}"#, "joined"),
                (#"{"type":"crdt_orset_values","ref":"é"}"#, "crdt_orset_values"),
                (#"{"type":"crdt_lww_get","ref":"é"}"#, "crdt_lww_value"),
                (#"{"type":"crdt_orset_add","body":"x","ref":"é"}"#, "ack"),
                (#"{"type":"crdt_lww_set","body":"x","ref":"é"}"#, "ack"), (#"{"body":"x","ref":"é"}"#, "ack"),
                (#"{"type":"none","ref":"é"}"#, "error"), (#"{"ref":"é"}"#, "error"),
            ] {
                #expect(try ann.ask(frame, ref: "é").type == type, "\(frame)")
            }
        }
    }

    @Test func `a ref has at most 64 bytes, and an empty one is none`() throws {
        try withNode { node in
            let ann = try node.client("ann")
            let longest = String(repeating: "é", count: 32)
            #expect(try ann.ask(#"{"type":"rooms","ref":"\#(longest)"}"#, ref: longest).type == "rooms")
            try ann.send(#"{"type":"rooms","ref":"\#(longest)x"}"#)
            #expect(try ann.next().body == "invalid message")
            try ann.send(#"{"type":"rooms","ref":""}"#)
            #expect(try ann.next().names == ["id", "type", "rooms", "timestamp"])
        }
    }

    @Test func `a join with a ref is answered by joined, also in the current room`() throws {
        try withNode { node in
            let ann = try node.client("ann", room: "a")
            let joined = try ann.ask(#"{"type":"join","room":"b","ref":"1"}"#, ref: "1")
            #expect(joined.type == "joined")
            #expect(joined.room == "b")
            #expect(try ann.next().body == "ann joined")
            let again = try ann.ask(#"{"type":"join","room":"b","ref":"2"}"#, ref: "2")
            #expect(again.type == "joined")
            #expect(try ann.framesUntilNow().map(\.text) == [])
        }
    }

    @Test func `replies, acks and joins reach the session they are for and no other`() throws {
        try withNode { options in
            options.loops = 4
        } _: { node in
            // Sessions stand at the same places in the tables of several loops.
            let clients = try (0..<24).map { try node.client("u\($0)", room: "r\($0 % 3)") }
            for round in 0..<10 {
                for (index, client) in clients.enumerated() {
                    try client.socket.send(
                        ChatSocket.frame(#"{"body":"b\#(index)","ref":"\#(index) a\#(round)"}"#)
                            + ChatSocket.frame(#"{"type":"users","ref":"\#(index) u\#(round)"}"#)
                            + ChatSocket.frame(#"{"type":"crdt_lww_set","body":"x","ref":"\#(index) w\#(round)"}"#)
                            + ChatSocket.frame(#"{"type":"join","room":"r\#(index % 3)","ref":"\#(index) j\#(round)"}"#)
                    )
                }
            }
            var wrong: [String] = []
            for (index, client) in clients.enumerated() {
                var refs: Set<String> = []
                while refs.count < 40 {
                    let frame = try client.next()
                    if frame.room != "r\(index % 3)" { wrong.append("\(index): \(frame)") }
                    guard let ref = frame.ref else { continue }
                    if !ref.hasPrefix("\(index) ") || !refs.insert(ref).inserted { wrong.append("\(index): \(frame)") }
                }
            }
            for (index, client) in clients.enumerated() {
                wrong += try client.framesUntilNow().filter { $0.ref != nil }.map { "\(index), late: \($0)" }
            }
            #expect(wrong.isEmpty, "\(wrong.count), the first \(wrong.first ?? "")")
        }
    }

    @Test func `who moves on right after a message still gets it`() throws {
        let folder = try TemporaryFolder()
        try withNode(SQLiteStore(path: folder.path("converge.db"))) { node in
            let ann = try node.client("ann", room: "a")
            try ann.socket.send(
                ChatSocket.frame(#"{"body":"last words"}"#) + ChatSocket.frame(#"{"type":"join","room":"b","ref":"j"}"#)
            )
            var bodies: [String] = []
            while true {
                let frame = try ann.next()
                if frame.body == "ann joined" { break }
                bodies.append(frame.body)
            }
            #expect(bodies.contains("last words"))
        }
    }

    // MARK: key

    @Test func `a repeat with the same key is one message, acked with its id as a duplicate`() throws {
        try withNode { node in
            let ann = try node.client("ann")
            let first = try ann.ask(#"{"body":"once","key":"k","ref":"1"}"#, ref: "1")
            #expect(first.bool("duplicate") == nil)
            let again = try ann.ask(#"{"body":"once","key":"k","ref":"2"}"#, ref: "2")
            #expect(again.type == "ack")
            #expect(again.id == first.id)
            #expect(again.pos == first.pos)
            #expect(again["timestamp"] == first["timestamp"])
            #expect(again.room == "lobby")
            #expect(again.bool("duplicate") == true)
            // From another connection of the same user, and without a ref: nothing new either.
            let other = try node.client("ann", joins: false)
            #expect(try other.ask(#"{"body":"other words","key":"k","ref":"3"}"#, ref: "3").id == first.id)
            try other.send(#"{"body":"once","key":"k"}"#)
            #expect(try other.framesUntilNow().map(\.text) == [])
            let history = try ann.ask(#"{"type":"history","ref":"h"}"#, ref: "h").frames("history") ?? []
            #expect(history.map(\.body) == ["ann joined", "once"])
            #expect(history.last?.id == first.id)
            #expect(try node.metric("duplicates_total") == 3)
        }
    }

    @Test func `a key belongs to one room and one user`() throws {
        try withNode { node in
            let ann = try node.client("ann", room: "a")
            let bob = try node.client("bob", room: "a")
            let first = try ann.ask(#"{"body":"x","key":"k","ref":"1"}"#, ref: "1")
            let users = try bob.ask(#"{"body":"x","key":"k","ref":"2"}"#, ref: "2")
            let rooms = try ann.ask(#"{"body":"x","key":"k","room":"b","ref":"3"}"#, ref: "3")
            #expect(Set([first.id, users.id, rooms.id]).count == 3)
            #expect([users, rooms].allSatisfy { $0.bool("duplicate") == nil })
        }
    }

    @Test func `repeats sent at once, on several connections, are one message`() throws {
        let folder = try TemporaryFolder()
        try withNode(SQLiteStore(path: folder.path("converge.db"))) { node in
            let clients = try (0..<8).map { try node.client("ann", joins: $0 == 0) }
            for round in 0..<10 {
                for client in clients {
                    try client.socket.send(
                        (0..<4).flatMap {
                            ChatSocket.frame(#"{"body":"b\#(round)","key":"k\#(round)","ref":"\#(round)-\#($0)"}"#)
                        })
                }
            }
            var ids: [Int: Set<String>] = [:]
            var originals: [Int: Int] = [:]
            // Acks may overtake one another; each ref has one.
            for client in clients {
                var refs: Set<String> = []
                while refs.count < 40 {
                    let ack = try client.next("ack")
                    guard let ref = ack.ref, refs.insert(ref).inserted, let round = Int(ref.prefix(1)) else {
                        throw TestFailure("acked twice: \(ack)")
                    }
                    ids[round, default: []].insert(ack.id)
                    if ack.bool("duplicate") != true { originals[round, default: 0] += 1 }
                }
            }
            #expect(ids.values.allSatisfy { $0.count == 1 })
            #expect(originals == Dictionary(uniqueKeysWithValues: (0..<10).map { ($0, 1) }))
            let history = try clients[0].ask(#"{"type":"history","limit":200,"ref":"h"}"#, ref: "h").frames("history")
            #expect(history?.map(\.body) == ["ann joined"] + (0..<10).map { "b\($0)" })
        }
    }

    @Test func `what a session sends behind a key stays behind it`() throws {
        try withNode { node in
            let ann = try node.client("ann", room: "a")
            var bytes: [UInt8] = []
            for number in 0..<50 {
                bytes += ChatSocket.frame(#"{"body":"k\#(number)","key":"k\#(number)"}"#)
                bytes += ChatSocket.frame(#"{"body":"p\#(number)"}"#)
            }
            bytes += ChatSocket.frame(#"{"body":"end","ref":"j"}"#)
            try ann.socket.send(bytes)
            var bodies: [String] = []
            while true {
                let frame = try ann.next()
                if frame.ref == "j" { break }
                if frame.body != "end" { bodies.append(frame.body) }
            }
            #expect(bodies == (0..<50).flatMap { ["k\($0)", "p\($0)"] })
        }
    }

    @Test func `a key is remembered over a restart`() throws {
        let folder = try TemporaryFolder()
        let path = folder.path("converge.db")
        let first = try withNode(SQLiteStore(path: path)) { node in
            try node.client("ann").ask(#"{"body":"x","key":"k","ref":"1"}"#, ref: "1")
        }
        try withNode(SQLiteStore(path: path)) { node in
            let ann = try node.client("ann")
            let again = try ann.ask(#"{"body":"x","key":"k","ref":"1"}"#, ref: "1")
            #expect(again.id == first.id)
            #expect(again.bool("duplicate") == true)
            let history = try ann.ask(#"{"type":"history","ref":"h"}"#, ref: "h").frames("history") ?? []
            #expect(history.map(\.body) == ["ann joined", "x", "ann left", "ann joined"])
        }
    }
}
