import ConvergeTransport
import Synchronization

/// What the client's thread is told.
enum LoopMessage: Sendable {
    case join(RoomDesk)
    case leave(room: Int)
    case reconnect(room: Int)
    case send(UnsentMessage, SendTracker)
    /// - Parameter room: nil: any room will do.
    case ask(RoomRequest, room: Int?, Promise<RoomAnswer, RequestFailure>)
    case write(RoomRequest, room: Int, SendTracker)
    case follow(room: Int, DocumentKey)
    case unfollow(room: Int, DocumentKey)
    case unsent(Promise<[UnsentMessage], RequestFailure>)
    /// - Parameter failed: it could not be had.
    case token(String?, failed: Bool)
    case connected(link: Int, number: Int, LinkBox)
    case connectFailed(link: Int, number: Int, reason: String)
    case close(Promise<Void, RequestFailure>)
}

/// A connection on its way from the thread that made it to the thread that uses it.
final class LinkBox: Sendable {
    private let link: Mutex<ServerLink?>

    init(_ link: consuming sending ServerLink) { self.link = Mutex(link) }

    /// Nil the second time.
    func take() -> ServerLink? {
        link.withLock { link in
            let taken = link.take()
            return taken
        }
    }
}

/// What the client's thread and everybody else share: a box of messages for it, and the events that it leaves.
final class ClientHub: Sendable {
    private struct State {
        var messages: [LoopMessage] = []
        var rooms: [String: RoomDesk] = [:]
        var nextRoom = 0
        var isClosed = false
    }

    let options: ChatClient.Options
    let events: EventQueue<ClientEvent>
    /// How many messages wait to be sent.
    let unsent = Atomic<Int>(0)
    private let outboxFile: OutboxFile?
    private let state = Mutex(State())
    private let writes = Atomic<Int>(0)
    let wakeUp: WakeUp

    init(_ options: ChatClient.Options, outboxFile: OutboxFile?) throws(SystemError) {
        self.options = options
        self.outboxFile = outboxFile
        let wakeUp = try WakeUp()
        self.wakeUp = wakeUp
        let rings = HubReference()
        events = EventQueue(capacity: options.eventBuffer, isWanted: false) { rings.hub?.wake() }
        rings.set(self)
    }

    func wake() { wakeUp.ring() }

    /// False where the client is closed.
    @discardableResult
    func post(_ message: LoopMessage) -> Bool {
        let (isOpen, isFirst) = state.withLock { state in
            guard !state.isClosed else { return (false, false) }
            state.messages.append(message)
            return (true, state.messages.count == 1)
        }
        if isFirst { wake() }
        return isOpen
    }

    // MARK: For the client's thread

    func take() -> [LoopMessage] {
        state.withLock { state in
            defer { state.messages = [] }
            return state.messages
        }
    }

    /// Nothing is posted any more; what was and is not taken comes back.
    func close() -> [LoopMessage] {
        state.withLock { state in
            state.isClosed = true
            state.rooms = [:]
            defer { state.messages = [] }
            return state.messages
        }
    }

    func forget(_ desk: RoomDesk) {
        state.withLock { state in
            if state.rooms[desk.name] === desk { state.rooms[desk.name] = nil }
        }
    }

    // MARK: For everybody

    func join(_ name: String) throws(ChatClientError) -> RoomDesk {
        enum Outcome { case old(RoomDesk), new(RoomDesk), failed(ChatClientError) }
        let outcome: Outcome = state.withLock { state in
            if state.isClosed { return .failed(.closed) }
            if let desk = state.rooms[name] { return .old(desk) }
            guard state.rooms.count < options.maxRooms else { return .failed(.tooManyRooms(limit: options.maxRooms)) }
            state.nextRoom += 1
            let desk = RoomDesk(id: state.nextRoom, name: name, hub: self)
            state.rooms[name] = desk
            return .new(desk)
        }
        switch outcome {
        case .old(let desk): return desk
        case .new(let desk):
            post(.join(desk))
            return desk
        case .failed(let error): throw error
        }
    }

    func leave(_ desk: RoomDesk) {
        forget(desk)
        post(.leave(room: desk.id))
    }

    func send(_ body: String, room: String, copies: Int?) throws(SendFailure) -> Sending {
        guard body.utf8.count <= options.maxBodyBytes else { throw .tooLarge }
        let count = unsent.add(1, ordering: .relaxed).newValue
        guard count <= options.maxUnsent else {
            unsent.subtract(1, ordering: .relaxed)
            throw .full
        }
        let key = Self.newKey()
        let message = UnsentMessage(key: key, room: room, body: body, copies: copies)
        let tracker = SendTracker()
        var isPosted = false
        do throws(OutboxFile.Failure) {
            if let outboxFile {
                // In the file and in the box in one order.
                isPosted = try outboxFile.add(message) { post(.send(message, tracker)) }
            } else {
                isPosted = post(.send(message, tracker))
            }
        } catch {
            unsent.subtract(1, ordering: .relaxed)
            throw .outbox(error.reason)
        }
        guard isPosted else {
            unsent.subtract(1, ordering: .relaxed)
            throw .closed
        }
        return Sending(key: key, tracker: tracker)
    }

    /// 128 random bits: nobody else makes the same.
    private static func newKey() -> String {
        SecureRandom.bytes(16).map { byte in
            let digits = String(byte, radix: 16)
            return digits.utf8.count == 1 ? "0" + digits : digits
        }.joined()
    }

    func write(_ request: RoomRequest, room: Int) throws(SendFailure) -> Sending {
        let number = writes.add(1, ordering: .relaxed).newValue
        let tracker = SendTracker()
        guard post(.write(request, room: room, tracker)) else { throw .closed }
        return Sending(key: "write \(number)", tracker: tracker)
    }

    func ask(_ request: RoomRequest, room: Int?) async throws(RequestFailure) -> RoomAnswer {
        let promise = Promise<RoomAnswer, RequestFailure>()
        guard post(.ask(request, room: room, promise)) else { throw .closed }
        return try await promise.value(orIfCancelled: .cancelled)
    }

    func unsentMessages() async throws(RequestFailure) -> [UnsentMessage] {
        let promise = Promise<[UnsentMessage], RequestFailure>()
        guard post(.unsent(promise)) else { throw .closed }
        return try await promise.value(orIfCancelled: .cancelled)
    }
}

/// Lets the queue of events ring a hub that was not there yet when the queue was made, and keeps neither alive.
private final class HubReference: Sendable {
    private struct WeakHub: @unchecked Sendable {
        // Read and written with the lock held.
        weak var hub: ClientHub?
    }

    private let reference = Mutex(WeakHub())

    var hub: ClientHub? { reference.withLock { $0.hub } }
    func set(_ hub: ClientHub) { reference.withLock { $0.hub = hub } }
}
