import ConvergeTestSupport
import ConvergeCRDT
import ConvergeWire
import Testing

@testable import ConvergeGossip

/// Two nodes and the links between them, of which each side hears at its own pace.
private struct TwoNodes {
    enum Item { case opened(dialled: Text?), frame(PeerFrame), closed }

    struct Side {
        var links: PeerLinks
        var own: PeerHello
        var queues: [UInt64: [Item]] = [:]
        var linked: [LinkID] = []
        var renewed = 0
        var unlinked = 0
        var twins = 0
        var reached: [ReplicaID?] = []
    }

    var sides: [Side]
    var now: UInt64 = 0

    init(_ a: PeerHello, _ b: PeerHello, _ options: PeerLinksOptions = .init()) {
        sides = [a, b].map { Side(links: PeerLinks(options: options), own: $0) }
    }

    mutating func dial(_ side: Int, _ link: UInt64) {
        sides[side].queues[link] = [.opened(dialled: "x:1")]
        sides[1 - side].queues[link] = [.opened(dialled: nil)]
    }

    /// What may happen next: which side hears of which link.
    var choices: [(side: Int, link: UInt64)] {
        (0..<2).flatMap { side in
            sides[side].queues.keys.sorted().filter { !sides[side].queues[$0]!.isEmpty }.map { (side, $0) }
        }
    }

    mutating func step(_ side: Int, _ link: UInt64) {
        guard sides[side].queues[link]?.isEmpty == false, let item = sides[side].queues[link]?.removeFirst() else {
            return
        }
        let id = LinkID(rawValue: link)
        var effects: [PeerLinksEffect] = []
        let event: PeerLinksEvent =
            switch item {
            case .opened(let dialled): .opened(id, dialled: dialled)
            case .frame(let frame): .frame(id, frame)
            case .closed: .closed(id)
            }
        sides[side].links.handle(event, own: sides[side].own, at: now, into: &effects)
        for effect in effects {
            switch effect {
            case .send(let id, let frame): sides[1 - side].queues[id.rawValue]?.append(.frame(frame))
            case .close(let id):
                sides[side].queues[id.rawValue] = nil
                sides[1 - side].queues[id.rawValue]?.append(.closed)
            case .linked(let id, _, version: _, dialled: _, let renews):
                sides[side].linked.append(id)
                if renews { sides[side].renewed += 1 }
            case .unlinked: sides[side].unlinked += 1
            case .dialEnded(_, let reached): sides[side].reached.append(reached)
            case .twin: sides[side].twins += 1
            case .received, .violation: break
            }
        }
    }

    /// Runs every order in which the two can hear of what happens; `judge` sees each end. Returns how many there were.
    func everyOrder(_ judge: (TwoNodes) -> Void) -> Int {
        let choices = choices
        if choices.isEmpty {
            judge(self)
            return 1
        }
        var ends = 0
        for choice in choices {
            var next = self
            next.step(choice.side, choice.link)
            ends += next.everyOrder(judge)
        }
        return ends
    }

    mutating func settle(_ random: inout SplitMix64) {
        while let choice = choices.randomElement(using: &random) { step(choice.side, choice.link) }
    }

    func link(at side: Int) -> LinkID? { sides[side].links.link(to: sides[1 - side].own.replica) }
}

private func hello(
    _ replica: UInt64, process: UInt64? = nil, boot: UInt64 = 1, cluster: Text = "c",
    versions: ClosedRange<UInt16> = 1...1
) -> PeerHello {
    PeerHello(
        lowestVersion: versions.lowerBound, highestVersion: versions.upperBound, cluster: cluster,
        replica: ReplicaID(rawValue: replica), boot: boot, process: process ?? replica, name: "n", address: "a:1",
        wall: 0,
        incarnation: 0)
}

@Suite("Peer links")
struct PeerLinksTests {
    @Test("two that dial each other at once keep one link, the same one, in whatever order they hear of it")
    func simultaneous() {
        var nodes = TwoNodes(hello(1), hello(2))
        nodes.dial(0, 10)
        nodes.dial(1, 20)
        var wrong = 0
        let ends = nodes.everyOrder { end in
            // The one that the lower replica dialled.
            if end.link(at: 0) != LinkID(rawValue: 10) || end.link(at: 1) != LinkID(rawValue: 10) { wrong += 1 }
            for side in end.sides where side.linked.count - side.renewed - side.unlinked != 1 { wrong += 1 }
        }
        #expect(ends > 1_000 && wrong == 0, "\(wrong) of \(ends)")
    }

