import ConvergeCRDT
import ConvergeWire

/// What one simulated client knows: who it is, where it is connected, what it has asked and not been answered, what it has
/// seen. What it does next is decided in `World+Clients.swift`.
final class Client {
    let index: Int
    let user: Text
    var connection: Connection?
    /// The room it has last asked to be in.
    var room: Text
    /// What it has sent and not been answered, by ref.
    var pending: [String: Sent] = [:]
    /// Sends with a key whose ack was lost with a connection: to be repeated until they are acknowledged.
    var unacknowledged: [Sent] = []
    /// The highest position it has seen anywhere.
    var highest: Position?
    /// For each room what it has been shown of it, and from where it would resume.
    var views: [Text: RoomView] = [:]
    /// Messages it has been shown, for comparing with history: the last ones.
    var seen: [Seen] = []
    /// The highest position at which its last history page began, to page back from.
    var page: (room: Text, before: Position)?
    var isActing = false
    /// It runs the library's own machines.
    var library: LibraryClient?
    /// It speaks the second generation, and is in many rooms.
    var many: ManyRoomsClient?

    struct Sent {
        enum Deed { case message, write, count, join, ask, history, resume, subscribe, unsubscribe }
        var deed: Deed
        var body = ""
        var key: Text?
        var room: Text
        var after: Position?
        var sentAt: Microseconds
        var amount = 0
        /// The number of its ref: later ones are answered later, where they are in one order.
        var order = 0
        /// How many moves had been made by then that are not answered.
        var moves = 0
        /// It may have moved the session to another room.
        var mayMove = false
        /// The session has moved on since, so it need not be answered.
        var mayEnd = false
        /// What the asked node had then; for a resume, what its cursor covered.
        var known = VersionVector()
        /// The highest position that its connection had shown it by then.
        var read: Position?
        /// In a subscription: whether it is to be seen there, or as it was.
        var isMember: Bool?
        /// A document that it reads since a resume has named it.
        var named: NamedDocument?
    }

    struct Seen {
        let room: Text
        let dot: Dot
        let position: Position
        let body: String
        let time: Microseconds
    }

    init(index: Int, user: Text, room: Text) {
        self.index = index
        self.user = user
        self.room = room
    }

    func saw(_ position: Position) { highest = max(highest ?? position, position) }
}

/// What was promised to a client by an ack.
struct Acknowledged {
    let body: String
    let room: Text
    let id: String
    let position: Position
    let key: Text?
    let user: Text
    let node: Int
    let time: Microseconds
    let isDuplicate: Bool
}
