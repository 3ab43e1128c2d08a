import Glibc

/// A bounded queue between threads for work that blocks: any thread puts, any of the workers takes.
///
/// Unlike a `Mailbox` it has no descriptor to poll; a worker sleeps in it.
public final class WorkQueue<Work: Sendable>: @unchecked Sendable {
    // Safe to share: `items`, `head` and `closed` are touched only with `mutex` held; the pthread objects live on the heap
    // at fixed addresses for as long as the queue.
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let filled = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var items: [Work] = []
    private var head = 0
    private var closed = false
    /// How many pieces of work may wait.
    public let capacity: Int

    public init(capacity: Int) {
        self.capacity = capacity
        pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(filled, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(filled)
        pthread_mutex_destroy(mutex)
        filled.deallocate()
        mutex.deallocate()
    }

    /// How much work waits.
    public var depth: Int {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return items.count - head
    }

    public var isClosed: Bool {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return closed
    }

    /// False, and nothing is put, where the queue is full or closed.
    public func put(_ work: Work) -> Bool {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        guard !closed, items.count - head < capacity else { return false }
        items.append(work)
        pthread_cond_signal(filled)
        return true
    }

    /// The oldest piece of work, waited for; nil once the queue is closed and empty.
    public func take() -> Work? {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while items.count == head {
            if closed { return nil }
            pthread_cond_wait(filled, mutex)
        }
        let work = items[head]
        head += 1
        if head == items.count {
            items.removeAll(keepingCapacity: true)
            head = 0
        } else if head >= 1_024, head * 2 >= items.count {
            items.removeFirst(head)
            head = 0
        }
        return work
    }

    /// Sleeps for `duration`, or until the queue is closed. True where it was closed.
    public func pause(_ duration: Duration) -> Bool {
        let until = SystemClock.monotonic() + duration.nanoseconds
        var deadline = timespec(tv_sec: Int(until / 1_000_000_000), tv_nsec: Int(until % 1_000_000_000))
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while !closed {
            if pthread_cond_timedwait(filled, mutex, &deadline) == ETIMEDOUT { return closed }
        }
        return true
    }

    /// Lets the workers finish what waits and then end.
    public func close() {
        pthread_mutex_lock(mutex)
        closed = true
        pthread_cond_broadcast(filled)
        pthread_mutex_unlock(mutex)
    }
}
