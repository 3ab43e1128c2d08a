/// A connection in the client's thread, by the number of the link that it is of.
///
/// What it is for is decided by `RoomLinks`; here is the socket, or what is to be said first on the one that is being made.
final class LoopLink {
    let id: Int
    var handshake: ClientHandshake?
    var connection: ChatConnection?
    /// Nothing is read from it just now.
    var isPaused = false
    /// Where in `Readiness` its socket is; nil where it has none.
    var place: Int?

    init(id: Int) { self.id = id }

    /// There is nothing of a connection.
    var isIdle: Bool { handshake == nil && connection == nil }

    /// Ends the connection.
    func hangUp() {
        handshake = nil
        connection?.hangUp()
        connection = nil
    }
}

/// A room in the client's thread: who looks at it.
final class LoopRoom {
    let desk: RoomDesk
    /// What happened in this turn.
    var events: [RoomEvent] = []
    /// How many look at each document.
    var lookers: [DocumentKey: Int] = [:]

    init(desk: RoomDesk) { self.desk = desk }
}
