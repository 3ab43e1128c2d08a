import Synchronization

/// Where the client's thread leaves what happens in one room, for whoever looks.
final class RoomDesk: Sendable {
    private struct State {
        var listeners: [(id: Int, queue: EventQueue<RoomEvent>)] = []
        var documents: [DocumentKey: WeakDesk] = [:]
        var nextID = 0
        var isEnded = false
    }

    private struct WeakDesk: @unchecked Sendable {
        // Swift makes weak references safe to read from any thread; this one is written when it is made.
        weak var desk: DocumentDesk?
    }

    let id: Int
    let name: String
    private let hub: ClientHub
    private let state = Mutex(State())

    init(id: Int, name: String, hub: ClientHub) {
        self.id = id
        self.name = name
        self.hub = hub
    }

    // MARK: Events

    /// Whoever listens has too much to read already.
    var isFull: Bool { state.withLock { $0.listeners.contains { $0.queue.isFull } } }

    func listen() -> EventStream<RoomEvent> {
        let queue = EventQueue<RoomEvent>(capacity: hub.options.eventBuffer) { [hub] in hub.wake() }
        let id = state.withLock { state in
            state.nextID += 1
            if state.isEnded { queue.end() } else { state.listeners.append((state.nextID, queue)) }
            return state.nextID
        }
        return EventStream(queue, owner: Listening(desk: self, id: id))
    }

    private func forget(listener id: Int) {
        let wasFull = state.withLock { state in
            guard let at = state.listeners.firstIndex(where: { $0.id == id }) else { return false }
            return state.listeners.remove(at: at).queue.isFull
        }
        if wasFull { hub.wake() }
    }

    private final class Listening: Sendable {
        let desk: RoomDesk
        let id: Int

        init(desk: RoomDesk, id: Int) {
            self.desk = desk
            self.id = id
        }

        deinit { desk.forget(listener: id) }
    }

    func put(_ events: [RoomEvent]) {
        guard !events.isEmpty else { return }
        for listener in state.withLock({ $0.listeners }) { listener.queue.put(events) }
    }

    /// Nothing more happens in the room.
    func end() {
        let (listeners, documents) = state.withLock { state in
            state.isEnded = true
            defer {
                state.listeners = []
                state.documents = [:]
            }
            return (state.listeners, state.documents.values.compactMap(\.desk))
        }
        for listener in listeners { listener.queue.end() }
        for document in documents { document.end() }
    }

    // MARK: Documents

    func document(_ key: DocumentKey) -> DocumentDesk {
        let (desk, isNew) = state.withLock { state -> (DocumentDesk, Bool) in
            if let desk = state.documents[key]?.desk { return (desk, false) }
            let desk = DocumentDesk(key, room: self)
            if !state.isEnded { state.documents[key] = WeakDesk(desk: desk) }
            return (desk, true)
        }
        if isNew { hub.post(.follow(room: id, key)) }
        return desk
    }

    func put(_ key: DocumentKey, _ content: DocumentContent) {
        state.withLock { $0.documents[key]?.desk }?.put(content)
    }

    /// A desk of the document is gone; there may be a newer one.
    func unfollow(_ key: DocumentKey) {
        state.withLock { state in
            if let weak = state.documents[key], weak.desk == nil { state.documents[key] = nil }
        }
        hub.post(.unfollow(room: id, key))
    }

    // MARK: Asking

    func ask(_ request: RoomRequest) async throws(RequestFailure) -> RoomAnswer {
        try await hub.ask(request, room: id)
    }

    func write(_ request: RoomRequest) throws(SendFailure) -> Sending {
        try hub.write(request, room: id)
    }

    func send(_ body: String, copies: Int?) throws(SendFailure) -> Sending {
        if state.withLock({ $0.isEnded }) { throw .closed }
        return try hub.send(body, room: name, copies: copies)
    }
}

/// Where the client's thread leaves what a document holds.
final class DocumentDesk: Sendable {
    private struct State {
        var content: DocumentContent?
        var listeners: [(id: Int, put: @Sendable (DocumentContent?) -> Void)] = []
        var nextID = 0
        var isEnded = false
    }

    let key: DocumentKey
    private let room: RoomDesk
    private let state = Mutex(State())

    init(_ key: DocumentKey, room: RoomDesk) {
        self.key = key
        self.room = room
    }

    deinit { room.unfollow(key) }

    var content: DocumentContent? { state.withLock { $0.content } }

    func write(_ request: RoomRequest) throws(SendFailure) -> Sending { try room.write(request) }

    func put(_ content: DocumentContent) {
        let listeners = state.withLock { state in
            state.content = content
            return state.listeners
        }
        for listener in listeners { listener.put(content) }
    }

    func end() {
        let listeners = state.withLock { state in
            state.isEnded = true
            defer { state.listeners = [] }
            return state.listeners
        }
        for listener in listeners { listener.put(nil) }
    }

    /// What it holds now, where that is known, and whenever it changes; of changes that nobody has taken only the last.
    func values<Value: Sendable>(_ value: @escaping @Sendable (DocumentContent) -> Value?) -> EventStream<Value> {
        let queue = EventQueue<Value>(keepsLatest: true)
        let put: @Sendable (DocumentContent?) -> Void = { content in
            guard let content else { return queue.end() }
            if let value = value(content) { queue.put([value]) }
        }
        let id = state.withLock { state in
            state.nextID += 1
            if let content = state.content { put(content) }
            if state.isEnded { put(nil) } else { state.listeners.append((state.nextID, put)) }
            return state.nextID
        }
        return EventStream(queue, owner: Listening(desk: self, id: id))
    }

    private final class Listening: Sendable {
        let desk: DocumentDesk
        let id: Int

        init(desk: DocumentDesk, id: Int) {
            self.desk = desk
            self.id = id
        }

        deinit { desk.state.withLock { state in state.listeners.removeAll { $0.id == id } } }
    }
}
