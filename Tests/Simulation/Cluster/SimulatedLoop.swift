import ConvergeCRDT
import ConvergeWire

@testable import ConvergeNode

/// What a client loop keeps: which of its connections are in which room.
struct SimulatedLoop {
    var inbox: [FrameBatch] = []
    var isAwake = false
    /// The connections of each room, by the core's index, in the order in which they came in.
    private(set) var rooms: [UInt32: [Int]] = [:]

    mutating func enter(_ connection: Int, room: UInt32) { rooms[room, default: []].append(connection) }

    mutating func leave(_ connection: Int, room: UInt32) { rooms[room]?.removeAll { $0 == connection } }
}

/// One client's connection to one node.
final class Connection {
    let index: Int
    let client: Int
    let node: Int
    let life: Int
    let session: SessionID
    /// The node knows of it.
    var isOpen = true
    /// The client knows of it.
    var isReadable = true
    var room: UInt32?
    var roomName: Text = ""
    /// Frames on their way to the client.
    var inFlight: [ShownFrame] = []
    var isReading = false
    var stream = SessionStream()
    /// What it has been fed from the store.
    var fed = VersionVector()

    init(index: Int, client: Int, node: Int, life: Int, session: SessionID) {
        self.index = index
        self.client = client
        self.node = node
        self.life = life
        self.session = session
    }
}
