// docs/protocol.md, "Documents": sets and registers over the wire, and after a restart.

import ConvergeNode
import ConvergeStorage
import Testing

@Suite struct DocumentFramesTests {
    @Test func `an element that is added or removed is shown to the room`() throws {
        try withNode { node in
            let ann = try node.client("ann", name: "Ann", room: "dev")
            let bob = try node.client("bob", room: "dev")
            try ann.send(#"{"type":"crdt_orset_add","doc":"tasks","body":"milk"}"#)
            for client in [ann, bob] {
                let added = try client.next("crdt_orset_added")
                #expect(added.room == "dev")
                #expect(added["doc"] == "tasks")
                #expect(added.user == "ann")
                #expect(added["display_name"] == "Ann")
                #expect(added.body == "milk")
                #expect(
                    added.names == [
                        "id", "type", "room", "user_id", "display_name", "doc", "body", "timestamp", "node", "seq",
                        "pos",
                    ])
            }
            try bob.send(#"{"type":"crdt_orset_remove","doc":"tasks","body":"milk"}"#)
            for client in [ann, bob] {
                let removed = try client.next("crdt_orset_removed")
                #expect(removed.body == "milk")
                #expect(removed.user == "bob")
                #expect(removed["doc"] == "tasks")
            }
        }
    }

    @Test func `values are sorted, for the asker alone, and doc is default where none is named`() throws {
        try withNode { node in
            let ann = try node.client("ann", room: "dev")
            let bob = try node.client("bob", room: "dev")
            _ = try ann.next("system") { $0.user == "bob" }
            for element in ["pear", "apple", "é", "Zoo"] {
                _ = try ann.ask(#"{"type":"crdt_orset_add","body":"\#(element)","ref":"a"}"#, ref: "a")
            }
            _ = try bob.framesUntilNow()
            let values = try ann.ask(#"{"type":"crdt_orset_values","ref":"v"}"#, ref: "v")
            #expect(values.type == "crdt_orset_values")
            #expect(values["doc"] == "default")
            #expect(values.room == "dev")
            #expect(values.list("items") == ["Zoo", "apple", "pear", "é"])
            #expect(values.names == ["id", "type", "room", "doc", "items", "timestamp", "ref"])
            #expect(try bob.framesUntilNow().map(\.text) == [])
            #expect(try bob.ask(#"{"type":"crdt_orset_values","doc":"none","ref":"v"}"#, ref: "v").list("items") == [])
        }
    }

    @Test func `adding again, or removing what is not there, is acked and changes nothing`() throws {
        try withNode { node in
            let ann = try node.client("ann")
            _ = try ann.ask(#"{"type":"crdt_orset_add","body":"x","ref":"1"}"#, ref: "1")
            #expect(try ann.ask(#"{"type":"crdt_orset_add","body":"x","ref":"2"}"#, ref: "2").type == "ack")
            #expect(try ann.ask(#"{"type":"crdt_orset_remove","body":"y","ref":"3"}"#, ref: "3").type == "ack")
            #expect(try ann.framesUntilNow().filter { $0.type == "crdt_orset_removed" }.isEmpty)
            #expect(try ann.ask(#"{"type":"crdt_orset_values","ref":"4"}"#, ref: "4").list("items") == ["x"])
        }
    }

    @Test func `a register shows the value that stands`() throws {
        try withNode { node in
            let ann = try node.client("ann", name: "Ann", room: "dev")
            let bob = try node.client("bob", room: "dev")
            try ann.send(#"{"type":"crdt_lww_set","doc":"title","body":"one"}"#)
            for client in [ann, bob] {
                let set = try client.next("crdt_lww_set")
                #expect(set.body == "one")
                #expect(set["doc"] == "title")
                #expect(set.user == "ann")
                #expect(set["display_name"] == "Ann")
                #expect(set.room == "dev")
            }
            try bob.send(#"{"type":"crdt_lww_set","doc":"title","body":"two"}"#)
            let value = try bob.ask(#"{"type":"crdt_lww_get","doc":"title","ref":"g"}"#, ref: "g")
            #expect(value.type == "crdt_lww_value")
            #expect(value.body == "two")
            #expect(value["doc"] == "title")
            let unset = try bob.ask(#"{"type":"crdt_lww_get","doc":"other","ref":"g"}"#, ref: "g")
            #expect(unset.names == ["id", "type", "room", "doc", "timestamp", "ref"])
        }
    }

    @Test func `set, register and other rooms of one name are different documents`() throws {
        try withNode { node in
            let ann = try node.client("ann", room: "a")
            let bob = try node.client("bob", room: "b")
            _ = try ann.ask(#"{"type":"crdt_orset_add","doc":"d","body":"x","ref":"1"}"#, ref: "1")
            _ = try ann.ask(#"{"type":"crdt_lww_set","doc":"d","body":"y","ref":"2"}"#, ref: "2")
            #expect(try ann.ask(#"{"type":"crdt_orset_values","doc":"d","ref":"3"}"#, ref: "3").list("items") == ["x"])
            #expect(try ann.ask(#"{"type":"crdt_lww_get","doc":"d","ref":"4"}"#, ref: "4").body == "y")
            #expect(try bob.ask(#"{"type":"crdt_orset_values","doc":"d","ref":"5"}"#, ref: "5").list("items") == [])
            #expect(try bob.ask(#"{"type":"crdt_lww_get","doc":"d","ref":"6"}"#, ref: "6")["body"] == nil)
        }
    }

    @Test func `a reply about a document stands behind the writes before it`() throws {
        try withNode { node in
            let ann = try node.client("ann")
            var bytes: [UInt8] = []
            for number in 0..<100 {
                bytes += ChatSocket.frame(#"{"type":"crdt_lww_set","body":"\#(number)"}"#)
                bytes += ChatSocket.frame(#"{"type":"crdt_lww_get","ref":"r"}"#)
            }
            try ann.socket.send(bytes)
            var wrong: [String] = []
            for number in 0..<100 {
                let (set, value) = (try ann.next(), try ann.next())
                if set.type != "crdt_lww_set" || set.body != "\(number)" || value.type != "crdt_lww_value"
                    || value.body != "\(number)"
                {
                    wrong.append("\(set) \(value)")
                }
            }
            #expect(wrong.isEmpty, "\(wrong.first ?? "")")
        }
    }

    @Test func `documents are alive after a restart`() throws {
        let folder = try TemporaryFolder()
        let path = folder.path("converge.db")
        try withNode(SQLiteStore(path: path)) { node in
            let ann = try node.client("ann")
            for frame in [
                #"{"type":"crdt_orset_add","body":"stays","ref":"r"}"#,
                #"{"type":"crdt_orset_add","body":"goes","ref":"r"}"#,
                #"{"type":"crdt_orset_remove","body":"goes","ref":"r"}"#,
                #"{"type":"crdt_lww_set","body":"one","ref":"r"}"#,
                #"{"type":"crdt_lww_set","body":"two","ref":"r"}"#,
            ] {
                #expect(try ann.ask(frame, ref: "r").type == "ack")
            }
        }
        try withNode(SQLiteStore(path: path)) { node in
            let ann = try node.client("ann")
            #expect(try ann.ask(#"{"type":"crdt_orset_values","ref":"1"}"#, ref: "1").list("items") == ["stays"])
            #expect(try ann.ask(#"{"type":"crdt_lww_get","ref":"2"}"#, ref: "2").body == "two")
            let history = try ann.ask(#"{"type":"history","ref":"3"}"#, ref: "3").frames("history") ?? []
            #expect(history.allSatisfy { $0.type == "system" })
        }
    }

    @Test func `a room takes a thousand documents, and a value has a limit`() throws {
        try withNode { node in
            let ann = try node.client("ann")
            for base in stride(from: 0, to: 1_000, by: 100) {
                try ann.socket.send(
                    (base..<base + 100).flatMap {
                        ChatSocket.frame(#"{"type":"crdt_lww_set","doc":"d\#($0)","body":"x","ref":"\#($0)"}"#)
                    })
            }
            _ = try ann.next("ack") { $0.ref == "999" }
            let full = try ann.ask(#"{"type":"crdt_orset_add","doc":"one more","body":"x","ref":"f"}"#, ref: "f")
            #expect(full.type == "error")
            #expect(full.body == "document full")
            #expect(try ann.ask(#"{"type":"crdt_lww_set","doc":"d5","body":"y","ref":"g"}"#, ref: "g").type == "ack")
            let large = String(repeating: "v", count: 2_001)
            let error = try ann.ask(#"{"type":"crdt_lww_set","doc":"d5","body":"\#(large)","ref":"h"}"#, ref: "h")
            #expect(error.body == "message too large")
        }
    }
}
