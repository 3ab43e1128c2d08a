import ConvergeClient
import Testing

@Suite("Status: is the cluster whole")
struct ClusterVerdictTests {
    typealias Peer = StatusSamples.Peer

    private func verdict(_ answers: [NodeAnswer]) -> ClusterVerdict { ClusterVerdict(answers) }

    /// Three nodes of which the first says something else.
    private func except(_ json: String, age: Int = 0) -> ClusterVerdict {
        verdict([StatusSamples.answer(json, age: age)] + StatusSamples.whole().dropFirst())
    }

    private let others = [Peer(number: 2), Peer(number: 3)]

    @Test("three nodes that see each other alive, linked and level are whole, and so is one alone")
    func whole() {
        let three = verdict(StatusSamples.whole())
        #expect(three.isWhole && three.problems == [] && three.documents == .equal)
        let one = verdict([StatusSamples.answer(StatusSamples.json(1, peers: []))])
        #expect(one.isWhole && one.documents == .alone)
        // One of three can be asked for all.
        #expect(verdict([StatusSamples.whole()[0]]).isWhole)
        // Twice the same node is one node.
        let twice = verdict([StatusSamples.whole()[0], StatusSamples.whole()[0]])
        #expect(twice.isWhole && twice.documents == .alone)
    }

    @Test("each thing that is wrong is said", arguments: ["starting", "draining", "storage_unavailable"])
    func states(state: String) {
        #expect(except(StatusSamples.json(1, state: state, peers: others)).problems == ["n1 is \(state)"])
    }

    @Test("a node that does not answer, is stuck or has a wrong clock is a problem")
    func unwell() {
        let missing = NodeAnswer(url: "http://x:1", outcome: .failed("no answer in time"))
        #expect(verdict(StatusSamples.whole() + [missing]).problems == ["http://x:1: no answer in time"])
        #expect(except(StatusSamples.json(1, peers: others), age: 10).isWhole)
        #expect(except(StatusSamples.json(1, peers: others), age: 11).problems.count == 1)
        #expect(except(StatusSamples.json(1, clock: false, peers: others)).problems.count == 1)
    }

    @Test(
        "members must be alive, linked and have told; those that left, are replaced or forgotten don't count",
        arguments: [
            ("suspect", true, true, false), ("faulty", false, true, false), ("alive", false, true, false),
            ("alive", true, false, false), ("left", false, true, true), ("forgotten", false, true, true),
            ("replaced", false, true, true),
        ])
    func members(state: String, linked: Bool, told: Bool, whole: Bool) {
        let fourth = Peer(number: 4, state: state, linked: linked, told: told)
        let verdict = except(StatusSamples.json(1, peers: others + [fourth]))
        #expect(verdict.isWhole == whole)
        #expect(verdict.problems.count == (whole ? 0 : 1))
        #expect(verdict.problems.allSatisfy { $0.hasPrefix("n1 ") && $0.contains("n4") })
    }

    @Test("a build that does not know the word says faulty of a member whose node goes on under another replica")
    func replaced() {
        func problems(_ former: Peer, alive state: String = "alive") -> [String] {
            let second = Peer(number: 2, state: state, linked: state == "alive")
            return except(StatusSamples.json(1, peers: [second, Peer(number: 3), former])).problems
        }
        let former = Peer(number: 4, state: "faulty", linked: false, name: "n2", address: "a:2")
        #expect(problems(former) == [])
        #expect(problems(Peer(number: 4, state: "faulty", linked: false, name: "n2")).count == 1)
        #expect(problems(Peer(number: 4, state: "faulty", linked: false, address: "a:2")).count == 1)
        #expect(problems(Peer(number: 4, state: "suspect", linked: false, name: "n2", address: "a:2")).count == 1)
        #expect(problems(former, alive: "faulty").count == 2)
        // What the node that answers was itself.
        let own = Peer(number: 4, state: "faulty", linked: false, name: "n1", address: "a:1")
        #expect(except(StatusSamples.json(1, address: "a:1", peers: others + [own])).isWhole)
        #expect(!except(StatusSamples.json(1, peers: others + [own])).isWhole)
    }

    @Test("a lag of up to 8 s is live traffic, an older one is not, in either direction")
    func lag() {
        func problems(lacks: (Int, Int), leads: (Int, Int)) -> [String] {
            var peer = Peer(number: 2)
            peer.lacks = lacks
            peer.leads = leads
            return except(StatusSamples.json(1, peers: [peer, Peer(number: 3)])).problems
        }
        #expect(problems(lacks: (9_000, 8_000), leads: (1, 8_000)) == [])
        #expect(problems(lacks: (120, 8_001), leads: (0, 0)) == ["n2 is 120 entries (8.0 s) behind n1"])
        #expect(problems(lacks: (0, 0), leads: (1, 130_000)) == ["n1 is 1 entry (2 min) behind n2"])
    }

    @Test("two clusters that don't know each other are not one")
    func strangers() {
        let alone = StatusSamples.answer(StatusSamples.json(1, peers: []))
        let other = StatusSamples.answer(StatusSamples.json(2, peers: []))
        #expect(verdict([alone, other]).problems == ["n2 does not know n1", "n1 does not know n2"])
        // A node that left is not waited for, but one that answers must not be taken for it.
        let left = StatusSamples.answer(StatusSamples.json(1, peers: [Peer(number: 2, state: "left")]))
        #expect(verdict([left, other]).problems.count == 2)
    }

    @Test("with the same entries, documents and logs must be the same; with others they can't be compared")
    func contents() {
        let different = except(StatusSamples.json(1, digest: "ac", peers: others))
        #expect(different.documents == .different && different.problems.count == 2)
        let seqs = [1: 11, 2: 20, 3: 30]
        let moving = except(StatusSamples.json(1, digest: "ac", seqs: seqs, peers: others))
        #expect(moving.documents == .moving && moving.isWhole)
        // n1 and n2 hold otherwise what they both have 20 and 30 entries of.
        let forked = except(StatusSamples.json(1, seqs: seqs, hash: "ce", peers: others))
        #expect(forked.problems.count == 4)
        #expect(forked.problems[0] == "n1 and n2 have different logs of \(StatusSamples.replica(2))")
    }
}
