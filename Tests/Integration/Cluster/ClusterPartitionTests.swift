// Networks that are cut: each node in a network namespace of its own. Needs root, iproute2 and a namespace that
// scripts/chaos.sh makes for the whole test run.

import ConvergeTestSupport
import ConvergeTransport
import Foundation
import Testing

extension ClusterTests {
    @Suite(.serialized, .enabled(if: NetworkNamespaces.areThere, "needs a network of its own: see scripts/chaos.sh"))
    struct PartitionTests {
        /// A cluster of three in three networks, a client on each.
        private func withCuts(
            _ body: (ClusterProcesses, NetworkNamespaces, [ChatSocket]) throws -> Void
        ) throws {
            let network = try NetworkNamespaces(3)
            var options = ClusterOptions()
            options.network = network
            try withCluster(options) { cluster in
                let clients = try (0..<3).map { try cluster[$0].client("user\($0)") }
                try cluster.waitForUsers(Self.users)
                try body(cluster, network, clients)
            }
        }

        private static let users = ["user0", "user1", "user2"]

        /// Each side writes for itself.
        private func writeEverywhere(_ clients: [ChatSocket], _ word: String) throws {
            for (index, client) in clients.enumerated() {
                try Talk.write(30, "\(word) \(index) ", by: client)
                for frame in [
                    #"{"type":"crdt_orset_add","body":"\#(word)-\#(index)","ref":"d"}"#,
                    #"{"type":"crdt_counter_add","amount":1,"ref":"d"}"#,
                    #"{"type":"crdt_lww_set","body":"\#(word)-\#(index)","ref":"d"}"#,
                ] {
                    let reply = try client.ask(frame, ref: "d")
                    try #require(reply.type == "ack", "\(reply)")
                }
            }
        }

        /// All is one again: users, messages, documents.
        private func expectWhole(
            _ cluster: ClusterProcesses, _ clients: [ChatSocket], messages: Int, counter: Int
        ) throws -> String {
            let watch = Stopwatch()
            try cluster.waitForUsers(Self.users)
            let history = try cluster.waitForEqualHistory(messages: messages)
            try #require(history.count { $0.type == "message" } == messages)
            var seen: [String] = []
            try cluster.wait("equal documents") {
                seen = try clients.map {
                    try Documents($0, set: "default", register: "default", counter: "default").text
                }
                return Set(seen).count == 1 && seen[0].contains("|\(counter)|")
            } otherwise: {
                seen.joined(separator: "\n")
            }
            try Promises.waitForAlternation(cluster, Self.users)
            return watch.text
        }

        @Test func `one apart from two, then all apart: each side goes on, and healed they are equal`() throws {
            try withCuts { cluster, network, clients in
                try network.cut(0, 2)
                try network.cut(1, 2)
                let watch = Stopwatch()
                try cluster.wait("each side has only its own users") {
                    try cluster[0].users() == ["user0", "user1"] && cluster[1].users() == ["user0", "user1"]
                        && cluster[2].users() == ["user2"]
                }
                let apart = watch.text
                try writeEverywhere(clients, "two")
                try network.healAll()
                let first = try expectWhole(cluster, clients, messages: 90, counter: 3)

                for (a, b) in [(0, 1), (0, 2), (1, 2)] { try network.cut(a, b) }
                try cluster.wait("everybody is alone") {
                    try cluster.nodes.allSatisfy { try $0.users() == ["user\($0.index)"] }
                }
                try writeEverywhere(clients, "alone")
                try network.healAll()
                let second = try expectWhole(cluster, clients, messages: 180, counter: 6)
                saw("1|2 noticed after \(apart), healed after \(first); all apart, healed after \(second)")
            }
        }

        @Test func `what can't go one way, or not directly, goes another way`() throws {
            try withCuts { cluster, network, clients in
                try network.cut(from: 0, to: 2)
                try writeEverywhere(clients, "oneway")
                let oneWay = try expectWhole(cluster, clients, messages: 90, counter: 3)
                // It stays so, whoever is suspected: nobody's users leave for good.
                try network.healAll()
                try network.cut(0, 2)
                try writeEverywhere(clients, "chain")
                let chain = try expectWhole(cluster, clients, messages: 180, counter: 6)
                let late = try cluster[0].client("late")
                _ = try clients[2].next("system") { $0.body == "late joined" }
                try late.sendClose()
                _ = try clients[2].next("system") { $0.body == "late left" }
                try network.healAll()
                try cluster.waitUntilWhole()
                try writeEverywhere(clients, "healed")
                let healed = try expectWhole(cluster, clients, messages: 270, counter: 9)
                saw("one way: level after \(oneWay); A–B–C without A–C: after \(chain); healed: after \(healed)")
            }
        }

        @Test func `a link that comes and goes under writers loses nothing`() throws {
            let network = try NetworkNamespaces(3)
            let plan = ChaosPlan(6)
            var seeded = SplitMix64(seed: plan.seed)
            var options = ClusterOptions()
            options.network = network
            do {
                try withCluster(options) { cluster in
                    let users = (0..<6).map { "writer\($0)" }
                    let writers = try PersistentWriters(
                        users, at: cluster.nodes.map { Endpoint(host: $0.host, port: $0.port) }, room: "lobby",
                        seed: plan.seed)
                    defer { writers.end() }
                    var done: [String: Int] = [:]
                    let watch = Stopwatch()
                    while watch.seconds < plan.seconds {
                        let (a, b) = [(0, 1), (0, 2), (1, 2)][Int(seeded.next() % 3)]
                        if seeded.next() % 3 == 0 {
                            done["one-way cut", default: 0] += 1
                            try network.cut(from: a, to: b)
                        } else {
                            done["cut", default: 0] += 1
                            try network.cut(a, b)
                        }
                        usleep(UInt32(seeded.next() % 400_000))
                        if seeded.next() % 3 > 0 { try network.healAll() }
                        usleep(UInt32(seeded.next() % 400_000))
                    }
                    try network.healAll()
                    try cluster.waitUntilWhole()
                    try Promises.check(cluster, writers, users: users, done: done, seconds: plan.seconds)
                }
            } catch {
                throw TestFailure("seed \(plan.seed): \(error)")
            }
        }
    }
}
