// Strangers at the port for peers: they are closed, cost next to nothing, fill no log, and the cluster goes on.

import ConvergeTestSupport
import ConvergeCRDT
import ConvergeTransport
import ConvergeWire
import Foundation
import Testing

extension ClusterTests {
    @Suite struct PeerPortTests {
        /// One kind of stranger: what it does with a connection, and whether it waits to be closed.
        struct Stranger: CustomTestStringConvertible, Sendable {
            let name: String
            var connections = 40
            /// Bytes that are sent at once.
            var says: [UInt8] = []
            /// What it then sends again and again, until it is closed.
            var repeats: [UInt8] = []
            /// Ends the connection itself.
            var leaves = false
            /// In the clear, on loopback, who says a right hello is a peer, and frames are read until it should have come.
            var isOnlyForTLS = false

            var testDescription: String { name }
        }

        static let strangers: [Stranger] = [
            Stranger(name: "garbage", says: noise(16_384)),
            Stranger(name: "a giant length", says: [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F, 1]),
            Stranger(name: "a long first frame", says: [0x80, 0x80, 0x40, 1]),
            Stranger(name: "a truncated frame", connections: 8, says: [100, 1] + noise(20)),
            Stranger(name: "endless bytes", connections: 4, repeats: noise(997)),
            Stranger(name: "endless frames of a kind that nobody knows", connections: 4, repeats: [2, 100, 0]),
            Stranger(
                name: "a hello and endless such frames", connections: 1, says: hello(), repeats: [2, 100, 0],
                isOnlyForTLS: true),
            Stranger(name: "nothing at all", connections: 50),
            Stranger(name: "a port scanner", connections: 200, leaves: true),
            Stranger(name: "HTTP", says: Array("GET / HTTP/1.1\r\nHost: x\r\n\r\n".utf8)),
            Stranger(name: "WebSocket", says: Array(HTTPText.upgrade("/ws").utf8)),
            Stranger(name: "TLS", says: [0x16, 3, 1, 2, 0, 1, 0, 1, 0xFC, 3, 3] + noise(400)),
            Stranger(name: "a hello of another cluster", says: hello(cluster: "another")),
            Stranger(name: "a hello of a newer version", says: hello(versions: 900...901)),
            Stranger(name: "a second hello", says: hello() + hello(), isOnlyForTLS: true),
            Stranger(name: "frames before a hello", says: PeerFrame.summary(hash: 7).encoded()),
        ]

        static func noise(_ count: Int) -> [UInt8] {
            var seeded = SplitMix64(seed: 7)
            return (0..<count).map { _ in UInt8(truncatingIfNeeded: seeded.next()) }
        }

        static func hello(
            cluster: Text = "converge", versions: ClosedRange<UInt16> = 1...1, replica: UInt64 = 0xBAD, boot: UInt64 = 1
        ) -> [UInt8] {
            PeerFrame.hello(
                PeerHello(
                    lowestVersion: versions.lowerBound, highestVersion: versions.upperBound, cluster: cluster,
                    replica: ReplicaID(rawValue: replica), boot: boot, process: 0xBAD, name: "stranger",
                    address: "127.0.0.1:9", wall: SystemClock.wallMilliseconds(), incarnation: 0)
            ).encoded()
        }

