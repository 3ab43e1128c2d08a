import ConvergeCRDT
import ConvergeGossip
import ConvergeWire
import Testing

/// One node, told everything by hand.
@Suite struct MembershipNodeTests {
    private let me = ReplicaID(rawValue: 50)
    private let peer = ReplicaID(rawValue: 60)
    private let third = ReplicaID(rawValue: 70)

    /// One membership and its time.
    private struct Bench {
        var membership: Membership
        var now: UInt64 = 1000

        @discardableResult
        mutating func callAsFunction(_ event: MembershipEvent) -> [MembershipEffect] {
            var effects: [MembershipEffect] = []
            membership.handle(event, at: now, wall: 1_000_000_000 + now, into: &effects)
            return effects
        }

        /// Ticks when they are due, for so long.
        mutating func run(for time: UInt64) -> [MembershipEffect] {
            var effects: [MembershipEffect] = []
            let end = now + time
            while max(membership.deadline, now + 1) <= end {
                now = max(membership.deadline, now + 1)
                effects += self(.tick)
            }
            now = end
            return effects
        }
    }

    private func bench(
        seeds: [Text] = [], remembered: [RememberedMember] = [], options: MembershipOptions = MembershipOptions()
    ) -> (Bench, [MembershipEffect]) {
        var bench = Bench(
            membership: Membership(name: "me", address: "me:1", seeds: seeds, options: options, seed: 1))
        let effects = bench(.started(replica: me, remembered: remembered))
        return (bench, effects)
    }

    private func update(
        _ replica: ReplicaID, _ state: MemberState, _ incarnation: UInt64, from: ReplicaID? = nil
    ) -> MemberUpdate {
        let number = replica.rawValue
        return MemberUpdate(
            replica: replica, incarnation: incarnation, state: state, from: from ?? replica,
            address: Text("\(number):1"), name: Text("\(number)"))
    }

    private func open(_ replica: ReplicaID, incarnation: UInt64 = 0) -> MembershipEvent {
        let number = replica.rawValue
        return .linkOpened(replica, address: Text("\(number):1"), name: Text("\(number)"), incarnation: incarnation)
    }

    private func sent(_ effects: [MembershipEffect], to peer: ReplicaID) -> [PeerFrame] {
        effects.compactMap { if case .send(peer, let frame) = $0 { frame } else { nil } }
    }

    private func updates(_ frames: [PeerFrame]) -> [MemberUpdate] {
        frames.flatMap { frame -> [MemberUpdate] in
            switch frame {
            case .members(let updates), .probe(_, let updates), .probeAck(_, let updates): updates
            case .probeRequest(_, _, let updates): updates
            default: []
            }
        }
    }

    private func dials(_ effects: [MembershipEffect]) -> [Text] {
        effects.compactMap { if case .dial(let address) = $0 { address } else { nil } }
    }

    // MARK: Successors

    @Test func `only who lives under the name and at the address of a faulty member replaces it`() {
        var (node, _) = bench()
        node(open(peer))
        func hear(_ number: UInt64, _ state: MemberState, name: Text, address: Text) -> [MembershipEffect] {
            let replica = ReplicaID(rawValue: number)
            let update = MemberUpdate(
                replica: replica, incarnation: 1, state: state, from: replica, address: address, name: name)
            return node(.frame(from: peer, .members([update])))
        }
        func successor() -> ReplicaID? { node.membership.members.first { $0.replica.rawValue == 80 }?.successor }
        _ = hear(80, .faulty, name: "n", address: "n:1")
        _ = hear(81, .alive, name: "n", address: "other:1")
        _ = hear(82, .alive, name: "other", address: "n:1")
        _ = hear(83, .suspect, name: "n", address: "n:1")
        #expect(successor() == nil)
        let effects = hear(84, .alive, name: "n", address: "n:1")
        #expect(successor() == ReplicaID(rawValue: 84))
        #expect(effects.contains(.replaced(ReplicaID(rawValue: 80), by: ReplicaID(rawValue: 84))))
        // One that nobody can dial could be anybody of that name.
        _ = hear(85, .faulty, name: "m", address: "")
        let nowhere = hear(86, .alive, name: "m", address: "")
        #expect(!nowhere.contains { if case .replaced = $0 { true } else { false } })
        // This node itself was another before.
        let former = hear(87, .faulty, name: "me", address: "me:1")
        #expect(former.contains(.replaced(ReplicaID(rawValue: 87), by: me)))
    }

    // MARK: Claims

