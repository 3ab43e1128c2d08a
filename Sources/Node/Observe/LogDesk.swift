import ConvergeTransport
import Glibc
import Synchronization

/// Where records leave the node. It is called by one thread, the log's own, and may take as long as it likes: what comes
/// meanwhile waits in the backlog, or is dropped and counted.
protocol LogSink: Sendable {
    /// Takes records, in order. Returns how many of them are lost.
    func write(_ records: [LogRecord]) -> Int
}

/// Hands records from the threads that serve to the one thread that writes them.
///
/// The invariant: `post` never waits for the sink. A full pipe that nobody reads, a terminal that is held (^S) or a slow
/// disk under the log hold up the log's thread alone, and stopping waits for it only as long as it is told to. What is
/// dropped meanwhile is counted, and told in a line of its own as soon as there is room again.
final class LogDesk: @unchecked Sendable {
    // Safe to share: what varies is touched only with `mutex` held; the pthread objects stay where they are on the heap.
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var backlog: LogBacklog
    private var isClosed = false
    private var runs = false
    private let sink: any LogSink
    private let notice: @Sendable (_ lines: Int) -> LogRecord
    /// Lines that nobody will see, ever.
    let dropped = Counter()

    /// - Parameter notice: makes the record that tells of dropped ones.
    init(
        _ sink: any LogSink, limits: LogBacklog.Limits = LogBacklog.Limits(),
        notice: @escaping @Sendable (_ lines: Int) -> LogRecord
    ) {
        self.sink = sink
        self.notice = notice
        backlog = LogBacklog(limits)
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

    /// How many records wait.
    var depth: Int {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return backlog.count
    }

    /// Starts the thread; what was posted before is written then.
    func start() throws(SystemError) {
        pthread_mutex_lock(mutex)
        let isFirst = !runs && !isClosed
        runs = runs || isFirst
        pthread_mutex_unlock(mutex)
        guard isFirst else { return }
        do throws(SystemError) {
            try WorkerThread(name: "log") { self.run() }.detach()
        } catch {
            ended()
            throw error
        }
    }

    /// Never waits for the sink.
    func post(_ record: LogRecord) {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        let wasEmpty = backlog.isEmpty
        if isClosed || !backlog.put(record) { dropped.add(1) }
        if wasEmpty { pthread_cond_broadcast(changed) }
    }

    /// Takes no more records and lets the thread write what waits. True where it has, within the time; false where the
    /// thread was still at it then: it is left alone.
    @discardableResult
    func close(within limit: Duration) -> Bool {
        let until = SystemClock.monotonic() + limit.nanoseconds
        var deadline = timespec(tv_sec: Int(until / 1_000_000_000), tv_nsec: Int(until % 1_000_000_000))
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        isClosed = true
        pthread_cond_broadcast(changed)
        while runs {
            if pthread_cond_timedwait(changed, mutex, &deadline) == ETIMEDOUT { return !runs }
        }
        return true
    }

    private func run() {
        var untold = 0
        while let (records, droppedBehind) = takeAll() {
            let lost = records.isEmpty ? 0 : sink.write(records)
            dropped.add(lost)
            untold += lost + droppedBehind
            if untold > 0, lost == 0, sink.write([notice(untold)]) == 0 { untold = 0 }
        }
        ended()
    }

    /// Waits until there is something to write; nil once the desk is closed and nothing is left.
    private func takeAll() -> (records: [LogRecord], dropped: Int)? {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while backlog.isEmpty {
            if isClosed { return nil }
            pthread_cond_wait(changed, mutex)
        }
        return backlog.takeAll()
    }

    private func ended() {
        pthread_mutex_lock(mutex)
        runs = false
        pthread_cond_broadcast(changed)
        pthread_mutex_unlock(mutex)
    }
}