    @Test("a link that one side has lost gives way to the one that this side dials, whoever had dialled the first")
    func lostOnOneSide() {
        for first in 0...1 {
            var nodes = TwoNodes(hello(1), hello(2))
            var random = SplitMix64(seed: 1)
            nodes.dial(first, 10)
            nodes.settle(&random)
            nodes.now = 60_000
            // Side 1 hears that it is gone; side 0 does not.
            nodes.sides[1].queues[10] = [.closed]
            nodes.settle(&random)
            nodes.sides[0].queues[10] = nil
            nodes.dial(1, 20)
            nodes.settle(&random)
            #expect(nodes.link(at: 0) == LinkID(rawValue: 20) && nodes.link(at: 1) == LinkID(rawValue: 20))
        }
    }

    @Test("a node whose disk was set back is told so, though the process that it was before is gone")
    func setBack() {
        var links = PeerLinks()
        var effects: [PeerLinksEffect] = []
        func come(_ id: UInt64, process: UInt64, boot: UInt64) -> PeerRefusal? {
            effects = []
            links.handle(.opened(LinkID(rawValue: id), dialled: nil), own: hello(1), at: 0, into: &effects)
            let hello = hello(2, process: process, boot: boot)
            links.handle(
                .frame(LinkID(rawValue: id), .hello(hello)), own: ConvergeGossipTests.hello(1), at: 0, into: &effects)
            defer {
                links.handle(.closed(LinkID(rawValue: id)), own: ConvergeGossipTests.hello(1), at: 0, into: &effects)
            }
            for case .send(_, .refused(let refusal)) in effects { return refusal }
            return nil
        }
        let answers = [come(1, process: 5, boot: 3), come(2, process: 5, boot: 3), come(3, process: 6, boot: 3)]
        #expect(answers == [nil, nil, .twin])
        #expect(come(4, process: 7, boot: 2) == .twin)
        #expect(come(5, process: 7, boot: 4) == nil)
    }

    @Test("a link is there on both sides after one dial")
    func one() {
        var nodes = TwoNodes(hello(1), hello(2))
        nodes.dial(1, 7)
        var wrong = 0
        _ = nodes.everyOrder { end in
            if end.link(at: 0) != LinkID(rawValue: 7) || end.link(at: 1) != LinkID(rawValue: 7) { wrong += 1 }
            if end.sides.contains(where: { $0.linked.count != 1 || !$0.reached.isEmpty }) { wrong += 1 }
        }
        #expect(wrong == 0)
    }

    @Test("two that were dialled by one side at once are never both kept; dialling again, alone, gives a link")
    func twice() {
        var nodes = TwoNodes(hello(1), hello(2))
        nodes.dial(0, 10)
        nodes.dial(0, 11)
        var wrong = 0
        var none = 0
        _ = nodes.everyOrder { end in
            if end.link(at: 0) != end.link(at: 1) { wrong += 1 }
            if end.link(at: 0) == nil {
                none += 1
                var again = end
                again.dial(0, 12)
                var random = SplitMix64(seed: UInt64(none))
                again.settle(&random)
                if again.link(at: 0) != LinkID(rawValue: 12) || again.link(at: 1) != LinkID(rawValue: 12) { wrong += 1 }
            }
        }
        #expect(wrong == 0)
    }

    @Test("of twins exactly one goes on under another name: the one that was started later, in every order")
    func twins() {
        for (boots, later) in [((1, 2), 1), ((2, 1), 0), ((1, 1), 1)] as [((UInt64, UInt64), Int)] {
            var nodes = TwoNodes(hello(1, process: 5, boot: boots.0), hello(1, process: 6, boot: boots.1))
            nodes.dial(0, 10)
            var wrong = 0
            _ = nodes.everyOrder { end in
                if end.sides[later].twins != 1 || end.sides[1 - later].twins != 0 { wrong += 1 }
                if end.sides.contains(where: { !$0.links.peers.isEmpty }) { wrong += 1 }
            }
            #expect(wrong == 0, "boots \(boots)")
        }
    }

    @Test("a node that was cloned and goes on regardless is found out by this test")
    func twinsPlanted() {
        var options = PeerLinksOptions()
        options.planted = .clonedIdentityKept
        var nodes = TwoNodes(hello(1, process: 5), hello(1, process: 6), options)
        nodes.dial(0, 10)
        var found = 0
        _ = nodes.everyOrder { if $0.sides[1].twins == 0 { found += 1 } }
        #expect(found > 0)
    }

