import ConvergeTransport
import Glibc

/// Signals as something to wait for. They are blocked, so no handler interrupts anything.
///
/// One that was ignored when the process was started stays so: that is how `nohup` and shells say that it is not meant
/// for this process.
struct AwaitedSignals: Sendable {
    private let signals: sigset_t

    /// Blocks the signals, for the calling thread and those it starts afterwards: make this before any other thread.
    init(_ numbers: [Int32]) {
        var signals = sigset_t()
        sigemptyset(&signals)
        for number in numbers where !SignalDisposition.isIgnored(number) { sigaddset(&signals, number) }
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

    /// A descriptor that becomes readable at each SIGINT, SIGTERM and SIGHUP; -1 where there can be none, and signals act
    /// as ever.
    static func interruptions() -> Int32 {
        var ends: (read: Int32, write: Int32) = (-1, -1)
        guard withUnsafeMutableBytes(of: &ends, { pipe($0.baseAddress?.assumingMemoryBound(to: Int32.self)) }) == 0
        else {
            return -1
        }
        let writeEnd = ends.write
        let waiting = AwaitedSignals([SIGINT, SIGTERM, SIGHUP])
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
