import ConvergeCRDT
import ConvergeGossip
import ConvergeWire

/// A room and a user in it.
struct PresencePlace: Hashable, Comparable {
    var room: Text
    var user: Text

    static func < (a: PresencePlace, b: PresencePlace) -> Bool { a.room == b.room ? a.user < b.user : a.room < b.room }
}

/// Nodes that know of presence, and links between some of them: each in order, and what is bulk behind what is live.
///
/// Every event is checked: `came` and `went` alternate for each place, and say what `isPresent` says. The first thing that
/// is wrong is kept in `failure`.
struct PresenceNetwork {
    enum Message {
        case frame(PeerFrame)
        case digest([PresenceVersion], direct: [ReplicaID])
    }

    struct Lane {
        var live: [Message] = []
        var bulk: [Message] = []
        var isEmpty: Bool { live.isEmpty && bulk.isEmpty }
    }

    struct Node {
        var replica: ReplicaID
        var boot: UInt64 = 1
        var isUp = true
        var presence: Presence
        /// The sessions that truly are on the node, and what each user is called.
        var sessions: [PresencePlace: Int] = [:]
        /// Who is there, by what came and went.
        var view: Set<PresencePlace> = []
        var came = 0
        var went = 0
        var lost = 0
    }

    struct Link: Hashable {
        var from: Int
        var to: Int
    }

    var nodes: [Node]
    var lanes: [Link: Lane] = [:]
    var now: UInt64 = 0
    var failure: String?
    var longestSingle = 0
    var longestFrame = 0
    var frames: [String: Int] = [:]
    let options: PresenceOptions

    init(_ count: Int, options: PresenceOptions = PresenceOptions()) {
        self.options = options
        nodes = (0..<count).map {
            Node(replica: ReplicaID(rawValue: UInt64($0 + 1)), presence: Presence(options: options))
        }
        for at in nodes.indices { handle(.started(replica: nodes[at].replica, boot: 1), at: at) }
    }

    // MARK: Events

    mutating func handle(_ event: PresenceEvent, at node: Int) {
        var effects: [PresenceEffect] = []
        nodes[node].presence.handle(event, at: now, into: &effects)
        carryOut(effects, at: node)
    }

    mutating func flush(_ node: Int) {
        var effects: [PresenceEffect] = []
        nodes[node].presence.flush(into: &effects)
        carryOut(effects, at: node)
    }

    mutating func enter(_ node: Int, _ room: Text, _ user: Text) {
        nodes[node].sessions[PresencePlace(room: room, user: user), default: 0] += 1
        handle(.entered(room: room, user: user, displayName: Text("\(user) on \(node)")), at: node)
    }

    mutating func leave(_ node: Int, _ room: Text, _ user: Text) {
        let place = PresencePlace(room: room, user: user)
        guard let sessions = nodes[node].sessions[place] else { return }
        nodes[node].sessions[place] = sessions > 1 ? sessions - 1 : nil
        handle(.left(room: room, user: user), at: node)
    }

    private mutating func carryOut(_ effects: [PresenceEffect], at node: Int) {
        for effect in effects {
            switch effect {
            case .send(let peer, let frame, let bulk):
                guard let to = nodes.firstIndex(where: { $0.replica == peer && $0.isUp }) else { continue }
                let link = Link(from: node, to: to)
                if lanes[link] == nil { fail("node \(node) sends to \(to) without a link") }
                count(frame)
                if bulk { lanes[link]?.bulk.append(.frame(frame)) } else { lanes[link]?.live.append(.frame(frame)) }
            case .came(let room, let user, _):
                let isNew = nodes[node].view.insert(PresencePlace(room: room, user: user)).inserted
                if !isNew { fail("at node \(node) \(user) came to \(room) twice") }
                nodes[node].came += 1
            case .went(let room, let user, let displayName, let lost):
                let was = nodes[node].view.remove(PresencePlace(room: room, user: user)) != nil
                if !was { fail("at node \(node) \(user) went from \(room) without having come") }
                if displayName.isEmpty { fail("at node \(node) \(user) went without a name") }
                nodes[node].went += 1
                if lost { nodes[node].lost += 1 }
            }
        }
        if nodes[node].presence.presentCount != nodes[node].view.count { fail("the count at node \(node) is wrong") }
    }

    mutating func fail(_ what: String) { failure = failure ?? what }

    /// Whether node and view agree on all these places.
    mutating func compareViews(_ node: Int, _ places: [PresencePlace]) {
        for place in places {
            let isPresent = nodes[node].presence.isPresent(room: place.room, user: place.user)
            if isPresent != nodes[node].view.contains(place) { fail("node \(node) did not tell of \(place)") }
            let isHosted = nodes[node].presence.isHosted(room: place.room, user: place.user)
            if isHosted != (nodes[node].sessions[place] != nil) { fail("node \(node) does not know its own \(place)") }
        }
    }

    // MARK: Links

    func isLinked(_ a: Int, _ b: Int) -> Bool { lanes[Link(from: a, to: b)] != nil }