    @Test("a dial that reaches oneself ends quietly, and says so")
    func oneself() {
        var nodes = TwoNodes(hello(1), hello(1))
        nodes.dial(0, 10)
        var wrong = 0
        _ = nodes.everyOrder { end in
            if end.sides.contains(where: { $0.twins > 0 || !$0.linked.isEmpty }) { wrong += 1 }
            // Who hears it first from the other side does not know of whom it is.
            if end.sides[0].reached.count != 1 { wrong += 1 }
        }
        #expect(wrong == 0)
    }

    @Test("clusters of other names, and versions that have none in common, don't link")
    func refusals() {
        for other in [hello(2, cluster: "d"), hello(2, versions: 2...3)] {
            var nodes = TwoNodes(hello(1), other)
            nodes.dial(0, 10)
            var wrong = 0
            _ = nodes.everyOrder { end in
                if end.sides.contains(where: { !$0.linked.isEmpty }) || end.sides[0].reached != [nil] { wrong += 1 }
            }
            #expect(wrong == 0)
        }
    }

    @Test("the highest version that both speak is spoken")
    func versions() {
        var links = PeerLinks()
        var effects: [PeerLinksEffect] = []
        let own = hello(1, versions: 2...5)
        links.handle(.opened(LinkID(rawValue: 1), dialled: nil), own: own, at: 0, into: &effects)
        links.handle(.frame(LinkID(rawValue: 1), .hello(hello(2, versions: 1...4))), own: own, at: 0, into: &effects)
        guard case .linked(_, _, version: let version, dialled: nil, renews: false)? = effects.last else {
            Issue.record("\(effects)")
            return
        }
        #expect(version == 4)
    }

    /// Links to replica 2 by link 1.
    private static func linked(_ effects: inout [PeerLinksEffect]) -> PeerLinks {
        var links = PeerLinks()
        links.handle(.opened(LinkID(rawValue: 1), dialled: "b:1"), own: hello(1), at: 0, into: &effects)
        links.handle(.frame(LinkID(rawValue: 1), .hello(hello(2))), own: hello(1), at: 0, into: &effects)
        effects = []
        return links
    }

    @Test("a frame before the hello, and a second hello, close the link")
    func violations() {
        var effects: [PeerLinksEffect] = []
        var links = PeerLinks()
        links.handle(.opened(LinkID(rawValue: 1), dialled: nil), own: hello(1), at: 0, into: &effects)
        links.handle(.frame(LinkID(rawValue: 1), .summary(hash: 1)), own: hello(1), at: 0, into: &effects)
        #expect(effects.contains { if case .close = $0 { true } else { false } })
        #expect(!effects.contains { if case .received = $0 { true } else { false } })
        #expect(effects.count { if case .violation = $0 { true } else { false } } == 1)

        links = Self.linked(&effects)
        links.handle(.frame(LinkID(rawValue: 1), .hello(hello(2))), own: hello(1), at: 0, into: &effects)
        #expect(effects.contains { if case .close = $0 { true } else { false } })
        #expect(effects.contains { if case .unlinked = $0 { true } else { false } })
        #expect(effects.count { if case .violation = $0 { true } else { false } } == 1)
        #expect(links.peers.isEmpty)
    }

    @Test("a frame of an unknown kind closes the link before the hello, and nothing after it")
    func unknownFrame() {
        var effects: [PeerLinksEffect] = []
        var links = Self.linked(&effects)
        links.handle(.unknownFrame(LinkID(rawValue: 1)), own: hello(1), at: 0, into: &effects)
        #expect(effects.isEmpty && links.peers.count == 1)
        let new = LinkID(rawValue: 2)
        links.handle(.opened(new, dialled: nil), own: hello(1), at: 0, into: &effects)
        effects = []
        links.handle(.unknownFrame(new), own: hello(1), at: 0, into: &effects)
        #expect(effects.count { if case .violation = $0 { true } else { false } } == 1)
        #expect(effects.contains { if case .close(new) = $0 { true } else { false } })
        // What it still says is of no concern.
        effects = []
        links.handle(.unknownFrame(new), own: hello(1), at: 0, into: &effects)
        #expect(effects.isEmpty)
    }

