import ConvergeCRDT
import ConvergeWire
import Testing

@testable import ConvergeClient

@Suite("A connection and its rooms")
struct RoomLinkTests {
    private static let second: UInt64 = 1_000_000_000

    private struct Driver {
        var link: RoomLink
        var outbox = Outbox(options: .init(), generator: SeededGenerator(seed: 2))
        var effects: [RoomLink.Effect] = []
        var now: UInt64 = 1

        init(_ rooms: [String], servers: Int = 2, _ configure: (inout RoomLink.Options) -> Void = { _ in }) throws {
            var options = RoomLink.Options()
            configure(&options)
            let urls = try (0..<servers).map { try ServerURL("n\($0):1") }
            link = RoomLink(urls: urls, options: options, generator: SeededGenerator(seed: 1))
            for (number, room) in rooms.enumerated() {
                link.add(RoomSession(room: room, number: number), at: now, into: &effects)
            }
            link.start(at: now, into: &effects)
        }

        /// What it does then.
        @discardableResult
        mutating func act(_ body: (inout Driver) -> Void) -> [RoomLink.Effect] {
            effects = []
            body(&self)
            return effects
        }

        @discardableResult
        mutating func take(_ event: ConnectionMachine.Event) -> [RoomLink.Effect] {
            act { $0.link.handle(event, of: $0.link.number, at: $0.now, &$0.outbox, into: &$0.effects) }
        }

        mutating func connect(token: Int = 1) {
            link.take(token: token, at: now, into: &effects)
            let isWanted = link.connected(link.number, at: now)
            #expect(isWanted)
        }

        /// Connected to a node of the second generation.
        @discardableResult
        mutating func begin(limit: Int? = nil) -> [RoomLink.Effect] {
            connect()
            take(.opened(.second))
            return take(.chat(.welcome(Welcome(userID: "ann", displayName: "Ann", node: "ab", roomLimit: limit))))
        }

        mutating func tick(at time: UInt64) -> [RoomLink.Effect] {
            now = time
            return act { $0.link.tick(at: $0.now, &$0.outbox, into: &$0.effects) }
        }
    }

    private func sent(_ effects: [RoomLink.Effect]) -> [ChatCommand] {
        effects.compactMap { if case .send(let command) = $0 { command } else { nil } }
    }

    private static func line(_ seq: UInt64, in room: String) -> ChatEvent {
        let dot = Dot(replica: ReplicaID(rawValue: 1), seq: seq)
        return .message(
            ChatLine(
                id: "\(room)\(seq)", room: room, userID: "bob", displayName: "Bob", body: "m\(seq)",
                position: Position(timestamp: HybridTimestamp(rawValue: seq), dot: dot), dot: dot))
    }

    private static func subscribed(_ room: String, ref: String?, seq: UInt64 = 0) -> ConnectionMachine.Event {
        let cursor = VersionVector([Dot(replica: ReplicaID(rawValue: 1), seq: seq)])
        return .chat(.subscribed(Subscribed(room: room, cursor: cursor, ref: ref)))
    }

    // MARK: The connection

    @Test("asked to reconnect it makes another connection at once, and what is under way goes on")
    func reconnect() throws {
        var driver = try Driver(["lobby"])
        driver.link.take(token: 1, at: 1, into: &driver.effects)
        #expect(driver.act { $0.link.reconnect("lobby", at: 1, &$0.outbox, into: &$0.effects) }.isEmpty)
        let isWanted = driver.link.connected(1, at: 2)
        #expect(isWanted)
        driver.take(.opened(.first))
        driver.take(.chat(.welcome(Welcome(room: "lobby", userID: "ann", displayName: "Ann"))))
        #expect(driver.link.phase == .live)
        let effects = driver.act { $0.link.reconnect("lobby", at: 3, &$0.outbox, into: &$0.effects) }
        #expect(driver.link.phase == .away && effects.contains(.close) && effects.last == .wantToken(refused: nil))
        driver.link.take(token: 1, at: 3, into: &driver.effects)
        #expect(driver.effects.last == .connect(number: 3, server: 1, room: "lobby", cursor: nil))
    }

