import ConvergeCRDT
import ConvergeTestSupport
import ConvergeWire

@testable import ConvergeClient

/// A client's rooms against a model of its cluster, over a network that loses connections: everything by one seed.
///
/// The nodes may be of either generation. `side` is a room that the client joins and leaves as it likes, and that nothing is
/// promised of but that it does the others no harm.
final class ModelNetwork {
    struct Options {
        var nodes = 3
        /// What each node speaks; as many as there are nodes.
        var generations: [ProtocolGeneration] = [.first, .first, .first]
        var rooms = ["dev"]
        var hasSide = false
        /// How many rooms a session may have, and how many the welcome says.
        var roomLimit = 128
        var saidLimit: Int? = 128
        var strangers = 0
        /// Of a hundred turns so many break a connection, and so many refuse for now.
        var breaks = 3
        var busy = 5
        /// Of a thousand turns so many drop old entries somewhere, and so many end a subscription.
        var forgets = 0
        var kicks = 0
        var window = 1
        var turns = 3_000
    }

    private let options: Options
    var random: SplitMix64
    private(set) var cluster: ModelCluster
    private(set) var links: RoomLinks
    private var outbox: Outbox
    var servers: [Int: ModelServer] = [:]
    private var connecting: [Int: (number: Int, node: Int, room: String, cursor: String?)] = [:]
    private var wantsToken: Set<Int> = []
    private var now: UInt64 = 1

    // What the client was told.
    private(set) var shown: [ChatLine] = []
    private(set) var states: [String: [SendState]] = [:]
    private(set) var keys: [(key: String, room: String)] = []
    private(set) var storedOrder: [String] = []
    private(set) var gaps = 0
    private(set) var resumes = 0
    private var answers: [Int: Int] = [:]
    private var asked = 0
    private var isInSide = false
    private var ended: Set<String> = []
    /// Where each room began: nothing before that is owed.
    private(set) var origins: [String: VersionVector] = [:]
    private(set) var connects = 0
    /// The most rooms that were on one connection.
    private(set) var together = 0
    private(set) var wrong: [String] = []

    init(seed: UInt64, _ options: Options) {
        self.options = options
        random = SplitMix64(seed: seed)
        cluster = ModelCluster(nodes: options.nodes, strangers: options.strangers)
        var outboxOptions = Outbox.Options()
        outboxOptions.window = options.window
        outbox = Outbox(options: outboxOptions, generator: SeededGenerator(seed: seed &+ 1))
        var linkOptions = RoomLink.Options()
        linkOptions.reconnect.backoff.greatest = .seconds(2)
        linkOptions.reconnect.stableAfter = .seconds(1)
        links = RoomLinks(
            urls: (0..<options.nodes).map { try! ServerURL("ws://n\($0)") },  // a literal
            options: linkOptions, generator: SeededGenerator(seed: seed &+ 2))
    }

    func run() {
        for room in options.rooms { act { $0.join(room, at: $1, &$2, into: &$3) } }
        for _ in 0..<options.turns where wrong.isEmpty { turn(isHealthy: false) }
        // Everything heals; what waits must get through.
        for _ in 0..<60_000 where wrong.isEmpty {
            turn(isHealthy: true)
            if outbox.count == 0, isQuiet, options.rooms.allSatisfy({ phase(of: $0) == .live }), isLevel { break }
        }
        for room in options.rooms where phase(of: room) != .live { wrong.append("\(room) is not back") }
        for at in 0..<asked where answers[at] == nil && isQuiet { wrong.append("request \(at) has no answer") }
    }

    private func phase(of room: String) -> RoomSession.Phase? {
        links.home(of: room).flatMap { links.link($0)?.session(of: room)?.phase }
    }

    /// No frame is on its way, and nobody connects.
    private var isQuiet: Bool {
        connecting.isEmpty && servers.values.allSatisfy { $0.toClient.isEmpty && $0.toServer.isEmpty && $0.isWelcome }
    }

    /// Every node has everything.
    private var isLevel: Bool {
        (0..<options.nodes).allSatisfy { node in
            (0..<options.nodes).allSatisfy {
                cluster.nodes[node].vector[cluster.replica($0)] == UInt64(cluster.logs[$0].count)
            }
        }
    }

