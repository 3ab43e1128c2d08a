import Glibc

/// The two clocks of the machine. Shells read them and pass the time on; cores have no clock.
public enum SystemClock {
    /// Nanoseconds that only grow, from an arbitrary start: for deadlines and measured durations.
    public static func monotonic() -> UInt64 { read(CLOCK_MONOTONIC) }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    public static func wallMilliseconds() -> UInt64 { read(CLOCK_REALTIME) / 1_000_000 }

    private static func read(_ clock: clockid_t) -> UInt64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}

extension Duration {
    /// Whole nanoseconds, at most 2⁶³ - 1; negative durations are 0.
    public var nanoseconds: UInt64 {
        let (seconds, attoseconds) = components
        guard seconds >= 0, attoseconds >= 0 else { return 0 }
        let whole = UInt64(seconds).multipliedReportingOverflow(by: 1_000_000_000)
        guard !whole.overflow, whole.partialValue < UInt64(Int64.max) else { return UInt64(Int64.max) }
        return whole.partialValue + UInt64(attoseconds / 1_000_000_000)
    }

    /// Whole milliseconds, rounded down.
    public var milliseconds: UInt64 { nanoseconds / 1_000_000 }
}
