import ConvergeWire

/// A room that a client follows.
public final class ChatRoom: Sendable {
    private let desk: RoomDesk
    /// As long as a room is kept, its client is.
    private let client: ChatClient

    init(desk: RoomDesk, client: ChatClient) {
        self.desk = desk
        self.client = client
    }

    public var name: String { desk.name }

    /// What happens in this room from now on; each time it is asked for, a stream of its own. One that is kept and not
    /// read holds up the room, and those on the same connection, when `Options.eventBuffer` events wait. Ends when the room
    /// does.
    public var events: EventStream<RoomEvent> { desk.listen() }

    /// Sends a message: it is queued at once, and sent when there is a connection, behind what was sent before it, until a
    /// node has stored or refused it.
    ///
    /// With `Options.outboxFile` it is in that file when this returns.
    /// - Parameter copies: the receipt says on how many nodes it is, having waited a moment for this many.
    /// - Throws: `full`, `tooLarge`, `closed`, `outbox`.
    @discardableResult
    public func send(_ body: String, copies: Int? = nil) throws(SendFailure) -> Sending {
        try desk.send(body, copies: copies)
    }

    /// A page of what was said, the newest where `before` is nil.
    public func history(before: Position? = nil, limit: Int? = nil) async throws(RequestFailure) -> HistoryPage {
        guard case .history(let page) = try await desk.ask(.history(before: before, limit: limit)) else {
            throw .refused("another answer")
        }
        return page
    }

    /// Who is in the room; `limit` cuts the list, not the count.
    public func members(limit: Int? = nil) async throws(RequestFailure) -> MemberList {
        guard case .members(var list) = try await desk.ask(.members(limit: limit)) else {
            throw .refused("another answer")
        }
        let most = min(limit ?? .max, ChatClient.listLimit)
        while let page = list.next, list.userIDs.count < most {
            let rest = limit.map { $0 - list.userIDs.count }
            guard case .members(let more) = try await desk.ask(.members(limit: rest, after: page)) else {
                throw .refused("another answer")
            }
            list.userIDs += more.userIDs
            list.members += more.members
            list.next = more.userIDs.isEmpty ? nil : more.next
        }
        list.next = nil
        return list
    }

    /// The shared documents of the room.
    public func documents() async throws(RequestFailure) -> [DocumentName] {
        guard case .documents(let documents) = try await desk.ask(.documents) else { throw .refused("another answer") }
        return documents
    }

    /// A shared set of the room; there is one under every name. At most 1,000 documents of a room can be followed.
    public func set(_ name: String) -> SharedSet {
        SharedSet(desk: desk.document(DocumentKey(name: name, sort: .set)))
    }

    /// A shared register of the room.
    public func register(_ name: String) -> SharedRegister {
        SharedRegister(desk: desk.document(DocumentKey(name: name, sort: .register)))
    }

    /// A shared counter of the room.
    public func counter(_ name: String) -> SharedCounter {
        SharedCounter(desk: desk.document(DocumentKey(name: name, sort: .counter)))
    }

    /// A shared map of the room.
    public func map(_ name: String) -> SharedMap {
        SharedMap(desk: desk.document(DocumentKey(name: name, sort: .map)))
    }

    /// Does not wait for the next attempt to connect, and asks for a fresh token where the last was refused; a connection
    /// that stands is made anew, for all rooms that are on it.
    public func reconnect() { client.hub.post(.reconnect(room: desk.id)) }

    /// Follows the room no longer. What is unsent stays, and goes out when the room is joined again.
    public func leave() { client.leave(desk) }
}

extension ChatClient {
    func leave(_ desk: RoomDesk) { hub.leave(desk) }
}
