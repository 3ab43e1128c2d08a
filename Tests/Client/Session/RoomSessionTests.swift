import ConvergeCRDT
import ConvergeWire
import Foundation
import Testing

@testable import ConvergeClient

@Suite("A room over its connections")
struct RoomSessionTests {
    private struct Driver {
        var session = RoomSession(room: "dev")
        var outbox = Outbox(generator: SeededGenerator(seed: 1))
        var now: UInt64 = 1

        mutating func open() -> [RoomSession.Effect] {
            session.opened()
            return []
        }

        mutating func take(_ event: ChatEvent) -> [RoomSession.Effect] {
            var effects: [RoomSession.Effect] = []
            session.handle(event, at: now, &outbox, into: &effects)
            return effects
        }

        mutating func end() -> [RoomSession.Effect] {
            var effects: [RoomSession.Effect] = []
            session.ended(&outbox, into: &effects)
            return effects
        }

        mutating func ask(_ id: Int, _ request: RoomRequest) -> [RoomSession.Effect] {
            var effects: [RoomSession.Effect] = []
            session.request(id, request, outbox, into: &effects)
            return effects
        }

        /// Connected and welcome, with a cursor that covers so much of node 1.
        mutating func begin(_ seq: UInt64 = 0) -> [RoomSession.Effect] {
            session.opened()
            return take(.welcome(RoomSessionTests.welcome(seq)))
        }
    }

    private static let node = ReplicaID(rawValue: 1)

    private static func welcome(_ seq: UInt64) -> Welcome {
        Welcome(room: "dev", userID: "ann", displayName: "Ann", cursor: VersionVector([Dot(replica: node, seq: seq)]))
    }

    private static func line(_ seq: UInt64, id: String? = nil, of replica: UInt64 = 1) -> ChatLine {
        let dot = Dot(replica: ReplicaID(rawValue: replica), seq: seq)
        return ChatLine(
            id: id ?? "\(dot)", room: "dev", userID: "bob", displayName: "Bob", body: "m\(seq)",
            position: Position(timestamp: HybridTimestamp(rawValue: seq), dot: dot), dot: dot)
    }

    private static func bodies(_ effects: [RoomSession.Effect]) -> [String] {
        effects.compactMap { if case .event(.message(let line, _)) = $0 { line.body } else { nil } }
    }

    @Test func `live frames move the cursor, and what it covers is not shown again`() {
        var driver = Driver()
        _ = driver.begin(4)
        #expect(Self.bodies(driver.take(.message(Self.line(5)))) == ["m5"])
        #expect(Self.bodies(driver.take(.message(Self.line(5)))).isEmpty)
        #expect(Self.bodies(driver.take(.message(Self.line(3)))).isEmpty)
        #expect(driver.session.cursor?[Self.node] == 5)
    }

    @Test func `one message stored on two nodes is shown once, and the cursor covers both`() {
        var driver = Driver()
        _ = driver.begin()
        #expect(Self.bodies(driver.take(.message(Self.line(1, id: "same")))) == ["m1"])
        #expect(Self.bodies(driver.take(.message(Self.line(9, id: "same", of: 2)))).isEmpty)
        #expect(driver.session.cursor?[ReplicaID(rawValue: 2)] == 9)
    }

