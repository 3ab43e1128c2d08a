// A whole cluster in which nothing fails.

import Foundation
import Testing

extension ClusterTests {
    @Suite struct LiveTests {
        @Test func `messages and comings cross nodes live, with one id and place, in one order of history`() throws {
            try withCluster { cluster in
                let users = ["ann", "bob", "cat"]
                var clients: [ChatSocket] = []
                for (index, user) in users.enumerated() {
                    clients.append(try cluster[index].client(user))
                    // Those who are there already are told by their own nodes.
                    for other in clients.dropLast() { _ = try other.next("system") { $0.body == "\(user) joined" } }
                }
                for (index, client) in clients.enumerated() {
                    try Talk.send((0..<100).map { "\(users[index]) \($0)" }, by: client)
                }
                let shown = try clients.map { try Talk.messages(300, shownTo: $0) }
                for (index, seen) in shown.enumerated() {
                    try #require(Set(seen) == Set(shown[0]), "node \(index) shows other messages")
                    for user in users {
                        // One after the other, as they were sent.
                        let own = seen.filter { $0.user == user }
                        try #require(own.map(\.body) == (0..<100).map { "\(user) \($0)" })
                        try #require(zip(own, own.dropFirst()).allSatisfy { $0.pos < $1.pos && $0.seq < $1.seq })
                    }
                }
                let history = try cluster.waitForEqualHistory(messages: 300)
                try #require(Set(history.filter { $0.type == "message" }) == Set(shown[0]))
                try #require(history.filter { $0.type == "system" }.map(\.body) == users.map { "\($0) joined" })
                try #require(Set(history.map(\.node)).count == 3)
                saw("3 × 100 messages shown live on three nodes, history of \(history.count) equal on all")
            }
        }