    @Test func `the newer incarnation wins, and of one the worse state`() {
        var (node, _) = bench()
        node(open(peer))
        let other = ReplicaID(rawValue: 99)
        func hear(_ state: MemberState, _ incarnation: UInt64) -> MemberState? {
            node(.frame(from: peer, .members([update(other, state, incarnation, from: peer)])))
            return node.membership.state(of: other)
        }
        #expect(hear(.alive, 3) == .alive)
        #expect(hear(.suspect, 2) == .alive)
        #expect(hear(.suspect, 3) == .suspect)
        #expect(hear(.alive, 3) == .suspect)
        #expect(hear(.alive, 4) == .alive)
        #expect(hear(.faulty, 4) == .faulty)
        #expect(hear(.suspect, 4) == .faulty)
        #expect(hear(.left, 4) == .left)
        #expect(hear(.faulty, 4) == .left)
        #expect(hear(.alive, 5) == .alive)
    }

    @Test(arguments: [MemberState.suspect, .faulty, .left])
    func `a node that is said not to live says that it does`(state: MemberState) {
        var (node, _) = bench()
        node(open(peer, incarnation: 0))
        let effects = node(.frame(from: peer, .members([update(me, state, 4, from: peer)])))
        #expect(node.membership.incarnation == 5)
        #expect(node.membership.counters.refutations == 1)
        let answers = updates(sent(effects, to: peer)).filter { $0.replica == me }
        #expect(answers.contains { $0.state == .alive && $0.incarnation == 5 && $0.address == "me:1" })
        node(.frame(from: peer, .members([update(me, state, 4, from: peer)])))
        #expect(node.membership.incarnation == 5, "an old accusation is not refuted again")
    }

    @Test func `an absurd incarnation is not believed`() {
        var (node, _) = bench()
        node(open(peer))
        node(.frame(from: peer, .members([update(me, .faulty, .max), update(third, .alive, .max - 1)])))
        #expect(node.membership.incarnation == 0)
        #expect(node.membership.state(of: third) == nil)
        #expect(node.membership.counters.refusedUpdates == 2)
    }

    @Test func `one that comes with a link lives, and hears what is held against it`() {
        for state in [MemberState.suspect, .faulty, .left] {
            var (node, _) = bench()
            node(open(third))
            node(.frame(from: third, .members([update(peer, state, 7, from: third)])))
            #expect(node.membership.state(of: peer) == state)
            let effects = node(open(peer, incarnation: 2))
            #expect(node.membership.state(of: peer) == .alive)
            #expect(updates(sent(effects, to: peer)).contains { $0.replica == peer && $0.incarnation == 7 })
            // What others still say does not count until it refutes.
            node(.frame(from: third, .members([update(peer, state, 7, from: third)])))
            #expect(node.membership.state(of: peer) == .alive)
            node(.frame(from: peer, .members([update(peer, .alive, 8)])))
            #expect(node.membership.members.first { $0.replica == peer }?.incarnation == 8)
            node(.frame(from: third, .members([update(peer, .left, 8, from: third)])))
            #expect(node.membership.state(of: peer) == .left)
        }
    }

    @Test func `a suspect with a link hears of it first`() {
        var (node, _) = bench()
        node(open(peer))
        node(open(third))
        let effects = node(.frame(from: third, .members([update(peer, .suspect, 0, from: third)])))
        let told = sent(effects, to: peer)
        #expect(told.first == .members([update(peer, .suspect, 0, from: third)]))
        let isProbed = told.contains { if case .probe = $0 { true } else { false } }
        #expect(isProbed, "and is looked after at once")
    }

    @Test func `one that is heard itself is not faulty on another's word, but suspected`() {
        var (node, _) = bench()
        node(open(peer))
        node(open(third))
        node(.frame(from: third, .members([update(peer, .faulty, 0, from: third)])))
        #expect(node.membership.state(of: peer) == .suspect)
    }

    @Test func `whoever is behind is told what is newer`() {
        var (node, _) = bench()
        node(open(peer))
        node(open(third, incarnation: 9))
        let effects = node(.frame(from: peer, .members([update(third, .suspect, 3, from: peer)])))
        #expect(updates(sent(effects, to: peer)).contains(update(third, .alive, 9)))
    }

    // MARK: Probes for others

    @Test func `a request is passed on, and its answer comes back`() {
        var (node, _) = bench()
        node(open(peer))
        node(open(third))
        let asked = node(.frame(from: peer, .probeRequest(number: 4, target: third, [])))
        guard case .probe(let number, _)? = sent(asked, to: third).last else {
            Issue.record("no probe")
            return
        }
        let answered = node(.frame(from: third, .probeAck(number: number, [])))
        guard case .probeAck(4, _)? = sent(answered, to: peer).first else {
            Issue.record("no answer")
            return
        }
    }

