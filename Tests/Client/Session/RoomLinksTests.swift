import ConvergeCRDT
import ConvergeWire
import Testing

@testable import ConvergeClient

@Suite("Which room is on which connection")
struct RoomLinksTests {
    private struct Driver {
        var links: RoomLinks
        var outbox = Outbox(options: .init(), generator: SeededGenerator(seed: 2))
        var now: UInt64 = 1
        var effects: [RoomLinks.Effect] = []

        init(servers: Int = 2, rooms: [String] = []) throws {
            let urls = try (0..<servers).map { try ServerURL("n\($0):1") }
            links = RoomLinks(urls: urls, options: .init(), generator: SeededGenerator(seed: 1))
            for room in rooms { join(room) }
        }

        mutating func join(_ room: String) { links.join(room, at: now, &outbox, into: &effects) }
        mutating func leave(_ room: String) { links.leave(room, at: now, &outbox, into: &effects) }

        mutating func step(
            _ id: Int, _ body: (inout RoomLink, UInt64, inout Outbox, inout [RoomLink.Effect]) -> Void
        ) {
            let now = now
            links.step(id, at: now, &outbox, into: &effects) { body(&$0, now, &$1, &$2) }
        }

        mutating func take(_ event: ConnectionMachine.Event, on id: Int) {
            guard let number = links.number(of: id) else { return }
            step(id) { $0.handle(event, of: number, at: $1, &$2, into: &$3) }
        }

        /// The socket stands.
        mutating func connect(_ id: Int) {
            step(id) { $0.take(token: 1, at: $1, into: &$3) }
            step(id) { link, now, _, _ in _ = link.connected(link.number, at: now) }
        }

        mutating func welcome(_ id: Int, _ generation: ProtocolGeneration, limit: Int? = nil) {
            take(.opened(generation), on: id)
            var welcome = Welcome(userID: "ann", displayName: "Ann", roomLimit: limit)
            if generation == .first { welcome.cursor = VersionVector() }
            take(.chat(.welcome(welcome)), on: id)
        }

        mutating func begin(_ id: Int, _ generation: ProtocolGeneration, limit: Int? = nil) {
            connect(id)
            welcome(id, generation, limit: limit)
        }

        /// The time of the next wait's end.
        mutating func wait() {
            now = max(now, links.nextTick(outbox))
            links.tick(at: now, &outbox, into: &effects)
        }

        var homes: [[String]] { links.ids.map { links.link($0)?.rooms ?? [] } }

        /// Answers what has been asked for, and forgets what else happened.
        mutating func answerSubscriptions() {
            let asked = effects
            effects = []
            for effect in asked {
                guard case .send(let command) = effect.effect, command.type == "subscribe" else { continue }
                let beginning = Subscribed(room: command.room ?? "", cursor: VersionVector(), ref: command.ref)
                take(.chat(.subscribed(beginning)), on: effect.link)
                guard command.cursor != nil else { continue }
                let end = Resumed(room: command.room ?? "", isRecovered: true, cursor: VersionVector())
                take(.chat(.resumed(end)), on: effect.link)
            }
        }

        func phase(_ room: String) -> RoomSession.Phase? {
            links.home(of: room).flatMap { links.link($0)?.session(of: room)?.phase }
        }
    }

    @Test func `rooms that are joined before there is a connection wait for one together`() throws {
        var driver = try Driver(rooms: ["a", "b", "c"])
        #expect(driver.homes == [["a", "b", "c"]])
        driver.begin(1, .second)
        driver.join("d")
        driver.answerSubscriptions()
        #expect(driver.homes == [["a", "b", "c", "d"]] && driver.phase("d") == .live)
    }

    @Test func `with a node of the first generation each has a link of its own, at the same server`() throws {
        var driver = try Driver(rooms: ["a", "b", "c"])
        driver.effects = []
        driver.begin(1, .first)
        #expect(driver.homes == [["a"], ["b"], ["c"]] && driver.phase("a") == .live)
        #expect(driver.effects.filter { $0.effect == .wantToken(refused: nil) }.map(\.link) == [2, 3])
        driver.effects = []
        driver.connect(2)
        #expect(driver.effects.contains { $0.effect == .connect(number: 1, server: 0, room: "b", cursor: nil) })
        driver.join("d")
        #expect(driver.homes.count == 3, "on one that may yet carry it")
        driver.welcome(2, .first)
        driver.begin(3, .first)
        #expect(driver.homes.count == 4 && driver.links.home(of: "d") == 4)
    }