    mutating func link(_ a: Int, _ b: Int) {
        guard a != b, nodes[a].isUp, nodes[b].isUp, !isLinked(a, b) else { return }
        lanes[Link(from: a, to: b)] = Lane()
        lanes[Link(from: b, to: a)] = Lane()
        handle(.linked(nodes[b].replica), at: a)
        handle(.linked(nodes[a].replica), at: b)
    }

    mutating func unlink(_ a: Int, _ b: Int) {
        guard isLinked(a, b) else { return }
        lanes[Link(from: a, to: b)] = nil
        lanes[Link(from: b, to: a)] = nil
        handle(.unlinked(nodes[b].replica), at: a)
        handle(.unlinked(nodes[a].replica), at: b)
    }

    mutating func linkAll() {
        for a in nodes.indices { for b in 0..<a { link(a, b) } }
    }

    mutating func stop(_ node: Int) {
        for other in nodes.indices { unlink(node, other) }
        nodes[node].isUp = false
        nodes[node].sessions = [:]
        nodes[node].view = []
    }

    /// The same directory, started anew: nobody is there yet.
    mutating func restart(_ node: Int) {
        stop(node)
        nodes[node].isUp = true
        nodes[node].boot += 1
        nodes[node].presence = Presence(options: options)
        handle(.started(replica: nodes[node].replica, boot: nodes[node].boot), at: node)
    }

    mutating func digest(_ from: Int, _ to: Int) {
        let direct = nodes.indices.filter { isLinked(from, $0) }.map { nodes[$0].replica }.sorted()
        let message = Message.digest(nodes[from].presence.versions, direct: direct)
        lanes[Link(from: from, to: to)]?.live.append(message)
    }

    /// Delivers what comes next over the link: bulk only where there is nothing else.
    mutating func deliver(_ link: Link, times: Int = 1) {
        guard var lane = lanes[link], !lane.isEmpty else { return }
        let message = lane.live.isEmpty ? lane.bulk.removeFirst() : lane.live.removeFirst()
        lanes[link] = lane
        let peer = nodes[link.from].replica
        for _ in 0..<times {
            switch message {
            case .frame(let frame): handle(.frame(from: peer, frame), at: link.to)
            case .digest(let versions, let direct):
                handle(.digest(from: peer, versions, direct: direct), at: link.to)
            }
        }
    }

    var busyLinks: [Link] {
        lanes.filter { !$0.value.isEmpty }.keys.sorted { ($0.from, $0.to) < ($1.from, $1.to) }
    }

    /// Delivers all there is, and what comes of it.
    mutating func settle() {
        for node in nodes.indices where nodes[node].isUp { flush(node) }
        while true {
            let busy = busyLinks
            if busy.isEmpty { return }
            for link in busy { deliver(link) }
            for node in nodes.indices where nodes[node].isUp { flush(node) }
        }
    }

    /// A second: everybody tells everybody what it has, and the clock goes on.
    mutating func round() {
        now += 1_000
        for node in nodes.indices where nodes[node].isUp { handle(.tick, at: node) }
        for a in nodes.indices { for b in nodes.indices where isLinked(a, b) { digest(a, b) } }
        settle()
    }

    // MARK: What is true

    /// Who is where, and on which nodes, as it truly is.
    func truth() -> [String] {
        var places: [PresencePlace: (sessions: Int, nodes: [ReplicaID], name: String)] = [:]
        for (at, node) in nodes.enumerated().sorted(by: { $0.element.replica < $1.element.replica })
        where node.isUp {
            for (place, sessions) in node.sessions {
                places[place, default: (0, [], "\(place.user) on \(at)")].sessions += sessions
                places[place]?.nodes.append(node.replica)
            }
        }
        return places.keys.sorted().map { place in
            "\(place.room)/\(place.user) \(places[place]!.name) \(places[place]!.sessions) \(places[place]!.nodes)"
        }
    }

    /// The same, as the node says.
    func said(by node: Int) -> [String] {
        let presence = nodes[node].presence
        return presence.rooms().flatMap { room in
            presence.occupants(of: room).shown.map { "\(room)/\($0.user) \($0.displayName) \($0.sessions) \($0.nodes)" }
        }
    }

    private mutating func count(_ frame: PeerFrame) {
        switch frame {
        case .presenceDelta(let delta):
            frames["delta", default: 0] += 1
            let bytes = 30 + delta.changes.reduce(0) { $0 + $1.bytes }
            if delta.changes.count == 1 { longestSingle = max(longestSingle, bytes) }
            longestFrame = max(longestFrame, bytes)
        case .presenceWant: frames["want", default: 0] += 1
        case .presenceChunk(let chunk):
            frames["chunk", default: 0] += 1
            longestFrame = max(longestFrame, 40 + chunk.seats.reduce(0) { $0 + $1.bytes })
        default: fail("a frame that is none of presence's")
        }
    }
}

extension Seat {
    /// The texts, a byte of length each, and the count.
    fileprivate var bytes: Int { room.byteCount + user.byteCount + displayName.byteCount + 4 }
}
