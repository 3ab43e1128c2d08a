import ConvergeCRDT
import ConvergeTestSupport
import ConvergeWire

@testable import ConvergeClient

/// A client's room against a model of its cluster, over a network that loses connections: everything by one seed.
final class ModelNetwork {
    struct Options {
        var nodes = 3
        var strangers = 0
        /// Of a hundred turns so many break a connection, and so many refuse for now.
        var breaks = 3
        var busy = 5
        /// Of a thousand turns so many drop old entries somewhere.
        var forgets = 0
        var window = 1
        var turns = 3_000
    }

    private struct Connection {
        let number: Int
        let node: Int
        let cursor: String?
        var isReady = false
        var toServer: [ChatCommand] = []
        var toClient: [ConnectionMachine.Event] = []
        /// Live frames wait for the end of a resume that comes as a frame.
        var isWelcome = false
    }

    private let options: Options
    private var random: SplitMix64
    private(set) var cluster: ModelCluster
    private var room: FollowedRoom
    private var outbox: Outbox
    private var connection: Connection?
    private var connecting: (number: Int, node: Int, cursor: String?)?
    private var wantsToken = false
    private var now: UInt64 = 1

    // What the client was told.
    private(set) var shown: [ChatLine] = []
    private(set) var states: [String: [SendState]] = [:]
    private(set) var keys: [String] = []
    private(set) var storedOrder: [String] = []
    private(set) var gaps = 0
    private(set) var resumes = 0
    private(set) var answers: [Int: Int] = [:]
    private(set) var asked = 0
    /// Where it began: nothing before that is owed.
    private(set) var origin: VersionVector?
    private(set) var connects = 0
    private(set) var wrong: [String] = []

    init(seed: UInt64, _ options: Options) {
        self.options = options
        random = SplitMix64(seed: seed)
        cluster = ModelCluster(nodes: options.nodes, strangers: options.strangers)
        var outboxOptions = Outbox.Options()
        outboxOptions.window = options.window
        outbox = Outbox(options: outboxOptions, generator: SeededGenerator(seed: seed &+ 1))
        var roomOptions = FollowedRoom.Options()
        roomOptions.reconnect.backoff.greatest = .seconds(2)
        roomOptions.reconnect.stableAfter = .seconds(1)
        room = FollowedRoom(
            room: "dev", urls: (0..<options.nodes).map { try! ServerURL("ws://n\($0)") },  // a literal
            options: roomOptions, generator: SeededGenerator(seed: seed &+ 2))
    }

    func run() {
        step { room.start(at: now, into: &$0) }
        for _ in 0..<options.turns where wrong.isEmpty { turn(isHealthy: false) }
        // Everything heals; what waits must get through.
        for _ in 0..<40_000 where wrong.isEmpty {
            turn(isHealthy: true)
            if outbox.count == 0, connection?.isWelcome == true, connection?.toClient.isEmpty == true,
                connection?.toServer.isEmpty == true, room.session.phase == .live, isLevel
            {
                break
            }
        }
        for at in 0..<asked where answers[at] == nil && room.isLive && connection?.toClient.isEmpty == true {
            wrong.append("request \(at) has no answer")
        }
    }

    /// Every node has everything, and no frame is on its way.
    private var isLevel: Bool {
        (0..<options.nodes).allSatisfy { node in
            (0..<options.nodes).allSatisfy {
                cluster.nodes[node].vector[cluster.replica($0)] == UInt64(cluster.logs[$0].count)
            }
        }
    }

    private func turn(isHealthy: Bool) {
        now += UInt64(random.below(40)) * 1_000_000
        step { room.tick(at: now, &outbox, into: &$0) }
        answerShell(isHealthy)
        switch random.below(10) {
        case 0 where !isHealthy: say()
        case 1 where !isHealthy:
            let node = random.below(options.nodes)
            write("o\(cluster.logs[node].count)", key: nil, at: node)
        case 2:
            asked += 1
            let id = asked - 1
            step { room.request(id, .members(limit: nil), outbox, into: &$0) }
        case 3, 4: replicate()
        case 5, 6: serve(isHealthy)
        default: deliver()
        }
        guard !isHealthy else { return }
        if random.chance(options.breaks), connection != nil { breakOff() }
        if random.below(1_000) < options.forgets {
            cluster.forget(1 + random.below(5), at: random.below(options.nodes))
        }
    }

    // MARK: The shell

    private func step(_ body: (inout [FollowedRoom.Effect]) -> Void) {
        var effects: [FollowedRoom.Effect] = []
        body(&effects)
        for effect in effects { carryOut(effect) }
    }

    private func carryOut(_ effect: FollowedRoom.Effect) {
        switch effect {
        case .wantToken: wantsToken = true
        case .connect(let number, let server, let cursor):
            if connecting != nil || connection != nil { wrong.append("a second connection at a time") }
            connecting = (number, server, cursor)
        case .send(let command): connection?.toServer.append(command)
        case .ping(let number): connection?.toClient.append(.pong(number))
        case .close: connection = nil
        case .event(let event): take(event)
        case .answer(let id, _), .failed(let id, _):
            answers[id, default: 0] += 1
            if answers[id] != 1 { wrong.append("request \(id) has two answers") }
        case .sending(let key, let state):
            if let last = states[key]?.last, last.isFinal { wrong.append("\(key) goes on after its end") }
            states[key, default: []].append(state)
            if case .stored = state { storedOrder.append(key) }
        case .document: break
        case .end(let reason): wrong.append("ended: \(reason)")
        }
    }

