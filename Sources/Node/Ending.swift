import ConvergeTransport
import Glibc

/// Waits for a number of threads to end, for a bounded time.
final class Ending: @unchecked Sendable {
    // Safe to share: the counts are touched only with `mutex` held; the pthread objects stay where they are on the heap.
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var running: Int
    private var begun = false

    init(threads: Int) {
        running = threads
        pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(changed, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(changed)
        pthread_mutex_destroy(mutex)
        changed.deallocate()
        mutex.deallocate()
    }

    /// True for the first who asks: it is theirs to end.
    func begin() -> Bool {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        defer { begun = true }
        return !begun
    }

    /// Whether all have ended.
    var isOver: Bool {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return running <= 0
    }

    func threadEnded() {
        pthread_mutex_lock(mutex)
        running -= 1
        pthread_cond_broadcast(changed)
        pthread_mutex_unlock(mutex)
    }

    /// True where all have ended; false where the limit came first.
    @discardableResult
    func wait(for limit: Duration?) -> Bool {
        let until = SystemClock.monotonic() + (limit ?? .seconds(3_600)).nanoseconds
        var deadline = timespec(tv_sec: Int(until / 1_000_000_000), tv_nsec: Int(until % 1_000_000_000))
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while running > 0 {
            if pthread_cond_timedwait(changed, mutex, &deadline) == ETIMEDOUT { return running == 0 }
        }
        return true
    }
}
