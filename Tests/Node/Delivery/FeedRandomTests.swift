import ConvergeTestSupport
import ConvergeCRDT
import ConvergeWire
import Testing

@testable import ConvergeNode

/// Clients that move between three nodes, resume, are slow and break off, against nodes whose stores are ahead of what they
/// hand out and whose logs lag behind each other.
@Suite("Feed: random runs") struct FeedRandomTests {
    @Test("every message is shown exactly once, on whichever nodes, or the client is told that some may be missing")
    func runs() {
        var failures: [String] = []
        var coverage = FeedRun.Coverage()
        for seed in UInt64(0)..<120 where failures.isEmpty {
            let run = FeedRun(seed: seed)
            for _ in 0..<200 { run.step() }
            run.finish()
            failures += run.wrong.map { "seed \(seed): \($0)" }
            coverage.add(run.coverage)
        }
        #expect(failures == [])
        // The runs must have met what they are about.
        #expect(
            coverage.resumed > 400 && coverage.unrecovered > 20 && coverage.replaced > 100 && coverage.filtered > 10
                && coverage.slow > 100 && coverage.held > 100 && coverage.skippedShown > 50 && coverage.named > 400
                && coverage.lost > 2 && coverage.waited > 100,
            "\(coverage)")
    }
}

private final class FeedRun {
    struct Coverage {
        var resumed = 0
        var unrecovered = 0
        var named = 0
        var replaced = 0
        var filtered = 0
        var slow = 0
        var held = 0
        var skippedShown = 0
        var lost = 0
        var waited = 0

        mutating func add(_ other: Coverage) {
            resumed += other.resumed
            unrecovered += other.unrecovered
            named += other.named
            replaced += other.replaced
            filtered += other.filtered
            slow += other.slow
            held += other.held
            skippedShown += other.skippedShown
            lost += other.lost
            waited += other.waited
        }
    }

    struct Item {
        var dot: Dot
        var time: UInt64
        var room: Int
        var document: Text?
    }

    struct Node {
        var stored: [Item] = []
        var storedVector = VersionVector()
        var pruned = VersionVector()
        /// How many of `stored` have been handed out, and the vector of them.
        var handed = 0
        var position = VersionVector()
    }

    final class Connection {
        let node: Int
        var feed: Feed?
        var entered: VersionVector
        var held: [Item] = []
        /// What has been shown on this connection.
        var shown: Set<Dot> = []
        /// The page that is being read, as the store answered it.
        var answer: (number: UInt64, page: Feed.Page, items: [Item])?
        /// The client has asked to resume and has not been told that it has, or has not asked yet.
        var resuming = false
        var asks: UInt64 = 0

        init(node: Int, entered: VersionVector) {
            self.node = node
            self.entered = entered
        }
    }

    final class Client {
        var room: Int
        var cursor: VersionVector?
        /// What it need not be shown.
        var origin = VersionVector()
        var excused: Set<Dot> = []
        var shown: Set<Dot> = []
        /// Shown without being in the cursor: a frame that came before the resume was over. It may come once more.
        var loose: Set<Dot> = []
        var connection: Connection?
        /// Where the resume began, and what had been shown on the connection then.
        var resumedFrom = VersionVector()
        var shownBefore: Set<Dot> = []

        init(room: Int) { self.room = room }
    }

    private var random: SplitMix64
    private var nodes = [Node](repeating: Node(), count: 3)
    private var heads = VersionVector()
    private var time: UInt64 = 0
    private var all: [Item] = []
    private let clients: [Client]
    private(set) var wrong: [String] = []
    private(set) var coverage = Coverage()
    private let prunes: Bool

    init(seed: UInt64) {
        random = SplitMix64(seed: seed)
        prunes = seed % 3 == 0
        clients = (0..<4).map { Client(room: $0 % 2) }
    }

    private func replica(_ node: Int) -> ReplicaID { ReplicaID(rawValue: UInt64(node + 1)) }