        @Test func `a user with sessions on several nodes joins once and leaves once`() throws {
            try withCluster { cluster in
                let watcher = try cluster[2].client("watcher")
                let first = try cluster[0].client("dan")
                try cluster.waitForUsers(["dan", "watcher"])
                let second = try cluster[1].client("dan", joins: false)
                let third = try cluster[1].client("dan", joins: false)
                var members: [String] = []
                try cluster.wait("three sessions on two nodes, everywhere") {
                    members = try cluster.nodes.map { node in
                        let reply = try node.ask(#"{"ref":"ask","type":"users","room":"lobby","detail":true}"#)
                        let dan = reply.frames("members")?.first { $0.user == "dan" }
                        return "\(dan?.number("sessions") ?? 0) sessions on \(dan?.list("nodes")?.count ?? 0) nodes"
                    }
                    return members.allSatisfy { $0 == "3 sessions on 2 nodes" }
                } otherwise: {
                    members.joined(separator: "\n")
                }
                try #require(try cluster.nodes.allSatisfy { try $0.rooms() == ["lobby"] })
                try first.sendClose()
                try third.sendClose()
                try cluster.wait("one session left") {
                    try cluster.nodes.allSatisfy { node in
                        let reply = try node.ask(#"{"ref":"ask","type":"users","room":"lobby","detail":true}"#)
                        return reply.frames("members")?.first { $0.user == "dan" }?.number("sessions") == 1
                    }
                }
                try #require(try watcher.framesUntilNow().map(\.body).filter { $0.contains("dan") } == ["dan joined"])
                try second.sendClose()
                _ = try watcher.next("system") { $0.body == "dan left" }
                try cluster.waitForUsers(["watcher"])
                let history = try cluster.waitForEqualHistory().filter { $0.user == "dan" }.map(\.body)
                try #require(history == ["dan joined", "dan left"])
                saw("3 sessions on 2 nodes: \(history)")
            }
        }

        @Test func `documents are equal everywhere after concurrent writes`() throws {
            try withCluster { cluster in
                let clients = try (0..<3).map { try cluster[$0].client("user\($0)") }
                for (index, client) in clients.enumerated() {
                    var bytes: [UInt8] = []
                    for number in 0..<40 {
                        // Elements of its own, some that all add, and some that it takes away again.
                        let frames = [
                            #"{"type":"crdt_orset_add","doc":"s","body":"\#(index)-\#(number)"}"#,
                            #"{"type":"crdt_orset_add","doc":"s","body":"all-\#(number)"}"#,
                            #"{"type":"crdt_orset_remove","doc":"s","body":"\#(index)-\#(number / 2 * 2)"}"#,
                            #"{"type":"crdt_counter_add","doc":"n","amount":\#(number - 10 * index)}"#,
                            #"{"type":"crdt_lww_set","doc":"r","body":"\#(index)-\#(number)"}"#,
                        ]
                        bytes += frames.flatMap { ChatSocket.frame($0) }
                    }
                    try client.socket.send(bytes)
                }
                for (index, client) in clients.enumerated() {
                    let end = try client.ask(
                        #"{"type":"crdt_lww_set","doc":"e","body":"\#(index)","ref":"e"}"#, ref: "e")
                    try #require(end.type == "ack")
                }
                var expected: Set<String> = []
                for index in 0..<3 {
                    for number in 0..<40 where number % 2 == 1 { expected.insert("\(index)-\(number)") }
                }
                for number in 0..<40 { expected.insert("all-\(number)") }
                let sum = (0..<3).reduce(0) { sum, index in sum + (0..<40).reduce(0) { $0 + $1 - 10 * index } }
                var seen: [String] = []
                try cluster.wait("equal documents") {
                    seen = try clients.map { try Documents($0, set: "s", register: "r", counter: "n").text }
                    return Set(seen).count == 1
                        && seen[0] == Documents.text(expected, seen[0].register, sum)
                } otherwise: {
                    seen.joined(separator: "\n")
                }
                try #require((0..<3).contains { seen[0].register == "\($0)-39" })
                // What one has seen and overwritten is overwritten for all.
                _ = try clients[1].ask(#"{"type":"crdt_lww_set","doc":"r","body":"last","ref":"l"}"#, ref: "l")
                try cluster.wait("the last write everywhere") {
                    try clients.allSatisfy {
                        try $0.ask(#"{"type":"crdt_lww_get","doc":"r","ref":"g"}"#, ref: "g").body == "last"
                    }
                }
                saw("600 concurrent document writes: \(expected.count) elements, counter \(sum), equal on three")
            }
        }

        @Test func `copies says on how many nodes a write is stored`() throws {
            try withCluster { cluster in
                let ann = try cluster[0].client("ann")
                func copies(_ wanted: Int) throws -> Int? {
                    try ann.ask(#"{"body":"m","copies":\#(wanted),"ref":"c"}"#, ref: "c").number("copies")
                }
                let two = try copies(2)
                let three = try copies(3)
                try #require(two ?? 0 >= 2 && three == 3)
                // What has three copies is there when the answer comes.
                let counts = try cluster.nodes.map { try $0.history().count { $0.type == "message" } }
                try #require(counts[1] >= 1 && counts[2] >= 1)
                try cluster.kill(2)
                let watch = Stopwatch()
                let without = try copies(3)
                let waited = watch.text
                try #require(without == 2 && watch.seconds < 8, "\(without ?? -1) after \(waited)")
                let again = try copies(2)
                try #require(again == 2)
                try cluster.kill(1)
                let alone = try copies(2)
                try #require(alone == 1)
                saw(
                    "copies 2: \(two!), 3: \(three!); one node down, 3: \(without!) after \(waited); alone: \(alone!)"
                )
            }
        }

        @Test func `a send with one key on two nodes is one message`() throws {
            try withCluster { cluster in
                let ann = try cluster[0].client("ann")
                let again = try cluster[1].client("ann", joins: false)
                // At once: neither node knows of the other's.
                for number in 0..<20 {
                    let frame = #"{"body":"m\#(number)","key":"k\#(number)","ref":"\#(number)"}"#
                    try ann.send(frame)
                    try again.send(frame)
                }
                func ids(_ client: ChatSocket) throws -> [String] {
                    var ids: [String: String] = [:]
                    while ids.count < 20 {
                        do {
                            let ack = try client.next("ack")
                            ids[ack.ref ?? ""] = ack.id
                        } catch {
                            throw TestFailure("acknowledged are only \(ids.keys.sorted()): \(error)")
                        }
                    }
                    return (0..<20).map { ids["\($0)"] ?? "" }
                }
                let (first, second) = (try ids(ann), try ids(again))
                try #require(first == second && Set(first).count == 20)
                let messages = try cluster.waitForEqualHistory(messages: 20).filter { $0.type == "message" }
                try #require(messages.count == 20 && Set(messages.map(\.id)) == Set(first))
                // Later: a repeat is told that it is one, also by a node that has only heard of the first.
                let late = try cluster[2].client("ann", joins: false)
                let repeated = try late.ask(#"{"body":"m3","key":"k3","ref":"late"}"#, ref: "late")
                try #require(repeated.bool("duplicate") == true && repeated.id == first[3])
                try #require(try cluster.waitForEqualHistory(messages: 20).count { $0.type == "message" } == 20)
                saw("20 keys sent on two nodes at once, one again on the third: 20 messages")
            }
        }

        @Test func `what names what it follows stands behind it, on whichever node it is written`() throws {
            try withCluster { cluster in
                let clients = try (0..<3).map { try cluster[$0].client("user\($0)") }
                var last = ""
                for number in 0..<60 {
                    let after = last.isEmpty ? "" : #","after":"\#(last)""#
                    let ack = try clients[number % 3].ask(#"{"body":"\#(number)","ref":"a"\#(after)}"#, ref: "a")
                    try #require(ack.type == "ack" && ack.pos > last)
                    last = ack.pos
                }
                let bodies = try cluster.waitForEqualHistory(messages: 60).filter { $0.type == "message" }.map(\.body)
                try #require(bodies == (0..<60).map(String.init))
                saw("60 messages, each after one of another node: in their order")
            }
        }
    }
}

/// A room's documents as one node shows them.
struct Documents {
    let text: String

    init(_ client: ChatSocket, set: String, register: String, counter: String) throws {
        let items = try client.ask(#"{"type":"crdt_orset_values","doc":"\#(set)","ref":"1"}"#, ref: "1").list("items")
        let value = try client.ask(#"{"type":"crdt_lww_get","doc":"\#(register)","ref":"2"}"#, ref: "2").body
        let total = try client.ask(#"{"type":"crdt_counter_get","doc":"\#(counter)","ref":"3"}"#, ref: "3")
        text = Self.text(Set(items ?? []), value, total.number("value") ?? 0)
    }

    static func text(_ items: Set<String>, _ register: String, _ counter: Int) -> String {
        "\(register)|\(counter)|\(items.sorted().joined(separator: ","))"
    }
}

extension String {
    /// The register's part of a documents' text.
    fileprivate var register: String { String(prefix { $0 != "|" }) }
}