    @Test("who has not said who it is can't say that we have a twin")
    func strangersTwin() {
        var effects: [PeerLinksEffect] = []
        var links = Self.linked(&effects)
        links.handle(.opened(LinkID(rawValue: 2), dialled: nil), own: hello(1), at: 0, into: &effects)
        links.handle(.frame(LinkID(rawValue: 2), .refused(.twin)), own: hello(1), at: 0, into: &effects)
        #expect(!effects.contains { if case .twin = $0 { true } else { false } })
        links.handle(.frame(LinkID(rawValue: 1), .refused(.twin)), own: hello(1), at: 0, into: &effects)
        #expect(effects.contains { if case .twin = $0 { true } else { false } })
    }

    @Test("who says no hello is closed when its time is over, who has said it is not")
    func timeout() {
        var effects: [PeerLinksEffect] = []
        var links = Self.linked(&effects)
        links.handle(.opened(LinkID(rawValue: 2), dialled: "c:1"), own: hello(1), at: 100, into: &effects)
        effects = []
        links.handle(.tick, own: hello(1), at: 5_099, into: &effects)
        #expect(effects.isEmpty)
        links.handle(.tick, own: hello(1), at: 5_100, into: &effects)
        #expect(links.timedOut == 1 && links.peers.count == 1)
        #expect(effects.contains { if case .dialEnded("c:1", reached: nil) = $0 { true } else { false } })
    }

    @Test("no more links than the limit wait for a hello; those that have said it don't count")
    func pending() {
        var effects: [PeerLinksEffect] = []
        var links = Self.linked(&effects)
        for id in 2...40 as ClosedRange<UInt64> {
            links.handle(.opened(LinkID(rawValue: id), dialled: nil), own: hello(1), at: 0, into: &effects)
        }
        #expect(links.refused == 7)
        links.handle(.closed(LinkID(rawValue: 5)), own: hello(1), at: 0, into: &effects)
        links.handle(.opened(LinkID(rawValue: 50), dialled: nil), own: hello(1), at: 0, into: &effects)
        #expect(links.refused == 7)
    }

    @Test("a new process of a peer takes the place of its dead link, whoever dialled")
    func restarted() {
        for dialled in [nil, "b:1"] as [Text?] {
            var effects: [PeerLinksEffect] = []
            var links = Self.linked(&effects)
            let new = LinkID(rawValue: 2)
            links.handle(.opened(new, dialled: dialled), own: hello(1), at: 0, into: &effects)
            let again = hello(2, process: 99, boot: 2)
            links.handle(.frame(new, .hello(again)), own: hello(1), at: 0, into: &effects)
            #expect(links.link(to: again.replica) == new && links.peers.count == 1)
            guard case .linked(_, _, version: _, dialled: _, renews: true)? = effects.last else {
                Issue.record("\(effects)")
                return
            }
            // What the old one still does is of no concern.
            effects = []
            links.handle(.closed(LinkID(rawValue: 1)), own: hello(1), at: 0, into: &effects)
            #expect(effects.isEmpty && links.peers.count == 1)
        }
    }

    @Test("a process that was not started after the linked one is its twin, or its disk was set back")
    func notAfter() {
        var effects: [PeerLinksEffect] = []
        var links = Self.linked(&effects)
        let new = LinkID(rawValue: 2)
        links.handle(.opened(new, dialled: nil), own: hello(1), at: 0, into: &effects)
        effects = []
        links.handle(.frame(new, .hello(hello(2, process: 99, boot: 1))), own: hello(1), at: 0, into: &effects)
        guard case .send(new, .refused(.twin))? = effects.first else {
            Issue.record("\(effects)")
            return
        }
        #expect(links.peers.map(\.process) == [2])
    }

    @Test("the hello of a process that has ended does not take the place of the one after it")
    func lateHello() {
        var effects: [PeerLinksEffect] = []
        var links = PeerLinks()
        for id in 1...2 as ClosedRange<UInt64> {
            links.handle(.opened(LinkID(rawValue: id), dialled: nil), own: hello(1), at: 0, into: &effects)
        }
        let (old, new) = (hello(2, process: 9, boot: 1), hello(2, process: 8, boot: 2))
        links.handle(.frame(LinkID(rawValue: 2), .hello(new)), own: hello(1), at: 0, into: &effects)
        links.handle(.frame(LinkID(rawValue: 1), .hello(old)), own: hello(1), at: 0, into: &effects)
        #expect(links.link(to: new.replica) == LinkID(rawValue: 2))
    }
}
