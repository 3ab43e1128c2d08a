// Nodes that were away, with their disk or without: soon after they have everything.

import ConvergeClient
import ConvergeTransport
import Foundation
import Testing

extension ClusterTests {
    @Suite struct CatchUpTests {
        @Test
        func `a node that was down for 5,000 messages has them all, with its disk, without, and without the origin`()
            throws
        {
            try withCluster { cluster in
                let ann = try cluster[0].client("ann")
                let bob = try cluster[1].client("bob")
                try Talk.write(20, "before ", by: ann)
                try cluster.waitForEqualHistory(messages: 20)
                try cluster.kill(2)
                try Talk.write(2_500, "a", by: ann)
                try Talk.write(2_500, "b", by: bob)
                for element in 0..<50 {
                    _ = try bob.ask(#"{"type":"crdt_orset_add","body":"e\#(element)","ref":"d"}"#, ref: "d")
                }
                var took: [String] = []
                func catchesUp() throws -> [Shown] {
                    let watch = Stopwatch()
                    try cluster.start(2)
                    let history = try cluster.waitForEqualHistory(messages: 5_020, for: .seconds(40))
                    took.append(watch.text)
                    try #require(history.count { $0.type == "message" } == 5_020)
                    return history
                }
                let history = try catchesUp()
                try cluster.stop(2)
                try cluster.empty(2)
                try #require(try catchesUp() == history)
                // The one who wrote half of it is gone, and the disk again.
                try cluster.kill(2)
                try cluster.kill(0)
                try cluster.empty(2)
                let watch = Stopwatch()
                try cluster.start(2)
                let left = try cluster.waitForEqualHistory(messages: 5_020, for: .seconds(40))
                took.append(watch.text)
                try #require(left.filter { $0.type == "message" } == history.filter { $0.type == "message" })
                let cat = try cluster[2].client("cat")
                let items = try cat.ask(#"{"type":"crdt_orset_values","ref":"v"}"#, ref: "v").list("items")
                try #require(Set(items ?? []) == Set((0..<50).map { "e\($0)" }))
                saw(
                    "5,000 messages behind: level after \(took[0]), with an empty disk \(took[1]), without the origin \(took[2])"
                )
            }
        }

        @Test func `a disk dies: its node comes back empty, has everything, and the cluster is whole`() throws {
            try withCluster { cluster in
                let urls = try cluster.nodes.map { try ServerURL("http://\($0.host):\($0.port)") }
                func problems() -> [String] { ClusterVerdict(ClusterProbe.ask(urls, timeout: .seconds(3))).problems }
                let ann = try cluster[0].client("ann")
                let cat = try cluster[2].client("cat")
                try Talk.write(50, "before ", by: ann)
                try Talk.write(50, "from there ", by: cat)
                try cluster.waitForEqualHistory(messages: 100)
                try cluster.wait("a whole cluster") { problems().isEmpty }
                let old = try #require(cluster[2].replica())
                try cluster.kill(2)
                // The steps of docs/operations.md, "A disk dies": an empty folder, start, wait for `converge status`.
                try cluster.empty(2)
                try cluster.start(2)
                let watch = Stopwatch()
                try cluster.waitForEqualHistory(messages: 100)
                try cluster.wait("a whole cluster again", for: .seconds(40)) {
                    problems().isEmpty
                } otherwise: {
                    problems().joined(separator: "\n")
                }
                let took = watch.text
                // It is not for its old replica's having been forgotten: all say what became of that.
                for answer in ClusterProbe.ask(urls, timeout: .seconds(3)) {
                    let former = try #require(
                        answer.report?.peers.first { $0.replica?.description == old }, "\(answer.url)")
                    try #require(former.state == "replaced")
                }
                for node in cluster.nodes.prefix(2) {
                    try #require(node.log.contains("member replaced: its node goes on under another replica"))
                }
                let metrics = try HTTPReply.get("/metrics", port: cluster[0].port).body
                try #require(metrics.contains(#"converge_peer_members{state="faulty"} 0"#))
                try #require(metrics.contains(#"converge_peer_members{state="replaced"} 1"#))
                saw("a disk died: the cluster whole again \(took) after its node's start")
            }
        }

        @Test func `two of three are restarted while the third writes, then all of them are killed: all is there`()
            throws
        {
            try withCluster { cluster in
                let ann = try cluster[0].client("ann")
                var ids = try Talk.write(100, "all ", by: ann)
                try cluster.stop(1)
                ids += try Talk.write(100, "two ", by: ann)
                try cluster.kill(2)
                ids += try Talk.write(100, "one ", by: ann)
                _ = try ann.ask(#"{"type":"crdt_lww_set","body":"kept","ref":"r"}"#, ref: "r")
                _ = try ann.ask(#"{"type":"crdt_counter_add","amount":7,"ref":"r"}"#, ref: "r")
                try cluster.start(1)
                try cluster.start(2)
                let history = try cluster.waitForEqualHistory(messages: 300)
                try #require(history.filter { $0.type == "message" }.map(\.id) == ids)
                for index in 0..<3 { try cluster.kill(index) }
                try cluster.startAll()
                try cluster.waitUntilWhole()
                let after = try cluster.waitForEqualHistory(messages: 300)
                try #require(after.filter { $0.type == "message" } == history.filter { $0.type == "message" })
                let readers = try cluster.nodes.map { try $0.client("reader-\($0.name)") }
                for (node, reader) in zip(cluster.nodes, readers) {
                    try cluster.wait("the documents on \(node.name)") {
                        try Documents(reader, set: "none", register: "default", counter: "default").text == "kept|7|"
                    }
                }
                // Ann's sessions ended with the nodes: she has left, once.
                try cluster.waitForUsers((0..<3).map { "reader-n\($0)" })
                let own = try cluster.waitForEqualHistory().filter { $0.user == "ann" && $0.type == "system" }.map(
                    \.body)
                try #require(own == ["ann joined", "ann left"])
                saw(
                    "two of three restarted, then all killed: \(history.count) entries kept, in one order, documents too"
                )
            }
        }

        @Test func `a copied data directory is noticed: no fork, nothing lost`() throws {
            try withCluster { cluster in
                let files = FileManager.default
                let ann = try cluster[0].client("ann")
                try Talk.write(50, "shared ", by: ann)
                try cluster.waitForEqualHistory(messages: 50)
                try cluster.stop(0)
                try cluster.stop(2)
                // Node 2 starts with a copy of node 0's disk.
                try cluster.empty(2)
                for name in try files.contentsOfDirectory(atPath: cluster[0].folder) {
                    try files.copyItem(atPath: cluster[0].folder + "/" + name, toPath: cluster[2].folder + "/" + name)
                }
                try cluster.start(2)
                try cluster.start(0)
                try cluster.waitUntilWhole()
                let (back, copy) = (try cluster[0].client("ann"), try cluster[2].client("cat"))
                try Talk.write(50, "original ", by: back)
                try Talk.write(50, "copy ", by: copy)
                try cluster.waitForEqualHistory(messages: 150)
                let noticed = cluster[2].log.split(separator: "\n").filter { $0.contains("going on under a new") }
                try #require(!noticed.isEmpty, "node 2 says nothing of being a copy")
                for node in cluster.nodes {
                    try #require(!node.wholeLog.contains("two copies of a log differ"), "\(node.name) met a fork")
                }
                saw("a copied disk: \(noticed[0].dropFirst(25)); 150 messages on all")
            }
        }

        @Test
        func `a disk from the past is noticed, and what it has lost comes back`() throws {
            try withCluster { cluster in
                let files = FileManager.default
                let ann = try cluster[0].client("ann")
                try Talk.write(50, "shared ", by: ann)
                try cluster.waitForEqualHistory(messages: 50)
                // Node 0 goes on from an earlier state of its own file: the same inode, an older content.
                try cluster.stop(0)
                let past = cluster[0].folder + "/../past.db"
                try files.copyItem(atPath: cluster[0].database, toPath: past)
                try cluster.start(0)
                let again = try cluster[0].client("ann")
                try Talk.write(30, "forgotten ", by: again)
                try cluster.waitForEqualHistory(messages: 80)
                try cluster.stop(0)
                try Data(contentsOf: URL(fileURLWithPath: past)).write(to: URL(fileURLWithPath: cluster[0].database))
                for end in ["-wal", "-shm"] { try? files.removeItem(atPath: cluster[0].database + end) }
                try cluster.start(0)
                let watch = Stopwatch()
                try cluster.waitForEqualHistory(messages: 80)
                let level = watch.text
                let once = try cluster[0].client("ann")
                try Talk.write(30, "after ", by: once)
                let history = try cluster.waitForEqualHistory(messages: 110)
                try #require(history.count { $0.type == "message" } == 110)
                let noticed = cluster[0].log.split(separator: "\n").filter { $0.contains("going on under a new") }
                try #require(!noticed.isEmpty, "n0 says nothing of having been turned back")
                saw("a disk from the past: \(noticed[0].dropFirst(25)); 110 messages on all, level after \(level)")
            }
        }

        @Test func `a client goes on by its cursor at another node, and after restarts, exactly`() throws {
            try withCluster { cluster in
                let writers = try (0..<3).map { try cluster[$0].client("writer\($0)") }
                let ann = try cluster[0].running().open(token: Tokens.of("ann"), room: "lobby")
                var cursor = Cursor(try ann.next("welcome"))
                var shown: [Shown] = []
                for writer in writers { try Talk.write(20, "seen ", by: writer) }
                while shown.count(where: { $0.type == "message" }) < 60 {
                    let frame = try ann.next()
                    cursor.note(frame)
                    shown.append(Shown(frame))
                }
                ann.socket.abort()
                var counts: [Int] = []
                /// Goes on at a node, and must be shown just what the node's history has beyond what was shown before.
                func goOn(at index: Int, messages: Int) throws {
                    let history = try cluster.waitForEqualHistory(messages: messages)
                    let before = Set(shown.map(\.id))
                    let client = try cluster[index].running()
                        .open(token: Tokens.of("ann"), room: ClusterProcesses.quietRoom)
                    _ = try client.next("welcome")
                    let (missed, end) = try cursor.resumed(by: client, room: "lobby")
                    counts.append(missed.count)
                    try #require(end.bool("recovered") == true)
                    let expected = history.filter { $0.type == "message" && !before.contains($0.id) }
                    let got = missed.filter { $0.type == "message" }
                    try #require(
                        got == expected, "at n\(index): \(got.count) messages, expected \(expected.count)")
                    try #require(missed.allSatisfy { !before.contains($0.id) })
                    shown += missed
                    client.socket.abort()
                }
                for writer in writers { try Talk.write(20, "missed ", by: writer) }
                try goOn(at: 1, messages: 120)
                for writer in writers { try Talk.write(20, "missed again ", by: writer) }
                for index in 0..<3 { try cluster.kill(index) }
                try cluster.startAll()
                try cluster.waitUntilWhole()
                try goOn(at: 2, messages: 180)
                let late = try cluster[0].client("late")
                try Talk.write(20, "late ", by: late)
                try goOn(at: 0, messages: 200)
                saw("resumed on another node, after all were killed, and on a third: \(counts) missed, exactly those")
            }
        }
    }
}

/// What a client has been shown of a room: docs/protocol.md, "Resume".
struct Cursor {
    private(set) var seqs: [String: Int]

