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

    /// Waits until the log's thread is in `write`, or has been.
    func waitUntilAsked() {
        locked { while !isAsked { pthread_cond_wait(changed, mutex) } }
    }

    func waitForRecords(_ count: Int) {
        locked { while gathered.count < count { pthread_cond_wait(changed, mutex) } }
    }
}
