import ConvergeCRDT
import ConvergeWire
import Testing

@testable import ConvergeClient

/// The machines of a room together, by many seeds: what the client promises holds whatever the network does.
@Suite("A followed room over a bad network")
struct FollowedRoomRandomTests {
    private static let all: [UInt64] = (1...40).map { $0 }

    private func problems(_ network: ModelNetwork, mayGap: Bool, inOrder: Bool = true) -> [String] {
        var problems = network.wrong
        var ids: Set<String> = []
        for line in network.shown where !ids.insert(line.id).inserted { problems.append("\(line.body) twice") }
        // In the order of each log.
        var last = VersionVector()
        for line in network.shown {
            guard let dot = line.dot else { continue }
            if dot.seq <= last[dot.replica] { problems.append("\(line.body) after what follows it") }
            last[dot.replica] = dot.seq
        }
        // Nothing is left out, save where that was told.
        if !mayGap, network.gaps > 0 { problems.append("\(network.gaps) gaps told, and there are none") }
        if network.gaps == 0, let origin = network.origin {
            for entry in network.cluster.logs.joined() where !origin.covers(entry.dot) && !ids.contains(entry.id) {
                problems.append("\(entry.body) was never shown")
            }
        }
        // One's own are stored, once each as far as anybody can see, and told so once.
        for key in network.keys {
            let stored = network.states[key]?.filter { if case .stored = $0 { true } else { false } }.count ?? 0
            if stored != 1 { problems.append("\(key) was told stored \(stored) times") }
            let entries = network.cluster.logs.joined().filter { $0.key == key }
            if Set(entries.map(\.id)).count != 1 { problems.append("\(key) is \(entries.count) messages") }
        }
        if inOrder, network.storedOrder != network.keys { problems.append("stored out of order") }
        return problems
    }

    @Test("each message comes once and in order, and each of one's own is stored once", arguments: all)
    func seeds(seed: UInt64) {
        let network = ModelNetwork(seed: seed, .init())
        network.run()
        let problems = problems(network, mayGap: false)
        #expect(problems.isEmpty, "seed \(seed): \(problems.prefix(5))")
        #expect(network.connects > 10 && network.resumes > 5 && network.shown.count > 100, "seed \(seed): too quiet")
    }

    @Test("where entries are forgotten, what is missing is told", arguments: all.prefix(20))
    func forgetting(seed: UInt64) {
        var options = ModelNetwork.Options()
        options.forgets = 30
        let network = ModelNetwork(seed: seed, options)
        network.run()
        let problems = problems(network, mayGap: true)
        #expect(problems.isEmpty, "seed \(seed): \(problems.prefix(5))")
    }

    @Test("a cursor too long for a URL goes as a frame, and nothing is different", arguments: all.prefix(20))
    func longCursors(seed: UInt64) {
        var options = ModelNetwork.Options()
        options.strangers = 120
        let network = ModelNetwork(seed: seed, options)
        network.run()
        let problems = problems(network, mayGap: false)
        #expect(problems.isEmpty, "seed \(seed): \(problems.prefix(5))")
    }

    @Test(
        "a window of several in flight gives up the order where a node is busy, and nothing else",
        arguments: all.prefix(10))
    func windows(seed: UInt64) {
        var options = ModelNetwork.Options()
        options.window = 8
        let network = ModelNetwork(seed: seed, options)
        network.run()
        let problems = problems(network, mayGap: false, inOrder: false)
        #expect(problems.isEmpty, "seed \(seed): \(problems.prefix(5))")
    }

    @Test("the same seed gives the same run")
    func repeatable() {
        let (a, b) = (ModelNetwork(seed: 7, .init()), ModelNetwork(seed: 7, .init()))
        a.run()
        b.run()
        #expect(a.shown == b.shown && a.states == b.states)
    }
}
