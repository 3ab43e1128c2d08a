import ConvergeCRDT
import ConvergeStorage
import ConvergeTransport
import ConvergeWire
import Glibc
import Testing

@testable import ConvergeNode

/// What the members of a room are sent when the store has gone back, and when what it lacked comes again.
@Suite("ClientLoop: a store that went back") struct ClientLoopSetBackTests {
    private static let a = ReplicaID(rawValue: 1)
    private static let b = ReplicaID(rawValue: 2)

    private func vector(_ a: UInt64, _ b: UInt64 = 0) -> VersionVector {
        VersionVector([Dot(replica: Self.a, seq: a), Dot(replica: Self.b, seq: b)])
    }

    private func dot(_ seq: UInt64, _ replica: ReplicaID = a) -> Dot { Dot(replica: replica, seq: seq) }

    @Test("what comes back is sent to who has come since and not to who has been sent it, in whatever turn")
    func comesBack() throws {
        for turnEndsEachTime in [false, true] {
            let setting = try Setting()
            func turn() { if turnEndsEachTime { setting.endTurn() } }
            let old = try setting.connect()
            setting.deliver(at: vector(0)) { $0.append(to: .enter(old.session, room: 0, name: "lobby")) }
            setting.show([dot(1), dot(2), dot(3), dot(4)], at: vector(0))
            setting.endTurn()
            #expect(old.received() == ["1.1", "1.2", "1.3", "1.4"])

            setting.show([dot(5)], at: vector(4))
            turn()
            setting.deliver(at: vector(2)) { $0.append(to: .setBack) }
            turn()
            let young = try setting.connect()
            setting.deliver(at: vector(2)) { $0.append(to: .enter(young.session, room: 0, name: "lobby")) }
            #expect(setting.loop.position == vector(2))
            #expect(setting.loop.handed(old.slot) == vector(5) && setting.loop.handed(young.slot) == vector(2))
            turn()
            setting.show([dot(3), dot(4), dot(1, Self.b)], at: vector(2))
            turn()
            setting.show([dot(5), dot(6)], at: vector(4, 1))
            setting.endTurn()
            #expect(old.received() == ["1.5", "2.1", "1.6"])
            #expect(young.received() == ["1.3", "1.4", "2.1", "1.5", "1.6"])
            // All has come again: nobody is looked at any more.
            setting.endTurn()
            #expect(setting.loop.takenBack.isEmpty)
        }
    }

    @Test("a fed member keeps none of the frames that were held when its room is to be fed from the store")
    func fedAgain() throws {
        let setting = try Setting()
        let client = try setting.connect()
        setting.deliver(at: vector(0)) { $0.append(to: .enter(client.session, room: 0, name: "lobby")) }
        for isSetBack in [false, true] {
            let queue = FeedQueue(Feed(catchingUpFrom: vector(0)))
            _ = queue.feed.ask(1, at: vector(0))
            setting.loop.removeMember(client.slot)
            setting.loop.addSlowMember(client.slot, queue)
            setting.show([dot(1)], at: vector(0))
            #expect(queue.ends.count == 1 && queue.feed.held.count == 1)
            if isSetBack { setting.loop.setBack(to: vector(0)) } else { setting.loop.feedAll(0) }
            #expect(queue.ends.isEmpty && queue.feed.held.isEmpty && queue.feed.overflowed)
            setting.loop.setBack(to: vector(0))
        }
    }
}

/// A loop that the test's own thread turns, with clients at the other ends of socket pairs.
private final class Setting {
    var loop: ClientLoop
    private var clients: [Client] = []

    final class Client {
        let session: SessionID
        private let ends: (loop: Int32, client: Int32)

        init(_ session: SessionID, _ ends: (loop: Int32, client: Int32)) {
            self.session = session
            self.ends = ends
        }

        deinit {
            close(ends.loop)
            close(ends.client)
        }

        var slot: UInt32 { session.slot }

        /// The texts of the frames that have come since this was last asked.
        func received() -> [String] {
            var bytes = [UInt8](repeating: 0, count: 4_096)
            let count = recv(ends.client, &bytes, bytes.count, Int32(MSG_DONTWAIT))
            var rest = bytes.prefix(max(0, count))
            var texts: [String] = []
            // Short ones: two bytes of header each.
            while rest.count >= 2 {
                let length = Int(rest[rest.startIndex + 1])
                texts.append(String(decoding: rest.dropFirst(2).prefix(length), as: UTF8.self))
                rest = rest.dropFirst(2 + length)
            }
            return texts
        }
    }

    init() throws {
        let (core, mailbox) = (try Mailbox<CoreEvent>(), try Mailbox<LoopMessage>())
        let metrics = Metrics(depths: QueueDepths())
        let limits = SessionLimits(body: 100, room: 20, user: 20)
        let second: UInt64 = 1_000_000_000
        let webSocket = WebSocketMachine.Limits(maxMessageBytes: 1_000)
        loop = ClientLoop(
            options: LoopOptions(
                index: 0, limits: limits, webSocket: webSocket, echo: webSocket, sendFrames: 64, coreBacklog: 10,
                writeWait: second, pongWait: second, pingPeriod: second, readTimeout: second, writeTimeout: second,
                idleTimeout: second, frameSeed: 1),
            listener: -1, mailbox: mailbox, core: core,
            readers: StorageReaders(
                store: MemoryStore(), queue: WorkQueue(capacity: 10), core: core, loops: [mailbox], metrics: metrics,
                frameSeed: 5),
            metrics: metrics, log: Logger(level: .error, node: "n", sink: GatheringSink()),
            admission: Admission(
                limits: limits, allowedOrigins: nil, echo: false,
                verifier: TokenVerifier(secret: TestToken.secret, issuer: nil, audience: nil)),
            poller: try Poller())
    }

    func connect() throws -> Client {
        var ends: [Int32] = [-1, -1]
        try #require(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0)
        let slot = UInt32(loop.connections.count)
        loop.connections.grow(to: Int(slot) + 1)
        loop.connections[slot].pointee.descriptor = ends[0]
        loop.connections[slot].pointee.phase = .chat
        let client = Client(loop.id(of: slot), (ends[0], ends[1]))
        clients.append(client)
        return client
    }

    func deliver(at position: VersionVector, _ build: (inout FrameBatchBuilder) -> Void) {
        var frames = FrameBatchBuilder()
        build(&frames)
        loop.deliver(frames.finish(position: position))
    }

    /// Hands out entries of the room, whose frames say their dots.
    func show(_ dots: [Dot], at position: VersionVector) {
        deliver(at: position) { frames in
            for dot in dots {
                frames.append(to: .room(0), dot: dot) { out in
                    out.append(Array("\(dot.replica.rawValue).\(dot.seq)".utf8))
                }
            }
        }
    }

    func endTurn() {
        loop.flushTurn()
        loop.beginTurn()
    }
}
