import ConvergeCRDT
import ConvergeWire

@testable import ConvergeNode

/// A delivery, its outlet, and what a test says to them.
struct DeliveryBench: ~Copyable {
    static let a = ReplicaID(rawValue: 1)
    static let b = ReplicaID(rawValue: 2)

    static func dot(_ seq: UInt64, _ replica: ReplicaID = a) -> Dot { Dot(replica: replica, seq: seq) }
    static func vector(_ a: UInt64, _ b: UInt64 = 0) -> VersionVector { VersionVector([dot(a), dot(b, Self.b)]) }

    var delivery: Delivery<OutletUnderTest>
    var outlet = OutletUnderTest()
    private var batch = FrameBatchBuilder()

    init() {
        delivery = Delivery(heldBytes: 1_000)
        enter(1, 0)
        enter(2, 0)
        turn(position: Self.vector(0), own: Self.dot(0))
    }

    mutating func enter(_ connection: UInt32, _ room: UInt32) {
        batch.append(to: .enter(OutletUnderTest.session(connection), room: room, name: Text("room\(room)")))
    }

    mutating func say(_ seq: UInt64, in room: UInt32 = 0) {
        batch.append(to: .room(room), dot: Self.dot(seq)) { $0.append("m\(seq)") }
    }

    /// The same for all, whichever generation of the protocol they speak.
    mutating func sayToBoth(_ seq: UInt64, in room: UInt32 = 0) {
        var encoders = FrameEncoders()
        encoders.came(OutletUnderTest.session(1))
        encoders.came(OutletUnderTest.session(1, .second))
        batch.append(toRoom: room, dot: Self.dot(seq), by: &encoders) { encoder, frame in
            frame.append(encoder.generation == .first ? "m\(seq)" : "c\(seq)")
        }
    }

    /// Subscribes a connection of the second generation.
    mutating func subscribe(
        _ connection: UInt32, _ room: UInt32, stay: UInt32 = 1, cursor: ClientCursor? = nil
    ) {
        let request = SubscribeRequest(
            room: room, name: Text("room\(room)"), stay: stay, count: 1, cursor: cursor, ref: nil)
        batch.append(to: .subscribe(OutletUnderTest.session(connection, .second), request))
    }

    mutating func unsubscribe(_ connection: UInt32, _ room: UInt32) {
        batch.append(to: .unsubscribe(OutletUnderTest.session(connection, .second), room: room)) {
            $0.append("unsubscribed")
        }
    }

    /// Hands out these entries of the first room at once, where so much was handed out before.
    mutating func show(_ dots: [Dot], at position: VersionVector) {
        for dot in dots {
            batch.append(to: .room(0), dot: dot) { $0.append("\(dot.replica.rawValue).\(dot.seq)") }
        }
        deliver(position: position)
    }

    mutating func answer(_ words: String, to connection: UInt32) {
        batch.append(to: .session(OutletUnderTest.session(connection))) { $0.append(words) }
    }

    mutating func add(_ target: FrameRecord.Target, dot: Dot? = nil) { batch.append(to: target, dot: dot) }

    mutating func deliver(position: VersionVector = VersionVector(), own: Dot? = nil) {
        let batch = exchange(&self.batch, for: FrameBatchBuilder()).finish(position: position, own: own)
        delivery.deliver(batch, to: &outlet)
    }

    mutating func turn(position: VersionVector = VersionVector(), own: Dot? = nil) {
        delivery.beginTurn()
        deliver(position: position, own: own)
        delivery.flush(to: &outlet)
        for connection in outlet.takeMarked().sorted() { delivery.askForPage(connection, &outlet) }
    }

    /// Answers the question that was asked with these entries of the room.
    mutating func page(
        _ asked: OutletUnderTest.Asked, _ seqs: [UInt64], isLevel: Bool = true, horizon: VersionVector? = nil
    ) {
        var frames = FrameBatchBuilder()
        for seq in seqs { frames.append(to: .room(0), dot: Self.dot(seq)) { $0.append("p\(seq)") } }
        var page = Feed.Page(reached: asked.question.cursor, isLevel: isLevel)
        for seq in seqs { page.reached.advance(to: Self.dot(seq)) }
        if let horizon { page.horizon = horizon }
        delivery.take(page: page, asked.question.number, frames.finish(), for: asked.connection, to: &outlet)
        for connection in outlet.takeMarked().sorted() { delivery.askForPage(connection, &outlet) }
    }
}
