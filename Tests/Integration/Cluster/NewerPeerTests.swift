import ConvergeCRDT
import ConvergeStorage
import ConvergeTransport
import ConvergeWire
import Testing

@testable import ConvergeNode

/// A peer of a newer build, as far as an older one can tell: it speaks later versions too, says things of kinds that this
/// build does not know, and writes entries of such kinds.
@Suite("Two builds in one cluster", .serialized)
struct NewerPeerTests {
    @Test("what a newer peer says and this build does not know is skipped; what it has written is stored and passed on")
    func newer() throws {
        try withPair { first, second in
            let newer = try FuturePeer(port: try #require(first.server.peerPort), replica: ReplicaID(rawValue: 7))
            try newer.greet(lowest: 1, highest: 9)
            // A frame of a kind that may be added later.
            try newer.send([3, 100, 1, 2])
            var log = FutureLog(replica: newer.replica)
            let secret = log.write(kind: EntryKind(rawValue: 77), payload: Array("of a later build".utf8))
            let plain = log.write(
                kind: .message,
                payload: MessagePayload(user: "zoe", displayName: "Zoe", body: Array("plain".utf8)).encoded)
            let reader = try second.client("ann", room: "lobby")
            try newer.send(.entries([secret, plain], wantsStored: true))

            // The message stands behind the unknown entry in its log: whoever shows it has stored both.
            let shown = try reader.next("message")
            #expect(shown.body == "plain")
            #expect(shown.user == "zoe")

            let other = try FuturePeer(port: try #require(second.server.peerPort), replica: ReplicaID(rawValue: 8))
            try other.greet(lowest: 1, highest: 9)
            try other.send(
                .want(
                    EntriesWant(
                        number: 1, ranges: [LogRange(replica: newer.replica, after: 0, through: 2)], limit: 1 << 16)))
            let answer = try other.next { frame -> EntriesRange? in
                if case .range(let range) = frame { range } else { nil }
            }
            #expect(answer.entries == [secret, plain])
            newer.close()
            other.close()
        }
    }

    @Test("a peer that speaks only later versions is refused, and told why")
    func tooNew() throws {
        try withPair { first, _ in
            let newer = try FuturePeer(port: try #require(first.server.peerPort), replica: ReplicaID(rawValue: 7))
            try newer.greet(lowest: 2, highest: 9)
            let refusal = try newer.next { frame -> PeerRefusal? in
                if case .refused(let refusal) = frame { refusal } else { nil }
            }
            #expect(refusal == .noCommonVersion)
            newer.close()
        }
    }

    @Test(
        "in the midst of an upgrade each link speaks what both ends know, and who shares no version hears through others"
    )
    func upgrade() throws {
        try withBuild(1...1) { oldest in
            try withBuild(1...2, peers: [oldest]) { middle in
                try withBuild(2...2, peers: [oldest, middle]) { newest in
                    let nodes = [oldest, middle, newest]
                    try newest.wait("two links") { try nodes.map { try $0.metric("peer_links") } == [1, 2, 1] }
                    let spoken = try nodes.map { node in
                        try HTTPReply.get("/cluster", port: node.port).body.matches(of: /"protocol":([0-9]+),"has"/)
                            .map { $0.1 }.sorted()
                    }
                    #expect(spoken == [["1"], ["1", "2"], ["2"]])
                    #expect(try newest.metric(#"peer_links_refused_total{reason="hello"}"#) > 0)

                    let clients = try nodes.enumerated().map { try $1.client("user\($0)", joins: false) }
                    for (index, client) in clients.enumerated() {
                        try client.send(#"{"type":"message","body":"from \#(index)"}"#)
                        for other in clients {
                            #expect(try other.next("message") { $0.body == "from \(index)" }.user == "user\(index)")
                        }
                    }
                }
            }
        }
    }

    /// A node in this process as a build that speaks these versions of the peer protocol.
    private func withBuild(_ versions: ClosedRange<UInt16>, peers: [TestNode] = [], _ body: (TestNode) throws -> Void)
        throws
    {
        var cluster = ClusterSettings()
        cluster.versions = versions
        cluster.peers = try peers.map { "127.0.0.1:\(try #require($0.server.peerPort))" }
        try withNode {
            $0.cluster = cluster
        } _: {
            try body($0)
        }
    }

    /// Two nodes in this process that know each other.
    private func withPair(_ body: (TestNode, TestNode) throws -> Void) throws {
        try withNode { options in
            options.cluster = ClusterSettings()
        } _: { first in
            let port = try #require(first.server.peerPort)
            try withNode { options in
                var cluster = ClusterSettings()
                cluster.peers = ["127.0.0.1:\(port)"]
                options.cluster = cluster
            } _: { second in
                try body(first, second)
            }
        }
    }
}

/// The log of a replica that a test writes.
struct FutureLog {
    let replica: ReplicaID
    private var seq: UInt64 = 0
    private var last = EntryHash.zero
    private let chain = EntryChain()

    init(replica: ReplicaID) { self.replica = replica }

    mutating func write(kind: EntryKind, payload: [UInt8]) -> Entry {
        seq += 1
        let timestamp = HybridTimestamp(milliseconds: SystemClock.wallMilliseconds(), counter: UInt16(seq))
        var entry = Entry(
            dot: Dot(replica: replica, seq: seq), timestamp: timestamp, kind: kind, room: "lobby", payload: payload)
        entry.hash = chain.hash(after: last, entry)
        last = entry.hash
        return entry
    }
}

/// One end of a peer link without encryption, spoken by a test.
final class FuturePeer {
    let replica: ReplicaID
    private let socket: RawSocket
    private var reader = PeerFrameReader(maximumLength: PeerLimits.frame)

    init(port: UInt16, replica: ReplicaID) throws {
        self.replica = replica
        socket = try RawSocket(port: port)
    }

    /// Says hello, and waits for the node's.
    func greet(lowest: UInt16, highest: UInt16) throws {
        try send(
            .hello(
                PeerHello(
                    lowestVersion: lowest, highestVersion: highest, cluster: "converge", replica: replica, boot: 1,
                    process: replica.rawValue, name: "newer", address: "", wall: SystemClock.wallMilliseconds(),
                    incarnation: 0)))
        _ = try next { frame -> PeerHello? in
            if case .hello(let hello) = frame { hello } else { nil }
        }
    }

    func send(_ frame: PeerFrame) throws { try send(frame.encoded()) }
    func send(_ bytes: [UInt8]) throws { try socket.send(bytes) }

    /// Waits for the first frame that `choose` takes.
    func next<Chosen>(_ choose: (PeerFrame) -> Chosen?) throws -> Chosen {
        let deadline = Deadline()
        while true {
            while let item = try reader.next() {
                if case .frame(let frame) = item, let chosen = choose(frame) { return chosen }
            }
            guard case .bytes(let bytes) = socket.receive(by: deadline) else {
                throw TestFailure("the node said nothing more")
            }
            bytes.withUnsafeBytes { reader.append($0) }
        }
    }

    func close() { socket.close() }
}
