import ConvergeGossip
import ConvergeWire
import Testing

@testable import ConvergeNode

@Suite("Effects in their order") struct EffectOrderTests {
    private static func words(_ effects: [CoreEffect]) -> [String] {
        effects.map { effect in
            switch effect {
            case .openStore: "open"
            case .commit: "commit"
            case .prune: "prune"
            case .stage: "stage"
            case .install: "install"
            case .reload: "reload"
            case .read: "read"
            case .dial(let address): "dial \(address)"
            case .send(let link, _, _): "send \(link.rawValue)"
            case .closeLink(let link): "close \(link.rawValue)"
            case .deliver: "deliver"
            case .pass: "pass"
            case .report: "report"
            case .closeSessions: "close sessions"
            case .finished: "finished"
            }
        }
    }

    @Test("the disk's come first, then the peers', then the clients', each as they were decided")
    func order() {
        var effects: [CoreEffect] = [
            .report(.twin), .send(LinkID(rawValue: 1), [], bulk: false),
            .deliver(FrameBatchBuilder().finish(), LoopSet()), .closeLink(LinkID(rawValue: 1)), .read(.heads),
            .openStore(after: .zero, held: nil, renew: false), .dial("a:1"), .closeSessions, .finished,
        ]
        #expect(!effects.areInOrder)
        effects.putInOrder()
        #expect(effects.areInOrder)
        #expect(
            Self.words(effects) == [
                "open", "send 1", "close 1", "dial a:1", "report", "deliver", "read", "close sessions", "finished",
            ])
        var none: [CoreEffect] = []
        none.putInOrder()
        #expect(none.isEmpty && none.areInOrder)
    }

    @Test("a turn that stores, pushes and shows gives the disk its work first, and shows last")
    func turn() {
        let cluster = CoreCluster(2)
        cluster.start()
        let ann = cluster.enter(0, "ann")
        _ = cluster.enter(1, "bob")
        cluster.holds = [0]
        cluster.send(0, ann, .say("on its way"))
        cluster.send(0, ann, .say("gathered"))
        var turns: [[String]] = []
        cluster.onTurn = { index, effects in if index == 0 { turns.append(Self.words(effects)) } }
        cluster.release(0)
        // The first is stored: the second goes to the disk, and the first to the peer and to those in the room.
        #expect(turns.first?.map { $0.prefix { $0 != " " } } == ["commit", "send", "deliver"])
        cluster.onTurn = nil
        cluster.run(1)
        #expect(cluster.bodies(0) == ["on its way", "gathered"] && cluster.bodies(1) == cluster.bodies(0))
    }
}
