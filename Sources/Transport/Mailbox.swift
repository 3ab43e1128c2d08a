import CLinux
import Glibc
import Synchronization

/// How one thread hands work to another: a locked array and an eventfd that wakes the reader's poller.
///
/// Any thread posts, one thread drains. Order is kept. Posting to a mailbox that already holds something costs no system
/// call, since whoever filled the empty box has rung. It has no limit of its own: what bounds it is a decision of whoever
/// posts, who may look at `depth` before (see the table of bounds in ARCHITECTURE.md).
public final class Mailbox<Message: Sendable>: Sendable {
    private struct Box {
        var messages: [Message] = []
        /// When the first of them came, in monotonic nanoseconds.
        var since: UInt64 = 0
    }

    private let waiting: Mutex<Box> = Mutex(Box())
    private let count = Atomic<Int>(0)
    private let event: Int32

    public init() throws(SystemError) {
        event = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
        guard event >= 0 else { throw SystemError("eventfd") }
    }

    deinit { close(event) }

    /// What the draining thread's poller waits for (read).
    public var descriptor: Int32 { event }

    /// How many messages wait, a moment ago.
    public var depth: Int { count.load(ordering: .relaxed) }

    /// Posts one message.
    public func post(_ message: Message) {
        let before = waiting.withLock { box -> Int in
            if box.messages.isEmpty { box.since = SystemClock.monotonic() }
            box.messages.append(message)
            count.store(box.messages.count, ordering: .relaxed)
            return box.messages.count - 1
        }
        if before == 0 { ring() }
    }

    /// Posts a whole turn's messages at once, under one lock, and empties `messages`; in order.
    /// - Parameter since: when the turn began, in monotonic nanoseconds; nil for now.
    public func post(contentsOf messages: inout [Message], since: UInt64? = nil) {
        guard !messages.isEmpty else { return }
        let before = waiting.withLock { box -> Int in
            let before = box.messages.count
            if before == 0 {
                box.since = since ?? SystemClock.monotonic()
                swap(&box.messages, &messages)
            } else {
                box.messages.append(contentsOf: messages)
            }
            count.store(box.messages.count, ordering: .relaxed)
            return before
        }
        messages.removeAll(keepingCapacity: true)
        if before == 0 { ring() }
    }

    /// Moves all that waits into `taken`, which must be empty; the two arrays' memory is exchanged, not copied.
    /// - Returns: since when the first of them has waited, in monotonic nanoseconds; nil where there is none.
    @discardableResult
    public func drain(into taken: inout [Message]) -> UInt64? {
        precondition(taken.isEmpty)
        var rung: UInt64 = 0
        _ = read(event, &rung, 8)  // before the box is emptied: a later post rings again
        return waiting.withLock { box in
            swap(&box.messages, &taken)
            count.store(0, ordering: .relaxed)
            return taken.isEmpty ? nil : box.since
        }
    }

    private func ring() {
        var one: UInt64 = 1
        _ = write(event, &one, 8)  // fails only where the counter is full, and then the reader is awake
    }
}