    @Test func `without a link to the target, and nobody to ask, the answer is no at once`() {
        var (node, _) = bench()
        node(open(peer))
        let effects = node(.frame(from: peer, .probeRequest(number: 6, target: third, [])))
        #expect(sent(effects, to: peer) == [.probeNack(number: 6)])
    }

    @Test func `a target that keeps silent is denied before the requester gives up`() {
        var (node, _) = bench()
        node(open(peer))
        node(open(third))
        node(.frame(from: peer, .probeRequest(number: 4, target: third, [])))
        let effects = node.run(for: 299)
        #expect(sent(effects, to: peer).contains(.probeNack(number: 4)))
    }

    // MARK: Dialling

    @Test func `an address is dialled for ever, ever more seldom, never at fixed times`() {
        var (node, _) = bench(seeds: ["a:1"])
        var times: [UInt64] = []
        while times.count < 200 {
            node.now = max(node.membership.deadline, node.now + 1)
            guard dials(node(.tick)) == ["a:1"] else { continue }
            times.append(node.now)
            node(.dialFailed("a:1"))
        }
        let waits = zip(times.dropFirst(), times).map { $0 - $1 }
        #expect((50...101).contains(waits[0]))
        #expect((100...201).contains(waits[1]))
        let late = waits.dropFirst(8)
        #expect(late.allSatisfy { (2500...5001).contains($0) })
        #expect(Set(late).count > 100, "jittered")
    }

    @Test func `an address has one dial at a time, and none while it is linked`() {
        var (node, _) = bench(seeds: ["alias:1"])
        #expect(dials(node.run(for: 20_000)) == ["alias:1"])
        node(.linkOpened(peer, address: "60:1", name: "60", incarnation: 0, dialled: "alias:1"))
        #expect(dials(node.run(for: 500)).isEmpty)
        node(.linkClosed(peer))
        #expect(Set(dials(node.run(for: 500))) == ["alias:1", "60:1"])
    }

    @Test func `where it meets itself a node does not dial again for long`() {
        var (node, _) = bench(seeds: ["alias:1", "me:1"])
        #expect(dials(node.run(for: 100)) == ["alias:1"], "its own address it knows")
        node(.dialFailed("alias:1", reached: me))
        #expect(dials(node.run(for: 600_000)).isEmpty)
    }

    @Test func `an address that leads to a linked peer is left alone`() {
        var (node, _) = bench(seeds: ["alias:1"])
        node(open(peer))
        #expect(dials(node.run(for: 100)) == ["alias:1"])
        node(.dialFailed("alias:1", reached: peer))
        #expect(dials(node.run(for: 1000)).isEmpty)
    }

    @Test func `members that others name are dialled, later where they have the lower replica`() {
        var (node, _) = bench()
        node(open(peer))
        let lower = ReplicaID(rawValue: 40)
        node(.frame(from: peer, .members([update(lower, .alive, 0), update(third, .alive, 0)])))
        #expect(dials(node.run(for: 110)) == ["70:1"])
        #expect(dials(node.run(for: 200)) == ["40:1"])
    }

    // MARK: The store

    @Test func `names and addresses with control characters are neither kept nor passed on`() {
        var (node, _) = bench()
        node(open(peer))
        var bad = update(third, .alive, 1)
        bad.name = "\u{7F}\u{1B}[2Jx"
        bad.address = "70:1\u{9B}"
        var effects = node(.frame(from: peer, .members([bad])))
        let member = node.membership.members.first { $0.replica == third }
        #expect(member?.name == "\u{FFFD}\u{FFFD}[2Jx" && member?.address == "")
        effects += node.run(for: 20_000)
        #expect(!effects.contains(.dial(bad.address)))
        let told = updates(sent(effects, to: peer)).filter { $0.replica == third }
        #expect(!told.isEmpty && told.allSatisfy { !$0.name.hasControls && !$0.address.hasControls })
    }

    @Test func `what an earlier build remembered with control characters is survived`() {
        let named = RememberedMember(address: "60:1", replica: peer, name: "\u{7F}é\u{7F}", seen: 5000)
        let nowhere = RememberedMember(address: "70:\u{7F}", replica: third, name: "70", seen: 5000)
        var (node, started) = bench(remembered: [named, nowhere])
        #expect(node.membership.members.map(\.name) == ["\u{FFFD}é\u{FFFD}"])
        #expect(started.contains(.drop(address: "70:\u{7F}")))
        #expect(!node.run(for: 20_000).contains(.dial("70:\u{7F}")))
    }

    @Test func `what is remembered is dialled, and has a vote, before it is heard of`() {
        let stored = RememberedMember(address: "60:1", replica: peer, name: "60", seen: 5000)
        var (node, started) = bench(remembered: [stored])
        #expect(started == [.changed(peer, .suspect)])
        #expect(node.membership.voting == [me, peer])
        let effects = node.run(for: 10_000)
        #expect(dials(effects) == ["60:1"])
        #expect(effects.contains(.changed(peer, .faulty)))
        #expect(node.membership.voting == [me, peer])
        #expect(node.membership.live == [me])
    }