    @Test func `a connection for many is come to by those that have none, and live ones stay where they are`() throws {
        var driver = try Driver(rooms: ["a", "b", "c", "d"])
        driver.begin(1, .first)
        driver.begin(2, .first)
        driver.connect(3)
        // Where the third is lost it finds another node.
        driver.take(.ended(.lost), on: 3)
        driver.wait()
        driver.begin(3, .second)
        #expect(driver.homes == [["a"], ["b"], ["c", "d"]])
        driver.answerSubscriptions()
        #expect(driver.phase("d") == .live)
        // One that loses its connection comes to the one that is there.
        driver.effects = []
        driver.take(.ended(.lost), on: 1)
        #expect(driver.homes == [["b"], ["c", "d", "a"]])
        driver.answerSubscriptions()
        #expect(driver.phase("a") == .live)
    }

    @Test func `what is over the limit of a node is together on a further connection`() throws {
        var driver = try Driver(rooms: ["a", "b", "c", "d", "e"])
        driver.begin(1, .second, limit: 2)
        #expect(driver.homes == [["a", "b"], ["c", "d", "e"]])
        driver.begin(2, .second, limit: 2)
        #expect(driver.homes == [["a", "b"], ["c", "d"], ["e"]])
        driver.begin(3, .second, limit: 2)
        driver.answerSubscriptions()
        #expect(["a", "b", "c", "d", "e"].allSatisfy { driver.phase($0) == .live })
        driver.join("f")
        #expect(driver.homes == [["a", "b"], ["c", "d"], ["e", "f"]])
    }

    @Test func `a room that is joined while a connection is waited for is not kept waiting`() throws {
        var driver = try Driver(servers: 1, rooms: ["a"])
        driver.connect(1)
        driver.take(.ended(.lost), on: 1)
        driver.effects = []
        driver.join("b")
        #expect(driver.effects.map(\.effect) == [.wantToken(refused: nil)] && driver.homes == [["a", "b"]])
    }

    @Test func `the last room takes its link with it`() throws {
        var driver = try Driver(rooms: ["a", "b"])
        driver.begin(1, .second)
        driver.leave("a")
        #expect(driver.homes == [["b"]])
        driver.effects = []
        driver.leave("b")
        #expect(driver.homes.isEmpty && driver.effects.contains { $0.effect == .close })
        driver.join("b")
        #expect(driver.homes == [["b"]])
    }

    @Test func `a refused token ends all that it was for`() throws {
        var driver = try Driver(rooms: ["a", "b"])
        let refusal = ConnectionMachine.Event.ended(.closed(.policyViolation, reason: "unauthorized", byUs: false))
        driver.connect(1)
        driver.take(refusal, on: 1)
        driver.connect(1)
        driver.effects = []
        driver.take(refusal, on: 1)
        let ends = driver.effects.filter { if case .end(.unauthorized, _) = $0.effect { true } else { false } }
        #expect(ends.count == 2 && driver.homes.isEmpty && driver.links.nextTick(driver.outbox) == .max)
    }

    enum Stage: CaseIterable {
        case connecting, opening, welcoming, subscribing, resuming, live
    }

    @Test("a connection that is lost is made anew, however far it had come", arguments: Stage.allCases, [false, true])
    func lost(at stage: Stage, wasLive: Bool) throws {
        var driver = try Driver(rooms: ["a", "b"])
        if wasLive {
            driver.begin(1, .second)
            driver.answerSubscriptions()
            driver.take(.ended(.lost), on: 1)
            driver.wait()
        }
        driver.effects = []
        driver.step(1) { $0.take(token: 1, at: $1, into: &$3) }
        if stage == .connecting {
            driver.step(1) { $0.connectFailed($0.number, "refused", at: $1, into: &$3) }
        } else {
            driver.step(1) { link, now, _, _ in _ = link.connected(link.number, at: now) }
            if stage != .opening { driver.take(.opened(.second), on: 1) }
            if ![.opening, .welcoming].contains(stage) {
                driver.take(.chat(.welcome(Welcome(userID: "ann", displayName: "Ann"))), on: 1)
            }
            if stage == .resuming {
                for effect in driver.effects {
                    guard case .send(let command) = effect.effect, command.type == "subscribe" else { continue }
                    let beginning = Subscribed(room: command.room ?? "", cursor: VersionVector(), ref: command.ref)
                    driver.take(.chat(.subscribed(beginning)), on: 1)
                }
                #expect(driver.phase("b") == (wasLive ? .resuming : .live))
            }
            if stage == .live { driver.answerSubscriptions() }
            driver.effects = []
            driver.take(.ended(.lost), on: 1)
            #expect(driver.effects.contains { $0.effect == .close })
        }
        for room in ["a", "b"] {
            #expect(driver.phase(room) == .away)
            #expect(
                driver.effects.contains {
                    if case .event(.connection(.waiting), room) = $0.effect { true } else { false }
                })
        }
        driver.wait()
        driver.effects = []
        driver.begin(1, .second)
        driver.answerSubscriptions()
        #expect(driver.phase("a") == .live && driver.phase("b") == .live && driver.homes == [["a", "b"]])
    }
}
