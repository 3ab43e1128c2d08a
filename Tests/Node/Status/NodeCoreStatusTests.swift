import ConvergeCRDT
import ConvergeGossip
import ConvergeWire
import Testing

@testable import ConvergeNode

@Suite("Status: what cores say of their cluster")
struct NodeCoreStatusTests {
    private static func started(_ count: Int) -> CoreCluster {
        let cluster = CoreCluster(count)
        cluster.start()
        return cluster
    }

    private func status(_ cluster: CoreCluster, _ index: Int) -> ClusterStatus {
        cluster.nodes[index].core.status(at: cluster.nodes[index].wall)
    }

    @Test("nodes that are level see each other alive and linked, lacking nothing, with one digest")
    func level() {
        let cluster = Self.started(3)
        let ann = cluster.enter(0, "ann")
        for number in 0..<5 { cluster.send(0, ann, .say("m\(number)")) }
        cluster.send(0, ann, .add("milk", doc: "list"))
        cluster.run(80)
        let all = (0..<3).map { status(cluster, $0) }
        for (index, status) in all.enumerated() {
            #expect(status.state == .ready && status.name == Text("n\(index)") && status.cluster == "c")
            #expect(status.replica == cluster.replica(index) && status.boot == 1)
            #expect(status.sessions == (index == 0 ? 1 : 0) && status.documents == 1)
            #expect(status.logs.map { $0.end.dot.seq } == [6])
            #expect(status.members.map(\.replica) == (0..<3).filter { $0 != index }.map(cluster.replica).sorted())
            for member in status.members {
                #expect(member.state == .alive)
                #expect(member.link?.has == cluster.nodes[index].core.position)
                #expect(member.link?.lacks == .init() && member.link?.leads == .init())
                #expect(member.link?.version == 1)
                #expect(member.link?.skew == 0)
            }
        }
        #expect(Set(all.map(\.documentsDigest)).count == 1 && all[0].documentsDigest != 0)
        #expect(Set(all.map(\.documentsVector)) == [cluster.nodes[0].core.position])
        #expect(all[0].counters.replicator.pushed == 12 && all[1].counters.replicator.applied == 6)
    }

    @Test("a node that does not store what it is sent is behind, by so many entries and for so long")
    func behind() {
        let cluster = Self.started(2)
        let ann = cluster.enter(0, "ann")
        cluster.send(0, ann, .say("first"))
        cluster.run(20)
        _ = status(cluster, 0)
        cluster.holds = [1]
        for number in 0..<3 { cluster.send(0, ann, .say("m\(number)")) }
        _ = status(cluster, 0)
        cluster.run(30)
        let link = status(cluster, 0).members.first?.link
        #expect(link?.lacks == .init(entries: 3, age: 3_000))
        #expect(link?.leads == .init())
        // The other node knows it too: what is not stored is not there, whatever was sent.
        #expect(status(cluster, 1).members.first?.link?.leads.entries == 3)
        cluster.release(1)
        cluster.run(60)
        #expect(status(cluster, 0).members.first?.link?.lacks == .init())
    }

    @Test("a member that is gone is shown with its state, and since when; it has no link")
    func gone() {
        let cluster = Self.started(2)
        _ = status(cluster, 0)
        cluster.run(10)
        let linked = status(cluster, 0).members.first
        #expect(linked?.inLink == 1_000 && linked?.inState == 1_000)
        cluster.separate(0, 1)
        _ = status(cluster, 0)
        cluster.run(200)
        let gone = status(cluster, 0).members.first
        #expect(gone?.state == .faulty && gone?.link == nil)
        #expect((gone?.inLink ?? 0) == 20_000)
        #expect(gone?.name == "n1" && gone?.address == "1")
    }

    @Test("clocks that differ show by how much")
    func skew() {
        let cluster = CoreCluster(2)
        cluster.nodes[1].wall += 90_000
        cluster.start()
        cluster.run(20)
        #expect(status(cluster, 0).members.first?.link?.skew == 90_000)
        #expect(status(cluster, 1).members.first?.link?.skew == -90_000)
        #expect(status(cluster, 0).isClockTolerable)
    }

    @Test("a core that is alone tells of itself, and of its store")
    func alone() {
        var core = NodeCore(
            CoreOptions(
                nodeName: "n", loopCount: 1, saveBuffer: 8, historyLimit: 10, systemEvents: .off, frameSeed: 1))
        var effects: [CoreEffect] = []
        core.start(into: &effects)
        let status = core.status(at: 1_000)
        #expect(status.state == .starting && status.cluster == nil && status.replica == nil)
        #expect(status.members.isEmpty && status.logs.isEmpty && status.taken == 1_000)
        core.handle(.store(.openFailed(.full("disk"))), at: 1_000, into: &effects)
        #expect(core.status(at: 1_000).state == .storageUnavailable)
    }

    @Test("a hundred peers with a hundred logs are told of in little time and space")
    func large() {
        var ages = EntryAges()
        var vector = VersionVector()
        for number in 1...100 { vector[ReplicaID(rawValue: UInt64(number))] = 1_000_000 }
        ages.look(vector, at: 0)
        let status = ClusterStatus.sample(peers: 100, vector: vector)
        let json = status.json()
        #expect(json.count < 400_000)
        #expect(json.last == 0x0A)
    }
}

extension ClusterStatus {
    /// Made up: peers that have what `vector` says.
    static func sample(peers: Int, vector: VersionVector = VersionVector(), name: Text = "n0") -> ClusterStatus {
        ClusterStatus(
            name: name, cluster: "c", address: "127.0.0.1:7000", lowestVersion: 1, highestVersion: 1,
            replica: ReplicaID(rawValue: 0xAB), boot: 2, state: .ready, isClockTolerable: true,
            taken: 1_700_000_000_000,
            connections: 4, bodyLimit: 2_000, sessions: 3, rooms: 2, documents: 1, saveQueue: 0,
            logs: vector.components.map {
                Log(end: LogEnd(dot: $0, hash: EntryHash(high: 0xC0, low: 1)), floor: 1)
            },
            documentsDigest: 0xD1, documentsVector: vector,
            members: (0..<peers).map { number in
                Member(
                    replica: ReplicaID(rawValue: UInt64(number + 1)), name: Text("n\(number + 1)"), address: "h:1",
                    state: .alive, incarnation: 1, inState: 5_000, inLink: 4_000,
                    link: Link(
                        version: 1, has: vector, lacks: Lag(entries: 3, age: 1_500), skew: -20,
                        unacknowledgedBytes: 9, isPaused: false))
            }, counters: Counters())
    }
}