    @Test func `only what was heard is passed on`() {
        let stored = RememberedMember(address: "60:1", replica: peer, name: "60", seen: 5000)
        var (node, _) = bench(remembered: [stored])
        let later = node.run(for: 10_000)
        #expect(later.contains(.changed(peer, .faulty)))
        let effects = node(open(third))
        #expect(!updates(sent(effects, to: third)).contains { $0.replica == peer })
        node(.frame(from: third, .members([update(peer, .alive, 0)])))
        #expect(node.membership.state(of: peer) == .alive, "anything that is heard counts more")
    }

    @Test func `after a day a faulty member has no vote but is dialled, also after a restart`() {
        var options = MembershipOptions()
        options.forgetAfter = 100_000
        var (node, _) = bench(options: options)
        var stored: [Text: RememberedMember] = [:]
        func keep(_ effects: [MembershipEffect]) {
            for case .remember(let member) in effects { stored[member.address] = member }
        }
        keep(node(open(peer)))
        keep(node(open(third)))
        node(.linkClosed(peer))
        node(.linkClosed(third))
        var effects = node.run(for: 50_000)
        #expect(node.membership.voting == [me, peer, third])
        keep(effects)
        effects = node.run(for: 60_000)
        keep(effects)
        #expect(effects.contains(.forgotten(peer)) && effects.contains(.forgotten(third)))
        #expect(node.membership.voting == [me])
        let (again, started) = bench(remembered: [stored["60:1"]!, stored["70:1"]!], options: options)
        #expect(again.membership.voting == [me])
        #expect(started.contains(.forgotten(peer)))
        node = again
        #expect(Set(dials(node.run(for: 100))) == ["60:1", "70:1"])
        node(open(peer))
        #expect(node.membership.voting == [me, peer])
    }

    @Test func `the store is bounded: the faulty one that was not seen for the longest time goes`() {
        var options = MembershipOptions()
        options.rememberedLimit = 3
        var (node, _) = bench(options: options)
        for number in 101...103 as ClosedRange<UInt64> {
            node.now += 10
            node(open(ReplicaID(rawValue: number)))
        }
        #expect(!node(open(ReplicaID(rawValue: 104))).contains { if case .remember = $0 { true } else { false } })
        #expect(node.membership.counters.refusedAddresses > 0, "all that are stored live")
        node(.linkClosed(ReplicaID(rawValue: 102)))
        node(.frame(from: ReplicaID(rawValue: 101), .members([update(ReplicaID(rawValue: 102), .faulty, 0)])))
        #expect(node.membership.state(of: ReplicaID(rawValue: 102)) == .faulty)
        let effects = node(open(ReplicaID(rawValue: 105)))
        #expect(effects.contains(.drop(address: "102:1")))
    }

    @Test func `members are bounded: the longest forgotten one makes room`() {
        var options = MembershipOptions()
        options.memberLimit = 2
        var (node, _) = bench(options: options)
        node(open(peer))
        node(open(third))
        node(open(ReplicaID(rawValue: 80)))
        #expect(node.membership.counters.refusedMembers == 1)
        node(.frame(from: peer, .members([update(peer, .left, 0)])))
        node(.linkClosed(peer))
        node(open(ReplicaID(rawValue: 80)))
        #expect(node.membership.live == [me, third, ReplicaID(rawValue: 80)])
    }

    @Test func `a node that did not run for a while blames nobody for it`() {
        var (node, _) = bench()
        node(open(peer))
        node(open(third))
        _ = node.run(for: 1500)
        node.now += 60_000
        node(.tick)
        #expect(node.membership.counters.stalls == 1)
        #expect(node.membership.live == [me, peer, third])
        #expect(node.membership.counters.suspicions == 0)
    }

    // MARK: Planted faults

    @Test func `planted: no refutation, no suspicion, no dial after a while`() {
        var options = MembershipOptions()
        options.planted = [.noRefutation, .neverSuspected, .dialGivenUp]
        var (node, _) = bench(seeds: ["a:1"], options: options)
        node(open(peer))
        node(.frame(from: peer, .members([update(me, .suspect, 4, from: peer)])))
        #expect(node.membership.incarnation == 0)
        node(.linkClosed(peer))
        var count = 0
        for _ in 0..<1000 {
            for address in dials(node.run(for: 100)) {
                node(.dialFailed(address))
                count += address == "a:1" ? 1 : 0
            }
        }
        #expect(count == 5)
        #expect(node.membership.state(of: peer) == .alive)
    }
}
