import Glibc

/// What the process was started to do about a signal.
public enum SignalDisposition {
    /// Whether it is ignored. Whoever waits for signals must leave these alone: `nohup` and shells say by it that they are
    /// not meant for this process, and a signal that is blocked so as to be waited for comes even if it is ignored.
    public static func isIgnored(_ number: Int32) -> Bool {
        var action = sigaction()
        guard sigaction(number, nil, &action) == 0 else { return false }
        // SIG_IGN is the address 1 and can't be called, so it is compared as a number.
        return unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self) == 1
    }
}
