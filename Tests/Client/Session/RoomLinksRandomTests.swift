import ConvergeCRDT
import ConvergeWire
import Testing

@testable import ConvergeClient

/// The machines of a client's rooms together, by many seeds: what the client promises holds whatever the network does, and
/// whatever its nodes speak.
@Suite("Followed rooms over a bad network")
struct RoomLinksRandomTests {
    private static let all: [UInt64] = (1...40).map { $0 }
    private static let second: [ProtocolGeneration] = [.second, .second, .second]
    private static let mixed: [ProtocolGeneration] = [.first, .second, .first]

    private func problems(
        _ network: ModelNetwork, mayGap: Bool, inOrder: Bool = true, isForgetful: Bool = false
    ) -> [String] {
        var problems = network.wrong
        var ids: Set<String> = []
        for line in network.shown where !ids.insert(line.id).inserted { problems.append("\(line.body) twice") }
        // In the order of each log, room by room.
        var last: [String: VersionVector] = [:]
        for line in network.shown {
            guard let dot = line.dot else { continue }
            if dot.seq <= last[line.room, default: .init()][dot.replica] {
                problems.append("\(line.body) after what follows it")
            }
            last[line.room, default: .init()][dot.replica] = dot.seq
        }
        // Nothing is left out, save where that was told.
        if !mayGap, network.gaps > 0 { problems.append("\(network.gaps) gaps told, and there are none") }
        if !isForgetful || network.gaps == 0 {
            for entry in network.cluster.logs.joined() {
                guard let origin = network.origins[entry.room], !origin.covers(entry.dot) else { continue }
                if !ids.contains(entry.id) { problems.append("\(entry.body) was never shown") }
            }
        }
        // One's own are stored, once each as far as anybody can see, and told so once.
        for (key, room) in network.keys {
            let stored = network.states[key]?.filter { if case .stored = $0 { true } else { false } }.count ?? 0
            if stored != 1 { problems.append("\(key) was told stored \(stored) times") }
            let entries = network.cluster.logs.joined().filter { $0.key == key }
            if Set(entries.map(\.id)).count != 1 { problems.append("\(key) is \(entries.count) messages") }
            if entries.contains(where: { $0.room != room }) { problems.append("\(key) is not in \(room)") }
        }
        for room in Set(network.keys.map(\.room)) where inOrder {
            let sent = network.keys.filter { $0.room == room }.map(\.key)
            let order = network.storedOrder.filter { sent.contains($0) }
            if order != sent { problems.append("stored out of order in \(room)") }
        }
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
        let problems = problems(network, mayGap: true, isForgetful: true)
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

    // MARK: Many rooms

    private func rooms(_ generations: [ProtocolGeneration]) -> ModelNetwork.Options {
        var options = ModelNetwork.Options()
        options.rooms = ["dev", "ops", "lobby", "team/a"]
        options.turns = 2_000
        options.hasSide = true
        options.generations = generations
        return options
    }

    @Test("rooms on one connection each have all of theirs, once and in order", arguments: all.prefix(20))
    func together(seed: UInt64) {
        let network = ModelNetwork(seed: seed, rooms(Self.second))
        network.run()
        let problems = problems(network, mayGap: false)
        #expect(problems.isEmpty, "seed \(seed): \(problems.prefix(5))")
        #expect(
            network.links.ids.count == 1 && network.together >= 4,
            "seed \(seed): \(network.links.ids.count) connections")
        #expect(network.connects > 10 && network.resumes > 20 && network.shown.count > 100, "seed \(seed): too quiet")
    }

    @Test("nodes of both generations serve the same rooms, one a connection or all on one", arguments: all.prefix(20))
    func mixed(seed: UInt64) {
        let network = ModelNetwork(seed: seed, rooms(Self.mixed))
        network.run()
        let problems = problems(network, mayGap: false)
        #expect(problems.isEmpty, "seed \(seed): \(problems.prefix(5))")
        #expect(network.together >= 4 && network.connects > 10 && network.resumes > 20, "seed \(seed): too quiet")
    }

    @Test("where all nodes are of the first generation each room has a connection", arguments: all.prefix(10))
    func apart(seed: UInt64) {
        let network = ModelNetwork(seed: seed, rooms([.first, .first, .first]))
        network.run()
        let problems = problems(network, mayGap: false)
        #expect(problems.isEmpty, "seed \(seed): \(problems.prefix(5))")
        #expect(network.links.ids.count >= 4, "seed \(seed): \(network.links.ids.count) connections")
    }

    @Test(
        "rooms beyond a server's limit have a further connection, whether the welcome says the limit or an error does",
        arguments: all.prefix(10))
    func limits(seed: UInt64) {
        var options = rooms(Self.second)
        options.roomLimit = 2
        options.saidLimit = seed % 2 == 0 ? 2 : nil
        let network = ModelNetwork(seed: seed, options)
        network.run()
        let problems = problems(network, mayGap: false)
        #expect(problems.isEmpty, "seed \(seed): \(problems.prefix(5))")
        #expect(network.links.ids.count >= 2, "seed \(seed): \(network.links.ids.count) connections")
    }

    @Test("a subscription that the server ends goes on from where it ended", arguments: all.prefix(10))
    func kicks(seed: UInt64) {
        var options = rooms(Self.second)
        options.kicks = 20
        options.breaks = 1
        let network = ModelNetwork(seed: seed, options)
        network.run()
        let problems = problems(network, mayGap: true)
        #expect(problems.isEmpty, "seed \(seed): \(problems.prefix(5))")
        #expect(network.gaps > 0, "seed \(seed): too quiet")
    }

    @Test("the same seed gives the same run")
    func repeatable() {
        let (a, b) = (ModelNetwork(seed: 7, rooms(Self.mixed)), ModelNetwork(seed: 7, rooms(Self.mixed)))
        a.run()
        b.run()
        #expect(a.shown == b.shown && a.states == b.states)
    }
}
