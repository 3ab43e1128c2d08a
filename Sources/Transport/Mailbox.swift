import CLinux
import Glibc
import Synchronization

/// How one thread hands work to another: a locked array and an eventfd that wakes the reader's poller.
///
/// Any thread posts, one thread drains. Order is kept. Posting to a mailbox that already holds something costs no system
/// call, since whoever filled the empty box has rung. The limit is the poster's to respect: `post` says what it did with
/// each message, `depth` may be asked before.
public final class Mailbox<Message: Sendable>: Sendable {
    private let waiting: Mutex<[Message]> = Mutex([])
    private let count = Atomic<Int>(0)
    private let event: Int32
    /// Messages that may wait; `post(_:)` refuses past it.
    public let capacity: Int

    public init(capacity: Int) throws(SystemError) {
        event = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
        guard event >= 0 else { throw SystemError("eventfd") }
        self.capacity = capacity
    }

    deinit { close(event) }

    /// What the draining thread's poller waits for (read).
    public var descriptor: Int32 { event }

    /// How many messages wait, a moment ago.
    public var depth: Int { count.load(ordering: .relaxed) }

    /// False, and nothing is posted, where the mailbox is full.
    public func post(_ message: Message) -> Bool {
        let before = waiting.withLock { box -> Int in
            let before = box.count
            if before < capacity { box.append(message) }
            count.store(box.count, ordering: .relaxed)
            return before
        }
        if before == 0 { ring() }
        return before < capacity
    }

    /// Posts what must not be refused: events whose number is bounded by something else, such as open connections.
    public func postAlways(_ message: Message) {
        let before = waiting.withLock { box -> Int in
            box.append(message)
            count.store(box.count, ordering: .relaxed)
            return box.count - 1
        }
        if before == 0 { ring() }
    }

    /// Posts a whole turn's messages at once, under one lock, and empties `messages`; like `postAlways(_:)`.
    public func postAlways(contentsOf messages: inout [Message]) {
        guard !messages.isEmpty else { return }
        let before = waiting.withLock { box -> Int in
            let before = box.count
            if before == 0 { swap(&box, &messages) } else { box.append(contentsOf: messages) }
            count.store(box.count, ordering: .relaxed)
            return before
        }
        messages.removeAll(keepingCapacity: true)
        if before == 0 { ring() }
    }

    /// Moves all that waits into `taken`, which must be empty; the two arrays' memory is exchanged, not copied.
    public func drain(into taken: inout [Message]) {
        precondition(taken.isEmpty)
        var rung: UInt64 = 0
        _ = read(event, &rung, 8)  // before the box is emptied: a later post rings again
        waiting.withLock { box in
            swap(&box, &taken)
            count.store(0, ordering: .relaxed)
        }
    }

    /// Wakes the reader without a message.
    public func ring() {
        var one: UInt64 = 1
        _ = write(event, &one, 8)  // fails only where the counter is full, and then the reader is awake
    }
}
