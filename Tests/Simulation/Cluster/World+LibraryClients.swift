import ConvergeCRDT
import ConvergeTestSupport
import ConvergeWire

@testable import ConvergeClient
@testable import ConvergeNode

/// Clients that are the library's own machines: this is their shell. Commands go through the real encoder and decoder.
extension World {
    func addLibraryClients() {
        for number in 0..<scenario.libraryClients {
            let index = clients.count
            let room = roomNames[number % scenario.rooms]
            let client = Client(index: index, user: Text("lib\(number)"), room: room)
            client.library = LibraryClient(
                index: index, room: room, nodes: scenario.nodes, seed: scenario.seed,
                generation: scenario.hasNewerLibrary ? .second : .first)
            clients.append(client)
            schedule(.clientActs(index), after: .milliseconds(500))
        }
    }

    private var nanoseconds: UInt64 { now * 1_000 }

    /// A turn of its thread.
    func act(_ client: Client, _ library: LibraryClient) {
        schedule(.clientActs(client.index), after: library.choices.within(5_000...60_000))
        if let connection = library.connection, client.connection !== connection {
            library.connection = nil
            end(.lost, client, library)
        }
        let at = nanoseconds
        step(client, library) { library, effects in
            if !library.hasStarted {
                library.hasStarted = true
                library.core.start(at: at, into: &effects)
            }
            library.core.tick(at: at, &library.outbox, into: &effects)
        }
        answerPings(client, library)
        if library.wantsToken {
            library.wantsToken = false
            step(client, library) { library, effects in library.core.take(token: 1, at: at, into: &effects) }
        }
        connect(client, library)
        guard !isHealed else { return }
        if library.choices.chance(3), library.outbox.count < 30 {
            for _ in 0..<(1 + library.choices.below(3)) { library.outbox.add(library.newMessage(client.index)) }
            step(client, library) { library, effects in
                library.core.pump(library.room.string, at: at, &library.outbox, into: &effects)
            }
        }
        if library.choices.once(in: 300), let connection = client.connection { breakOff(client, connection) }
    }

    private func step(
        _ client: Client, _ library: LibraryClient, _ body: (LibraryClient, inout [RoomLink.Effect]) -> Void
    ) {
        var effects: [RoomLink.Effect] = []
        body(library, &effects)
        for effect in effects { carryOut(effect, client, library) }
    }

    private func end(_ end: ConnectionEnd, _ client: Client, _ library: LibraryClient) {
        let at = nanoseconds
        step(client, library) { library, effects in
            library.core.handle(.ended(end), of: library.core.number, at: at, &library.outbox, into: &effects)
        }
    }

    private func carryOut(_ effect: RoomLink.Effect, _ client: Client, _ library: LibraryClient) {
        switch effect {
        case .wantToken: library.wantsToken = true
        case .connect(let number, let server, _, let cursor): library.connecting = (number, server, cursor)
        case .send(let command): send(command, client, library)
        case .ping(let number): library.pings.append(number)
        case .close:
            library.pings = []
            guard let connection = library.connection else { return }
            library.connection = nil
            letGo(connection, client, library)
        case .event(let event, _): take(event, client, library)
        case .sending(let key, .stored(let receipt)): stored(key, receipt, client, library)
        case .sending(let key, .refused(let reason)):
            violate(.answers, -1, "\(key) is refused for good: \(reason)")
        case .sending, .document: break
        case .answer, .failed: violate(.answers, -1, "client \(client.index) has asked nothing")
        case .end(let reason, _): violate(.answers, -1, "client \(client.index) has given up: \(reason)")
        }
    }

    // MARK: Connections

    private func connect(_ client: Client, _ library: LibraryClient) {
        guard let (number, server, cursor) = library.connecting else { return }
        library.connecting = nil
        let (at, node) = (nanoseconds, nodes[server])
        guard node.isUp, node.pausedUntil <= now else {
            step(client, library) { library, effects in
                library.core.connectFailed(number, "nobody is there", at: at, into: &effects)
            }
            return
        }
        guard library.core.connected(number, at: at) else { return }
        let connection = openConnection(client, node, speaking: library.generation)
        library.connection = connection
        if library.generation == .first {
            connection.resume = cursor.map { text in Array(text.utf8).withUnsafeBytes { ClientCursor(text: $0) } }
        }
        trace.note(
            now, node.index, "comes", UInt64(client.index), connection.session.rawValue,
            "client \(client.index) (\(client.user), the library) into \(client.room)")
        let event: SessionEvent =
            library.generation == .first
            ? .entered(user: client.user, displayName: client.user, room: client.room)
            : .arrived(SessionName(high: 0, low: 0), user: client.user, displayName: client.user)
        post(.session(connection.session, event), to: node)
        step(client, library) { library, effects in
            library.core.handle(.opened(library.generation), of: number, at: at, &library.outbox, into: &effects)
        }
    }

