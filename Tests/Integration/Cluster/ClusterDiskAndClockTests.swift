// A node whose disk is full, and nodes whose clocks are wrong.

import ConvergeTransport
import Foundation
import Testing

extension ClusterTests {
    @Suite struct DiskAndClockTests {
        @Test(.enabled(if: getuid() == 0, "needs root, for a small disk"))
        func `a node with a full disk refuses writes, holds nobody up, and catches up when there is room`() throws {
            var options = ClusterOptions()
            options.wrapperOfNode[2] = { node in
                // A small disk that only this process sees.
                let mount = #"mount -t tmpfs -o size=3m none "$0" && exec "$@""#
                return ["unshare", "--mount", "sh", "-c", mount, node.folder]
            }
            try withCluster(options) { cluster in
                let ann = try cluster[0].client("ann")
                let cat = try cluster[2].client("cat")
                let text = String(repeating: "x", count: 1_500)
                try Talk.write(3_000, text, by: ann)
                // What it can't store it doesn't take from its own clients either, and says so.
                var refusals: [String] = []
                try cluster.wait("writes are refused on n2") {
                    let reply = try cat.ask(#"{"body":"\#(text)","ref":"w"}"#, ref: "w")
                    if reply.type == "error" { refusals.append(reply.body) }
                    return refusals.count >= 3
                }
                try #require(Set(refusals).isSubset(of: ["storage unavailable", "busy"]), "\(Set(refusals))")
                let watch = Stopwatch()
                let bob = try cluster[1].client("bob")
                try Talk.write(50, "undisturbed ", by: bob)
                _ = try ann.next("message") { $0.body == "undisturbed 49" }
                let others = watch.text
                let before = try cluster[0].history().count { $0.type == "message" }
                let stored = try cluster[2].ask(#"{"ref":"ask","type":"history","room":"lobby","limit":10000}"#)
                try NetworkNamespaces.run(
                    "nsenter -t \(try cluster[2].running().pid) --mount mount -o remount,size=256m \(cluster[2].folder)"
                )
                let healing = Stopwatch()
                let history = try cluster.waitForEqualHistory(messages: before)
                let level = healing.text
                try cluster.wait("n2 takes writes again") {
                    try cat.ask(#"{"body":"room again","ref":"w"}"#, ref: "w").type == "ack"
                }
                _ = try ann.next("message") { $0.body == "room again" }
                saw(
                    "a disk of 3 MiB: \(stored.frames("history")?.count ?? 0) of \(history.count) entries fitted, "
                        + "\(Set(refusals)); 50 messages of the others in \(others); level \(level) after it grew")
            }
        }

        @Test(
            "with a node's clock an hour off, causal order and the last write hold",
            .enabled(if: WrongClock.library != nil, "needs libfaketime: Debian's package faketime"),
            arguments: ["+3600", "-3540"])
        func clock(offset: String) throws {
            // An hour is how far past its own time a node goes for a client's `after`: the one behind has a minute less.
            var options = ClusterOptions()
            options.environmentOfNode[1] = WrongClock.environment(offset)
            try withCluster(options) { cluster in
                let clients = try (0..<3).map { try cluster[$0].client("user\($0)") }
                try cluster.waitForUsers(["user0", "user1", "user2"])
                // Each answers what it was shown, in turn.
                for number in 0..<30 {
                    try clients[number % 3].send(#"{"body":"\#(number)"}"#)
                    _ = try clients[(number + 1) % 3].next("message") { $0.body == "\(number)" }
                    let value = #"{"type":"crdt_lww_set","body":"\#(number)","ref":"s"}"#
                    _ = try clients[number % 3].ask(value, ref: "s")
                    try cluster.wait("the register on the next node") {
                        try clients[(number + 1) % 3].ask(#"{"type":"crdt_lww_get","ref":"g"}"#, ref: "g").body
                            == "\(number)"
                    }
                }
                let history = try cluster.waitForEqualHistory(messages: 30).filter { $0.type == "message" }
                try #require(history.map(\.body) == (0..<30).map(String.init))
                // Nothing was shown of it, and it is named all the same.
                var last = ""
                for number in 0..<30 {
                    let after = last.isEmpty ? "" : #","after":"\#(last)""#
                    last = try clients[number % 3].ask(#"{"body":"named \#(number)","ref":"a"\#(after)}"#, ref: "a").pos
                }
                let named = try cluster.waitForEqualHistory(messages: 60).filter { $0.body.hasPrefix("named") }
                try #require(named.map(\.body) == (0..<30).map { "named \($0)" })
                let values = try clients.map { try $0.ask(#"{"type":"crdt_lww_get","ref":"g"}"#, ref: "g").body }
                try #require(values == ["29", "29", "29"])
                let times = try #require(history.first.map { ($0.timestamp, history.last?.timestamp ?? "") })
                saw(
                    "a clock \(offset) s off: 60 messages and 30 writes in causal order, times from \(times.0) to \(times.1)"
                )
            }
        }
    }
}

/// libfaketime, where it is installed.
enum WrongClock {
    static let library: String? = {
        let folders = (try? FileManager.default.contentsOfDirectory(atPath: "/usr/lib")) ?? []
        return
            (folders.filter { $0.hasSuffix("-linux-gnu") }.sorted().map { "/usr/lib/\($0)/faketime" } + [
                "/usr/lib/faketime"
            ])
            .map { $0 + "/libfaketimeMT.so.1" }.first { FileManager.default.fileExists(atPath: $0) }
    }()

    /// - Parameter seconds: with its sign.
    static func environment(_ seconds: String) -> [String: String] {
        ["LD_PRELOAD": library ?? "", "FAKETIME": seconds, "FAKETIME_DONT_FAKE_MONOTONIC": "1"]
    }
}
