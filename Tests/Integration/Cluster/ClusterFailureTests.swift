// Nodes that die, stop and pause.

import ConvergeTransport
import Foundation
import Testing

extension ClusterTests {
    @Suite struct FailureTests {
        @Test("the users of a node that is killed leave elsewhere", arguments: ["quick", "default"])
        func kill(times: String) throws {
            var options = ClusterOptions()
            if times == "default" { (options.probeInterval, options.suspectTimeout) = ("1s", "4s") }
            let bound = times == "default" ? 4.0 + 3.0 : 1.5 + 2.5
            try withCluster(options) { cluster in
                let watchers = try (0..<2).map { try cluster[$0].client("watcher\($0)") }
                let gone = try (0..<5).map { try cluster[2].client("user\($0)") }
                let everybody = ["watcher0", "watcher1"] + (0..<5).map { "user\($0)" }
                try cluster.waitForUsers(everybody)
                let watch = Stopwatch()
                try cluster.kill(2)
                for watcher in watchers {
                    var left: Set<String> = []
                    while left.count < 5 {
                        let frame = try watcher.next("system") { $0.body.hasSuffix(" left") }
                        try #require(left.insert(frame.user).inserted, "\(frame.user) left twice")
                    }
                }
                let took = watch.seconds
                try cluster.waitForUsers(["watcher0", "watcher1"])
                try #require(took < bound, "they left after \(took) s")
                _ = gone
                try cluster.start(2)
                let back = try cluster[2].client("user0")
                try cluster.waitForUsers(["watcher0", "watcher1", "user0"])
                let events = try cluster.waitForEqualHistory().filter { $0.user.hasPrefix("user") }
                for user in (0..<5).map({ "user\($0)" }) {
                    let own = events.filter { $0.user == user }.map(\.body)
                    try #require(own == ["\(user) joined", "\(user) left"] + (user == "user0" ? ["user0 joined"] : []))
                }
                _ = back
                saw("kill -9, \(times) times: five users left on both others after \(String(format: "%.2f", took)) s")
            }
        }

        @Test func `the users of a node that stops leave at once, and are told to go elsewhere`() throws {
            // Far longer than the test may take: nothing here may wait for a suspicion.
            try withCluster(ClusterOptions(suspectTimeout: "60s")) { cluster in
                let watcher = try cluster[0].client("watcher")
                let clients = try (0..<5).map { try cluster[2].client("user\($0)") }
                try cluster.waitForUsers(["watcher"] + (0..<5).map { "user\($0)" })
                let watch = Stopwatch()
                var took = 0.0
                var codes: Set<UInt16> = []
                let status = try cluster.stop(2) {
                    for client in clients {
                        codes.insert(try client.waitForClose().code ?? 0)
                        try client.sendClose(1001)
                    }
                    var left: Set<String> = []
                    while left.count < 5 { left.insert(try watcher.next("system") { $0.body.hasSuffix(" left") }.user) }
                    took = watch.seconds
                }
                try #require(status == 0)
                try #require(codes == [1001] || codes == [1012], "closed with \(codes)")
                try #require(took < 3, "they left after \(took) s")
                try cluster.waitForUsers(["watcher"], for: .seconds(5))
                try cluster.wait("the others know that it has left", for: .seconds(5)) {
                    try cluster.running.allSatisfy { try $0.running().output.contains("state=left") }
                }
                let events = try cluster.waitForEqualHistory()
                try #require(events.count { $0.body.hasSuffix(" left") } == 5)
                saw("SIGTERM: closed with \(codes), left after \(String(format: "%.2f", took)) s; ended with \(status)")
            }
        }

        @Test func `a node that is paused for six seconds is missed, and comes back by itself`() throws {
            try withCluster { cluster in
                let ann = try cluster[0].client("ann")
                let paul = try cluster[2].client("paul")
                try cluster.waitForUsers(["ann", "paul"])
                let watch = Stopwatch()
                try cluster.pause(2)
                _ = try ann.next("system") { $0.body == "paul left" }
                let missed = watch.text
                try Talk.write(200, "meanwhile ", by: ann)
                // No event ends this: it is how long the process rests.
                while watch.seconds < 6 { usleep(50_000) }
                try cluster.resume(2)
                let back = Stopwatch()
                _ = try ann.next("system") { $0.body == "paul joined" }
                try cluster.waitForUsers(["ann", "paul"])
                let history = try cluster.waitForEqualHistory(messages: 200)
                try #require(
                    history.filter { $0.user == "paul" }.map(\.body) == ["paul joined", "paul left", "paul joined"])
                try paul.send(#"{"body":"awake","ref":"p"}"#)
                _ = try ann.next("message") { $0.body == "awake" }
                saw("paused 6 s: missed after \(missed), back with 200 messages \(back.text) after it went on")
            }
        }
    }
}