    private func take(_ event: RoomEvent) {
        switch event {
        case .message(let line, _): shown.append(line)
        case .resumed(let recovered, _, _):
            resumes += 1
            if !recovered { gaps += 1 }
        default: break
        }
    }

    private func answerShell(_ isHealthy: Bool) {
        if wantsToken, random.chance(70) {
            wantsToken = false
            if !isHealthy, random.chance(5) {
                step { room.tokenFailed("no", at: now, into: &$0) }
            } else {
                step { room.take(token: 1, at: now, into: &$0) }
            }
        }
        guard let (number, node, cursor) = connecting, random.chance(50) else { return }
        connecting = nil
        if !isHealthy, random.chance(20) {
            step { room.connectFailed(number, "refused", at: now, into: &$0) }
        } else if room.connected(number, at: now) {
            connects += 1
            connection = Connection(number: number, node: node, cursor: cursor, toClient: [.opened])
        }
    }

    // MARK: The client

    private func say() {
        guard outbox.count < 40 else { return }
        let key = "k\(keys.count)"
        keys.append(key)
        outbox.add(UnsentMessage(key: key, room: "dev", body: key))
        step { room.pump(at: now, &outbox, into: &$0) }
    }

    private func deliver() {
        guard let open = connection, !open.toClient.isEmpty else { return }
        let event = connection?.toClient.removeFirst()
        // Where its first welcome says that it begins, and is read.
        if case .chat(.welcome(let welcome)) = event, origin == nil { origin = welcome.cursor }
        if let event { step { room.handle(event, of: open.number, at: now, &outbox, into: &$0) } }
    }

    private func breakOff() {
        guard let open = connection else { return }
        // Some of what is on its way still comes.
        for _ in 0..<random.below(4) { deliver() }
        guard connection?.number == open.number else { return }
        let ends: [ConnectionEnd] = [
            .lost, .lost, .closed(.serviceRestart, reason: "server stopping", byUs: false),
            .closed(.tryAgainLater, reason: "too slow", byUs: false),
            .closed(.goingAway, reason: "server stopping", byUs: false),
        ]
        let end = ends[random.below(ends.count)]
        // And some of what the client has sent still arrives.
        for _ in 0..<random.below(3) { serve(true) }
        step { room.handle(.ended(end), of: open.number, at: now, &outbox, into: &$0) }
    }

    // MARK: The servers

    private func serve(_ isHealthy: Bool) {
        guard let open = connection else { return }
        if !open.isWelcome { return welcome() }
        guard !open.toServer.isEmpty, let command = connection?.toServer.removeFirst() else { return }
        switch command.type {
        case "message":
            if !isHealthy, random.chance(options.busy) {
                connection?.toClient.append(.chat(.error("busy", ref: command.ref)))
                return
            }
            let (entry, isDuplicate) = write(command.body ?? "", key: command.key, at: open.node)
            if !isDuplicate, let after = command.after, entry.position <= after {
                wrong.append("before what it follows")
            }
            connection?.toClient.append(
                .chat(
                    .ack(Receipt(id: entry.id, position: entry.position, isDuplicate: isDuplicate), ref: command.ref)))
        // The answer was lost, and the message comes again.
        case "resume":
            let answer = cluster.resume(
                from: command.cursor ?? VersionVector(), at: open.node, limit: 3, ref: command.ref)
            // What was shown live to this connection is not on the pages: it is on its way, or was taken.
            connection?.toClient += answer.map { .chat(without(live, $0)) }
        default:
            connection?.toClient.append(.chat(.users(MemberList(room: "dev", userIDs: []), ref: command.ref)))
        }
    }

    /// What this connection was shown live.
    private var live: Set<String> = []

    private func without(_ ids: Set<String>, _ event: ChatEvent) -> ChatEvent {
        guard case .history(var page) = event else { return event }
        page.entries.removeAll { if case .message(let line) = $0 { ids.contains(line.id) } else { false } }
        return .history(page)
    }

    private func welcome() {
        guard let open = connection else { return }
        live = []
        let cursor = cluster.cursor(open.node)
        connection?.isWelcome = true
        connection?.toClient.append(
            .chat(.welcome(Welcome(room: "dev", userID: "ann", displayName: "Ann", cursor: cursor))))
        guard let text = open.cursor else { return }
        let bytes = Array(text.utf8)
        guard case .at(let from) = bytes.withUnsafeBytes({ ClientCursor(text: $0) }) else {
            return wrong.append("a cursor that can't be read: \(text)")
        }
        connection?.toClient += cluster.resume(from: from, at: open.node, limit: 3, ref: nil).map { .chat($0) }
    }

    @discardableResult
    private func write(_ body: String, key: String?, at node: Int) -> (ModelCluster.Entry, Bool) {
        let (entry, isDuplicate) = cluster.write(body, key: key, at: node)
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
        guard connection?.node == node, connection?.isWelcome == true else { return }
        connection?.toClient.append(.chat(ModelCluster.frame(entry)))
        live.insert(entry.id)
    }
}