    init(_ frame: Frame) { seqs = Self.read(frame) }

    private static func read(_ frame: Frame) -> [String: Int] {
        guard let object = try? JSONSerialization.jsonObject(with: Data(frame.text.utf8)) as? [String: Any] else {
            return [:]
        }
        return object["cursor"] as? [String: Int] ?? [:]
    }

    /// A live frame was shown.
    mutating func note(_ frame: Frame) {
        guard let node = frame["node"], let seq = frame.number("seq") else { return }
        seqs[node] = seq
    }

    var json: String {
        "{" + seqs.sorted { $0.key < $1.key }.map { "\"\($0.key)\":\($0.value)" }.joined(separator: ",") + "}"
    }

    /// Resumes, and takes the new cursor over: what was on the pages, and the frame that ends them.
    mutating func resumed(by client: ChatSocket, room: String) throws -> (missed: [Shown], end: Frame) {
        try client.send(#"{"type":"resume","room":"\#(room)","cursor":\#(json),"ref":"resume"}"#)
        var missed: [Shown] = []
        while true {
            let frame = try client.next()
            if frame.type == "error" { throw TestFailure("\(frame)") }
            if frame.type == "history", frame.bool("resume") == true {
                missed += (frame.frames("history") ?? []).map { Shown($0) }
            }
            if frame.type == "resumed" {
                seqs = Self.read(frame)
                return (missed, frame)
            }
        }
    }
}