    func step() {
        let node = Int.random(in: 0..<3, using: &random)
        switch Int.random(in: 0..<20, using: &random) {
        case 0..<5: write(node)
        case 5..<8: replicate(to: node, from: Int.random(in: 0..<3, using: &random))
        case 8..<12: for _ in 0..<Int.random(in: 1...20, using: &random) { handOut(node) }
        case 12: if prunes, random.once(in: 3) { prune(node) }
        default: act(clients.randomElement(using: &random)!)
        }
    }

    private func write(_ node: Int) {
        time += 1
        let dot = Dot(replica: replica(node), seq: heads[replica(node)] + 1)
        heads.advance(to: dot)
        let document: Text? = random.once(in: 5) ? ["d1", "d2"].randomElement(using: &random) : nil
        let item = Item(dot: dot, time: time, room: Int.random(in: 0..<2, using: &random), document: document)
        all.append(item)
        store(item, on: node)
    }

    private func store(_ item: Item, on node: Int) {
        nodes[node].stored.append(item)
        nodes[node].storedVector.advance(to: item.dot)
    }

    private func replicate(to node: Int, from other: Int) {
        guard node != other else { return }
        let missing = nodes[other].stored.filter { !nodes[node].storedVector.covers($0.dot) }
        for item in missing.prefix(Int.random(in: 1...4, using: &random))
        where nodes[node].storedVector[item.dot.replica] + 1 == item.dot.seq { store(item, on: node) }
    }

    private func prune(_ node: Int) {
        // Only what has been handed out, from the beginning of each log.
        let limit = nodes[node].stored.prefix(nodes[node].handed).map(\.time).max().map { $0 / 2 } ?? 0
        for item in nodes[node].stored.prefix(nodes[node].handed) where item.time < limit {
            nodes[node].pruned.advance(to: item.dot)
        }
    }

    // MARK: Live

    private func handOut(_ at: Int) {
        guard nodes[at].handed < nodes[at].stored.count else { return }
        let item = nodes[at].stored[nodes[at].handed]
        let position = nodes[at].position
        for client in clients where client.room == item.room {
            guard let connection = client.connection, connection.node == at else { continue }
            offer(item, to: client, connection, position)
        }
        nodes[at].position.advance(to: item.dot)
        nodes[at].handed += 1
    }

    private func offer(_ item: Item, to client: Client, _ connection: Connection, _ position: VersionVector) {
        guard connection.feed != nil else {
            show(item, to: client, connection, live: true)
            return
        }
        switch connection.feed!.live(item.dot, position: random.once(in: 2) ? position : nil) {
        case .skip: if connection.feed!.isLevel { coverage.filtered += 1 }
        case .hold:
            coverage.held += 1
            connection.held.append(item)
            if random.once(in: 8) {
                connection.feed!.overflow()
                connection.held = []
            }
        case .rejoin:
            connection.feed = nil
            show(item, to: client, connection, live: true)
        case .show:
            if random.once(in: 6) {
                connection.feed!.fallBehind(at: position)
                if connection.feed!.live(item.dot, position: nil) != .skip { wrong.append("held behind no page") }
            } else {
                show(item, to: client, connection, live: true)
            }
        }
    }

    /// - Parameters:
    ///   - live: not on a page.
    ///   - resumed: on a page of a resume.
    private func show(
        _ item: Item, to client: Client, _ connection: Connection, live: Bool, resumed: Bool = false
    ) {
        if !connection.shown.insert(item.dot).inserted, item.document == nil {
            wrong.append("\(item.dot) twice on one connection")
        }
        // Before it has resumed, a node can't know what it has seen elsewhere: that it drops itself.
        if !resumed, connection.resuming, client.cursor!.covers(item.dot) { return }
        if item.document == nil {
            if !client.shown.insert(item.dot).inserted, client.loose.remove(item.dot) == nil {
                wrong.append("\(item.dot) twice")
            }
            if client.origin.covers(item.dot) { wrong.append("\(item.dot) is older than the client") }
        }
        guard live else { return }
        if connection.resuming {
            if item.document == nil { client.loose.insert(item.dot) }
        } else {
            client.cursor?.advance(to: item.dot)
        }
    }

    // MARK: Clients

