import ConvergeWire

/// Which of a client's rooms is on which connection.
///
/// A core. As few connections as the servers allow: with nodes of the second generation one, and a further one for each
/// limit of rooms; with a node of the first one a room. Nobody remembers what a server spoke last: each connection finds it
/// out anew, so a client comes together by itself as its nodes are upgraded. Invariants: a room is on one link; a link has
/// a room, or is gone; a room changes links only while it is not connected.
///
/// What moves rooms:
/// - a connection turns out to carry fewer rooms than it has: those that are over get links of their own with a node of the
///   first generation, one together with one of the second;
/// - there is a connection with a node of the second generation, and a link that has none, or has none any more: its rooms
///   move to the one that there is, where all of them fit.
struct RoomLinks: Sendable {
    struct Effect: Hashable {
        var link: Int
        var effect: RoomLink.Effect
    }

    private struct Entry: Sendable {
        let id: Int
        var link: RoomLink
    }

    private let urls: [ServerURL]
    private let options: RoomLink.Options
    private var generator: SeededGenerator
    private var entries: [Entry] = []
    private var nextLink = 0
    private var nextRoom = 0

    init(urls: [ServerURL], options: RoomLink.Options, generator: SeededGenerator) {
        self.urls = urls
        self.options = options
        self.generator = generator
    }

    // MARK: What there is

    var ids: [Int] { entries.map(\.id) }

    func link(_ id: Int) -> RoomLink? { index(id).map { entries[$0].link } }

    /// Where a room is; nil where it is not followed.
    func home(of room: String) -> Int? { entries.first { $0.link.place(of: room) != nil }?.id }

    /// A room in which requests are taken just now.
    var liveRoom: String? {
        for entry in entries where entry.link.phase == .live {
            if let room = entry.link.members.first(where: { $0.session.isLive })?.session.room { return room }
        }
        return nil
    }

    /// Of the connection that a link has, or is making.
    func number(of id: Int) -> Int? { index(id).map { entries[$0].link.number } }

    func nextTick(_ outbox: Outbox) -> UInt64 { entries.map { $0.link.nextTick(outbox) }.min() ?? .max }

    private func index(_ id: Int) -> Int? { entries.firstIndex { $0.id == id } }

    // MARK: What happens to a link

    /// Lets one link do something, and then deals rooms out anew where that has become due.
    mutating func step(
        _ id: Int, at now: UInt64, _ outbox: inout Outbox, into effects: inout [Effect],
        _ body: (inout RoomLink, inout Outbox, inout [RoomLink.Effect]) -> Void
    ) {
        guard let at = index(id) else { return }
        act(at, &outbox, &effects, body)
        let surplus = entries[at].link.takeSurplus()
        if !surplus.isEmpty { settle(surplus, from: at, at: now, &outbox, &effects) }
        entries.removeAll { $0.link.members.isEmpty }
        if entries.count > 1 { gather(at: now, &outbox, &effects) }
    }

    private mutating func act(
        _ at: Int, _ outbox: inout Outbox, _ effects: inout [Effect],
        _ body: (inout RoomLink, inout Outbox, inout [RoomLink.Effect]) -> Void
    ) {
        var decided: [RoomLink.Effect] = []
        body(&entries[at].link, &outbox, &decided)
        let id = entries[at].id
        for effect in decided { effects.append(Effect(link: id, effect: effect)) }
    }

    /// Links for rooms that one can't carry.
    private mutating func settle(
        _ surplus: [RoomSession], from at: Int, at now: UInt64, _ outbox: inout Outbox, _ effects: inout [Effect]
    ) {
        let (generation, server) = (entries[at].link.generation, entries[at].link.reconnect.server)
        var common: Int?
        for session in surplus {
            if let shared = entries.firstIndex(where: { $0.link.isShared && $0.link.hasSpare }) {
                act(shared, &outbox, &effects) { link, _, effects in link.add(session, at: now, into: &effects) }
            } else if generation == .second, let common {
                act(common, &outbox, &effects) { link, _, effects in link.add(session, at: now, into: &effects) }
            } else {
                common = open(with: session, at: server, at: now, &outbox, &effects)
            }
        }
    }

    /// Whoever has no connection comes to one for many.
    private mutating func gather(at now: UInt64, _ outbox: inout Outbox, _ effects: inout [Effect]) {
        for from in entries.indices where entries[from].link.phase != .live {
            let count = entries[from].link.members.count
            guard let to = entries.firstIndex(where: { $0.link.isShared && $0.link.spare >= count }) else { continue }
            var sessions: [RoomSession] = []
            act(from, &outbox, &effects) { link, outbox, effects in
                sessions = link.dissolve(at: now, &outbox, into: &effects)
            }
            act(to, &outbox, &effects) { link, _, effects in
                for session in sessions { link.add(session, at: now, into: &effects) }
            }
        }
        entries.removeAll { $0.link.members.isEmpty }
    }

    @discardableResult
    private mutating func open(
        with session: RoomSession, at server: Int, at now: UInt64, _ outbox: inout Outbox, _ effects: inout [Effect]
    ) -> Int {
        nextLink += 1
        let link = RoomLink(
            urls: urls, first: server, options: options, generator: SeededGenerator(seed: generator.next()))
        entries.append(Entry(id: nextLink, link: link))
        act(entries.count - 1, &outbox, &effects) { link, _, effects in
            link.add(session, at: now, into: &effects)
            link.start(at: now, into: &effects)
        }
        return entries.count - 1
    }

    // MARK: What the user wants

    /// Follows a room: on a connection that has a place for it, or may turn out to have one.
    mutating func join(_ room: String, at now: UInt64, _ outbox: inout Outbox, into effects: inout [Effect]) {
        nextRoom += 1
        let session = RoomSession(room: room, number: nextRoom, options: options.session)
        let spare =
            entries.firstIndex { $0.link.isShared && $0.link.hasSpare }
            ?? entries.firstIndex { $0.link.phase != .live && $0.link.hasSpare }
        if let spare {
            act(spare, &outbox, &effects) { link, _, effects in link.add(session, at: now, into: &effects) }
        } else {
            // A client's sessions are on one node as long as that is there.
            let server = entries.first { $0.link.phase == .live }?.link.reconnect.server
            open(with: session, at: server ?? 0, at: now, &outbox, &effects)
        }
    }

    mutating func leave(_ room: String, at now: UInt64, _ outbox: inout Outbox, into effects: inout [Effect]) {
        guard let id = home(of: room) else { return }
        step(id, at: now, &outbox, into: &effects) { $0.leave(room, at: now, &$1, into: &$2) }
    }

    /// The time has come for whatever waits.
    mutating func tick(at now: UInt64, _ outbox: inout Outbox, into effects: inout [Effect]) {
        for id in ids { step(id, at: now, &outbox, into: &effects) { $0.tick(at: now, &$1, into: &$2) } }
    }
}

extension RoomLink {
    /// How many more rooms its connection takes.
    fileprivate var spare: Int { max(capacity - members.count, 0) }
}