        @Test("strangers are closed, cost no memory, fill no log, and disturb nobody", arguments: ["TLS", "plain"])
        func strangers(link: String) throws {
            var options = ClusterOptions()
            if link == "plain" { options.secret = "" }
            try withCluster(options) { cluster in
                let ann = try cluster[0].client("ann")
                let bob = try cluster[1].client("bob")
                try cluster.waitForUsers(["ann", "bob"])
                var number = 0
                /// A message crosses both ways.
                func talks() throws -> Double {
                    let watch = Stopwatch()
                    for (from, to) in [(ann, bob), (bob, ann)] {
                        number += 1
                        try from.send(#"{"body":"\#(number)"}"#)
                        _ = try to.next("message") { $0.body == "\(number)" }
                    }
                    return watch.seconds
                }
                _ = try talks()
                let target = cluster[0]
                func lines() -> Int { target.log.split(separator: "\n").count }
                func lost() -> Int { cluster.nodes.reduce(0) { $0 + $1.log.matches(of: /peer link lost/).count } }
                let (memory, lostBefore, first) = (try target.running().residentBytes(), lost(), lines())
                var slowest = 0.0
                var seen: [String] = []
                var open: [(name: String, sockets: [RawSocket])] = []
                let strangers = Self.strangers.filter { link == "TLS" || !$0.isOnlyForTLS }
                for stranger in strangers {
                    let (said, watch) = (lines(), Stopwatch())
                    let sockets = try Self.connect(stranger, to: target) { slowest = max(slowest, try talks()) }
                    if !stranger.leaves { open.append((stranger.name, sockets)) }
                    seen.append("\(stranger.connections) × \(stranger.name) (\(watch.text), \(lines() - said) lines)")
                }
                // Whoever says nothing right is closed when its time is over.
                let deadline = Deadline(in: .seconds(12))
                let kept = open.filter { !$0.sockets.allSatisfy { Self.isEnded($0, by: deadline) } }.map(\.name)
                try #require(kept.isEmpty, "still open: \(kept)")
                slowest = max(slowest, try talks())
                let grown = try (target.running().residentBytes() - memory) >> 20
                let said = lines() - first
                saw("strangers at the port for peers (\(link)): \(seen.joined(separator: ", "))")
                saw(
                    "\(link): memory grown by \(grown) MiB, \(said) lines, the slowest message there and back \(slowest) s"
                )
                try #require(grown < 24)
                try #require(slowest < 2)
                // One of each kind in ten seconds.
                try #require(said <= 12, "\(said) lines")
                try #require(lost() == lostBefore)
                try cluster.waitForUsers(["ann", "bob"])
                try cluster.waitForEqualHistory(messages: number)
            }
        }

        @Test func `who knows another secret, or none, gets no link, and the secret can be changed node by node`()
            throws
        {
            let (old, new) = (ClusterOptions().secret, "the secret that all the nodes have agreed upon later")
            var options = ClusterOptions(count: 5)
            options.environmentOfNode[3] = [
                "CONVERGE_CLUSTER_SECRET": "the secret of somebody who has only heard of it"
            ]
            options.environmentOfNode[4] = ["CONVERGE_CLUSTER_SECRET": ""]
            try withCluster(options, starts: false) { cluster in
                for index in 0..<3 { try cluster.start(index) }
                try cluster.waitUntilWhole()
                try cluster.start(3)
                try cluster.start(4)
                let mallory = try cluster[3].client("mallory")
                let eve = try cluster[4].client("eve")
                // They dial, and are refused; and the others dial them.
                for index in 0..<3 { _ = try cluster[index].running().waitForLine(containing: "prove") }
                try Talk.write(20, "from outside ", by: mallory)
                try Talk.write(20, "from the clear ", by: eve)
                let ann = try cluster[0].client("ann")
                try Talk.write(20, "inside ", by: ann)
                let lines = (0..<3).map { cluster[$0].log.split(separator: "\n").count }
                for index in 3..<5 {
                    try #require(cluster[index].linked().isEmpty)
                    try #require(try cluster[index].history().allSatisfy { $0.user != "ann" })
                    try cluster.kill(index)
                }
                let history = try cluster.waitForEqualHistory(messages: 20)
                try #require(history.allSatisfy { $0.user == "ann" })
                try #require(try cluster[1].users() == ["ann"])

                // Both are accepted while they are changed; the first is offered.
                for secrets in [old + "," + new, new + "," + old, new] {
                    for index in 0..<3 {
                        cluster[index].environment["CONVERGE_CLUSTER_SECRET"] = secrets
                        try cluster.stop(index)
                        try cluster.start(index)
                        try cluster.waitUntilWhole()
                    }
                }
                let bob = try cluster[1].client("bob")
                try Talk.write(20, "with the new one ", by: bob)
                try cluster.waitForEqualHistory(messages: 40)
                saw("another secret and none: no link, no entry, \(lines) lines of log; changed in nine restarts")
            }
        }

        @Test func `one who says to be the node itself changes nothing that is stored`() throws {
            // Only in the clear can a stranger say anything at all.
            var options = ClusterOptions()
            options.secret = ""
            try withCluster(options) { cluster in
                let ann = try cluster[0].client("ann")
                try Talk.write(20, "before ", by: ann)
                let history = try cluster.waitForEqualHistory(messages: 20)
                let own = try #require(cluster[0].replica().flatMap { UInt64($0, radix: 16) })
                for boot in [0, 1, 1_000] as [UInt64] {
                    let socket = try RawSocket(port: cluster[0].peerPort)
                    try socket.send(Self.hello(replica: own, boot: boot))
                    try #require(Self.isEnded(socket, by: Deadline(in: .seconds(12))))
                }
                // Where it goes on under a new replica, a write that comes meanwhile is refused, and right to repeat.
                try cluster.wait("writes are taken") {
                    try ann.ask(#"{"body":"again","key":"k","ref":"k"}"#, ref: "k").type == "ack"
                }
                try Talk.write(19, "after ", by: ann)
                let after = try cluster.waitForEqualHistory(messages: 40)
                try #require(Array(after.prefix(history.count)) == history)
                try cluster.waitForUsers(["ann"])
                let renewed = cluster[0].log.split(separator: "\n").count { $0.contains("another process uses") }
                saw(
                    "three hellos with the node's own replica: it went on under a new one \(renewed) times, 40 messages on all"
                )
            }
        }

        private static func connect(
            _ stranger: Stranger, to node: ClusterNode, meanwhile: () throws -> Void
        ) throws -> [RawSocket] {
            var sockets: [RawSocket] = []
            for index in 0..<stranger.connections {
                let socket = try RawSocket(host: node.host, port: node.peerPort)
                // It may have been closed by then.
                if !stranger.says.isEmpty { try? socket.send(stranger.says, by: Deadline(in: .seconds(2))) }
                if stranger.leaves { if index % 2 == 0 { socket.close() } else { socket.abort() } }
                sockets.append(socket)
            }
            try meanwhile()
            guard !stranger.repeats.isEmpty else { return sockets }
            let piece = [UInt8](repeatElement(stranger.repeats, count: 65_536 / stranger.repeats.count).joined())
            for socket in sockets {
                let deadline = Deadline(in: .seconds(3))
                while !deadline.hasPassed {
                    guard (try? socket.send(piece, by: deadline)) != nil else { break }
                }
            }
            return sockets
        }

        private static func isEnded(_ socket: RawSocket, by deadline: Deadline) -> Bool {
            while true {
                switch socket.receive(by: deadline) {
                case .bytes: continue
                case .end, .reset: return true
                case .nothing: return false
                }
            }
        }
    }
}