    @Test("a token that was refused twice is not shown a third time")
    func refusedToken() throws {
        var driver = try Driver(["lobby", "dev"], servers: 1) {
            $0.reconnect.unauthorizedBackoff = Backoff(first: .seconds(5), greatest: .seconds(300))
        }
        let end = ConnectionEnd.closed(.policyViolation, reason: "unauthorized", byUs: false)
        driver.connect(token: 1)
        #expect(driver.take(.ended(end)).last == .wantToken(refused: 1))
        driver.connect(token: 2)
        driver.take(.ended(end))
        let effects = driver.act { $0.link.reconnect("dev", at: 3, &$0.outbox, into: &$0.effects) }
        #expect(effects == [.wantToken(refused: 2)])
    }

    @Test("a server that does not answer, or says no welcome, is left")
    func patience() throws {
        var driver = try Driver(["lobby"])
        driver.connect()
        #expect(driver.link.nextTick(driver.outbox) == 10 * Self.second + 1)
        #expect(driver.tick(at: 10 * Self.second).isEmpty)
        #expect(driver.tick(at: 10 * Self.second + 1).contains(.close) && driver.link.phase == .away)

        driver = try Driver(["lobby"])
        driver.connect()
        driver.now = 5
        driver.take(.opened(.second))
        #expect(driver.tick(at: 10 * Self.second + 4).isEmpty)
        #expect(driver.tick(at: 10 * Self.second + 5).contains(.close) && driver.link.phase == .away)
    }

    @Test("what an old connection brings is nobody's")
    func oldConnections() throws {
        var driver = try Driver(["dev"])
        let ref = sent(driver.begin()).first?.ref
        driver.take(Self.subscribed("dev", ref: ref))
        let old = driver.link.number
        driver.take(.ended(.lost))
        let effects = driver.act {
            $0.link.handle(.chat(Self.line(1, in: "dev")), of: old, at: 2, &$0.outbox, into: &$0.effects)
        }
        #expect(effects.isEmpty)
    }

    // MARK: Rooms of the second generation