    private func turn(isHealthy: Bool) {
        now += UInt64(random.below(40)) * 1_000_000
        act { $0.tick(at: $1, &$2, into: &$3) }
        answerShell(isHealthy)
        switch random.below(10) {
        case 0 where !isHealthy: say()
        case 1 where !isHealthy:
            let node = random.below(options.nodes)
            write("o\(node) \(cluster.logs[node].count)", in: pick(options.rooms), key: nil, at: node)
        case 2: ask()
        case 3, 4: replicate()
        case 5, 6: serve(isHealthy)
        default: deliver()
        }
        together = max(together, links.ids.map { links.link($0)?.rooms.count ?? 0 }.max() ?? 0)
        guard !isHealthy else { return }
        if random.chance(options.breaks), let link = pickServer() { breakOff(link) }
        if random.below(1_000) < options.forgets {
            cluster.forget(1 + random.below(5), at: random.below(options.nodes))
        }
        if random.below(1_000) < options.kicks, let link = pickServer() { kick(link) }
        if options.hasSide, random.below(1_000) < 20 { moveAside() }
    }

    private func pick<E>(_ elements: [E]) -> E { elements[random.below(elements.count)] }
    private func pickServer() -> Int? { servers.isEmpty ? nil : pick(servers.keys.sorted()) }

    // MARK: The shell

    private func act(_ body: (inout RoomLinks, UInt64, inout Outbox, inout [RoomLinks.Effect]) -> Void) {
        var effects: [RoomLinks.Effect] = []
        body(&links, now, &outbox, &effects)
        for effect in effects { carryOut(effect.effect, effect.link) }
    }

    private func step(_ id: Int, _ body: (inout RoomLink, UInt64, inout Outbox, inout [RoomLink.Effect]) -> Void) {
        act { links, now, outbox, effects in
            links.step(id, at: now, &outbox, into: &effects) { body(&$0, now, &$1, &$2) }
        }
    }

    private func carryOut(_ effect: RoomLink.Effect, _ link: Int) {
        switch effect {
        case .wantToken: wantsToken.insert(link)
        case .connect(let number, let server, let room, let cursor):
            if connecting[link] != nil || servers[link] != nil { wrong.append("a second connection at a time") }
            connecting[link] = (number, server, room, cursor)
        case .send(let command): servers[link]?.toServer.append(command)
        case .ping(let number): servers[link]?.toClient.append(.pong(number))
        case .close:
            servers[link] = nil
            connecting[link] = nil
        case .event(let event, let room): take(event, room)
        case .answer(let id, _), .failed(let id, _):
            answers[id, default: 0] += 1
            if answers[id] != 1 { wrong.append("request \(id) has two answers") }
        case .sending(let key, let state):
            if let last = states[key]?.last, last.isFinal { wrong.append("\(key) goes on after its end") }
            states[key, default: []].append(state)
            if case .stored = state { storedOrder.append(key) }
        case .document: break
        case .end(.left, "side"): ended.insert("side")
        case .end(let reason, let room): wrong.append("\(room) ended: \(reason)")
        }
    }

    private func take(_ event: RoomEvent, _ room: String) {
        guard room != "side" else { return }
        switch event {
        case .message(let line, _):
            if line.room != room { wrong.append("\(line.body) of \(line.room) in \(room)") }
            shown.append(line)
        case .resumed(let recovered, _, _):
            resumes += 1
            if !recovered { gaps += 1 }
        default: break
        }
    }

    private func answerShell(_ isHealthy: Bool) {
        for link in wantsToken.sorted() where random.chance(70) {
            wantsToken.remove(link)
            if !isHealthy, random.chance(5) {
                step(link) { $0.tokenFailed("no", at: $1, into: &$3) }
            } else {
                step(link) { $0.take(token: 1, at: $1, into: &$3) }
            }
        }
        for (link, made) in connecting.sorted(by: { $0.key < $1.key }) where random.chance(50) {
            connecting[link] = nil
            if !isHealthy, random.chance(20) {
                step(link) { $0.connectFailed(made.number, "refused", at: $1, into: &$3) }
                continue
            }
            var isWanted = false
            step(link) { link, now, _, _ in isWanted = link.connected(made.number, at: now) }
            guard isWanted else { continue }
            connects += 1
            servers[link] = ModelServer(
                node: made.node, number: made.number, generation: options.generations[made.node], room: made.room,
                cursor: made.cursor)
        }
    }

    // MARK: The client

    private func say() {
        guard outbox.count < 40 else { return }
        let (key, room) = ("k\(keys.count)", pick(options.rooms))
        keys.append((key, room))
        outbox.add(UnsentMessage(key: key, room: room, body: key))
        guard let link = links.home(of: room) else { return }
        step(link) { $0.pump(room, at: $1, &$2, into: &$3) }
    }