    private func act(_ client: Client) {
        guard let connection = client.connection else {
            connect(client, to: Int.random(in: 0..<3, using: &random))
            return
        }
        switch Int.random(in: 0..<12, using: &random) {
        case 0: client.connection = nil
        case 1: if connection.feed == nil, random.once(in: 2) { slowDown(connection) }
        case 2: if connection.resuming || random.once(in: 4) { resume(client, connection) }
        case 3..<7: ask(client, connection)
        default: answer(client, connection)
        }
    }

    private func connect(_ client: Client, to node: Int) {
        let connection = Connection(node: node, entered: nodes[node].position)
        client.connection = connection
        guard client.cursor != nil else {
            client.cursor = connection.entered
            client.origin = connection.entered
            return
        }
        connection.resuming = true
        if random.once(in: 2) { resume(client, connection) }  // in the URL; else by a frame, later
    }

    private func resume(_ client: Client, _ connection: Connection) {
        if connection.feed?.isResuming == true { coverage.replaced += 1 }
        connection.resuming = true
        let shown = Feed.Shown(
            since: connection.entered, position: nodes[connection.node].position, feed: connection.feed)
        // Others may have shown what this node wrote before it has handed that out itself.
        let own = replica(connection.node)
        let end = Dot(replica: own, seq: nodes[connection.node].storedVector[own])
        connection.feed = Feed(resumingFrom: client.cursor!, shown: shown, own: end)
        connection.held = []
        client.resumedFrom = client.cursor!
        client.shownBefore = connection.shown
    }

    private func slowDown(_ connection: Connection) {
        coverage.slow += 1
        connection.feed = Feed(catchingUpFrom: nodes[connection.node].position)
        connection.held = []
    }

    private func ask(_ client: Client, _ connection: Connection) {
        guard connection.answer == nil, connection.feed != nil else { return }
        connection.asks += 1
        let handedOut = nodes[connection.node].position
        guard let question = connection.feed!.ask(connection.asks, at: handedOut) else { return }
        if random.once(in: 10) {
            connection.held = held(connection.held, connection.feed!.readFailed(question.number))
            return
        }
        let node = nodes[connection.node]
        let limit = Int.random(in: 1...5, using: &random)
        let missed = node.stored.filter {
            $0.room == client.room && !question.cursor.covers($0.dot) && !node.pruned.covers($0.dot)
        }.sorted { $0.time < $1.time }.prefix(limit)
        var page = Feed.Page(reached: question.cursor, isLevel: missed.count < limit)
        var items: [Item] = []
        for item in missed {
            page.reached.advance(to: item.dot)
            page.needs.advance(to: item.dot)
            guard question.wants(item.dot) else {
                coverage.skippedShown += 1
                continue
            }
            if question.purpose == .catchUp || item.document == nil { items.append(item) }
        }
        if page.isLevel { page.reached.merge(node.storedVector) }
        page.horizon = node.pruned
        if question.purpose == .resume, page.isLevel {
            page.documents = changed(in: client.room, on: node, beyond: question.origin)
        }
        connection.answer = (question.number, page, items)
    }

    /// As a store says it: whatever has been pruned, and of each log the last entry for each document alone.
    private func changed(in room: Int, on node: Node, beyond origin: VersionVector) -> [Text] {
        var touched: [Text: VersionVector] = [:]
        for item in node.stored where item.room == room {
            if let document = item.document { touched[document, default: VersionVector()].advance(to: item.dot) }
        }
        return touched.filter { !origin.covers($0.value) }.keys.sorted()
    }

    private func held(_ items: [Item], _ decision: Feed.PageDecision) -> [Item] {
        if case .more(let numbers) = decision { numbers.map { items[$0] } } else { items }
    }

