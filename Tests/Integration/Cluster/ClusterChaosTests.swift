// Nodes are killed at random under clients that write, and what was promised is there afterwards.

import ConvergeTestSupport
import ConvergeTransport
import Foundation
import Testing

extension ClusterTests {
    @Suite struct ChaosTests {
        @Test func `nodes killed at random under writing clients lose nothing that was shown or acknowledged`() throws {
            let plan = ChaosPlan()
            var seeded = SplitMix64(seed: plan.seed)
            do {
                try withCluster(ClusterOptions(environment: ["CONVERGE_LOG": "info"])) { cluster in
                    let users = (0..<6).map { "writer\($0)" }
                    let writers = try PersistentWriters(
                        users, at: cluster.nodes.map { Endpoint(host: $0.host, port: $0.port) }, room: "lobby",
                        seed: plan.seed)
                    defer { writers.end() }
                    var done: [String: Int] = [:]
                    let watch = Stopwatch()
                    while watch.seconds < plan.seconds {
                        Self.rest(0.1...0.9, &seeded)
                        try Self.strike(cluster, &seeded, &done)
                    }
                    for node in cluster.nodes where !node.runs { try cluster.start(node.index) }
                    try cluster.waitUntilWhole()
                    try Promises.check(cluster, writers, users: users, done: done, seconds: plan.seconds)
                }
            } catch {
                throw TestFailure("seed \(plan.seed), \(plan.seconds) s: \(error)")
            }
        }

        /// Something happens to a node, or to two.
        private static func strike(
            _ cluster: ClusterProcesses, _ seeded: inout SplitMix64, _ done: inout [String: Int]
        ) throws {
            let first = Int(seeded.next() % 3)
            let both = [first, (first + 1) % 3]
            let event: String
            switch seeded.next() % 8 {
            case 0, 1, 2:
                event = "kill"
                try cluster.kill(first)
                rest(0...0.6, &seeded)
                try cluster.start(first, waits: false)
            case 3:
                event = "kill two"
                for index in both { try cluster.kill(index) }
                rest(0...0.4, &seeded)
                for index in both.reversed() { try cluster.start(index, waits: false) }
            case 4:
                event = "kill all"
                for index in 0..<3 { try cluster.kill(index) }
                for index in 0..<3 { try cluster.start(index, waits: false) }
            case 5:
                event = "stop"
                try cluster.stop(first)
                try cluster.start(first, waits: false)
            case 6:
                event = "pause"
                try cluster.pause(first)
                rest(0.2...1.5, &seeded)
                try cluster.resume(first)
            default:
                event = "kill again"
                try cluster.kill(first)
                try cluster.start(first, waits: false)
                rest(0...0.1, &seeded)
                try cluster.kill(first)
                try cluster.start(first, waits: false)
            }
            done[event, default: 0] += 1
        }

        /// Time passes; nothing is waited for.
        private static func rest(_ seconds: ClosedRange<Double>, _ seeded: inout SplitMix64) {
            usleep(UInt32(Double.random(in: seconds, using: &seeded) * 1e6))
        }
    }
}

/// How long there is chaos, and which: a script sets both.
struct ChaosPlan {
    let seconds: Double
    let seed: UInt64

    init(_ usual: Double = 8) {
        let environment = ProcessInfo.processInfo.environment
        seconds = environment["CONVERGE_TEST_CHAOS_SECONDS"].flatMap(Double.init) ?? usual
        seed = environment["CONVERGE_TEST_SEED"].flatMap(UInt64.init) ?? .random(in: 0...UInt64(UInt32.max))
    }
}

/// What holds when all is over, whatever has happened.
enum Promises {
    static func check(
        _ cluster: ClusterProcesses, _ writers: PersistentWriters, users: [String], done: [String: Int], seconds: Double
    ) throws {
        let watch = Stopwatch()
        let records = try writers.settle()
        try #require(records.flatMap(\.faults) == [])
        try cluster.waitForUsers(users)
        let acknowledged = records.reduce(into: [:]) { $0.merge($1.acknowledged) { $1 } }
        let history = try cluster.waitForEqualHistory(messages: acknowledged.count)
        let level = watch.text
        let messages = Dictionary(
            uniqueKeysWithValues: history.filter { $0.type == "message" }.map { ($0.id, $0.body) })

        func missing(_ promised: [String: String]) -> [String] {
            promised.filter { messages[$0.key] != $0.value }.map { "\($0.key) \($0.value)" }.sorted()
        }
        let lost = missing(acknowledged)
        try #require(lost.isEmpty, "acknowledged, and not in history: \(lost.count): \(lost.prefix(5))")
        let shown = records.reduce(into: [:]) { $0.merge($1.shown) { $1 } }
        let unshown = missing(shown)
        try #require(unshown.isEmpty, "shown, and not in history: \(unshown.count): \(unshown.prefix(5))")
        // A body is sent under one key only: twice in history means that a repeat became another message.
        try #require(Set(messages.values).count == messages.count, "a message is in history twice")

        try Self.waitForAlternation(cluster, users)
        try checkDocuments(cluster, records)
        let sum = (sent: records.reduce(0) { $0 + $1.sent }, again: records.reduce(0) { $0 + $1.repeated })
        let reconnects = records.reduce(0) { $0 + $1.reconnects }
        let what = done.sorted { $0.key < $1.key }.map { "\($0.value) × \($0.key)" }.joined(separator: ", ")
        saw(
            "\(seconds) s of \(what): \(sum.sent) writes sent, \(sum.again) again, \(reconnects) connections, "
                + "\(acknowledged.count) messages acknowledged, \(shown.count) shown, \(messages.count) in history; "
                + "level \(level) after")
    }

    /// Until history says of each user in turn that it joined and left, and last that it joined.
    static func waitForAlternation(_ cluster: ClusterProcesses, _ users: [String]) throws {
        var wrong: [String] = []
        try cluster.wait("everybody's joined and left in turn, and joined last") {
            let events = try cluster.waitForEqualHistory().filter { $0.type == "system" }
            wrong = users.compactMap { user in
                let own = events.filter { $0.user == user }.map(\.body)
                let expected = own.indices.map { $0 % 2 == 0 ? "\(user) joined" : "\(user) left" }
                return own == expected && own.count % 2 == 1 ? nil : "\(user): \(own.suffix(6))"
            }
            return wrong.isEmpty
        } otherwise: {
            wrong.joined(separator: "\n")
        }
    }

    private static func checkDocuments(_ cluster: ClusterProcesses, _ records: [WriterRecord]) throws {
        let readers = try cluster.nodes.map { try $0.client("reader-\($0.name)") }
        var seen: [String] = []
        try cluster.wait("equal documents") {
            seen = try readers.map { try Documents($0, set: "default", register: "default", counter: "default").text }
            return Set(seen).count == 1
        } otherwise: {
            seen.joined(separator: "\n")
        }
        let items = try readers[0].ask(#"{"type":"crdt_orset_values","ref":"v"}"#, ref: "v").list("items") ?? []
        let kept = records.reduce(into: Set<String>()) { $0.formUnion($1.added.subtracting($1.removed)) }
        try #require(kept.isSubset(of: items), "elements are lost: \(kept.subtracting(items).prefix(5))")
        let total = try readers[0].ask(#"{"type":"crdt_counter_get","ref":"c"}"#, ref: "c").number("value") ?? 0
        let least = records.reduce(0) { $0 + $1.counted }
        let most = least + records.reduce(0) { $0 + $1.uncertain }
        try #require((least...most).contains(total), "the counter is \(total), not in \(least)...\(most)")
    }
}
