import ConvergeTransport
import Glibc

/// SIGINT, SIGTERM and SIGHUP as something to wait for. They are blocked, so no handler interrupts anything.
struct TerminationSignals: Sendable {
    private let signals: sigset_t

    /// Blocks the signals, for the calling thread and those it starts afterwards: make this before any other thread.
    init() {
        var signals = sigset_t()
        sigemptyset(&signals)
        for signal in [SIGINT, SIGTERM, SIGHUP] { sigaddset(&signals, signal) }
        pthread_sigmask(SIG_BLOCK, &signals, nil)
        self.signals = signals
    }

    /// Waits for the next signal, and says which; nil when the time is over first.
    func wait(atMost limit: Duration? = nil) -> Int32? {
        var signals = signals
        let deadline = limit.map { SystemClock.monotonic() + $0.nanoseconds }
        while true {
            var received: Int32
            if let deadline {
                let now = SystemClock.monotonic()
                guard now < deadline else { return nil }
                var rest = timespec()
                rest.tv_sec = Int((deadline - now) / 1_000_000_000)
                rest.tv_nsec = Int((deadline - now) % 1_000_000_000)
                received = sigtimedwait(&signals, nil, &rest)
            } else {
                received = sigwaitinfo(&signals, nil)
            }
            if received > 0 { return received }
        }
    }

    /// A descriptor that becomes readable at each signal; -1 where there can be none, and signals act as ever.
    static func descriptor() -> Int32 {
        var ends: (read: Int32, write: Int32) = (-1, -1)
        guard withUnsafeMutableBytes(of: &ends, { pipe($0.baseAddress?.assumingMemoryBound(to: Int32.self)) }) == 0
        else {
            return -1
        }
        let writeEnd = ends.write
        let waiting = TerminationSignals()
        do throws(SystemError) {
            try WorkerThread(name: "signals") {
                var byte: UInt8 = 1
                while waiting.wait() != nil { _ = write(writeEnd, &byte, 1) }
            }.detach()
        } catch {
            return -1
        }
        return ends.read
    }
}
