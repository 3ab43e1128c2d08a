import ConvergeTransport
import Glibc

@testable import ConvergeNode

/// Keeps what is logged. It can be held, as by a reader that has stopped, and let go again.
final class GatheringSink: LogSink, @unchecked Sendable {
    // Safe to share: everything is touched with `mutex` held.
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var gathered: [LogRecord] = []
    private var isHeld: Bool
    private var isAsked = false
    private var losing = false

    init(isHeld: Bool = false) {
        self.isHeld = isHeld
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(changed, nil)
    }

    deinit {
        pthread_cond_destroy(changed)
        pthread_mutex_destroy(mutex)
        changed.deallocate()
        mutex.deallocate()
    }

    private func locked<Result>(_ body: () -> Result) -> Result {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return body()
    }

    func write(_ records: [LogRecord]) -> Int {
        locked {
            isAsked = true
            pthread_cond_broadcast(changed)
            while isHeld { pthread_cond_wait(changed, mutex) }
            if losing { return records.count }
            gathered += records
            pthread_cond_broadcast(changed)
            return 0
        }
    }

    var records: [LogRecord] { locked { gathered } }

    func hold() { locked { isHeld = true } }

    func letGo() {
        locked {
            isHeld = false
            pthread_cond_broadcast(changed)
        }
    }

    /// From now on everything is lost, or nothing more is.
    func lose(_ losing: Bool) { locked { self.losing = losing } }

    /// Waits until the log's thread is in `write`, or has been. False where that did not come in time.
    @discardableResult
    func waitUntilAsked() -> Bool { wait { isAsked } }

    @discardableResult
    func waitForRecords(_ count: Int) -> Bool { wait { gathered.count >= count } }

    private func wait(until isSo: () -> Bool) -> Bool {
        var deadline = timespec()
        clock_gettime(CLOCK_REALTIME, &deadline)
        deadline.tv_sec += 20
        return locked {
            while !isSo() {
                if pthread_cond_timedwait(changed, mutex, &deadline) == ETIMEDOUT { return isSo() }
            }
            return true
        }
    }
}