    private func answer(_ client: Client, _ connection: Connection) {
        guard let (number, page, items) = connection.answer else { return }
        // It waits until all of it has been handed out.
        guard nodes[connection.node].position.covers(page.needs) else {
            coverage.waited += 1
            return
        }
        connection.answer = nil
        guard connection.feed != nil else { return }
        let purpose = connection.feed!.purpose
        let decision = connection.feed!.read(page, number)
        guard decision != .ignore else { return }
        if decision == .lost {
            coverage.lost += 1
            client.connection = nil
            return
        }
        for item in items { show(item, to: client, connection, live: false, resumed: purpose == .resume) }
        switch decision {
        case .ignore, .lost: break
        case .more(let numbers):
            if purpose == .resume {
                client.cursor = reached(page, client)
                if !connection.feed!.recovered { excuse(client) }
            }
            if purpose == .catchUp, !connection.resuming { advance(client, items) }
            connection.held = numbers.map { connection.held[$0] }
        case .level(let numbers):
            if purpose == .resume {
                finishResume(client, connection)
            } else if !connection.resuming {
                advance(client, items)
            } else {
                for item in items where item.document == nil { client.loose.insert(item.dot) }
            }
            for number in numbers { show(connection.held[number], to: client, connection, live: true) }
            connection.held = []
        }
        if purpose == .catchUp, connection.resuming, case .more = decision {
            for item in items where item.document == nil { client.loose.insert(item.dot) }
        }
    }

    /// The client has been told that something may be missing.
    private func excuse(_ client: Client) {
        for item in all where client.cursor!.covers(item.dot) { client.excused.insert(item.dot) }
    }

    private func reached(_ page: Feed.Page, _ client: Client) -> VersionVector {
        var cursor = client.cursor!
        cursor.merge(page.reached)
        return cursor
    }

    private func advance(_ client: Client, _ items: [Item]) {
        for item in items { client.cursor!.advance(to: item.dot) }
    }

    private func finishResume(_ client: Client, _ connection: Connection) {
        let feed = connection.feed!
        coverage.resumed += 1
        connection.resuming = false
        connection.entered = feed.cursor
        // What it has seen beside its cursor is in there now.
        client.loose = client.loose.filter { !feed.cursor.covers($0) }
        var unnamed = feed.changedDocuments
        for item in all where item.room == client.room && !client.resumedFrom.covers(item.dot) {
            guard let document = item.document else { continue }
            unnamed.removeAll { $0 == document }
            let mustBeNamed = feed.cursor.covers(item.dot) && nodes[connection.node].storedVector.covers(item.dot)
            if mustBeNamed, !client.shownBefore.contains(item.dot), !feed.changedDocuments.contains(document) {
                wrong.append("\(document) is not named, \(item.dot)")
            }
        }
        if !unnamed.isEmpty { wrong.append("\(unnamed) did not change") }
        coverage.named += feed.changedDocuments.count
        if !feed.recovered { coverage.unrecovered += 1 }
        client.cursor = feed.cursor
        if !feed.recovered { excuse(client) }
        missing(client, through: feed.cursor)
    }

    /// All that a client's cursor covers it has been shown, or need not be.
    private func missing(_ client: Client, through cursor: VersionVector) {
        for item in all where item.room == client.room && item.document == nil && cursor.covers(item.dot) {
            if !client.origin.covers(item.dot), !client.excused.contains(item.dot), !client.shown.contains(item.dot) {
                wrong.append("\(item.dot) is missing")
            }
        }
    }

    func finish() {
        for client in clients { _ = connected(client) }
        var rounds = 0
        while rounds < 400,
            nodes.contains(where: { $0.storedVector != heads || $0.handed < $0.stored.count }) || rounds < 150
        {
            rounds += 1
            for node in 0..<3 {
                replicate(to: node, from: Int.random(in: 0..<3, using: &random))
                for _ in 0..<3 { handOut(node) }
            }
            for client in clients {
                ask(client, connected(client))
                answer(client, connected(client))
            }
        }
        for client in clients {
            if client.connection?.resuming != false { wrong.append("a resume that never ends") }
            missing(client, through: heads)
        }
    }

    /// The client's connection, one of which the client wants to resume where it has begun anew.
    private func connected(_ client: Client) -> Connection {
        if client.connection == nil { connect(client, to: Int.random(in: 0..<3, using: &random)) }
        let connection = client.connection!
        if connection.resuming, connection.feed?.isResuming != true { resume(client, connection) }
        return connection
    }
}