    @Test("each room is subscribed to, and has the frames that name it, and the answers to what it asked")
    func routing() throws {
        var driver = try Driver(["dev", "ops"])
        let commands = sent(driver.begin())
        #expect(commands.map(\.type) == ["subscribe", "subscribe"] && commands.map(\.room) == ["dev", "ops"])
        #expect(driver.take(.chat(Self.line(1, in: "ops"))).isEmpty, "nothing before the subscription")
        #expect(driver.take(Self.subscribed("ops", ref: commands[0].ref)).isEmpty, "not the answer to that")
        let live = driver.take(Self.subscribed("ops", ref: commands[1].ref))
        // Who has waited for the one that has no node yet finds it.
        guard live.count == 2, case .event(.connection(.live(_, nil, "ann", "Ann")), "ops") = live[0],
            case .event(.connection(.live(_, "ab", "ann", "Ann")), "ops") = live[1]
        else { return #expect(Bool(false), "\(live)") }
        driver.take(Self.subscribed("dev", ref: commands[0].ref))
        guard case .event(.message, "ops") = driver.take(.chat(Self.line(1, in: "ops"))).first else {
            return #expect(Bool(false))
        }
        #expect(driver.take(.chat(Self.line(1, in: "elsewhere"))).isEmpty)
        let asked = try #require(
            sent(driver.act { $0.link.request(7, .rooms(), in: "ops", at: 1, &$0.outbox, into: &$0.effects) }).first)
        #expect(asked.room == nil && asked.limit == 1_000)
        #expect(driver.take(.chat(.rooms(["a"], ref: asked.ref))) == [.answer(7, .rooms(["a"], next: nil))])
        let other = try #require(
            sent(driver.act { $0.link.request(8, .documents, in: "dev", at: 1, &$0.outbox, into: &$0.effects) }).first)
        #expect(other.room == "dev" && other.ref != asked.ref)
        // The words are those that the first generation has for it.
        let refusal = ServerError("History can't be read now.", code: "history_unavailable", ref: other.ref)
        #expect(driver.take(.chat(.error(refusal))) == [.failed(8, .refused("history unavailable"))])
    }

    @Test("a lost connection is lost for all its rooms, and each goes on from its own cursor")
    func lost() throws {
        var driver = try Driver(["dev", "ops"], servers: 1)
        for (index, command) in sent(driver.begin()).enumerated() {
            driver.take(Self.subscribed(command.room ?? "", ref: command.ref, seq: UInt64(index) + 1))
        }
        let effects = driver.take(.ended(.lost))
        let waiting = effects.filter { if case .event(.connection(.waiting), _) = $0 { true } else { false } }
        #expect(waiting.count == 2 && effects.contains(.close))
        _ = driver.tick(at: driver.link.nextTick(driver.outbox))
        let again = sent(driver.begin())
        #expect(again.map { $0.cursor?[ReplicaID(rawValue: 1)] } == [1, 2])
    }

    @Test("a room that the server does not take ends alone")
    func invalidRoom() throws {
        var driver = try Driver(["dev", "ops", "lobby"])
        let commands = sent(driver.begin())
        let effects = driver.take(.chat(.error(ServerError("invalid room", ref: commands[1].ref))))
        #expect(effects.last == .end(.invalidRoomOrUser, room: "ops") && driver.link.rooms == ["dev", "lobby"])
        driver.take(Self.subscribed("lobby", ref: commands[2].ref))
        #expect(driver.link.session(of: "lobby")?.phase == .live)
    }

    @Test("a subscription that is refused for now is asked for again, each time later; the others don't wait")
    func refusedForNow() throws {
        var driver = try Driver(["dev", "ops"])
        let commands = sent(driver.begin())
        driver.take(Self.subscribed("ops", ref: commands[1].ref))
        var (ref, waits) = (commands[0].ref, [UInt64]())
        for _ in 0..<4 {
            driver.take(.chat(.error(ServerError("busy", ref: ref))))
            let next = driver.link.members[0].subscription.nextTick
            waits.append(next - driver.now)
            let again = sent(driver.tick(at: next)).filter { $0.type == "subscribe" }
            #expect(again.map(\.room) == ["dev"])
            ref = again.first?.ref
        }
        #expect(waits == waits.sorted() && waits[3] > waits[0])
        // Somebody does not want to wait.
        driver.take(.chat(.error(ServerError("busy", ref: ref))))
        let now = driver.act { $0.link.reconnect("dev", at: $0.now, &$0.outbox, into: &$0.effects) }
        #expect(sent(now).map(\.room) == ["dev"] && driver.link.phase == .live)
    }

    @Test("a subscription that the server ends is taken up at once, and a second time at its leisure")
    func endedByServer() throws {
        var driver = try Driver(["dev"])
        driver.take(Self.subscribed("dev", ref: sent(driver.begin()).first?.ref))
        let gone = ConnectionMachine.Event.chat(
            .unsubscribed(Unsubscribed(room: "dev", reason: "history is gone", isRecovered: false)))
        let again = sent(driver.take(gone))
        #expect(again.map(\.type) == ["subscribe"] && again.first?.cursor != nil)
        #expect(sent(driver.take(gone)).isEmpty, "a server that gives it back at once")
        let later = sent(driver.tick(at: driver.link.members[0].subscription.nextTick)).filter { $0.room != nil }
        #expect(later.map(\.type) == ["subscribe"])
    }

    @Test("a subscription that is not answered is the end of the connection")
    func unanswered() throws {
        var driver = try Driver(["dev", "ops"])
        driver.take(Self.subscribed("ops", ref: sent(driver.begin()).last?.ref))
        driver.link.heard(at: 10 * Self.second)
        #expect(driver.tick(at: 10 * Self.second + 1).contains(.close))
    }

    @Test("a room that is left is unsubscribed from, and what still comes of it is nobody's")
    func leaving() throws {
        var driver = try Driver(["dev", "ops"])
        for command in sent(driver.begin()) { driver.take(Self.subscribed(command.room ?? "", ref: command.ref)) }
        let effects = driver.act { $0.link.leave("dev", at: 2, &$0.outbox, into: &$0.effects) }
        let left = sent(effects)
        #expect(left.map(\.type) == ["unsubscribe"] && left.first?.room == "dev" && left.first?.ref != nil)
        #expect(effects.last == .end(.left, room: "dev") && !effects.contains(.close))
        #expect(driver.take(.chat(Self.line(1, in: "dev"))).isEmpty)
        // Joined again before the server has read that: its answer is not about the new subscription.
        let joined = sent(
            driver.act { $0.link.add(RoomSession(room: "dev", number: 9), at: 2, into: &$0.effects) })
        let answer = Unsubscribed(room: "dev", ref: left.first?.ref)
        #expect(driver.take(.chat(.unsubscribed(answer))).isEmpty)
        driver.take(Self.subscribed("dev", ref: joined.first?.ref))
        #expect(driver.link.session(of: "dev")?.phase == .live)
        driver.act { $0.link.leave("ops", at: 2, &$0.outbox, into: &$0.effects) }
        #expect(driver.act { $0.link.leave("dev", at: 2, &$0.outbox, into: &$0.effects) }.contains(.close))
    }

    @Test("of messages of several rooms the biggest goes where one was too big for the connection")
    func tooBig() throws {
        var driver = try Driver(["dev", "ops"])
        driver.outbox.add(UnsentMessage(key: "a", room: "dev", body: "short"))
        driver.outbox.add(UnsentMessage(key: "b", room: "ops", body: String(repeating: "x", count: 99)))
        for command in sent(driver.begin()) { driver.take(Self.subscribed(command.room ?? "", ref: command.ref)) }
        let effects = driver.take(.ended(.closed(.messageTooBig, reason: "message too big", byUs: false)))
        #expect(effects.contains(.sending(key: "b", .refused("message too big"))))
        #expect(effects.contains(.sending(key: "a", .queued)))
    }

    // MARK: How many

    @Test("a node of the first generation takes the room that the URL named, and no others")
    func first() throws {
        var driver = try Driver(["dev", "ops", "lobby"])
        driver.connect()
        #expect(driver.effects.last == .connect(number: 1, server: 0, room: "dev", cursor: nil))
        driver.take(.opened(.first))
        #expect(driver.link.takeSurplus().map(\.room) == ["ops", "lobby"] && driver.link.rooms == ["dev"])
        let effects = driver.take(.chat(.welcome(Welcome(room: "dev", userID: "ann", displayName: "Ann"))))
        #expect(sent(effects).isEmpty && driver.link.session(of: "dev")?.phase == .live)
        let asked = driver.act {
            $0.link.request(1, .members(limit: nil), in: "dev", at: 1, &$0.outbox, into: &$0.effects)
        }
        #expect(sent(asked).map(\.limit) == [nil] && sent(asked).map(\.room) == [nil], "a limit would cut the list")
    }

    @Test("where the room that the URL named was left meanwhile, a node of the first generation is connected to anew")
    func namedRoomLeft() throws {
        var driver = try Driver(["dev", "ops"])
        driver.connect()
        driver.act { $0.link.leave("dev", at: 1, &$0.outbox, into: &$0.effects) }
        #expect(driver.take(.opened(.first)).contains(.close))
        driver = try Driver(["dev", "ops"])
        driver.connect()
        driver.act { $0.link.leave("dev", at: 1, &$0.outbox, into: &$0.effects) }
        driver.take(.opened(.second))
        #expect(sent(driver.take(.chat(.welcome(Welcome(userID: "a", displayName: "a"))))).map(\.room) == ["ops"])
    }

    @Test("what is over the server's limit is surplus, whether the welcome or an error says so")
    func limits() throws {
        var driver = try Driver(["a", "b", "c"])
        #expect(sent(driver.begin(limit: 2)).map(\.room) == ["a", "b"])
        #expect(driver.link.takeSurplus().map(\.room) == ["c"])

        driver = try Driver(["a", "b", "c"])
        let commands = sent(driver.begin())
        driver.take(Self.subscribed("a", ref: commands[0].ref))
        driver.take(.chat(.error(ServerError("too many rooms", ref: commands[1].ref))))
        driver.take(Self.subscribed("c", ref: commands[2].ref))
        #expect(driver.link.takeSurplus().map(\.room) == ["b"] && !driver.link.hasSpare)
        #expect(driver.link.session(of: "c")?.phase == .live)
        // One that is alone is not handed about.
        driver = try Driver(["a"])
        driver.take(.chat(.error(ServerError("too many rooms", ref: sent(driver.begin()).first?.ref))))
        #expect(driver.link.takeSurplus().isEmpty && driver.link.members[0].subscription.nextTick > driver.now)
    }
}
