import ConvergeWire

/// A message that waits until a node has it.
public struct UnsentMessage: Hashable, Sendable {
    /// Makes it one message however often it is sent; at most 64 bytes. It serves as the send's `ref`, too.
    public var key: String
    public var room: String
    public var body: String
    public var copies: Int?

    public init(key: String, room: String, body: String, copies: Int? = nil) {
        self.key = key
        self.room = room
        self.body = body
        self.copies = copies
    }
}

/// The messages of all rooms that no node has acknowledged yet.
///
/// A core. Invariants: the messages of a room leave in the order in which they came in, each under its key, again after
/// each connection, until a node has stored or refused it; no more than `limit` wait. What is in flight stands at the
/// front of its room.
///
/// With a window of 1 nothing is sent before the answer to what is before it, so the order is kept also where a node is
/// busy for a moment. A larger window is faster over a slow line, and gives that up: of what is in flight together one
/// may be refused for now and the next one stored. It opens when the node has stored the first message since the
/// connection began, so a node that is just starting refuses that one alone.
public struct Outbox: Sendable {
    public struct Options: Hashable, Sendable {
        /// How many may wait, in all rooms.
        public var limit = 1_000
        /// How many of one room may be in flight, once the node has stored one.
        public var window = 1
        /// How long to wait after errors that say nothing against the message.
        public var backoff = Backoff(first: .milliseconds(100), greatest: .seconds(10))

        public init() {}
    }

    /// Why a node did not take a message.
    enum Verdict: Hashable {
        case again
        case refused(String)
    }

    private struct Waiting {
        var message: UnsentMessage
        /// Which one it is of all that came in: the order to keep.
        var number: UInt64
    }

    private struct Queue {
        var messages: [Waiting] = []
        var inFlight = 0
        var failures = 0
        /// Nothing is sent before.
        var pausedUntil: UInt64 = 0
    }

    private let options: Options
    private var generator: SeededGenerator
    private var queues: [String: Queue] = [:]
    private var nextNumber: UInt64 = 0
    /// The rooms whose node has stored something over the connection that there is.
    private var proven: Set<String> = []
    /// How many wait in all rooms.
    public private(set) var count = 0
    /// The highest position that was seen in any room: what is written stands after it.
    public private(set) var highest: Position?

    public init(options: Options = .init(), generator: SeededGenerator) {
        self.options = options
        self.generator = generator
    }

    public var isFull: Bool { count >= options.limit }

    /// The rooms in which something waits, sorted.
    public var rooms: [String] { queues.filter { !$0.value.messages.isEmpty }.keys.sorted() }

    /// What waits in a room, oldest first.
    public func messages(in room: String) -> [UnsentMessage] { queues[room]?.messages.map(\.message) ?? [] }

    /// Puts a message behind those of its room. False, and nothing is put, where the outbox is full.
    @discardableResult
    public mutating func add(_ message: UnsentMessage) -> Bool {
        guard !isFull else { return false }
        restore(message)
        return true
    }

    /// Puts back what waited in an earlier life, whatever the limit is now.
    mutating func restore(_ message: UnsentMessage) {
        queues[message.room, default: Queue()].messages.append(Waiting(message: message, number: nextNumber))
        nextNumber += 1
        count += 1
    }

    public mutating func saw(_ position: Position) {
        if highest.map({ $0 < position }) ?? true { highest = position }
    }

    // MARK: Sending

    /// The message of a room that may be sent now, in flight from here on; nil where none may.
    mutating func next(in room: String, at now: UInt64) -> UnsentMessage? {
        guard var queue = queues[room], queue.inFlight < queue.messages.count, now >= queue.pausedUntil else {
            return nil
        }
        // After a refusal for now one is tried alone.
        let mayGoTogether = queue.failures == 0 && proven.contains(room)
        guard queue.inFlight < (mayGoTogether ? options.window : 1) else { return nil }
        let message = queue.messages[queue.inFlight].message
        queue.inFlight += 1
        queues[room] = queue
        return message
    }

    /// When `next` is to be asked again though nothing was answered; nil where nothing waits for that.
    func retryTime(in room: String) -> UInt64? {
        guard let queue = queues[room], queue.pausedUntil > 0, queue.inFlight < queue.messages.count else { return nil }
        return queue.pausedUntil
    }

    /// The message that is in flight under a key.
    func isInFlight(_ key: String, in room: String) -> Bool { place(key, in: room) != nil }

    private func place(_ key: String, in room: String) -> Int? {
        guard let queue = queues[room] else { return nil }
        return queue.messages[..<queue.inFlight].firstIndex { $0.message.key == key }
    }

    /// A node has stored it.
    mutating func stored(_ key: String, in room: String) {
        guard let at = place(key, in: room) else { return }
        proven.insert(room)
        queues[room]?.failures = 0
        queues[room]?.pausedUntil = 0
        remove(at, in: room)
    }

    /// A node has answered with an error: it is gone, or will be sent again after a while.
    mutating func refused(_ key: String, _ error: ServerError, in room: String, at now: UInt64) -> Verdict {
        guard let at = place(key, in: room), var queue = queues[room] else { return .again }
        guard error.saysNothingAgainstWrite else {
            remove(at, in: room)
            return .refused(error.words)
        }
        // What is in flight behind it goes on: its answers are on their way. It comes to stand behind that, in its order
        // among what is not in flight.
        let message = queue.messages.remove(at: at)
        queue.inFlight -= 1
        let rest = queue.messages[queue.inFlight...]
        queue.messages.insert(message, at: rest.firstIndex { $0.number > message.number } ?? rest.endIndex)
        // What was refused together has failed once.
        if now >= queue.pausedUntil {
            queue.failures = min(queue.failures + 1, 1_000)
            queue.pausedUntil = now + options.backoff.delay(after: queue.failures - 1, &generator)
        }
        queues[room] = queue
        return .again
    }

    /// How many bytes the largest body has that is in flight; nil where none is.
    func largestInFlight(in room: String) -> Int? {
        queues[room].flatMap { $0.messages[..<$0.inFlight].map(\.message.body.utf8.count).max() }
    }

    /// The server has ended the connection because of what it was sent: of what is in flight the largest goes, since it
    /// would end every connection.
    mutating func tooBig(in room: String) -> UnsentMessage? {
        guard let queue = queues[room],
            let at = queue.messages[..<queue.inFlight].indices.max(by: {
                queue.messages[$0].message.body.utf8.count < queue.messages[$1].message.body.utf8.count
            })
        else { return nil }
        let message = queue.messages[at].message
        remove(at, in: room)
        return message
    }

    /// The connection is gone: what was in flight waits again, and is returned.
    mutating func connectionLost(in room: String) -> [UnsentMessage] {
        proven.remove(room)
        guard let queue = queues[room] else { return [] }
        queues[room]?.inFlight = 0
        queues[room]?.failures = 0
        queues[room]?.pausedUntil = 0
        return queue.messages[..<queue.inFlight].map(\.message)
    }

    private mutating func remove(_ at: Int, in room: String) {
        queues[room]?.messages.remove(at: at)
        queues[room]?.inFlight -= 1
        count -= 1
        if queues[room]?.messages.isEmpty ?? false { queues[room] = nil }
    }
}