    /// A node that runs answers at once, one that is gone or stands still does not.
    private func answerPings(_ client: Client, _ library: LibraryClient) {
        guard let connection = library.connection, connection.isOpen else { return }
        let (at, node) = (nanoseconds, nodes[connection.node])
        guard node.isUp, node.life == connection.life, node.pausedUntil <= now else { return }
        let pings = library.pings
        library.pings = []
        step(client, library) { library, effects in
            for ping in pings {
                library.core.handle(
                    .pong(ping), of: library.core.number, at: at, &library.outbox, into: &effects)
            }
        }
    }

    /// Its connection breaks, with what is on its way.
    func breakOff(_ client: Client, _ connection: Connection) {
        guard let library = client.library, library.connection === connection else { return }
        library.connection = nil
        letGo(connection, client, library)
        end(.lost, client, library)
    }

    private func letGo(_ connection: Connection, _ client: Client, _ library: LibraryClient) {
        trace.note(now, connection.node, "breaks", UInt64(client.index), 0, "client \(client.index)")
        let isSoon = library.choices.chance(70)
        schedule(
            .connectionLost(connection.index),
            after: library.choices.within(isSoon ? 100...5_000 : 5_000...8_000_000))
        connection.isReadable = false
        connection.inFlight = []
        if client.connection === connection { client.connection = nil }
    }

    // MARK: Frames

    private func send(_ command: ChatCommand, _ client: Client, _ library: LibraryClient) {
        guard let connection = library.connection, connection.isOpen else { return }
        var text = ByteBuffer()
        command.encode(into: &text)
        guard let frame = try? ClientFrame.decode(text.bytes, as: library.generation) else {
            return violate(.contract, connection.node, "the library sends what no node reads")
        }
        send(frame.command, ref: frame.ref?.string, client, connection)
    }

    func take(_ frame: ShownFrame, _ client: Client, _ library: LibraryClient, _ connection: Connection) {
        guard library.connection === connection, let event = frame.event else { return }
        let at = nanoseconds
        library.beginAnew(frame.begunAnew)
        step(client, library) { library, effects in
            library.core.handle(.chat(event), of: library.core.number, at: at, &library.outbox, into: &effects)
        }
        library.begin(excusing: connection.before)
    }

    private func take(_ event: RoomEvent, _ client: Client, _ library: LibraryClient) {
        var wrong: String?
        switch event {
        case .message(let line, _), .presence(let line, _, _):
            wrong = library.shown(line, isForked: line.dot.map { ledger.hasForked($0.replica) } ?? false)
        case .resumed(let recovered, _, _):
            if !recovered { library.forgive() }
            library.hasResumed = true
            wrong = library.missing(ledger)
        default: break
        }
        if let wrong {
            violate(.resume, client.connection?.node ?? -1, "\(wrong) (client \(client.index), the library)")
        }
    }

    private func stored(_ key: String, _ receipt: Receipt, _ client: Client, _ library: LibraryClient) {
        if let wrong = library.stored(key, receipt) { violate(.keys, -1, wrong) }
        guard let position = receipt.position, let connection = client.connection else { return }
        verdict.acknowledged(
            Acknowledged(
                body: key, room: library.room, id: receipt.id, position: position, key: Text(key), user: client.user,
                node: connection.node, time: now, isDuplicate: receipt.isDuplicate)
        ).map { violate(.keys, connection.node, $0) }
    }

    // MARK: In the end

    /// Each is back, has sent what it had to send and was handed out what it is owed.
    func checkLibraryClients() -> [Problem] {
        var problems: [Problem] = []
        for client in clients {
            guard let library = client.library else { continue }
            func wrong(_ words: String) {
                let node = client.connection?.node ?? -1
                problems.append(
                    Problem(rule: .resume, node: node, words: "client \(client.index), the library: \(words)"))
            }
            guard let connection = client.connection, connection.isOpen, library.session?.phase == .live else {
                wrong("is not back")
                continue
            }
            if library.outbox.count > 0 { wrong("\(library.outbox.count) of its messages are not stored") }
            let isWild = scenario.faults[.clockJump] > 0 || scenario.faults[.clockDrift] > 0 || scenario.hasFarClocks
            if !isWild, counts.reloads == 0, ledger.forked.isEmpty, let words = library.outOfOrder() { wrong(words) }
            if scenario.retention == 0,
                let missing = library.missing(ledger, through: nodes[connection.node].disk.vector)
            {
                wrong(missing)
            }
        }
        return problems
    }
}