    private func ask() {
        let (id, room) = (asked, pick(options.rooms))
        guard let link = links.home(of: room) else { return }
        asked += 1
        let request = random.chance(50) ? RoomRequest.members(limit: nil) : .rooms()
        step(link) { $0.request(id, request, in: room, at: $1, &$2, into: &$3) }
    }

    private func moveAside() {
        isInSide.toggle()
        if isInSide {
            act { $0.join("side", at: $1, &$2, into: &$3) }
        } else {
            ended = []
            act { $0.leave("side", at: $1, &$2, into: &$3) }
            if ended.isEmpty { wrong.append("side was left, and is not over") }
        }
    }

    private func deliver() { if let link = pickServer() { deliver(to: link) } }

    private func deliver(to link: Int) {
        guard let server = servers[link], !server.toClient.isEmpty else { return }
        let event = servers[link]?.toClient.removeFirst()
        // Where a room begins for the client is where the first says that it reads of it.
        switch event {
        case .chat(.welcome(let welcome)) where server.generation == .first: begin(server.room, welcome.cursor)
        case .chat(.subscribed(let beginning)): begin(beginning.room, beginning.cursor)
        default: break
        }
        if let event { step(link) { $0.handle(event, of: server.number, at: $1, &$2, into: &$3) } }
    }

    private func begin(_ room: String, _ cursor: VersionVector?) { if origins[room] == nil { origins[room] = cursor } }

    private func breakOff(_ link: Int) {
        guard let open = servers[link] else { return }
        // Some of what is on its way still comes.
        for _ in 0..<random.below(4) { deliver(to: link) }
        guard servers[link]?.number == open.number else { return }
        let ends: [ConnectionEnd] = [
            .lost, .lost, .closed(.serviceRestart, reason: "server stopping", byUs: false),
            .closed(.tryAgainLater, reason: "too slow", byUs: false),
            .closed(.goingAway, reason: "server stopping", byUs: false),
        ]
        let end = pick(ends)
        // And some of what the client has sent still arrives.
        for _ in 0..<random.below(3) { serve(link, true) }
        step(link) { $0.handle(.ended(end), of: open.number, at: $1, &$2, into: &$3) }
    }

    // MARK: The servers

    private func serve(_ isHealthy: Bool) { if let link = pickServer() { serve(link, isHealthy) } }

    private func serve(_ link: Int, _ isHealthy: Bool) {
        guard var server = servers[link] else { return }
        defer { servers[link] = server }
        if !server.isWelcome { return server.welcome(cluster, said: options.saidLimit) }
        if server.generation == .second, random.chance(5) { server.tellCursors(cluster) }
        guard !server.toServer.isEmpty else { return }
        let command = server.toServer.removeFirst()
        if !isHealthy, ["message", "subscribe"].contains(command.type), random.chance(options.busy) {
            return server.refuse("busy", command)
        }
        if server.generation == .second, command.room == nil, command.type != "rooms" {
            wrong.append("a \(command.type) that names no room")
        }
        guard command.type == "message" else { return server.answer(command, cluster, limit: options.roomLimit) }
        servers[link] = server
        let (entry, isDuplicate) = write(
            command.body ?? "", in: command.room ?? server.room, key: command.key, at: server.node)
        server = servers[link] ?? server
        if !isDuplicate, let after = command.after, entry.position <= after { wrong.append("before what it follows") }
        let receipt = Receipt(id: entry.id, position: entry.position, isDuplicate: isDuplicate)
        server.toClient.append(.chat(.ack(receipt, ref: command.ref)))
    }

    private func kick(_ link: Int) {
        guard let server = servers[link], !server.subscribed.isEmpty else { return }
        servers[link]?.kick(pick(server.subscribed.sorted()), isRecovered: random.chance(50))
    }

    @discardableResult
    private func write(
        _ body: String, in room: String, key: String?, at node: Int
    ) -> (ModelCluster.Entry, Bool) {
        let (entry, isDuplicate) = cluster.write(body, in: room, key: key, at: node)
        if !isDuplicate { show(entry, at: node) }
        return (entry, isDuplicate)
    }

    private func replicate() {
        for _ in 0..<4 {
            let (from, to) = (random.below(options.nodes), random.below(options.nodes))
            if let entry = cluster.replicate(from: from, to: to) { show(entry, at: to) }
        }
    }

    private func show(_ entry: ModelCluster.Entry, at node: Int) {
        for link in servers.keys.sorted() where servers[link]?.node == node { servers[link]?.show(entry) }
    }
}
