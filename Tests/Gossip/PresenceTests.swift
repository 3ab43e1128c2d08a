import ConvergeTestSupport
import ConvergeCRDT
import ConvergeGossip
import ConvergeWire
import Testing

@Suite struct PresenceTests {
    private let me = ReplicaID(rawValue: 5)
    private let peer = ReplicaID(rawValue: 7)
    private let third = ReplicaID(rawValue: 9)

    private func started(_ options: PresenceOptions = PresenceOptions()) -> Presence {
        var presence = Presence(options: options)
        _ = presence.effects(of: .started(replica: me, boot: 1))
        _ = presence.effects(of: .linked(peer))
        return presence
    }

    private func delta(
        _ owner: ReplicaID, boot: UInt64 = 1, from: UInt64, _ changes: [(Text, UInt32)]
    ) -> PeerFrame {
        .presenceDelta(
            PresenceDelta(owner: owner, boot: boot, from: from, changes: changes.map { seat($0.0, $0.1) }))
    }

    private func chunk(
        _ owner: ReplicaID, boot: UInt64 = 1, version: UInt64, index: UInt32 = 0, isLast: Bool = true, _ users: [Text]
    ) -> PeerFrame {
        .presenceChunk(
            PresenceChunk(
                owner: owner, boot: boot, version: version, index: index, isLast: isLast,
                seats: users.map { seat($0, 1) }))
    }

    private func seat(_ user: Text, _ sessions: UInt32) -> Seat {
        Seat(room: "dev", user: user, displayName: sessions > 0 ? user : "", sessions: sessions)
    }

    private func came(_ user: Text) -> PresenceEffect { .came(room: "dev", user: user, displayName: user) }

    private func went(_ user: Text, lost: Bool = false) -> PresenceEffect {
        .went(room: "dev", user: user, displayName: user, lost: lost)
    }

    private func want(_ owner: ReplicaID, boot: UInt64 = 1, of peer: ReplicaID) -> PresenceEffect {
        .send(peer, .presenceWant(PresenceWant(owner: owner, boot: boot)), bulk: false)
    }

    // MARK: Sessions of this node