    @Test func `a resume shows its pages as missed, then says how it went, then goes on live`() {
        var driver = Driver()
        _ = driver.begin(1)
        _ = driver.end()
        #expect(driver.session.urlCursor == #"{"0000000000000001":1}"#)
        let effects = driver.begin(9)
        #expect(!effects.contains { if case .send = $0 { true } else { false } })
        let page = HistoryFrame(
            room: "dev", entries: [.message(Self.line(2)), .message(Self.line(3))], isResume: true,
            cursor: VersionVector([Dot(replica: Self.node, seq: 3)]))
        let shown = driver.take(.history(page))
        #expect(
            shown == [
                .event(.message(Self.line(2), isMissed: true)), .event(.message(Self.line(3), isMissed: true)),
            ])
        let reached = VersionVector([Dot(replica: Self.node, seq: 9)])
        let end = driver.take(.resumed(Resumed(room: "dev", isRecovered: true, cursor: reached, documents: ["d"])))
        #expect(end == [.event(.resumed(recovered: true, missed: 2, documents: ["d"]))])
        #expect(driver.session.cursor == reached)
        #expect(driver.take(.message(Self.line(10))) == [.event(.message(Self.line(10), isMissed: false))])
    }

    @Test func `a connection that breaks within a resume goes on from the last page`() {
        var driver = Driver()
        _ = driver.begin(1)
        _ = driver.end()
        _ = driver.begin(9)
        let page = HistoryFrame(
            room: "dev", entries: [.message(Self.line(2))], isResume: true,
            cursor: VersionVector([Dot(replica: Self.node, seq: 2)]))
        _ = driver.take(.history(page))
        _ = driver.end()
        #expect(driver.session.urlCursor == #"{"0000000000000001":2}"#)
    }

    @Test(
        "that something may be missing is told, whichever frame says so",
        arguments: [(true, false), (false, true), (false, false)])
    func gaps(page: Bool, end: Bool) {
        var driver = Driver()
        _ = driver.begin(1)
        _ = driver.end()
        _ = driver.begin(9)
        let cursor = VersionVector([Dot(replica: Self.node, seq: 9)])
        _ = driver.take(
            .history(HistoryFrame(room: "dev", entries: [], isResume: true, cursor: cursor, isRecovered: page)))
        let effects = driver.take(.resumed(Resumed(room: "dev", isRecovered: end, cursor: cursor)))
        #expect(effects == [.event(.resumed(recovered: false, missed: 0, documents: []))])
    }

    @Test
    func `a node whose disk was set back is believed: what it wrote anew is shown, and the cursor is the one it gives`()
    {
        func line(_ seq: UInt64, at time: UInt64) -> ChatLine {
            var line = Self.line(seq, id: String(format: "%016x%016x", 1, seq))
            line.body = "\(seq) at \(time)"
            line.position = Position(
                timestamp: HybridTimestamp(rawValue: time), dot: Dot(replica: Self.node, seq: seq))
            return line
        }
        var driver = Driver()
        _ = driver.begin(0)
        for seq in 1...5 as ClosedRange<UInt64> { _ = driver.take(.message(line(seq, at: seq))) }
        _ = driver.end()
        // It has lost 4 and 5, and has another 4. All of its log comes, and says that something may be missing.
        _ = driver.begin(4)
        let reached = VersionVector([Dot(replica: Self.node, seq: 4)])
        let entries = [line(1, at: 1), line(2, at: 2), line(3, at: 3), line(4, at: 90)].map(ChatEvent.message)
        let page = HistoryFrame(room: "dev", entries: entries, isResume: true, cursor: reached, isRecovered: false)
        #expect(Self.bodies(driver.take(.history(page))) == ["4 at 90"])
        _ = driver.take(.resumed(Resumed(room: "dev", isRecovered: false, cursor: reached)))
        #expect(driver.session.cursor == reached)
        #expect(Self.bodies(driver.take(.message(line(5, at: 91)))) == ["5 at 91"])
        #expect(Self.bodies(driver.take(.message(line(5, at: 91)))) == [])
    }

    @Test func `a server that can't resume makes a gap, and that is told`() {
        var driver = Driver()
        _ = driver.begin(1)
        _ = driver.end()
        _ = driver.open()
        let effects = driver.take(.welcome(Welcome(room: "dev", userID: "ann", displayName: "Ann")))
        #expect(effects.contains(.event(.resumed(recovered: false, missed: 0, documents: []))))
        #expect(driver.session.phase == .live && driver.session.urlCursor == nil)
    }

    @Test func `a cursor too long for a URL is sent as a frame, and live frames wait for the end`() {
        var driver = Driver()
        _ = driver.begin(1)
        for node in 2...150 as ClosedRange<UInt64> { _ = driver.take(.message(Self.line(1, of: node))) }
        _ = driver.end()
        #expect(driver.session.urlCursor == nil)
        let effects = driver.begin(1)
        #expect(effects.contains { if case .send(let command) = $0 { command.type == "resume" } else { false } })
        #expect(Self.bodies(driver.take(.message(Self.line(7)))).isEmpty)
        let page = HistoryFrame(
            room: "dev", entries: [.message(Self.line(6))], isResume: true,
            cursor: VersionVector([Dot(replica: Self.node, seq: 6)]))
        #expect(Self.bodies(driver.take(.history(page))) == ["m6"])
        let reached = VersionVector([Dot(replica: Self.node, seq: 7)])
        let end = driver.take(.resumed(Resumed(room: "dev", isRecovered: true, cursor: reached, ref: "resume")))
        #expect(
            end == [
                .event(.resumed(recovered: true, missed: 1, documents: [])),
                .event(.message(Self.line(7), isMissed: false)),
            ])
    }

    @Test func `requests are answered by their ref, or fail with their connection`() {
        var driver = Driver()
        #expect(driver.ask(1, .rooms()) == [.failed(1, .notConnected)])
        _ = driver.begin()
        guard case .send(let command) = driver.ask(2, .rooms())[0] else { return #expect(Bool(false)) }
        _ = driver.ask(3, .documents)
        #expect(driver.take(.rooms(["a"], next: "b", ref: command.ref)) == [.answer(2, .rooms(["a"], next: "b"))])
        #expect(driver.take(.rooms(["a"], ref: command.ref)).isEmpty)
        guard case .send(let other) = driver.ask(4, .members(limit: 1))[0] else { return #expect(Bool(false)) }
        #expect(driver.take(.error(ServerError("busy", ref: other.ref))) == [.failed(4, .refused("busy"))])
        #expect(driver.end() == [.failed(3, .connectionLost)])
    }

    @Test func `only so many requests wait`() {
        var driver = Driver()
        _ = driver.begin()
        for id in 0..<256 { _ = driver.ask(id, .rooms()) }
        #expect(driver.ask(256, .rooms()) == [.failed(256, .tooMany)])
    }

    @Test func `a message goes when there is a connection, after what was seen anywhere, and again on the next one`() {
        var driver = Driver()
        driver.outbox.add(UnsentMessage(key: "k", room: "dev", body: "hi", copies: 2))
        driver.outbox.saw(Self.line(77, of: 5).position!)
        let effects = driver.begin()
        let sent = effects.compactMap { if case .send(let command) = $0 { command } else { nil } }
        #expect(sent.count == 1 && sent[0].key == "k" && sent[0].ref == "k" && sent[0].copies == 2)
        #expect(sent[0].after == Self.line(77, of: 5).position)
        #expect(driver.end().contains(.sending(key: "k", .queued)))
        _ = driver.begin()
        let receipt = Receipt(id: "1", position: Self.line(78, of: 5).position)
        let end = driver.take(.ack(receipt, ref: "k"))
        #expect(end.contains(.sending(key: "k", .stored(receipt))) && driver.outbox.count == 0)
        #expect(end.contains(.serves(node: "0000000000000005")))
    }

    @Test func `an answer or error about a document that is followed no more is nobody's`() {
        var driver = Driver()
        _ = driver.begin()
        let key = DocumentKey(name: "config", sort: .map)
        var effects: [RoomSession.Effect] = []
        #expect(driver.session.follow(key, into: &effects) == true)
        guard case .send(let command)? = effects.first else { return #expect(Bool(false)) }
        driver.session.unfollow(key)
        #expect(driver.take(.error(ServerError("unknown type: doc_get", ref: command.ref))).isEmpty)
        #expect(
            driver.take(.document(DocumentEvent(type: "doc_value", room: "dev", document: "config", ref: command.ref)))
                .isEmpty)
    }

    // MARK: The second generation

    private static func cursor(_ seq: UInt64) -> VersionVector { VersionVector([Dot(replica: node, seq: seq)]) }

    private static func subscribed(_ seq: UInt64) -> ChatEvent {
        .subscribed(Subscribed(room: "dev", cursor: cursor(seq)))
    }

    @Test func `a subscription begins live, and one that follows another resumes`() {
        var driver = Driver()
        _ = driver.open()
        #expect(driver.take(Self.subscribed(4)) == [.live])
        #expect(driver.session.phase == .live && driver.session.cursor == Self.cursor(4))
        _ = driver.end()
        _ = driver.open()
        #expect(driver.take(.message(Self.line(5))).isEmpty, "before the subscription nothing is of it")
        #expect(driver.take(Self.subscribed(9)) == [.live])
        #expect(driver.session.phase == .resuming && driver.session.cursor == Self.cursor(4))
        let end = driver.take(.resumed(Resumed(room: "dev", isRecovered: true, cursor: Self.cursor(9))))
        #expect(end == [.event(.resumed(recovered: true, missed: 0, documents: []))])
    }

    @Test func `a subscription that the server ends is resumed, and what was asked is answered meanwhile`() {
        var driver = Driver()
        _ = driver.open()
        _ = driver.take(Self.subscribed(4))
        guard case .send(let command) = driver.ask(1, .documents)[0] else { return #expect(Bool(false)) }
        driver.session.interrupted(isRecovered: false)
        #expect(driver.session.phase == .resuming && driver.session.isLive)
        #expect(driver.take(.documents([], room: "dev", ref: command.ref)) == [.answer(1, .documents([]))])
        #expect(driver.take(Self.subscribed(9)) == [.live])
        let end = driver.take(.resumed(Resumed(room: "dev", isRecovered: true, cursor: Self.cursor(9))))
        #expect(end == [.event(.resumed(recovered: false, missed: 0, documents: []))], "the end said so")
    }

    @Test func `cursors that the server tells are joined, save while pages are under way`() {
        var driver = Driver()
        _ = driver.open()
        _ = driver.take(Self.subscribed(4))
        driver.session.join(Self.cursor(7))
        driver.session.join(Self.cursor(6))
        #expect(driver.session.cursor == Self.cursor(7))
        driver.session.interrupted(isRecovered: true)
        driver.session.join(Self.cursor(9))
        #expect(driver.session.cursor == Self.cursor(7))
    }
}