    @Test("until the node has a name its users are there, and nobody is told of a version or a node")
    func nameless() {
        var presence = Presence()
        _ = presence.effects(of: .started(replica: nil, boot: 0))
        #expect(
            presence.effects(of: .entered(room: "dev", user: "ada", displayName: "Ada")) == [
                .came(room: "dev", user: "ada", displayName: "Ada")
            ])
        #expect(presence.versions.isEmpty)
        #expect(presence.occupants(of: "dev").shown.map(\.nodes) == [[]])
        _ = presence.effects(of: .started(replica: me, boot: 3))
        #expect(presence.versions.map(\.owner) == [me])
        #expect(presence.occupants(of: "dev").shown.map(\.nodes) == [[me]])
    }

    @Test("a user comes with the first session and goes with the last")
    func firstAndLast() {
        var presence = started()
        #expect(presence.effects(of: .entered(room: "dev", user: "ada", displayName: "ada")) == [came("ada")])
        #expect(presence.effects(of: .entered(room: "dev", user: "ada", displayName: "ada")) == [])
        #expect(presence.effects(of: .left(room: "dev", user: "ada")) == [])
        #expect(presence.isPresent(room: "dev", user: "ada") && presence.isHosted(room: "dev", user: "ada"))
        #expect(presence.effects(of: .left(room: "dev", user: "ada")) == [went("ada")])
        #expect(!presence.isPresent(room: "dev", user: "ada") && !presence.isHosted(room: "dev", user: "ada"))
        #expect(presence.effects(of: .left(room: "dev", user: "ada")) == [])
        #expect(presence.rooms().isEmpty)
    }

    @Test("a session elsewhere keeps the user in the room, and counts")
    func sessionElsewhere() {
        var presence = started()
        _ = presence.effects(of: .entered(room: "dev", user: "ada", displayName: "Ada"))
        #expect(presence.effects(of: .frame(from: peer, delta(peer, from: 0, [("ada", 2)]))) == [])
        let there = Presence.Occupant(user: "ada", displayName: "Ada", sessions: 3, nodes: [me, peer])
        #expect(presence.occupants(of: "dev").shown == [there])
        #expect(presence.effects(of: .left(room: "dev", user: "ada")) == [])
        #expect(presence.isPresent(room: "dev", user: "ada") && !presence.isHosted(room: "dev", user: "ada"))
        #expect(presence.effects(of: .frame(from: peer, delta(peer, from: 1, [("ada", 0)]))) == [went("ada")])
    }

    @Test("the changes of one turn leave in one frame, to all peers, when it ends")
    func oneFrameATurn() {
        var presence = started()
        _ = presence.effects(of: .linked(third))
        _ = presence.effects(of: .entered(room: "dev", user: "ada", displayName: "ada"))
        _ = presence.effects(of: .entered(room: "dev", user: "bob", displayName: "bob"))
        let frame = delta(me, from: 0, [("ada", 1), ("bob", 1)])
        #expect(presence.versions.map(\.version) == [0], "nobody is to ask for what is about to come")
        #expect(presence.flushed() == [.send(peer, frame, bulk: false), .send(third, frame, bulk: false)])
        #expect(presence.flushed() == [])
        #expect(presence.versions.map(\.version) == [2])
    }

    @Test("one owner's part has a bound, and who is refused leaves nothing behind")
    func seatBound() {
        var presence = started(PresenceOptions(seatsPerOwner: 2))
        for user in ["a", "b", "c"] as [Text] {
            _ = presence.effects(of: .entered(room: "dev", user: user, displayName: user))
        }
        #expect(presence.effects(of: .left(room: "dev", user: "c")) == [])
        _ = presence.effects(of: .frame(from: peer, delta(peer, from: 0, [("x", 1)])))
        _ = presence.effects(of: .frame(from: peer, delta(peer, from: 1, [("y", 1), ("z", 1), ("x", 2)])))
        #expect(presence.attendance().map(\.user) == ["a", "b", "x", "y"])
        #expect(presence.counters.seatsRefused == 2)
    }

    // MARK: Parts of others

    @Test("a delta that begins behind what is here asks for all, and is applied after it")
    func gap() {
        var presence = started()
        let asked = presence.effects(of: .frame(from: peer, delta(peer, from: 3, [("eve", 1)])))
        #expect(asked == [want(peer, of: peer)])
        #expect(presence.effects(of: .frame(from: peer, delta(peer, from: 4, [("ada", 0)]))) == [])
        let answer = presence.effects(of: .frame(from: peer, chunk(peer, version: 3, ["bob", "ada"])))
        #expect(answer == [came("ada"), came("bob"), came("eve"), went("ada")])
        #expect(presence.versions.first { $0.owner == peer }?.version == 5)
    }

    @Test("a delta that is known in part gives its rest, and an older boot's gives nothing")
    func overlap() {
        var presence = started()
        _ = presence.effects(of: .frame(from: peer, delta(peer, boot: 2, from: 0, [("ada", 1), ("ada", 0)])))
        let more = delta(peer, boot: 2, from: 0, [("ada", 1), ("ada", 0), ("bob", 1)])
        #expect(presence.effects(of: .frame(from: peer, more)) == [came("bob")])
        #expect(presence.effects(of: .frame(from: peer, more)) == [])
        #expect(presence.effects(of: .frame(from: peer, delta(peer, boot: 1, from: 0, [("eve", 1)]))) == [])
    }

    @Test("chunks are put in place when the last one has come")
    func staged() {
        var presence = started()
        _ = presence.effects(of: .digest(from: peer, [.init(owner: peer, boot: 1, version: 9)], direct: []))
        #expect(presence.effects(of: .frame(from: peer, chunk(peer, version: 9, isLast: false, ["bob"]))) == [])
        #expect(presence.effects(of: .frame(from: peer, chunk(peer, version: 9, isLast: false, ["bob"]))) == [])
        #expect(!presence.isPresent(room: "dev", user: "bob"))
        let last = presence.effects(of: .frame(from: peer, chunk(peer, version: 9, index: 1, ["ada"])))
        #expect(last == [came("ada"), came("bob")])
    }

    @Test("a missing chunk spoils the transfer, and another peer is asked in time")
    func missingChunk() {
        var presence = started()
        _ = presence.effects(of: .linked(third))
        let has = [PresenceVersion(owner: ReplicaID(rawValue: 1), boot: 1, version: 9)]
        let owner = has[0].owner
        #expect(presence.effects(of: .digest(from: peer, has, direct: [])) == [want(owner, of: peer)])
        #expect(presence.effects(of: .digest(from: third, has, direct: [])) == [], "one question at a time")
        _ = presence.effects(of: .frame(from: peer, chunk(owner, version: 9, isLast: false, ["bob"])))
        #expect(presence.effects(of: .frame(from: peer, chunk(owner, version: 9, index: 2, ["ada"]))) == [])
        #expect(presence.effects(of: .tick, at: 2_999) == [])
        #expect(presence.effects(of: .tick, at: 6_000) == [want(owner, of: third)])
        #expect(presence.effects(of: .unlinked(third), at: 6_001) == [want(owner, of: peer)])
        let stray = presence.effects(of: .frame(from: peer, chunk(owner, version: 9, index: 1, ["ada"])))
        #expect(stray == [])
        #expect(presence.effects(of: .unlinked(peer), at: 6_002) == [], "nobody is left to ask")
    }

    @Test("a new boot replaces the old one whole: who stays does not move, who is not there any more was lost")
    func newBoot() {
        var presence = started()
        _ = presence.effects(of: .frame(from: peer, delta(peer, from: 0, [("ada", 1), ("bob", 1)])))
        let asked = presence.effects(of: .digest(from: peer, [.init(owner: peer, boot: 2, version: 4)], direct: []))
        #expect(asked == [want(peer, boot: 2, of: peer)])
        let answer = presence.effects(of: .frame(from: peer, chunk(peer, boot: 2, version: 4, ["eve", "bob"])))
        #expect(answer == [went("ada", lost: true), came("eve")].sorted { "\($0)" > "\($1)" })
        let restarted = presence.effects(of: .frame(from: peer, delta(peer, boot: 3, from: 0, [("bob", 1)])))
        #expect(restarted == [went("eve", lost: true)])
    }

    @Test("an owner that has less than it had is asked for all, and what it says counts")
    func regression() {
        var presence = started()
        _ = presence.effects(of: .frame(from: peer, delta(peer, from: 0, [("ada", 1), ("bob", 1)])))
        let early = PresenceEvent.digest(from: peer, [.init(owner: peer, boot: 1, version: 1)], direct: [])
        #expect(presence.effects(of: early) == [], "others may be quicker than the owner's own link")
        #expect(presence.effects(of: early) == [want(peer, of: peer)])
        #expect(presence.versions.map(\.owner) == [me], "what its owner disowned is offered to nobody")
        #expect(presence.effects(of: .frame(from: peer, chunk(peer, version: 1, ["ada"]))) == [went("bob")])
    }

    @Test("what the owner pushes is waited for, until a second digest shows that it was lost")
    func twoDigests() {
        var presence = started()
        _ = presence.effects(of: .linked(third))
        _ = presence.effects(of: .frame(from: peer, delta(peer, from: 0, [("ada", 1)])))
        let ahead = PresenceEvent.digest(from: third, [.init(owner: peer, boot: 1, version: 2)], direct: [])
        #expect(presence.effects(of: ahead) == [])
        #expect(presence.effects(of: ahead) == [want(peer, of: third)])
    }

    // MARK: Passing on and answering

    @Test("what is new goes on to peers that have no link to its owner, and to no other")
    func relay() {
        var presence = started()
        let far = ReplicaID(rawValue: 11)
        _ = presence.effects(of: .linked(third))
        _ = presence.effects(of: .linked(far))
        _ = presence.effects(of: .digest(from: third, [], direct: [me, peer]))
        let frame = delta(peer, from: 0, [("ada", 1)])
        #expect(presence.effects(of: .frame(from: peer, frame)) == [came("ada"), .send(far, frame, bulk: false)])
        #expect(presence.effects(of: .frame(from: far, frame)) == [])
    }

    @Test("a peer that is a little behind gets the changes, one that has nothing gets all, and not twice at once")
    func serving() {
        var presence = started()
        for user in ["ada", "bob"] as [Text] {
            _ = presence.effects(of: .entered(room: "dev", user: user, displayName: user))
        }
        _ = presence.flushed()
        let ask = PresenceEvent.frame(from: peer, .presenceWant(PresenceWant(owner: me, boot: 1)))
        let whole: [PresenceEffect] = [.send(peer, chunk(me, version: 2, ["ada", "bob"]), bulk: true)]
        #expect(presence.effects(of: ask) == whole)
        #expect(presence.effects(of: ask, at: 1) == [])
        #expect(presence.effects(of: ask, at: 1_500) == whole)
        _ = presence.effects(of: .digest(from: peer, [.init(owner: me, boot: 1, version: 1)], direct: []))
        #expect(presence.effects(of: ask) == [.send(peer, delta(me, from: 1, [("bob", 1)]), bulk: false)])
    }

    @Test("any node that has a part gives it to who has no way to its owner")
    func servingForOthers() {
        var presence = started()
        _ = presence.effects(of: .frame(from: peer, delta(peer, from: 0, [("ada", 1)])))
        _ = presence.effects(of: .linked(third))
        let ask = PresenceEvent.frame(from: third, .presenceWant(PresenceWant(owner: peer, boot: 1)))
        #expect(presence.effects(of: ask) == [.send(third, chunk(peer, version: 1, ["ada"]), bulk: true)])
        let newer = PresenceEvent.frame(from: third, .presenceWant(PresenceWant(owner: peer, boot: 2)))
        #expect(presence.effects(of: newer, at: 9_000) == [])
    }

    // MARK: Members

    @Test("who is on a faulty node is lost, and there again when it is alive; a suspect is believed")
    func faulty() {
        var presence = started()
        _ = presence.effects(of: .frame(from: peer, delta(peer, from: 0, [("bob", 1), ("ada", 1)])))
        #expect(presence.effects(of: .memberChanged(peer, .suspect)) == [])
        #expect(
            presence.effects(of: .memberChanged(peer, .faulty)) == [went("ada", lost: true), went("bob", lost: true)])
        #expect(presence.effects(of: .memberChanged(peer, .left)) == [])
        #expect(presence.occupants(of: "dev").count == 0 && presence.rooms().isEmpty)
        _ = presence.effects(of: .frame(from: peer, delta(peer, from: 2, [("bob", 0), ("eve", 1)])))
        #expect(presence.effects(of: .memberChanged(peer, .alive)) == [came("ada"), came("eve")])
    }

    @Test("who hears of itself what it has not told goes on after that, and gives all of it to who asks")
    func surpassed() {
        var presence = Presence()
        var effects: [PresenceEffect] = []
        let (own, peer) = (ReplicaID(rawValue: 1), ReplicaID(rawValue: 2))
        func said(_ boot: UInt64, _ version: UInt64) -> [PresenceEffect] {
            let version = PresenceVersion(owner: own, boot: boot, version: version)
            presence.handle(.digest(from: peer, [version], direct: [own]), at: 0, into: &effects)
            defer { effects = [] }
            return effects
        }
        func version() -> PresenceVersion? { presence.versions.first { $0.owner == own } }
        presence.handle(.started(replica: own, boot: 2), at: 0, into: &effects)
        presence.handle(.linked(peer), at: 0, into: &effects)
        presence.handle(.entered(room: "red", user: "ann", displayName: "Ann"), at: 0, into: &effects)
        presence.flush(into: &effects)
        _ = said(2, 1)
        _ = said(1, 9)
        #expect(version() == PresenceVersion(owner: own, boot: 2, version: 1) && presence.counters.surpassed == 0)
        // An earlier life of the same boot told more.
        _ = said(2, 7)
        #expect(version() == PresenceVersion(owner: own, boot: 2, version: 8))
        effects = []
        presence.handle(
            .frame(from: peer, .presenceWant(PresenceWant(owner: own, boot: 2))), at: 9_000, into: &effects)
        let chunks = effects.compactMap { effect -> PresenceChunk? in
            if case .send(peer, .presenceChunk(let chunk), _) = effect { chunk } else { nil }
        }
        #expect(chunks.map(\.version) == [8] && chunks.flatMap(\.seats).map(\.user) == ["ann"])
        _ = said(5, 0)
        #expect(version() == PresenceVersion(owner: own, boot: 5, version: 1))
        _ = said(5, .max)
        #expect(version() == PresenceVersion(owner: own, boot: 5, version: 1) && presence.counters.violations == 1)
    }

    @Test("a forgotten owner is dropped, and no peer that remembers it brings it back")
    func forgotten() {
        var presence = started()
        _ = presence.effects(of: .linked(third))
        _ = presence.effects(of: .frame(from: third, delta(third, from: 0, [("ada", 1)])))
        #expect(presence.effects(of: .forgotten(third)) == [went("ada", lost: true)])
        let remembered = PresenceEvent.digest(from: peer, [.init(owner: third, boot: 1, version: 1)], direct: [])
        #expect(presence.effects(of: .unlinked(third)) == [])
        #expect(presence.effects(of: remembered) == [])
        _ = presence.effects(of: .memberChanged(third, .alive))
        #expect(presence.effects(of: remembered) == [want(third, of: peer)])
    }

    @Test("with a new identity the sessions go on, and are counted from 1")
    func renewedIdentity() {
        var presence = started()
        _ = presence.effects(of: .entered(room: "dev", user: "ada", displayName: "ada"))
        _ = presence.effects(of: .entered(room: "dev", user: "ada", displayName: "ada"))
        _ = presence.flushed()
        #expect(presence.effects(of: .started(replica: third, boot: 8)) == [])
        #expect(presence.flushed() == [.send(peer, delta(third, boot: 8, from: 0, [("ada", 2)]), bulk: false)])
        #expect(presence.occupants(of: "dev").shown.map(\.nodes) == [[third]])
        let former = delta(me, from: 0, [("ada", 1), ("bob", 1)])
        #expect(presence.effects(of: .frame(from: peer, former)) == [], "nobody is where nobody can be")
    }

    // MARK: Size

    @Test("of a large room the first users are shown, sorted, and all are counted")
    func limit() {
        var presence = started()
        var random = SplitMix64(seed: 3)
        let users = (0..<500).map { Text("user \($0)") }.shuffled(using: &random)
        for user in users { _ = presence.effects(of: .entered(room: "dev", user: user, displayName: user)) }
        for limit in [0, 1, 2, 7, 499, 500, 900] {
            let (count, shown) = presence.occupants(of: "dev", limit: limit)
            #expect(count == 500 && shown.map(\.user) == Array(users.sorted().prefix(limit)))
        }
        #expect(presence.attendance().map(\.user) == users.sorted())
    }

    @Test("a new node gets 20,000 sessions in chunks, while more come, and one frame for each that comes later")
    func newNode() {
        var network = PresenceNetwork(3)
        for session in 0..<20_000 {
            network.enter(session % 2, Text("room \(session % 7)"), Text("a user of some length \(session)"))
        }
        network.link(0, 1)
        network.round()
        network.link(2, 1)
        network.digest(1, 2)
        network.deliver(.init(from: 1, to: 2))
        network.deliver(.init(from: 2, to: 1))
        network.deliver(.init(from: 2, to: 1))
        // Live frames overtake the chunks.
        for session in 0..<100 { network.enter(1, "room 1", Text("one more \(session)")) }
        network.settle()
        for _ in 0..<3 { network.round() }
        #expect(network.failure == nil)
        #expect(network.said(by: 2) == network.truth())
        let chunks = network.frames["chunk"] ?? 0
        let bytes = 20_000 * 70 * 2
        #expect(chunks < bytes / (16 << 10), "each part goes over each link once")
        #expect(network.longestFrame <= 33 << 10)

        network.frames = [:]
        network.enter(0, "room 1", "a user who comes later")
        network.settle()
        #expect(network.nodes[2].view.contains(PresencePlace(room: "room 1", user: "a user who comes later")))
        #expect(network.frames == ["delta": 2] && network.longestSingle < 200)
        network.frames = [:]
        network.round()
        #expect(network.frames == [:], "nothing is sent where nothing changed")
    }
}

extension Presence {
    fileprivate mutating func effects(of event: PresenceEvent, at now: UInt64 = 0) -> [PresenceEffect] {
        var effects: [PresenceEffect] = []
        handle(event, at: now, into: &effects)
        return effects
    }

    fileprivate mutating func flushed() -> [PresenceEffect] {
        var effects: [PresenceEffect] = []
        flush(into: &effects)
        return effects
    }
}
